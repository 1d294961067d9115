//! `GET /v1/events`: a page of events, or, with `Accept: text/event-stream`, all that come.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use super::{BEGINNING, Event, Type, store, store::Filter, stream};
use crate::{
    api_key::ApiKey,
    app::App,
    http::{Caller, Code, PageSize, Problem, QueryString},
    id,
};

/// What the caller asks for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The id of the last event that the caller knows; `0` before the first one.
    after: Option<String>,
    /// Words with commas; all that the key may see if absent.
    types: Option<String>,
    /// One order or conversation.
    subject: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = EventPage)]
pub(super) struct Page {
    events: Vec<Event>,
    /// The cursor for the next page: `after` of the next call, also if this page is empty.
    after: Option<String>,
    has_more: bool,
}

/// Lists or streams events.
///
/// # Errors
/// The caller is no key, or the cursor or a type is unknown.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    QueryString(asked): QueryString<Asked>,
) -> Result<Response, Problem> {
    let key = caller.key()?;
    let filter = Filter { types: visible_types(&key, asked.types.as_deref())?, subject: asked.subject };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let after = resumed.map(str::to_owned).or(asked.after);
        let position = match after {
            Some(after) => position_of(&app, after).await?,
            None => app.database.read(store::last).await?,
        };
        return stream::start(&app, key, position, filter);
    }
    let size = PageSize::asked(asked.limit)?;
    let position = match asked.after.clone() {
        Some(after) => position_of(&app, after).await?,
        None => 0,
    };
    let reading = Arc::clone(&app);
    let mut events = app.database.read(move |tx| store::after(tx, &reading, position, &filter, size.rows())).await?;
    let has_more = size.cut(&mut events);
    let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
    let after = events.last().map(|event| event.id.clone()).or(asked.after);
    Ok(Json(Page { events, after, has_more }).into_response())
}

async fn position_of(app: &App, after: String) -> Result<i64, Problem> {
    let unknown = || Problem::new(Code::CursorUnknown, "Send the id of an event as it was given, or leave it out.");
    if after == BEGINNING {
        return Ok(0);
    }
    if !id::is(id::Kind::Event, &after) {
        return Err(unknown());
    }
    app.database.read(move |tx| store::position(tx, &after)).await?.ok_or_else(unknown)
}

fn visible_types(key: &ApiKey, wanted: Option<&str>) -> Result<Vec<Type>, Problem> {
    let visible = |kind: &Type| key.has(kind.scope());
    let Some(wanted) = wanted else {
        let types: Vec<_> = Type::ALL.iter().copied().filter(visible).collect();
        return if types.is_empty() { Err(forbidden()) } else { Ok(types) };
    };
    let read = |word: &str| {
        let kind = Type::from_word(word.trim())
            .ok_or_else(|| Problem::new(Code::QueryInvalid, format!("There is no type of event {word}.")))?;
        if visible(&kind) { Ok(kind) } else { Err(forbidden()) }
    };
    wanted.split(',').map(read).collect()
}

fn forbidden() -> Problem {
    Problem::new(Code::Forbidden, "The API key lacks the scope for these events: read, or messages for those of chats.")
}
