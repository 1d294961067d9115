//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{View, request::Request};
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
    .gives::<View>(201, "The message.")
    .gives::<View>(200, "The message that was asked for before.");
}
