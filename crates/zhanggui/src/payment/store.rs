//! The table `payment`.

use jiff::Timestamp;
use weixin::{Fen, OrderAmount};

use super::{Payment, State};
use crate::{
    clock::{from_ms, ms},
    config::Api,
    database::{DatabaseError, Row, Tx, params},
    frozen,
};

const INSERT: &str = "
    INSERT INTO payment (
        id, order_id, appid, mchid, openid, api, out_trade_no, amount_fen, currency,
        frozen_request, frozen_sha256, state, attempts, created_ms, updated_ms
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $13)";

/// Writes a new payment. The unique index refuses a second live one of the order.
pub(super) fn insert(tx: &mut Tx, payment: &Payment) -> Result<(), DatabaseError> {
    let hash = frozen::hash(&payment.frozen_request);
    tx.execute(
        INSERT,
        params![
            payment.id.as_str(),
            payment.order_id.as_str(),
            payment.appid.as_str(),
            payment.mchid.as_str(),
            payment.openid.as_str(),
            payment.api.as_str(),
            payment.out_trade_no.as_str(),
            payment.amount.fen().get(),
            payment.currency.as_str(),
            payment.frozen_request.as_str(),
            hash,
            payment.state.as_str(),
            ms(payment.created),
        ],
    )
    .map(drop)
}

const COLUMNS: &str = "
    SELECT id,
           order_id,
           appid,
           mchid,
           openid,
           api,
           out_trade_no,
           amount_fen,
           currency,
           frozen_request,
           frozen_sha256,
           state,
           attempts,
           prepay_id,
           prepay_until_ms,
           rejected_code,
           transaction_id,
           succeeded_ms,
           created_ms,
           accepted_ms,
           tried_ms,
           pressed_ms,
           woken_ms,
           updated_ms
    FROM payment";

/// The payment with this id.
pub(crate) fn find(tx: &mut Tx, id: &str) -> Result<Option<Payment>, DatabaseError> {
    one(tx, "WHERE id = $1", params![id])
}

/// The payment with this number.
pub(crate) fn find_by_number(tx: &mut Tx, mchid: &str, out_trade_no: &str) -> Result<Option<Payment>, DatabaseError> {
    one(tx, "WHERE mchid = $1 AND out_trade_no = $2", params![mchid, out_trade_no])
}

/// The payment of the order that can still take money.
pub(super) fn find_live(tx: &mut Tx, order_id: &str) -> Result<Option<Payment>, DatabaseError> {
    one(tx, "WHERE order_id = $1 AND state IN ('submitting', 'awaiting', 'closing')", params![order_id])
}

fn one(
    tx: &mut Tx,
    condition: &'static str,
    values: &[crate::database::Value],
) -> Result<Option<Payment>, DatabaseError> {
    tx.query_opt(&format!("{COLUMNS} {condition}"), values)?.as_ref().map(read).transpose()
}

const ADD_ATTEMPT: &str = "
    UPDATE payment
    SET attempts = attempts + 1,
        tried_ms = $2
    WHERE id = $1
      AND state = 'submitting'";

