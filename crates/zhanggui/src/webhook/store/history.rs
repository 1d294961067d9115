//! What was sent: lists, replays, and forgetting.

use jiff::SignedDuration;

use super::{
    super::{
        deliveries::{Attempt, Delivery, DeliveryState},
        endpoint::Counts,
    },
    queue::{attempt_place, attempt_row, insert},
};
use crate::{
    app::App,
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, params},
    event::Headline,
    seal::Seal,
};

const COUNTS: &str = "
    SELECT state, COUNT(*) AS n
    FROM webhook_delivery
    WHERE endpoint_id = $1
      AND state IN ('waiting', 'exhausted')
    GROUP BY state";

pub(in super::super) fn counts(tx: &mut Tx, endpoint_id: &str) -> Result<Counts, DatabaseError> {
    let mut counts = Counts::default();
    for row in tx.query(COUNTS, params![endpoint_id])? {
        let place = if row.text("state")? == "waiting" { &mut counts.waiting } else { &mut counts.exhausted };
        *place = row.int("n")?;
    }
    Ok(counts)
}

const DELIVERIES: &str = "
    SELECT event_id,
           type,
           subject,
           sequence,
           state,
           attempts,
           due_ms,
           delivered_ms
    FROM webhook_delivery
    WHERE endpoint_id = $1";

/// The deliveries before a position, the newest first.
pub(in super::super) fn deliveries(
    tx: &mut Tx,
    endpoint_id: &str,
    state: Option<DeliveryState>,
    before: i64,
    limit: i64,
) -> Result<Vec<Delivery>, DatabaseError> {
    let rows = match state {
        None => {
            let sql = format!("{DELIVERIES} AND position < $2 ORDER BY position DESC LIMIT $3");
            tx.query(&sql, params![endpoint_id, before, limit])?
        }
        Some(state) => {
            let sql = format!("{DELIVERIES} AND position < $2 AND state = $4 ORDER BY position DESC LIMIT $3");
            tx.query(&sql, params![endpoint_id, before, limit, state.as_str()])?
        }
    };
    rows.iter().map(read).collect()
}

/// What became of an event at an endpoint.
pub(in super::super) fn delivery(
    tx: &mut Tx,
    endpoint_id: &str,
    event_id: &str,
) -> Result<Option<Delivery>, DatabaseError> {
    let sql = format!("{DELIVERIES} AND event_id = $2");
    tx.query_opt(&sql, params![endpoint_id, event_id])?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Delivery, DatabaseError> {
    let state = row.text("state")?.to_owned();
    let is_waiting = state == DeliveryState::Waiting.as_str();
    Ok(Delivery {
        event: row.text("event_id")?.to_owned(),
        r#type: row.text("type")?.to_owned(),
        subject: row.text("subject")?.to_owned(),
        sequence: row.int("sequence")?,
        attempts: row.int("attempts")?,
        due_at: is_waiting.then_some(from_ms(row.int("due_ms")?)),
        delivered_at: row.opt_int("delivered_ms")?.map(from_ms),
        state,
    })
}

const ATTEMPTS: &str = "
    SELECT endpoint_id,
           position,
           number,
           started_ms,
           duration_ms,
           http_status,
           failure,
           answer_sealed
    FROM webhook_attempt
    WHERE endpoint_id = $1
      AND position = (SELECT position FROM webhook_delivery WHERE endpoint_id = $1 AND event_id = $2)
    ORDER BY number DESC
    LIMIT $3";

/// The tries of a delivery, the newest first.
pub(in super::super) fn attempts(
    tx: &mut Tx,
    seal: &Seal,
    endpoint_id: &str,
    event_id: &str,
    limit: i64,
) -> Result<Vec<Attempt>, DatabaseError> {
    let rows = tx.query(ATTEMPTS, params![endpoint_id, event_id, limit])?;
    rows.iter().map(|row| read_attempt(row, seal)).collect()
}

fn read_attempt(row: &Row, seal: &Seal) -> Result<Attempt, DatabaseError> {
    let number = row.int("number")?;
    let name = attempt_row(row.text("endpoint_id")?, row.int("position")?, number);
    let open = |sealed| {
        let bytes = seal.open(attempt_place(&name), sealed);
        bytes.map_err(|_| row.impossible("answer_sealed", "an answer that this server sealed"))
    };
    let answer = row.opt_bytes("answer_sealed")?.map(open).transpose()?;
    Ok(Attempt {
        number,
        started_at: from_ms(row.int("started_ms")?),
        duration_ms: row.int("duration_ms")?,
        http_status: row.opt_int("http_status")?,
        failure: row.opt_text("failure")?.map(str::to_owned),
        answer: answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    })
}

const AGAIN: &str = "
    ON CONFLICT (endpoint_id, position) DO UPDATE SET
        state = 'waiting',
        failures = 0,
        due_ms = excluded.due_ms,
        delivered_ms = NULL,
        leased_ms = 0,
        fence = webhook_delivery.fence + 1";

/// The event will be sent again, whatever became of it before.
pub(in super::super) fn replay(
    tx: &mut Tx,
    endpoint_id: &str,
    event: &Headline,
    now_ms: i64,
) -> Result<u64, DatabaseError> {
    insert(tx, endpoint_id, event, now_ms, AGAIN)
}

const REPLAY_EXHAUSTED: &str = "
    UPDATE webhook_delivery
    SET state = 'waiting',
        failures = 0,
        due_ms = $2,
        leased_ms = 0,
        fence = fence + 1
    WHERE endpoint_id = $1
      AND state = 'exhausted'";

/// All dead letters will be sent again.
pub(in super::super) fn replay_exhausted(tx: &mut Tx, endpoint_id: &str, now_ms: i64) -> Result<u64, DatabaseError> {
    tx.execute(REPLAY_EXHAUSTED, params![endpoint_id, now_ms])
}

/// How long it is told what was delivered. Dead letters stay.
const DELIVERED_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// So many are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 1000;

const OLD: &str = "
    SELECT endpoint_id, position
    FROM webhook_delivery
    WHERE state = 'delivered'
      AND delivered_ms < $1
    ORDER BY delivered_ms
    LIMIT $2";

const FORGET_ATTEMPTS: &str = "DELETE FROM webhook_attempt WHERE endpoint_id = $1 AND position = $2";
const FORGET: &str = "DELETE FROM webhook_delivery WHERE endpoint_id = $1 AND position = $2";

/// Forgets deliveries that the endpoints have had for a month, and gives their number. The events stay.
///
/// # Errors
/// The database fails.
pub async fn forget_old(app: &App) -> Result<u64, DatabaseError> {
    let before_ms = ms(app.now() - DELIVERED_KEPT);
    let mut forgotten = 0;
    loop {
        let rows = app.database.write(move |tx| forget(tx, before_ms)).await?;
        forgotten += rows;
        if rows < FORGOTTEN_AT_ONCE.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}

fn forget(tx: &mut Tx, before_ms: i64) -> Result<u64, DatabaseError> {
    let mut forgotten = 0;
    for row in tx.query(OLD, params![before_ms, FORGOTTEN_AT_ONCE])? {
        let named = params![row.text("endpoint_id")?, row.int("position")?];
        tx.execute(FORGET_ATTEMPTS, named)?;
        forgotten += tx.execute(FORGET, named)?;
    }
    Ok(forgotten)
}
