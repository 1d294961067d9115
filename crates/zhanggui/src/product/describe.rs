//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{Asked, Offer, Products, change::Change};
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    const PATH: &str = "/v1/products/{sku}";
    book.call("get", "/v1/products", "products", Who::Anybody, "Lists what can be bought.")
        .query::<Asked>()
        .gives::<Products>(200, "The products that are sold.");
    book.call(
        "get",
        PATH,
        "products",
        Who::Key(Scope::Read),
        "Shows a product, also one that is not sold at the moment.",
    )
    .query::<Asked>()
    .gives::<Offer>(200, "The product.");
    book.call("put", PATH, "products", Who::Key(Scope::Admin), "Adds a product or changes it.")
        .query::<Asked>()
        .body::<Change>(json!({ "name": "茉莉花茶", "price": 1990 }))
        .gives::<Offer>(200, "The product.");
    book.call("delete", PATH, "products", Who::Key(Scope::Admin), "Takes a product out of the shop.")
        .query::<Asked>()
        .gives_nothing("It is not sold any more.");
}
