//! The description of the calls for the API's documentation.

use super::list::{Asked, Page};
use crate::openapi::{Book, Who};

pub(crate) fn describe(book: &mut Book) {
    book.call(
        "get",
        "/v1/events",
        "events",
        Who::AnyKey,
        "Lists what happened, or, with Accept: text/event-stream, streams what happens.",
    )
    .query::<Asked>()
    .gives::<Page>(200, "A page of events, or a stream of them.")
    .gives_bytes(200, "", &["text/event-stream"]);
}
