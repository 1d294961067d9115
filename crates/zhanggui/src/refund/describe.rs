//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{read::View, request::RequestRefund};
use crate::{
    api_key::Scope,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    let path = "/v1/orders/{id}/refunds";
    book.call(
        "post",
        path,
        "refunds",
        Who::Key(Scope::Refunds),
        "Gives money of a paid order back: a part, or what is left.",
    )
    .creating::<RequestRefund>(json!({ "amount": 1990, "reason": "退货", "reference": "R-1" }))
    .gives::<View>(201, "The refund.")
    .gives::<View>(200, "The refund that was asked for before with this reference.");
    book.call("get", "/v1/refunds/{id}", "refunds", Who::Key(Scope::Read), "Shows a refund.")
        .gives::<View>(200, "The refund.");
}
