//! `GET /v1/webhooks/{id}/deliveries`: what was sent, what waits, and every try with the first bytes of the answer.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    endpoint::{WebhookError, checked},
    store,
};
use crate::{
    app::App,
    event,
    http::{Caller, PageSize, Problem, QueryString},
    id,
};

/// More tries than there can be of one delivery, unless it is replayed often.
const TRIES_MAX: i64 = 200;

/// The states of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryState {
    /// To be sent, now or later.
    Waiting,
    /// The endpoint has it.
    Delivered,
    /// Given up: a dead letter.
    Exhausted,
}

impl DeliveryState {
    /// The word in the database and the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
        }
    }
}

/// What the caller asks for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    #[param(inline)]
    state: Option<DeliveryState>,
    /// The last event of the page before.
    after: Option<String>,
    limit: Option<i64>,
}

/// A delivery as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Delivery {
    pub(super) event: String,
    pub(super) r#type: String,
    pub(super) subject: String,
    pub(super) sequence: i64,
    pub(super) state: String,
    pub(super) attempts: i64,
    /// When it is tried next; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered_at: Option<Timestamp>,
}

/// One try as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Attempt {
    pub(super) number: i64,
    pub(super) started_at: Timestamp,
    pub(super) duration_ms: i64,
    /// What the endpoint answered; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_status: Option<i64>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    /// The first bytes of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<String>,
}

/// A page, the newest events first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeliveryPage)]
pub struct Page {
    deliveries: Vec<Delivery>,
    /// The cursor for the next page.
    after: Option<String>,
    has_more: bool,
}

/// Lists the deliveries of an endpoint.
///
/// # Errors
/// The caller may not, there is no such endpoint, or the cursor is unknown.
pub async fn list_deliveries(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<Page>, Problem> {
    checked(caller, &endpoint_id)?;
    let size = PageSize::asked(asked.limit)?;
    if asked.after.as_ref().is_some_and(|after| !id::is(id::Kind::Event, after)) {
        return Err(WebhookError::EventUnknown.into());
    }
    let (after, state) = (asked.after.clone(), asked.state);
    let page = app.database.read(move |tx| {
        store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
        let before = match &after {
            Some(after) => event::position(tx, after)?.ok_or(WebhookError::EventUnknown)?,
            None => i64::MAX,
        };
        Ok::<_, WebhookError>(store::deliveries(tx, &endpoint_id, state, before, size.rows())?)
    });
    let mut deliveries = page.await?;
    let has_more = size.cut(&mut deliveries);
    let after = deliveries.last().map(|delivery| delivery.event.clone()).or(asked.after);
    Ok(Json(Page { deliveries, after, has_more }))
}

/// A delivery with its tries, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeliveryWithTries)]
pub struct WithAttempts {
    #[serde(flatten)]
    delivery: Delivery,
    tries: Vec<Attempt>,
}

/// Shows what became of an event at an endpoint.
///
/// # Errors
/// The caller may not, or there is no such endpoint or delivery.
pub async fn read_delivery(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((endpoint_id, event_id)): Path<(String, String)>,
) -> Result<Json<WithAttempts>, Problem> {
    checked(caller, &endpoint_id)?;
    if !id::is(id::Kind::Event, &event_id) {
        return Err(WebhookError::DeliveryNotFound.into());
    }
    let reading = Arc::clone(&app);
    let shown = app.database.read(move |tx| {
        store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
        let delivery = store::delivery(tx, &endpoint_id, &event_id)?.ok_or(WebhookError::DeliveryNotFound)?;
        let tries = store::attempts(tx, &reading.seal, &endpoint_id, &event_id, TRIES_MAX)?;
        Ok::<_, WebhookError>(WithAttempts { delivery, tries })
    });
    Ok(Json(shown.await?))
}
