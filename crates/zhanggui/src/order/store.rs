//! The table `shop_order`.

use jiff::Timestamp;
use weixin::{AppId, Fen, OrderAmount};

use super::{CloseReason, Order, State};
use crate::{
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, Value, params},
};

const INSERT: &str = "
    INSERT INTO shop_order (
        id, appid, mchid, customer_id, reference, description, attach, items_json,
        amount_fen, currency, refunded_fen, state, created_ms, expires_ms
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13)";

/// Writes a new order.
pub(super) fn insert(tx: &mut Tx, order: &Order) -> Result<(), DatabaseError> {
    // Texts and numbers can always be written.
    let items = serde_json::to_string(&order.items).expect("items are JSON");
    tx.execute(
        INSERT,
        params![
            order.id.as_str(),
            order.appid.as_str(),
            order.mchid.as_str(),
            order.customer_id.as_str(),
            order.reference.as_deref(),
            order.description.as_str(),
            order.attach.as_ref().map(|attach| attach.as_str()),
            items,
            order.amount.fen().get(),
            order.currency.as_str(),
            order.state.as_str(),
            ms(order.created),
            ms(order.expires),
        ],
    )
    .map(drop)
}

const TAKE_REFERENCE: &str = "
    INSERT INTO order_reference (appid, reference, order_id)
    VALUES ($1, $2, $3)
    ON CONFLICT (appid, reference) DO NOTHING";

const WHOSE_REFERENCE: &str = "SELECT order_id FROM order_reference WHERE appid = $1 AND reference = $2";

/// Gives the order its reference, if it has one; `Some` is the order that has it already.
pub(super) fn take_reference(tx: &mut Tx, order: &Order) -> Result<Option<String>, DatabaseError> {
    let Some(reference) = &order.reference else { return Ok(None) };
    let named = params![order.appid.as_str(), reference.as_str()];
    if tx.execute(TAKE_REFERENCE, params![order.appid.as_str(), reference.as_str(), order.id.as_str()])? == 1 {
        return Ok(None);
    }
    Ok(Some(tx.query_one(WHOSE_REFERENCE, named)?.text("order_id")?.to_owned()))
}

const COLUMNS: &str = "
    SELECT id,
           appid,
           mchid,
           customer_id,
           reference,
           description,
           attach,
           items_json,
           amount_fen,
           currency,
           refunded_fen,
           state,
           close_reason,
           paid_payment_id,
           created_ms,
           expires_ms,
           paid_ms
    FROM shop_order";

/// The order with this id.
///
/// # Errors
/// The database fails, or a row cannot be.
pub fn find(tx: &mut Tx, id: &str) -> Result<Option<Order>, DatabaseError> {
    tx.query_opt(&format!("{COLUMNS} WHERE id = $1"), params![id])?.as_ref().map(read).transpose()
}

/// The order with this id, if it is this customer's.
///
/// # Errors
/// The database fails, or a row cannot be.
pub fn find_of_customer(tx: &mut Tx, id: &str, customer_id: &str) -> Result<Option<Order>, DatabaseError> {
    Ok(find(tx, id)?.filter(|order| order.customer_id == customer_id))
}

/// Which orders are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) customer_id: Option<String>,
    pub(super) appid: Option<AppId>,
    pub(super) state: Option<&'static str>,
    /// The id of the last order of the page before.
    pub(super) before: Option<String>,
}

/// Orders, the newest first.
pub(super) fn list(tx: &mut Tx, filter: &Filter, limit: i64) -> Result<Vec<Order>, DatabaseError> {
    let mut values: Vec<Value> = vec![limit.into()];
    let mut conditions: Vec<String> = Vec::new();
    for (condition, value) in [
        ("customer_id =", filter.customer_id.as_deref()),
        ("appid =", filter.appid.as_ref().map(AppId::as_str)),
        ("state =", filter.state),
        ("id <", filter.before.as_deref()),
    ] {
        let Some(value) = value else { continue };
        values.push(value.into());
        conditions.push(format!("{condition} ${}", values.len()));
    }
    let condition = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = format!("{COLUMNS} {condition} ORDER BY id DESC LIMIT $1");
    tx.query(&sql, &values)?.iter().map(read).collect()
}

