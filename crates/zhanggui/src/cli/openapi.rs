//! `zhanggui openapi`: the description of the API, for programs that make clients and for docs/openapi.json.

use crate::openapi::document;

pub(super) fn run() {
    // A document of texts, numbers and lists can always be written.
    let pretty = serde_json::to_string_pretty(&document()).unwrap_or_default();
    anstream::println!("{pretty}");
}
