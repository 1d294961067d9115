//! The table `subscribe_message`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{State, SubscribeMessage};
use crate::{
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, Value, params},
};

const INSERT: &str = "
    INSERT INTO subscribe_message (order_id, name, values_json, state, attempts, created_ms, updated_ms)
    VALUES ($1, $2, $3, 'queued', 0, $4, $4)
    ON CONFLICT (order_id, name) DO NOTHING";

/// Writes a message; says whether the order had none of this name.
pub(super) fn insert(
    tx: &mut Tx,
    order_id: &str,
    name: &str,
    values: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    // A map of texts can always be written.
    let values = serde_json::to_string(values).unwrap_or_default();
    Ok(tx.execute(INSERT, params![order_id, name, values, ms(now)])? == 1)
}

const COLUMNS: &str = "
    SELECT order_id,
           name,
           values_json,
           state,
           attempts,
           errcode,
           created_ms,
           updated_ms
    FROM subscribe_message";

/// The message of this name to the customer of an order.
pub(super) fn find(tx: &mut Tx, order_id: &str, name: &str) -> Result<Option<SubscribeMessage>, DatabaseError> {
    one(tx, "WHERE order_id = $1 AND name = $2", params![order_id, name])
}

const OF_NUMBER: &str = "
    WHERE msg_id = $1
      AND EXISTS (SELECT 1 FROM shop_order WHERE shop_order.id = subscribe_message.order_id AND shop_order.appid = $2)
    LIMIT 1";

/// The message to a customer of the app that WeChat has under this number.
pub(super) fn find_by_msg_id(
    tx: &mut Tx,
    appid: &str,
    msg_id: &str,
) -> Result<Option<SubscribeMessage>, DatabaseError> {
    one(tx, OF_NUMBER, params![msg_id, appid])
}

fn one(tx: &mut Tx, condition: &'static str, values: &[Value]) -> Result<Option<SubscribeMessage>, DatabaseError> {
    tx.query_opt(&format!("{COLUMNS} {condition}"), values)?.as_ref().map(read).transpose()
}

const CHANGE: &str = "
    UPDATE subscribe_message
    SET state = $4,
        errcode = $5,
        msg_id = COALESCE($6, msg_id),
        attempts = attempts + $7,
        updated_ms = $8
    WHERE order_id = $1
      AND name = $2
      AND state = $3";

/// Goes from one state into another; says whether the message was still in the first.
pub(super) fn change(
    tx: &mut Tx,
    message: &SubscribeMessage,
    to: State,
    msg_id: Option<&str>,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let (order_id, name, from) = (message.order_id.as_str(), message.name.as_str(), message.state.as_str());
    let begun = i64::from(to == State::Sending);
    Ok(tx.execute(CHANGE, params![order_id, name, from, to.as_str(), to.errcode(), msg_id, begun, ms(now)])? == 1)
}

fn read(row: &Row) -> Result<SubscribeMessage, DatabaseError> {
    let state = State::from_columns(row.text("state")?, row.opt_int("errcode")?);
    let values = serde_json::from_str(row.text("values_json")?);
    Ok(SubscribeMessage {
        order_id: row.text("order_id")?.to_owned(),
        name: row.text("name")?.to_owned(),
        values: values.map_err(|_| row.impossible("values_json", "a map of texts"))?,
        state: state.ok_or_else(|| row.impossible("state", "a state of a message with its own columns"))?,
        attempts: row.int("attempts")?,
        created: from_ms(row.int("created_ms")?),
        updated: from_ms(row.int("updated_ms")?),
    })
}