/// Counts a call to WeChat before it is made, if the payment still waits for one.
pub(super) fn add_attempt(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DatabaseError> {
    tx.execute(ADD_ATTEMPT, params![id, ms(now)]).map(drop)
}

const PRESS: &str = "UPDATE payment SET pressed_ms = $2 WHERE id = $1";

/// The customer presses "pay": polling begins anew.
pub(super) fn press(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DatabaseError> {
    tx.execute(PRESS, params![id, ms(now)]).map(drop)
}

const ACCEPT: &str = "UPDATE payment SET accepted_ms = $2 WHERE id = $1 AND accepted_ms IS NULL";

/// WeChat took the order with an authentic answer, in whatever state it is here by now.
pub(super) fn accept(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DatabaseError> {
    tx.execute(ACCEPT, params![id, ms(now)]).map(drop)
}

const WAKE: &str = "
    UPDATE payment
    SET woken_ms = $2
    WHERE id = $1
      AND (woken_ms IS NULL OR woken_ms <= $3)";

/// A reader wants to know; says whether nobody else did since then.
pub(super) fn wake(tx: &mut Tx, id: &str, now: Timestamp, since: Timestamp) -> Result<bool, DatabaseError> {
    Ok(tx.execute(WAKE, params![id, ms(now), ms(since)])? == 1)
}

const CHANGE: &str = "
    UPDATE payment
    SET state = $3,
        prepay_id = $4,
        prepay_until_ms = $5,
        rejected_code = $6,
        transaction_id = $7,
        succeeded_ms = $8,
        updated_ms = $9
    WHERE id = $1
      AND state = $2";

/// Goes from one state into another; says whether the payment was still in the first.
pub(super) fn change(tx: &mut Tx, now: Timestamp, id: &str, from: &State, to: &State) -> Result<bool, DatabaseError> {
    let (prepay_id, until_ms) = match to {
        State::Awaiting { prepay_id, until } => (Some(prepay_id.as_str()), Some(ms(*until))),
        _ => (None, None),
    };
    let code = match to {
        State::Rejected { code } => Some(code.as_str()),
        _ => None,
    };
    let (transaction_id, succeeded_ms) = match to {
        State::Succeeded { transaction_id, success_time } => (Some(transaction_id.as_str()), Some(ms(*success_time))),
        _ => (None, None),
    };
    let values =
        params![id, from.as_str(), to.as_str(), prepay_id, until_ms, code, transaction_id, succeeded_ms, ms(now),];
    Ok(tx.execute(CHANGE, values)? == 1)
}

fn read(row: &Row) -> Result<Payment, DatabaseError> {
    Ok(Payment {
        id: row.text("id")?.to_owned(),
        order_id: row.text("order_id")?.to_owned(),
        appid: row.parsed("appid")?,
        mchid: row.parsed("mchid")?,
        openid: row.parsed("openid")?,
        api: Api::from_word(row.text("api")?).ok_or_else(|| row.impossible("api", "a version of WeChat Pay"))?,
        out_trade_no: row.parsed("out_trade_no")?,
        amount: OrderAmount::new(Fen::new(row.int("amount_fen")?))
            .map_err(|_| row.impossible("amount_fen", "the amount of a payment"))?,
        currency: row.text("currency")?.to_owned(),
        frozen_request: frozen::read(row)?.ok_or_else(|| row.impossible("frozen_request", "a request"))?,
        attempts: row.int("attempts")?,
        state: read_state(row)?,
        created: from_ms(row.int("created_ms")?),
        accepted: row.opt_int("accepted_ms")?.map(from_ms),
        tried: row.opt_int("tried_ms")?.map(from_ms),
        pressed: from_ms(row.opt_int("pressed_ms")?.map_or_else(|| row.int("created_ms"), Ok)?),
        woken: row.opt_int("woken_ms")?.map(from_ms),
        updated: from_ms(row.int("updated_ms")?),
    })
}

/// The columns of the state, matched all at once: a combination that cannot be is an error, not a guess.
fn read_state(row: &Row) -> Result<State, DatabaseError> {
    let prepay = row.opt_parsed("prepay_id")?.zip(row.opt_int("prepay_until_ms")?.map(from_ms));
    let success = row.opt_parsed("transaction_id")?.zip(row.opt_int("succeeded_ms")?.map(from_ms));
    match (row.text("state")?, prepay, success, row.opt_text("rejected_code")?) {
        ("submitting", None, None, None) => Ok(State::Submitting),
        ("awaiting", Some((prepay_id, until)), None, None) => Ok(State::Awaiting { prepay_id, until }),
        ("succeeded", None, Some((transaction_id, success_time)), None) => {
            Ok(State::Succeeded { transaction_id, success_time })
        }
        ("closing", None, None, None) => Ok(State::Closing),
        ("closed", None, None, None) => Ok(State::Closed),
        ("rejected", None, None, Some(code)) => Ok(State::Rejected { code: code.to_owned() }),
        _ => Err(row.impossible("state", "a state of a payment with its own columns")),
    }
}
