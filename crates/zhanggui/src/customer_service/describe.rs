//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{
    conversation::{Asked, HandOver, MarkRead, MessagesAsked, Typing},
    picture::ForApp,
    rules::OfApp,
};
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    const WHO: Who = Who::Key(Scope::Messages);
    const TAG: &str = "messages";
    const MESSAGES: &str = "/v1/conversations/{id}/messages";
    let object = json!({ "type": "object" });
    book.call("get", "/v1/conversations", TAG, WHO, "Lists the conversations with customers.")
        .query::<Asked>()
        .gives_free(200, "A page.", &object);
    book.call("get", "/v1/conversations/{id}", TAG, WHO, "Shows a conversation.").gives_free(
        200,
        "The conversation.",
        &object,
    );
    book.call("get", MESSAGES, TAG, WHO, "Lists what was said, the latest first.")
        .query::<MessagesAsked>()
        .gives_free(200, "A page.", &object);
    let text = json!({ "type": "string" });
    let reply = json!({
        "type": "object",
        "required": ["client_id", "type"],
        "properties": {
            "client_id": { "type": "string", "description": "The author's name of the reply: posting it twice is one reply." },
            "type": { "type": "string", "enum": ["text", "image", "link", "miniprogrampage"] },
            "text": text,
        },
    });
    book.call("post", MESSAGES, TAG, WHO, "Replies to a customer.")
        .free_body(&reply, &json!({ "client_id": "a1", "type": "text", "text": "您好" }))
        .gives_free(201, "The reply and how far it is.", &object)
        .gives_free(200, "The reply that was posted before.", &object);
    book.call("post", "/v1/conversations/{id}/handler", TAG, WHO, "Says who answers the customer from now on.")
        .body::<HandOver>(json!({ "handler": "desk" }))
        .gives_free(200, "The conversation.", &object);
    book.call("post", "/v1/conversations/{id}/read", TAG, WHO, "Marks messages as read.")
        .body::<MarkRead>(json!({}))
        .gives_free(200, "The conversation.", &object);
    book.call("post", "/v1/conversations/{id}/typing", TAG, WHO, "Shows the customer that somebody types.")
        .body::<Typing>(json!({ "typing": true }))
        .gives_nothing("WeChat was told.");
    book.call("post", "/v1/pictures", TAG, WHO, "Keeps a picture for replies.")
        .query::<ForApp>()
        .bytes_body("application/octet-stream")
        .gives_free(201, "The picture's id.", &object);
    book.call("get", "/v1/pictures/{id}", TAG, WHO, "Gives a picture of a chat.").gives_bytes(
        200,
        "The picture.",
        &["image/jpeg", "image/png", "image/gif"],
    );
    let rules = json!({ "type": "object", "required": ["rules"], "properties": { "rules": { "type": "array", "items": object } } });
    book.call("get", "/v1/rules", TAG, WHO, "Shows the rules that answer by themselves.").query::<OfApp>().gives_free(
        200,
        "The rules.",
        &object,
    );
    book.call("put", "/v1/rules", TAG, WHO, "Replaces the rules that were set here.")
        .query::<OfApp>()
        .free_body(&rules, &json!({ "rules": [] }))
        .gives_free(200, "The rules.", &object);
}
