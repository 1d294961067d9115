//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{
    Scope,
    calls::{CreateKey, Created, Keys},
};
use crate::{
    http::PageAsked,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    const WHO: Who = Who::Key(Scope::Admin);
    book.call("post", "/v1/keys", "keys", WHO, "Makes a key for one of the merchant's systems.")
        .creating::<CreateKey>(json!({ "name": "till", "scopes": ["read", "orders"] }))
        .gives::<Created>(201, "The key; its text is shown in this answer only.");
    book.call("get", "/v1/keys", "keys", WHO, "Lists the keys, the newest first.")
        .query::<PageAsked>()
        .gives::<Keys>(200, "A page; keys that do not work any more are there, too.");
    book.call("delete", "/v1/keys/{id}", "keys", WHO, "Revokes a key.").gives_nothing("It does not work any more.");
}
