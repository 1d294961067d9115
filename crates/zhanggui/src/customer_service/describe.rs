//! The description of the calls for the API's documentation.

use serde_json::{Value, json};

use super::{
    View,
    conversation::{Asked, ConversationPage, HandOver, MarkRead, MessagePage, MessagesAsked, Typing},
    message,
    picture::{ForApp, Uploaded},
    rules::{OfApp, Replace, Rules},
};
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    const WHO: Who = Who::Key(Scope::Messages);
    const TAG: &str = "messages";
    const ONE: &str = "/v1/conversations/{id}";
    const MESSAGES: &str = "/v1/conversations/{id}/messages";
    book.call("get", "/v1/conversations", TAG, WHO, "Lists the conversations with customers.")
        .query::<Asked>()
        .gives::<ConversationPage>(200, "A page.");
    book.call("get", ONE, TAG, WHO, "Shows a conversation.").gives::<View>(200, "The conversation.");
    book.call("get", MESSAGES, TAG, WHO, "Lists what was said, the latest first.")
        .query::<MessagesAsked>()
        .gives::<MessagePage>(200, "A page.");
    book.call("post", MESSAGES, TAG, WHO, "Replies to a customer.")
        .free_body(&reply(), &json!({ "client_id": "a1", "type": "text", "text": "您好" }))
        .gives::<message::View>(201, "The reply and how far it is.")
        .gives::<message::View>(200, "The reply that was posted before.");
    book.call("post", "/v1/conversations/{id}/handler", TAG, WHO, "Says who answers the customer from now on.")
        .body::<HandOver>(json!({ "handler": "desk" }))
        .gives::<View>(200, "The conversation.");
    book.call("post", "/v1/conversations/{id}/read", TAG, WHO, "Marks messages as read.")
        .body::<MarkRead>(json!({}))
        .gives::<View>(200, "The conversation.");
    book.call("post", "/v1/conversations/{id}/typing", TAG, WHO, "Shows the customer that somebody types.")
        .body::<Typing>(json!({ "typing": true }))
        .gives_nothing("WeChat was told.");
    book.call("post", "/v1/pictures", TAG, WHO, "Keeps a picture for replies.")
        .query::<ForApp>()
        .creating_of_bytes("application/octet-stream")
        .gives::<Uploaded>(201, "The picture's id.");
    book.call("get", "/v1/pictures/{id}", TAG, WHO, "Gives a picture of a chat.").gives_bytes(
        200,
        "The picture.",
        &["image/jpeg", "image/png", "image/gif"],
    );
    book.call("get", "/v1/rules", TAG, WHO, "Shows the rules that answer by themselves.")
        .query::<OfApp>()
        .gives::<Rules>(200, "The rules.");
    book.call("put", "/v1/rules", TAG, WHO, "Replaces the rules that were set here.")
        .query::<OfApp>()
        .body::<Replace>(json!({ "rules": [{ "name": "hello", "on": "enter", "reply": "您好" }] }))
        .gives::<Rules>(200, "The rules.");
}

/// A reply: its name, and the fields of its type.
fn reply() -> Value {
    let of = |kind: &str, fields: &[&str]| {
        let needed: Vec<_> = ["client_id", "type"].iter().chain(fields).collect();
        let mut properties = json!({
            "client_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
                "description": "The author's name of the reply: posting it twice is one reply.",
            },
            "type": { "type": "string", "enum": [kind] },
        });
        for field in fields {
            properties[*field] = json!({ "type": "string" });
        }
        json!({ "type": "object", "required": needed, "properties": properties })
    };
    json!({ "oneOf": [
        of("text", &["text"]),
        of("image", &["picture"]),
        of("link", &["title", "description", "url", "thumb_url"]),
        of("miniprogrampage", &["title", "page_path", "picture"]),
    ] })
}
