//! `/v1/webhooks`: endpoints are made, shown and deleted.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{signature::Secret, store};
use crate::{
    api_key::Scope,
    app::App,
    database::DatabaseError,
    event::{self, Headline, Type},
    http::{Caller, Code, PageAsked, PageSize, Problem, QueryString, checked_cursor},
    id,
    idempotency::{Answered, Creating},
};

/// So many endpoints a server has at most: each may use some connections of its own.
const ENDPOINTS_MAX: i64 = 100;

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 200;

/// Whom the merchant wants to be told.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) description: String,
    pub(super) types: Types,
    pub(super) state: EndpointState,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Until when the secret before the last rotation signs, too.
    pub(super) old_secret_until: Option<Timestamp>,
}

/// Whether events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointState {
    Enabled,
    Disabled(DisabledReason),
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisabledReason {
    /// The merchant wants it so.
    Asked,
    /// The endpoint answered 410.
    Gone,
}

impl DisabledReason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Asked, Self::Gone].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// The types of events that an endpoint wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Types {
    /// All, also those of later versions.
    All,
    Only(Vec<Type>),
}

const ALL: &str = "*";

impl Types {
    /// Reads words; without any, all types are meant.
    pub(super) fn from_words(words: &[String]) -> Result<Self, String> {
        if words.is_empty() || words == [ALL] {
            return Ok(Self::All);
        }
        let read = |word: &String| Type::from_word(word).ok_or_else(|| format!("there is no type of event {word:?}"));
        words.iter().map(read).collect::<Result<_, _>>().map(Self::Only)
    }

    pub(super) fn words(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec![ALL],
            Self::Only(types) => types.iter().map(|kind| kind.as_str()).collect(),
        }
    }

    /// Whether the endpoint with this id wants the event. A trial is for the one that is tried, whatever it wants.
    pub(super) fn want(&self, endpoint_id: &str, event: &Headline) -> bool {
        match self {
            _ if event.kind == Type::WebhookTested.as_str() => event.subject == endpoint_id,
            Self::All => true,
            Self::Only(types) => types.iter().any(|wanted| wanted.as_str() == event.kind),
        }
    }
}

/// An endpoint as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub struct View {
    id: String,
    url: String,
    description: String,
    types: Vec<&'static str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<&'static str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<Timestamp>,
    /// Shown when it is made: when the endpoint is created and when its secret is rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// How many deliveries wait and how many are dead letters; only when one endpoint is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Counts>,
}

/// How many deliveries of an endpoint are in a state.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = DeliveryCounts)]
pub(super) struct Counts {
    pub(super) waiting: i64,
    pub(super) exhausted: i64,
}

pub(super) fn view(endpoint: &Endpoint) -> View {
    let (state, disabled_reason) = match endpoint.state {
        EndpointState::Enabled => ("enabled", None),
        EndpointState::Disabled(reason) => ("disabled", Some(reason.as_str())),
    };
    View {
        id: endpoint.id.clone(),
        url: endpoint.url.clone(),
        description: endpoint.description.clone(),
        types: endpoint.types.words(),
        state,
        disabled_reason,
        created_at: endpoint.created,
        updated_at: endpoint.updated,
        old_secret_until: endpoint.old_secret_until,
        secret: None,
        deliveries: None,
    }
}

pub(super) fn view_with_secret(endpoint: &Endpoint, secret: &Secret) -> View {
    View { secret: Some(secret.text()), ..view(endpoint) }
}

/// What the caller sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateWebhook)]
pub struct Create {
    url: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    types: Vec<String>,
}

/// Why a call about webhooks does not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("no such endpoint")]
    NotFound,
    #[error("too many endpoints")]
    TooMany,
    #[error("no such event")]
    EventUnknown,
    #[error("no such delivery")]
    DeliveryNotFound,
    #[error("the database failed")]
    Database(#[from] DatabaseError),
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::new(Code::WebhookNotFound, "Look at GET /v1/webhooks."),
            WebhookError::TooMany => {
                Self::new(Code::TooManyWebhooks, format!("Delete one: there are at most {ENDPOINTS_MAX}."))
            }
            WebhookError::EventUnknown => Self::new(Code::CursorUnknown, "Send the id of an event as it was given."),
            WebhookError::DeliveryNotFound => {
                Self::new(Code::DeliveryNotFound, "Look at the deliveries of the endpoint; old ones are forgotten.")
            }
            WebhookError::Database(error) => error.into(),
        }
    }
}

