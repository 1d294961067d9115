//! The description of the calls for the API's documentation.

use serde_json::json;

use super::request::Request;
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    let path = "/v1/orders/{id}/subscribe-messages";
    book.call(
        "post",
        path,
        "messages",
        Who::Key(Scope::Messages),
        "Sends a subscribe message to the customer of an order, once.",
    )
    .body::<Request>(json!({ "name": "shipped", "values": { "tracking_no": "SF1234567890" } }))
    .gives_free(201, "The message.", &json!({ "type": "object" }))
    .gives_free(200, "The message that was asked for before.", &json!({ "type": "object" }));
}
