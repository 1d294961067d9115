//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{login, phone_number};
use crate::openapi::{Book, Who};

pub(crate) fn describe(book: &mut Book) {
    book.call("post", "/v1/login", "customers", Who::Anybody, "Exchanges the js_code of wx.login for a session token.")
        .body::<login::Login>(json!({ "code": "0a1b2c3d4e5f6071" }))
        .gives::<login::LoggedIn>(200, "The session.");
    book.call(
        "post",
        "/v1/phone-number",
        "customers",
        Who::Customer,
        "Gives the phone number that the customer agreed to give.",
    )
    .body::<phone_number::PhoneNumber>(
        json!({ "code": "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144" }),
    )
    .gives::<phone_number::Number>(200, "The number.");
}
