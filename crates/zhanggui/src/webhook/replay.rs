//! `POST /v1/webhooks/{id}/replay`: one event, a range, or all dead letters once more.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{
    endpoint::{Endpoint, WebhookError, checked, invalid},
    store,
};
use crate::{
    app::App,
    clock::ms,
    database::Tx,
    event,
    http::Problem,
    id,
    idempotency::{Answered, Creating},
};

/// So many events one call looks at; the answer says where the next one goes on.
const EVENTS_MAX: i64 = 1000;

/// What the caller wants: `event`, or `from` (and `to`), or `state`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    event: Option<String>,
    /// The first event of a range.
    from: Option<String>,
    /// The last one; the newest if absent.
    to: Option<String>,
    state: Option<Wanted>,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReplayState)]
enum Wanted {
    Exhausted,
}

#[derive(Clone, Debug)]
enum Which {
    Range { from: String, to: Option<String> },
    DeadLetters,
}

/// What will be sent again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Replayed {
    replayed: u64,
    /// The event with which the next call goes on; absent if there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Sends events again, in order, with the schedule from its beginning.
///
/// # Errors
/// The caller may not, or there is no such endpoint or event.
pub async fn replay(
    State(app): State<Arc<App>>,
    Path(endpoint_id): Path<String>,
    Creating { caller, body, once }: Creating<Replay>,
) -> Result<Answered, Problem> {
    checked(caller, &endpoint_id)?;
    let which = which(body)?;
    let now_ms = ms(app.now());
    let answered = once
        .write(&app, StatusCode::ACCEPTED, move |tx| {
            let endpoint = store::find(tx, &endpoint_id)?.ok_or(WebhookError::NotFound)?;
            match &which {
                Which::DeadLetters => {
                    let replayed = store::replay_exhausted(tx, &endpoint_id, now_ms)?;
                    Ok(Replayed { replayed, next: None })
                }
                Which::Range { from, to } => range(tx, &endpoint, from, to.as_deref(), now_ms),
            }
        })
        .await?;
    app.webhook_wake.notify_one();
    Ok(answered)
}

fn which(body: Replay) -> Result<Which, Problem> {
    let which = match body {
        Replay { event: Some(event), from: None, to: None, state: None } => {
            Which::Range { from: event.clone(), to: Some(event) }
        }
        Replay { event: None, from: Some(from), to, state: None } => Which::Range { from, to },
        Replay { event: None, from: None, to: None, state: Some(Wanted::Exhausted) } => Which::DeadLetters,
        _ => return Err(invalid("send either event, or from (and to), or state")),
    };
    if let Which::Range { from, to } = &which
        && [Some(from), to.as_ref()].into_iter().flatten().any(|event| !id::is(id::Kind::Event, event))
    {
        return Err(WebhookError::EventUnknown.into());
    }
    Ok(which)
}

fn range(
    tx: &mut Tx,
    endpoint: &Endpoint,
    from: &str,
    to: Option<&str>,
    now_ms: i64,
) -> Result<Replayed, WebhookError> {
    let first = event::position(tx, from)?.ok_or(WebhookError::EventUnknown)?;
    // What comes behind the position of the endpoint is delivered anyway.
    let mut last = store::position(tx, &endpoint.id)?;
    if let Some(to) = to {
        last = last.min(event::position(tx, to)?.ok_or(WebhookError::EventUnknown)?);
    }
    let mut events = event::headlines(tx, first - 1, EVENTS_MAX + 1)?;
    events.retain(|event| event.position <= last);
    let limit = usize::try_from(EVENTS_MAX).unwrap_or(usize::MAX);
    let next = events.get(limit).map(|event| event.id.clone());
    let mut replayed = 0;
    for event in events.iter().take(limit).filter(|event| endpoint.types.want(&endpoint.id, event)) {
        replayed += store::replay(tx, &endpoint.id, event, now_ms)?;
    }
    Ok(Replayed { replayed, next })
}
