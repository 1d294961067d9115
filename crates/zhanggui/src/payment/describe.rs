//! The description of the calls for the API's documentation.

use serde_json::{Map, Value, json};

use crate::openapi::{Book, Who};

pub(crate) fn describe(book: &mut Book) {
    let names = ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"];
    let texts: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let schema = json!({ "type": "object", "required": names, "properties": Value::Object(texts) });
    book.call(
        "post",
        "/v1/orders/{id}/pay",
        "orders",
        Who::Customer,
        "Gives exactly the object that wx.requestPayment takes.",
    )
    .gives_free(200, "The signed parameters; safe to ask for twice.", &schema);
}
