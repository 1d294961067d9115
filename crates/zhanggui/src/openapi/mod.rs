//! The description of the API in OpenAPI 3.1, made from the types that the calls use, at `/openapi.json`, as a page for
//! people at `/docs`, and printed by `zhanggui openapi`.
//!
//! Every domain describes its calls in its `describe.rs`. A test compares the whole with docs/openapi.json, so a change
//! of the API is a change of that file, and another one names what would break callers.

mod book;
mod page;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::Value;

pub(crate) use book::{Book, Who};

use crate::{api_key, customer_service, event, order, payment, product, refund, session, subscribe_message, webhook};

/// The description of every call.
pub fn document() -> Value {
    let mut book = Book::default();
    for describe in [
        session::describe,
        product::describe,
        order::describe,
        payment::describe,
        refund::describe,
        event::describe,
        webhook::describe,
        api_key::describe,
        customer_service::describe,
        subscribe_message::describe,
    ] {
        describe(&mut book);
    }
    book.finish()
}

/// `GET /openapi.json`. Built once, as the page is: anybody may ask.
pub(crate) async fn json() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], TEXT.clone()).into_response()
}

/// `GET /docs`: the same for people. It needs nothing from elsewhere and runs no script.
pub(crate) async fn docs() -> Response {
    const POLICY: &str =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let policy = (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY));
    static PAGE: LazyLock<Bytes> = LazyLock::new(|| page::write(&document()).into());
    ([policy], Html(PAGE.clone())).into_response()
}

/// `GET /docs.css`.
pub(crate) async fn style() -> Response {
    let css = [(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))];
    (css, include_str!("docs.css")).into_response()
}
