//! Tells the merchant's own systems what happened to an order, in the transaction in which it happened.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Order, view};
use crate::{
    app::App,
    database::{DatabaseError, Tx},
    event,
};

/// Appends an event with a snapshot of the order, and what else belongs to it.
///
/// # Errors
/// The database fails.
pub(crate) fn happened(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    kind: event::Type,
    order: &Order,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<(), DatabaseError> {
    // Texts, numbers and lists can always be written.
    let snapshot = serde_json::to_value(view(order)).expect("an order is JSON");
    let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
    let data: Map<_, _> = std::iter::once(("order".to_owned(), snapshot)).chain(more).collect();
    event::append(tx, app, now, kind, &order.id, &Value::Object(data)).map(drop)
}
