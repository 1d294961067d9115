//! `POST /v1/conversations/{id}/messages`: a reply to a customer.
//!
//! The author names each reply (`client_id`), so that posting it twice over a weak link is one reply. The answer waits for
//! WeChat: it says `sent`, `failed`, or `unknown`, or `queued` if WeChat asks for patience.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use weixin::{
    FieldError,
    mini_program::{
        PagePath, WebUrl,
        custom_send::{CardTitle, LinkDescription},
        message_text::MessageText,
    },
};

use super::{
    conversation,
    message::{Content, Message, View},
    picture, send, store,
};
use crate::{
    api_key::{ApiKey, Scope},
    app::App,
    database::{DatabaseError, Tx},
    http::{Caller, Code, JsonBody, Problem},
    sending::{self, SAFETY_NET},
};

/// Posts a reply.
///
/// # Errors
/// The key lacks the scope, there is no such conversation, the content cannot be sent, or WeChat takes no reply now.
pub async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(conversation_id): Path<String>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<(StatusCode, Json<View>), Problem> {
    let key = caller.key_with(Scope::Messages)?;
    let conversation_id = conversation::checked_id(&conversation_id)?;
    let draft = Draft::read(body)?;
    let now = app.now();
    let (writing, id) = (Arc::clone(&app), conversation_id.clone());
    let posted = app.database.write(move |tx| draft.write(tx, &writing, now, &id, &key)).await?;
    app.event_wake.notify_waiters();
    let (message_id, status) = match posted {
        Posted::New(message_id) => (message_id, StatusCode::CREATED),
        Posted::Known(message_id) => (message_id, StatusCode::OK),
        Posted::Refused(problem) => return Err(problem()),
    };
    let sending = Arc::clone(&app);
    sending::at_once(async move { send::send_queued(&sending, &conversation_id).await }).await;
    let reading = Arc::clone(&app);
    let message = app.database.read(move |tx| store::message::find(tx, &reading, &message_id)).await?;
    let message = message.ok_or(DatabaseError::NotFound)?;
    Ok((status, Json(message.view())))
}

/// A reply that was checked.
struct Draft {
    client_id: String,
    content: Content,
    fingerprint: String,
}

enum Posted {
    New(String),
    /// This very reply was posted before.
    Known(String),
    Refused(fn() -> Problem),
}

impl Draft {
    /// Reads `client_id` and the content beside it.
    fn read(mut body: Map<String, Value>) -> Result<Self, Problem> {
        let client_id = match body.remove("client_id") {
            Some(Value::String(text))
                if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                text
            }
            _ => {
                let detail = "Send client_id: a name of 1 to 64 visible characters that you give to this reply; with the \
                              same name it is never sent twice.";
                return Err(Problem::new(Code::BodyInvalid, detail));
            }
        };
        let content: Content = serde_json::from_value(Value::Object(body))
            .map_err(|error| Problem::new(Code::BodyInvalid, format!("{error}.")))?;
        check(&content).map_err(|error| Problem::new(Code::MessageInvalid, format!("{error}.")))?;
        // An enum of texts can always be written.
        let text = serde_json::to_string(&content).unwrap_or_default();
        let fingerprint = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
        Ok(Self { client_id, content, fingerprint })
    }

    fn write(
        &self,
        tx: &mut Tx,
        app: &App,
        now: Timestamp,
        conversation_id: &str,
        key: &ApiKey,
    ) -> Result<Posted, DatabaseError> {
        let Some(mut conversation) = store::conversation::find(tx, conversation_id)? else {
            return Ok(Posted::Refused(conversation::not_found));
        };
        if let Some((id, fingerprint)) = store::message::of_client_id(tx, conversation_id, &self.client_id)? {
            return Ok(if fingerprint == self.fingerprint {
                Posted::Known(id)
            } else {
                Posted::Refused(client_id_used)
            });
        }
        if let Some(picture) = self.content.picture() {
            let picture = store::picture::find(tx, app, picture)?;
            let usable = |picture: &picture::Picture| picture.appid == conversation.appid && picture.bytes.is_some();
            if !picture.as_ref().is_some_and(usable) {
                return Ok(Posted::Refused(picture_unknown));
            }
        }
        let message = Message {
            author: Some(key.id.clone()),
            client_id: Some(self.client_id.clone()),
            ..send::new_reply(app, now, conversation_id, self.content.clone())
        };
        let queued = send::queue(tx, app, now, &mut conversation, &message, Some(&self.fingerprint), now + SAFETY_NET)?;
        if let Err(exhausted) = queued {
            return Ok(Posted::Refused(match exhausted {
                super::allowance::Exhausted::WindowClosed => window_closed,
                super::allowance::Exhausted::UsedUp => used_up,
            }));
        }
        // Who answers has read.
        conversation.unread = 0;
        store::conversation::save(tx, &conversation)?;
        Ok(Posted::New(message.id))
    }
}

/// What WeChat would refuse is refused here.
fn check(content: &Content) -> Result<(), FieldError> {
    match content {
        Content::Text { text } => MessageText::parse(text.as_str()).map(drop),
        Content::Image { .. } => Ok(()),
        Content::MiniProgramPage { title, page_path, picture } => {
            CardTitle::parse(title.as_str())?;
            PagePath::parse(page_path.as_str())?;
            if picture.is_none() {
                return Err(FieldError { field: "picture", rule: "is missing: a card needs one" });
            }
            Ok(())
        }
        Content::Link { title, description, url, thumb_url } => {
            CardTitle::parse(title.as_str())?;
            LinkDescription::parse(description.as_str())?;
            WebUrl::parse(url.as_str())?;
            WebUrl::parse(thumb_url.as_str()).map(drop)
        }
        Content::Unsupported { .. } => {
            Err(FieldError { field: "type", rule: "must be text, image, link or miniprogrampage" })
        }
    }
}

fn client_id_used() -> Problem {
    Problem::new(
        Code::ClientIdUsed,
        "Another reply has this client_id: give each reply a new one, and keep it for repeats.",
    )
}

fn picture_unknown() -> Problem {
    Problem::new(Code::PictureUnknown, "Upload the picture with POST /v1/pictures for this app, and send its id.")
}

fn window_closed() -> Problem {
    Problem::new(Code::ReplyWindowClosed, "Wait until the customer writes again, or use a subscribe message.")
}

fn used_up() -> Problem {
    Problem::new(Code::ReplyAllowanceUsed, "WeChat takes no more replies until the customer writes again.")
}
