//! `GET /v1/conversations` and what can be done with one: read it, take it over, mark it as read, show that somebody types.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use weixin::mini_program::{ErrCode, typing::Command};

use super::{
    Conversation, Handler, Message, View, message,
    store::{self, conversation::Filter},
};
use crate::{
    api_key::Scope,
    app::App,
    clock::ms,
    database::{DatabaseError, Tx},
    event,
    http::{Caller, Code, JsonBody, PageSize, Problem, QueryString, checked_cursor, cursor_unknown, wechat_problem},
    id,
};

/// Which conversations are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    appid: Option<String>,
    customer: Option<String>,
    handler: Option<String>,
    /// Only those in which a customer waits, the longest first; else the latest first.
    #[serde(default)]
    waiting: bool,
    after: Option<String>,
    limit: Option<i64>,
}

/// A page of conversations.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ConversationPage {
    conversations: Vec<View>,
    /// The cursor for the next page; null after the last one.
    after: Option<String>,
    has_more: bool,
}

/// Lists conversations.
///
/// # Errors
/// The key lacks the scope, or the query cannot be.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<ConversationPage>, Problem> {
    caller.key_with(Scope::Messages)?;
    let size = PageSize::asked(asked.limit)?;
    let handler = asked.handler.as_deref().map(handler_of).transpose()?;
    let after = asked.after.as_deref().map(|cursor| place_of(cursor, id::Kind::Conversation)).transpose()?;
    let waiting = asked.waiting;
    let filter = Filter { appid: asked.appid, customer_id: asked.customer, handler, waiting, after };
    let mut page = app.database.read(move |tx| store::conversation::list(tx, &filter, size.rows())).await?;
    let has_more = size.cut(&mut page);
    let after = page.last().filter(|_| has_more).map(|last| {
        let time = if waiting { last.waiting_since.unwrap_or(last.last_message) } else { last.last_message };
        cursor_of(time, &last.id)
    });
    let now = app.now();
    let conversations = page.iter().map(|conversation| conversation.view(now)).collect();
    Ok(Json(ConversationPage { conversations, after, has_more }))
}

/// Shows a conversation.
///
/// # Errors
/// The key lacks the scope, or there is no such conversation.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
) -> Result<Json<View>, Problem> {
    caller.key_with(Scope::Messages)?;
    let conversation = load(&app, &conversation_id).await?;
    Ok(Json(conversation.view(app.now())))
}

/// Which messages are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagesAsked {
    /// The cursor of the last page, which is the id of a message: what was said before it.
    before: Option<String>,
    limit: Option<i64>,
}

/// A page of messages, the latest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MessagePage {
    messages: Vec<message::View>,
    /// The cursor for the next page; null after the last one.
    before: Option<String>,
    has_more: bool,
}

/// Lists what was said, the latest first.
///
/// # Errors
/// The key lacks the scope, there is no such conversation, or the query cannot be.
pub async fn messages(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    QueryString(asked): QueryString<MessagesAsked>,
) -> Result<Json<MessagePage>, Problem> {
    caller.key_with(Scope::Messages)?;
    let size = PageSize::asked(asked.limit)?;
    let before = checked_cursor(id::Kind::Message, asked.before)?;
    let conversation = load(&app, &conversation_id).await?;
    let reading = Arc::clone(&app);
    let read = move |tx: &mut Tx| store::message::list(tx, &reading, &conversation.id, before.as_deref(), size.rows());
    let mut page = app.database.read(read).await?;
    let has_more = size.cut(&mut page);
    let before = page.last().filter(|_| has_more).map(|last| last.id.clone());
    let messages = page.iter().map(Message::view).collect();
    Ok(Json(MessagePage { messages, before, has_more }))
}

/// Who answers from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    handler: String,
}

/// Hands a conversation to somebody else, from the next message on: a message can only be forwarded to WeChat's agents in
/// answer to WeChat, never later.
///
/// # Errors
/// The key lacks the scope, there is no such conversation or nobody of this name.
pub async fn hand_over(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    JsonBody(HandOver { handler }): JsonBody<HandOver>,
) -> Result<Json<View>, Problem> {
    let key = caller.key_with(Scope::Messages)?;
    let handler = handler_of(&handler)?;
    let (changing, now) = (Arc::clone(&app), app.now());
    let change = move |conversation: &mut Conversation, tx: &mut Tx| {
        if conversation.handler == handler {
            return Ok(());
        }
        conversation.handler = handler;
        tell_handled(tx, &changing, now, conversation, &key.id)
    };
    let conversation = update(&app, &conversation_id, change).await?;
    Ok(Json(conversation.view(now)))
}

