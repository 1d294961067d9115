//! The table `refund`.

use jiff::Timestamp;
use weixin::{Fen, OrderAmount, RefundReason};

use super::{Cause, Claimed, Refund, State};
use crate::{
    clock::{from_ms, ms},
    config::Api,
    database::{DatabaseError, Row, Tx, Value, params},
    frozen,
};

const INSERT: &str = "
    INSERT INTO refund (
        id, order_id, payment_id, mchid, api, out_refund_no, amount_fen, cause, reason, reference,
        frozen_request, frozen_sha256, state, blocked, attempts, succeeded_ms, created_ms, updated_ms
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14, $15, $15)
    ON CONFLICT (mchid, out_refund_no) DO NOTHING";

/// Writes a new refund; says whether its number is new.
pub(super) fn insert(tx: &mut Tx, refund: &Refund) -> Result<bool, DatabaseError> {
    let succeeded = match &refund.state {
        State::External { success_time } => Some(ms(*success_time)),
        _ => None,
    };
    let rows = tx.execute(
        INSERT,
        params![
            refund.id.as_str(),
            refund.order_id.as_str(),
            refund.payment_id.as_str(),
            refund.mchid.as_str(),
            refund.api.as_str(),
            refund.out_refund_no.as_str(),
            refund.amount.fen().get(),
            refund.cause.as_str(),
            refund.reason.as_ref().map(RefundReason::as_str),
            refund.reference.as_deref(),
            refund.frozen_request.as_deref(),
            refund.frozen_request.as_deref().map(frozen::hash),
            refund.state.as_str(),
            succeeded,
            ms(refund.created),
        ],
    )?;
    Ok(rows == 1)
}

const SELECT: &str = "
    SELECT refund.id,
           refund.order_id,
           refund.payment_id,
           refund.mchid,
           refund.api,
           refund.out_refund_no,
           refund.amount_fen,
           refund.cause,
           refund.reason,
           refund.reference,
           refund.frozen_request,
           refund.frozen_sha256,
           refund.state,
           refund.blocked,
           refund.tried_ms,
           refund.doubt_ms,
           refund.accepted_ms,
           refund.rejected_code,
           refund.succeeded_ms,
           refund.created_ms,
           payment.appid
    FROM refund
    JOIN payment ON payment.id = refund.payment_id";

/// The refund with this id.
pub(super) fn find(tx: &mut Tx, id: &str) -> Result<Option<Refund>, DatabaseError> {
    one(tx, "WHERE refund.id = $1", params![id])
}

/// The refund with this number.
pub(super) fn find_by_number(tx: &mut Tx, mchid: &str, out_refund_no: &str) -> Result<Option<Refund>, DatabaseError> {
    one(tx, "WHERE refund.mchid = $1 AND refund.out_refund_no = $2", params![mchid, out_refund_no])
}

/// The refund of the order with this number of the merchant's own.
pub(super) fn find_by_reference(tx: &mut Tx, order_id: &str, reference: &str) -> Result<Option<Refund>, DatabaseError> {
    one(tx, "WHERE refund.order_id = $1 AND refund.reference = $2", params![order_id, reference])
}

fn one(tx: &mut Tx, condition: &'static str, values: &[Value]) -> Result<Option<Refund>, DatabaseError> {
    tx.query_opt(&format!("{SELECT} {condition}"), values)?.as_ref().map(read).transpose()
}

const CLAIMED: &str = "
    SELECT COUNT(*) AS refunds,
           CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) AS fen
    FROM refund
    WHERE payment_id = $1
      AND state NOT IN ('closed', 'rejected')";

/// What is under way or gone of a payment's money.
pub(super) fn claimed(tx: &mut Tx, payment_id: &str) -> Result<Claimed, DatabaseError> {
    let row = tx.query_one(CLAIMED, params![payment_id])?;
    Ok(Claimed { total: Fen::new(row.int("fen")?), count: row.int("refunds")? })
}

const GIVEN: &str = "
    SELECT CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) AS fen
    FROM refund
    WHERE payment_id = $1
      AND state IN ('succeeded', 'external')";

/// What is gone of a payment's money.
pub(super) fn given(tx: &mut Tx, payment_id: &str) -> Result<Fen, DatabaseError> {
    Ok(Fen::new(tx.query_one(GIVEN, params![payment_id])?.int("fen")?))
}

const LAST_TRY_OF_OTHERS: &str = "
    SELECT MAX(tried_ms) AS tried_ms
    FROM refund
    WHERE payment_id = $1
      AND id <> $2";

/// When another refund of the payment was sent for the last time.
pub(super) fn last_try_of_others(tx: &mut Tx, payment_id: &str, id: &str) -> Result<Option<Timestamp>, DatabaseError> {
    Ok(tx.query_one(LAST_TRY_OF_OTHERS, params![payment_id, id])?.opt_int("tried_ms")?.map(from_ms))
}

