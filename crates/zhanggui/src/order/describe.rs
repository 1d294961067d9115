//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{
    View,
    create::CreateOrder,
    list::{Asked as Wanted, Page},
    read::Asked,
};
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    book.call(
        "post",
        "/v1/orders",
        "orders",
        Who::CustomerOrKey(Scope::Orders),
        "Makes an order: of products, or, with an API key, of any amount.",
    )
    .creating::<CreateOrder>(json!({ "items": [{ "sku": "coffee", "quantity": 2 }] }))
    .gives::<View>(201, "The order.");
    book.call(
        "get",
        "/v1/orders",
        "orders",
        Who::CustomerOrKey(Scope::Read),
        "Lists orders, the newest first; a customer's own, or, with an API key, all.",
    )
    .query::<Wanted>()
    .gives::<Page>(200, "A page.");
    book.call("get", "/v1/orders/{id}", "orders", Who::CustomerOrKey(Scope::Read), "Shows an order.")
        .query::<Asked>()
        .gives::<View>(200, "The order.");
    book.call("post", "/v1/orders/{id}/close", "orders", Who::CustomerOrKey(Scope::Orders), "Gives an order up.")
        .gives::<View>(200, "The order.");
}