/// Writes down that somebody else answers. `by` is the id of an API key, or `rule:` and a name.
pub(super) fn tell_handled(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    conversation: &Conversation,
    by: &str,
) -> Result<(), DatabaseError> {
    let data = json!({ "conversation": conversation.view(now), "by": by });
    event::append(tx, app, now, event::Type::ConversationHandled, &conversation.id, &data).map(drop)
}

/// Up to which message everything was read.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    up_to: Option<String>,
}

/// Marks messages as read: all, or those up to one.
///
/// # Errors
/// The key lacks the scope, or there is no such conversation or message.
pub async fn mark_read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    JsonBody(MarkRead { up_to }): JsonBody<MarkRead>,
) -> Result<Json<View>, Problem> {
    caller.key_with(Scope::Messages)?;
    let reading = Arc::clone(&app);
    let change = move |conversation: &mut Conversation, tx: &mut Tx| {
        conversation.unread = match &up_to {
            None => 0,
            Some(id) => {
                let message = store::message::find(tx, &reading, id)?.ok_or(DatabaseError::NotFound)?;
                if message.conversation_id != conversation.id {
                    return Err(DatabaseError::NotFound);
                }
                conversation.unread.min(store::message::count_after(tx, &conversation.id, &message)?)
            }
        };
        Ok(())
    };
    let conversation = update(&app, &conversation_id, change).await?;
    Ok(Json(conversation.view(app.now())))
}

/// Whether somebody types.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    typing: bool,
}

/// Shows the customer that somebody types, for 15 seconds, or no longer.
///
/// # Errors
/// The key lacks the scope, there is no such conversation, or WeChat refuses.
pub async fn typing(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    JsonBody(Typing { typing }): JsonBody<Typing>,
) -> Result<StatusCode, Problem> {
    caller.key_with(Scope::Messages)?;
    let conversation = load(&app, &conversation_id).await?;
    let credential = app.app_credential(&conversation.appid).ok_or_else(not_found)?;
    let command = if typing { Command::Typing } else { Command::CancelTyping };
    let request = weixin::mini_program::typing::Request {
        touser: conversation.openid.clone(),
        command,
        business_id: conversation.business_id.clone(),
    };
    match app.mini_program.typing(&app.access_tokens, &credential, &request).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // It is shown already.
        Err(error) if error.errcode() == Some(ErrCode::ALREADY_TYPING) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(wechat_problem(error, "The customer sees no sign of typing; nothing else has happened.")),
    }
}

/// Changes a conversation in one transaction and gives it as it is afterwards.
async fn update(
    app: &Arc<App>,
    conversation_id: &str,
    change: impl Fn(&mut Conversation, &mut Tx) -> Result<(), DatabaseError> + Send + 'static,
) -> Result<Conversation, Problem> {
    let id = checked_id(conversation_id)?;
    let written = app
        .database
        .write(move |tx| {
            let Some(mut conversation) = store::conversation::find(tx, &id)? else { return Ok(None) };
            change(&mut conversation, tx)?;
            store::conversation::save(tx, &conversation)?;
            Ok(Some(conversation))
        })
        .await;
    app.event_wake.notify_waiters();
    match written {
        Ok(conversation) => conversation.ok_or_else(not_found),
        Err(DatabaseError::NotFound) => Err(Problem::new(Code::MessageNotFound, "Look at the id of the message.")),
        Err(error) => Err(error.into()),
    }
}

async fn load(app: &App, conversation_id: &str) -> Result<Conversation, Problem> {
    let id = checked_id(conversation_id)?;
    app.database.read(move |tx| store::conversation::find(tx, &id)).await?.ok_or_else(not_found)
}

pub(super) fn checked_id(conversation_id: &str) -> Result<String, Problem> {
    if id::is(id::Kind::Conversation, conversation_id) { Ok(conversation_id.to_owned()) } else { Err(not_found()) }
}

pub(super) fn not_found() -> Problem {
    Problem::new(Code::ConversationNotFound, "Look at the id of the conversation.")
}

fn handler_of(word: &str) -> Result<Handler, Problem> {
    Handler::from_word(word).ok_or_else(handler_unknown)
}

fn handler_unknown() -> Problem {
    Problem::new(Code::HandlerUnknown, "Send wechat, desk or bot.")
}

/// A place in a list that is sorted by time and id.
fn cursor_of(time: Timestamp, id: &str) -> String {
    format!("{}.{id}", ms(time))
}

fn place_of(cursor: &str, kind: id::Kind) -> Result<(i64, String), Problem> {
    let place = cursor.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, id)));
    match place {
        Some((time, id)) if id::is(kind, id) => Ok((time, id.to_owned())),
        _ => Err(cursor_unknown()),
    }
}
