//! `PATCH /v1/webhooks/{id}`, `POST /v1/webhooks/{id}/rotate` and `POST /v1/webhooks/{id}/test`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    endpoint::{
        DisabledReason, EndpointState, Types, View, WebhookError, checked, checked_description, invalid, view,
        view_with_secret,
    },
    signature::Secret,
    store,
};
use crate::{
    app::App,
    attention::{self, Reason},
    event::{self, Type},
    http::{Caller, JsonBody, Problem},
    idempotency::{Answered, Creating, CreatingBare},
};

/// What the caller wants otherwise; what is absent stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeWebhook)]
pub struct Change {
    url: Option<String>,
    description: Option<String>,
    types: Option<Vec<String>>,
    state: Option<Wanted>,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WebhookState)]
enum Wanted {
    Enabled,
    Disabled,
}

/// Changes an endpoint. One that is enabled again gets everything that it has missed. A changed address is shown to a
/// person: somebody with a stolen key could lead the events elsewhere.
///
/// # Errors
/// The caller may not, there is no such endpoint, or it cannot be called.
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
    JsonBody(body): JsonBody<Change>,
) -> Result<Json<View>, Problem> {
    checked(caller, &endpoint_id)?;
    let url = body.url.map(|url| app.webhooks.reach().check(&url).map_err(invalid)).transpose()?;
    let url = url.map(String::from);
    let description = body.description.map(checked_description).transpose()?;
    let types = body.types.map(|words| Types::from_words(&words).map_err(invalid)).transpose()?;
    let state = body.state.map(|wanted| match wanted {
        Wanted::Enabled => EndpointState::Enabled,
        Wanted::Disabled => EndpointState::Disabled(DisabledReason::Asked),
    });
    let (now, writing) = (app.now(), Arc::clone(&app));
    let changed = app.database.write(move |tx| {
        let mut endpoint = store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
        if let Some(url) = url.clone().filter(|url| *url != endpoint.url) {
            let detail = format!("The address of {endpoint_id} was changed.");
            attention::raise_again(tx, &writing, now, &endpoint_id, Reason::WebhookMoved, &detail)?;
            endpoint.url = url;
        }
        endpoint.description = description.clone().unwrap_or(endpoint.description);
        endpoint.types = types.clone().unwrap_or(endpoint.types);
        endpoint.state = state.unwrap_or(endpoint.state);
        endpoint.updated = now;
        store::update(tx, &endpoint)?;
        Ok::<_, WebhookError>(endpoint)
    });
    let changed = changed.await?;
    app.webhook_wake.notify_one();
    Ok(Json(view(&changed)))
}

/// What the caller sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RotateSecret)]
pub struct Rotate {
    /// How long the old secret signs, too.
    #[serde(default = "one_day")]
    old_secret_hours: u32,
}

fn one_day() -> u32 {
    24
}

/// The longest time with two secrets: a week.
const OLD_SECRET_HOURS_MAX: u32 = 7 * 24;

/// Gives the endpoint a new secret. For a while everything is signed with both.
///
/// # Errors
/// The caller may not, or there is no such endpoint.
pub async fn rotate(
    State(app): State<Arc<App>>,
    Path(endpoint_id): Path<String>,
    Creating { caller, body, once }: CreatingBare<Rotate>,
) -> Result<Answered, Problem> {
    checked(caller, &endpoint_id)?;
    if body.old_secret_hours > OLD_SECRET_HOURS_MAX {
        return Err(invalid(format!("old_secret_hours must be from 0 to {OLD_SECRET_HOURS_MAX}")));
    }
    let now = app.now();
    let until = now + SignedDuration::from_hours(body.old_secret_hours.into());
    let (secret, writing) = (Secret::new(&app.entropy), Arc::clone(&app));
    once.write(&app, StatusCode::OK, move |tx| {
        store::rotate(tx, &writing.seal, &endpoint_id, &secret, until, now)?;
        let endpoint = store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
        Ok::<_, WebhookError>(view_with_secret(&endpoint, &secret))
    })
    .await
}

/// Nothing can be chosen.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestWebhook)]
pub struct Test {}

/// What will be sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TestedWebhook)]
pub(super) struct Sent {
    event: String,
}

/// Sends an event of the type `webhook.tested` to this endpoint alone, whatever types it wants.
///
/// # Errors
/// The caller may not, or there is no such endpoint.
pub async fn test(
    State(app): State<Arc<App>>,
    Path(endpoint_id): Path<String>,
    Creating { caller, body: Test {}, once }: CreatingBare<Test>,
) -> Result<Answered, Problem> {
    checked(caller, &endpoint_id)?;
    let (now, writing) = (app.now(), Arc::clone(&app));
    let answered = once
        .write(&app, StatusCode::ACCEPTED, move |tx| {
            store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
            let data = json!({ "webhook": endpoint_id });
            let event = event::append(tx, &writing, now, Type::WebhookTested, &endpoint_id, &data)?;
            Ok::<_, WebhookError>(Sent { event })
        })
        .await?;
    app.event_wake.notify_waiters();
    Ok(answered)
}
