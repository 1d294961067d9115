//! The description of the calls for the API's documentation.

use serde_json::json;

use super::{
    change::{Change, Rotate, Sent, Test},
    deliveries::{Asked, Page, WithAttempts},
    endpoint::{Create, Endpoints, View},
    replay::{Replay, Replayed},
};
use crate::{
    api_key::Scope,
    http::PageAsked,
    openapi::{Book, Who},
};

pub(crate) fn describe(book: &mut Book) {
    const WHO: Who = Who::Key(Scope::Admin);
    const TAG: &str = "webhooks";
    const ONE: &str = "/v1/webhooks/{id}";
    book.call("post", "/v1/webhooks", TAG, WHO, "Makes an endpoint; it gets what happens from now on.")
        .creating::<Create>(json!({ "url": "https://shop.example/hook", "types": ["message.received"] }))
        .gives::<View>(201, "The endpoint with its secret, which is shown in this answer only.");
    book.call("get", "/v1/webhooks", TAG, WHO, "Lists the endpoints, the newest first.")
        .query::<PageAsked>()
        .gives::<Endpoints>(200, "A page.");
    book.call("get", ONE, TAG, WHO, "Shows an endpoint and how many deliveries wait.")
        .gives::<View>(200, "The endpoint.");
    book.call("patch", ONE, TAG, WHO, "Changes an endpoint; one that is enabled again gets what it has missed.")
        .body::<Change>(json!({ "state": "enabled" }))
        .gives::<View>(200, "The endpoint.");
    book.call("delete", ONE, TAG, WHO, "Deletes an endpoint with its deliveries.").gives_nothing("It is gone.");
    book.call("post", "/v1/webhooks/{id}/rotate", TAG, WHO, "Gives an endpoint a new secret; for a while both sign.")
        .creating::<Rotate>(json!({}))
        .gives::<View>(200, "The endpoint with its new secret.");
    book.call(
        "post",
        "/v1/webhooks/{id}/test",
        TAG,
        WHO,
        "Sends an event of the type webhook.tested to this endpoint alone.",
    )
    .creating::<Test>(json!({}))
    .gives::<Sent>(202, "The event will be sent.");
    book.call("post", "/v1/webhooks/{id}/replay", TAG, WHO, "Sends one event, a range or all dead letters again.")
        .creating::<Replay>(json!({ "state": "exhausted" }))
        .gives::<Replayed>(202, "They will be sent.");
    book.call("get", "/v1/webhooks/{id}/deliveries", TAG, WHO, "Lists what was sent and what waits, the newest first.")
        .query::<Asked>()
        .gives::<Page>(200, "A page.");
    book.call(
        "get",
        "/v1/webhooks/{id}/deliveries/{event}",
        TAG,
        WHO,
        "Shows what became of an event, with every try.",
    )
    .gives::<WithAttempts>(200, "The delivery.");
}