pub(super) fn invalid(text: impl std::fmt::Display) -> Problem {
    Problem::new(Code::WebhookInvalid, format!("{text}."))
}

pub(super) fn checked_description(text: String) -> Result<String, Problem> {
    if text.len() > DESCRIPTION_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(invalid(format!("the description must be a text of at most {DESCRIPTION_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The caller may manage webhooks; the id has the form of one.
pub(super) fn checked(caller: Caller, endpoint_id: &str) -> Result<(), Problem> {
    caller.key_with(Scope::Admin)?;
    if id::is(id::Kind::Webhook, endpoint_id) { Ok(()) } else { Err(WebhookError::NotFound.into()) }
}

/// Makes an endpoint. It gets what happens from now on.
///
/// # Errors
/// The caller may not, or the endpoint cannot be called.
pub async fn create(
    State(app): State<Arc<App>>,
    Creating { caller, body, once }: Creating<Create>,
) -> Result<Answered, Problem> {
    let by = caller.key_with(Scope::Admin)?;
    let url = app.webhooks.reach().check(&body.url).map_err(invalid)?;
    let now = app.now();
    let endpoint = Endpoint {
        id: id::new(id::Kind::Webhook, now, &app.entropy),
        url: url.into(),
        description: checked_description(body.description)?,
        types: Types::from_words(&body.types).map_err(invalid)?,
        state: EndpointState::Enabled,
        created: now,
        updated: now,
        old_secret_until: None,
    };
    let (secret, writing, endpoint_id) = (Secret::new(&app.entropy), Arc::clone(&app), endpoint.id.clone());
    let answered = once
        .write(&app, StatusCode::CREATED, move |tx| {
            if store::count(tx)? >= ENDPOINTS_MAX {
                return Err(WebhookError::TooMany);
            }
            let position = event::last(tx)?;
            store::insert(tx, &writing.seal, &endpoint, &secret, position)?;
            Ok(view_with_secret(&endpoint, &secret))
        })
        .await?;
    if answered.is_fresh() {
        tracing::info!(webhook.id = endpoint_id, key.id = by.id, "webhook created");
    }
    Ok(answered)
}

/// A page, the newest endpoints first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhooks)]
pub struct Endpoints {
    webhooks: Vec<View>,
    /// The cursor for the next page.
    after: Option<String>,
    has_more: bool,
}

/// Lists the endpoints.
///
/// # Errors
/// The caller may not, or the query cannot be.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(asked): QueryString<PageAsked>,
) -> Result<Json<Endpoints>, Problem> {
    caller.key_with(Scope::Admin)?;
    let size = PageSize::asked(asked.limit)?;
    let after = checked_cursor(id::Kind::Webhook, asked.after)?;
    let before = after.clone();
    let mut endpoints = app.database.read(move |tx| store::list(tx, before.as_deref(), size.rows())).await?;
    let has_more = size.cut(&mut endpoints);
    let after = endpoints.last().map(|endpoint| endpoint.id.clone()).or(after);
    Ok(Json(Endpoints { webhooks: endpoints.iter().map(view).collect(), after, has_more }))
}

/// Shows an endpoint, and how many deliveries wait.
///
/// # Errors
/// The caller may not, or there is no such endpoint.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> Result<Json<View>, Problem> {
    checked(caller, &endpoint_id)?;
    let shown = app.database.read(move |tx| {
        let endpoint = store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
        Ok::<_, WebhookError>(View { deliveries: Some(store::counts(tx, &endpoint_id)?), ..view(&endpoint) })
    });
    Ok(Json(shown.await?))
}

/// Deletes an endpoint with all of its deliveries.
///
/// # Errors
/// The caller may not, or there is no such endpoint.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(endpoint_id): Path<String>,
) -> Result<StatusCode, Problem> {
    checked(caller, &endpoint_id)?;
    let deleted_id = endpoint_id.clone();
    let deleted = app.database.write(move |tx| store::delete(tx, &endpoint_id)).await?;
    if !deleted {
        return Err(WebhookError::NotFound.into());
    }
    tracing::info!(webhook.id = deleted_id, "webhook deleted");
    Ok(StatusCode::NO_CONTENT)
}