const CHANGE: &str = "
    UPDATE shop_order
    SET state = $3,
        close_reason = $4,
        paid_payment_id = $5,
        paid_ms = $6,
        closed_ms = $7
    WHERE id = $1
      AND state = $2";

/// The order becomes paid by the payment in its new state; gives it as it is afterwards.
///
/// # Errors
/// The database fails.
pub(crate) fn mark_paid(tx: &mut Tx, order: Order, paid: State, paid_at: Timestamp) -> Result<Order, DatabaseError> {
    change(tx, Order { paid: Some(paid_at), ..order }, paid, None)
}

/// The order is being closed, or is closed; gives it as it is afterwards.
pub(super) fn mark_closed(tx: &mut Tx, now: Timestamp, order: Order, to: State) -> Result<Order, DatabaseError> {
    let closed_at = matches!(to, State::Closed { .. }).then_some(now);
    change(tx, order, to, closed_at)
}

fn change(tx: &mut Tx, order: Order, to: State, closed_at: Option<Timestamp>) -> Result<Order, DatabaseError> {
    let (reason, payment_id) = match &to {
        State::Open => (None, None),
        State::Closing { reason } | State::Closed { reason } => (Some(reason.as_str()), None),
        State::Paid { payment_id } => (None, Some(payment_id.as_str())),
    };
    let (id, from) = (order.id.as_str(), order.state.as_str());
    let values = params![id, from, to.as_str(), reason, payment_id, order.paid.map(ms), closed_at.map(ms)];
    match tx.execute(CHANGE, values)? {
        1 => Ok(Order { state: to, ..order }),
        // The row was read in this very transaction.
        _ => Err(DatabaseError::Aborted),
    }
}

const SET_REFUNDED: &str = "
    UPDATE shop_order
    SET refunded_fen = $3
    WHERE id = $1
      AND paid_payment_id = $2";

/// How much of the money that paid the order went back. That of other payments is not the order's.
///
/// # Errors
/// The database fails.
pub(crate) fn set_refunded(tx: &mut Tx, id: &str, payment_id: &str, refunded: Fen) -> Result<(), DatabaseError> {
    tx.execute(SET_REFUNDED, params![id, payment_id, refunded.get()]).map(drop)
}

fn read(row: &Row) -> Result<Order, DatabaseError> {
    let items = row.text("items_json")?;
    Ok(Order {
        id: row.text("id")?.to_owned(),
        appid: row.parsed("appid")?,
        mchid: row.parsed("mchid")?,
        customer_id: row.text("customer_id")?.to_owned(),
        reference: row.opt_text("reference")?.map(str::to_owned),
        description: row.parsed("description")?,
        attach: row.opt_parsed("attach")?,
        items: serde_json::from_str(items).map_err(|_| row.impossible("items_json", "a list of items"))?,
        amount: OrderAmount::new(Fen::new(row.int("amount_fen")?))
            .map_err(|_| row.impossible("amount_fen", "the amount of an order"))?,
        currency: row.text("currency")?.to_owned(),
        refunded: Fen::new(row.int("refunded_fen")?),
        state: read_state(row)?,
        created: from_ms(row.int("created_ms")?),
        expires: from_ms(row.int("expires_ms")?),
        paid: row.opt_int("paid_ms")?.map(from_ms),
    })
}

/// The columns of the state, matched all at once: a combination that cannot be is an error, not a guess.
fn read_state(row: &Row) -> Result<State, DatabaseError> {
    let reason = row.opt_text("close_reason")?.map(CloseReason::from_word);
    match (row.text("state")?, row.opt_text("paid_payment_id")?, reason) {
        ("open", None, None) => Ok(State::Open),
        ("closing", None, Some(Some(reason))) => Ok(State::Closing { reason }),
        ("paid", Some(payment_id), None) => Ok(State::Paid { payment_id: payment_id.to_owned() }),
        ("closed", None, Some(Some(reason))) => Ok(State::Closed { reason }),
        _ => Err(row.impossible("state", "a state of an order with its own columns")),
    }
}