const BEGIN_TRY: &str = "
    UPDATE refund
    SET attempts = attempts + 1,
        tried_ms = $2,
        doubt_ms = $2
    WHERE id = $1
      AND state = 'submitting'";

/// Counts a call to WeChat before it is made. Until its answer is there nobody knows what came of it.
pub(super) fn begin_try(tx: &mut Tx, id: &str, now: Timestamp) -> Result<(), DatabaseError> {
    tx.execute(BEGIN_TRY, params![id, ms(now)]).map(drop)
}

const END_TRY: &str = "UPDATE refund SET doubt_ms = $3 WHERE id = $1 AND doubt_ms = $2";

/// WeChat did not take this try: what was in doubt before it is what is in doubt now.
pub(super) fn end_try(
    tx: &mut Tx,
    id: &str,
    tried: Timestamp,
    doubt_before: Option<Timestamp>,
) -> Result<(), DatabaseError> {
    tx.execute(END_TRY, params![id, ms(tried), doubt_before.map(ms)]).map(drop)
}

const CHANGE: &str = "
    UPDATE refund
    SET state = $3,
        blocked = $4,
        rejected_code = $5,
        succeeded_ms = $6,
        updated_ms = $7
    WHERE id = $1
      AND state = $2";

/// Goes from one state into another; says whether the refund was still in the first.
pub(super) fn change(tx: &mut Tx, now: Timestamp, refund: &Refund, to: &State) -> Result<bool, DatabaseError> {
    let (blocked, code, succeeded) = match to {
        State::Submitting { blocked } => (*blocked, None, None),
        State::Rejected { code } => (false, Some(code.as_str()), None),
        State::Succeeded { success_time } | State::External { success_time } => (false, None, Some(*success_time)),
        State::Processing | State::Abnormal | State::Closed => (false, None, None),
    };
    let (from, to) = (refund.state.as_str(), to.as_str());
    let values = params![refund.id.as_str(), from, to, i64::from(blocked), code, succeeded.map(ms), ms(now)];
    Ok(tx.execute(CHANGE, values)? == 1)
}

const ACCEPT: &str = "
    UPDATE refund
    SET accepted_ms = COALESCE(accepted_ms, $2),
        wechat_refund_id = COALESCE(wechat_refund_id, $3),
        doubt_ms = NULL
    WHERE id = $1";

/// WeChat has the refund, under this number of its own.
pub(super) fn accept(tx: &mut Tx, id: &str, now: Timestamp, refund_id: &str) -> Result<(), DatabaseError> {
    tx.execute(ACCEPT, params![id, ms(now), refund_id]).map(drop)
}

fn read(row: &Row) -> Result<Refund, DatabaseError> {
    let word = |column, what| row.impossible(column, what);
    Ok(Refund {
        id: row.text("id")?.to_owned(),
        order_id: row.text("order_id")?.to_owned(),
        payment_id: row.text("payment_id")?.to_owned(),
        appid: row.parsed("appid")?,
        mchid: row.parsed("mchid")?,
        api: Api::from_word(row.text("api")?).ok_or_else(|| word("api", "a version of WeChat Pay"))?,
        out_refund_no: row.parsed("out_refund_no")?,
        amount: OrderAmount::new(Fen::new(row.int("amount_fen")?))
            .map_err(|_| row.impossible("amount_fen", "the amount of a refund"))?,
        cause: Cause::from_word(row.text("cause")?).ok_or_else(|| word("cause", "the cause of a refund"))?,
        // Only shown. A rule that has become stricter must not hide a refund.
        reason: row.opt_text("reason")?.and_then(|reason| RefundReason::parse(reason).ok()),
        reference: row.opt_text("reference")?.map(str::to_owned),
        frozen_request: frozen::read(row)?,
        state: read_state(row)?,
        tried: row.opt_int("tried_ms")?.map(from_ms),
        doubt: row.opt_int("doubt_ms")?.map(from_ms),
        accepted: row.opt_int("accepted_ms")?.map(from_ms),
        created: from_ms(row.int("created_ms")?),
    })
}

/// The columns of the state, matched all at once: a combination that cannot be is an error, not a guess.
fn read_state(row: &Row) -> Result<State, DatabaseError> {
    let succeeded = row.opt_int("succeeded_ms")?.map(from_ms);
    match (row.text("state")?, row.int("blocked")?, row.opt_text("rejected_code")?, succeeded) {
        ("submitting", blocked @ (0 | 1), None, None) => Ok(State::Submitting { blocked: blocked == 1 }),
        ("processing", 0, None, None) => Ok(State::Processing),
        ("succeeded", 0, None, Some(success_time)) => Ok(State::Succeeded { success_time }),
        ("abnormal", 0, None, None) => Ok(State::Abnormal),
        ("closed", 0, None, None) => Ok(State::Closed),
        ("rejected", 0, Some(code), None) => Ok(State::Rejected { code: code.to_owned() }),
        ("external", 0, None, Some(success_time)) => Ok(State::External { success_time }),
        _ => Err(row.impossible("state", "a state of a refund with its own columns")),
    }
}
