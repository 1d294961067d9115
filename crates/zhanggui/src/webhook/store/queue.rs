//! From events to deliveries, and from deliveries to tries.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use jiff::Timestamp;

use super::{
    super::{
        deliveries::DeliveryState,
        signature::Secret,
        state::{Effect, Next},
    },
    endpoint::{read_secrets, read_types},
};
use crate::{
    clock::ms,
    database::{DatabaseError, Tx, params},
    event::{self, Headline},
    seal::{Place, Seal},
};

/// So many events become deliveries in one transaction.
const EVENTS_AT_ONCE: i64 = 500;

/// What there is to do.
#[derive(Debug, Default)]
pub(in super::super) struct Look {
    /// Whether there are events that have not become deliveries.
    pub(in super::super) has_events: bool,
    /// The endpoints for which something can be sent now.
    pub(in super::super) ready: Vec<String>,
}

const IS_BEHIND: &str = "SELECT id FROM webhook_endpoint WHERE state = 'enabled' AND position < $1 LIMIT 1";

/// A delivery can be sent when its time has come, nobody else sends it, and no older one of its subject waits.
const SENDABLE: &str = "
    delivery.state = 'waiting'
    AND delivery.due_ms <= $1
    AND delivery.leased_ms <= $1
    AND NOT EXISTS (
        SELECT 1
        FROM webhook_delivery AS older
        WHERE older.endpoint_id = delivery.endpoint_id
          AND older.subject = delivery.subject
          AND older.state = 'waiting'
          AND older.position < delivery.position
    )";

/// A read: an idle server does not write.
pub(in super::super) fn look(tx: &mut Tx, now_ms: i64) -> Result<Look, DatabaseError> {
    let last = event::last(tx)?;
    let has_events = tx.query_opt(IS_BEHIND, params![last])?.is_some();
    let ready = format!(
        "SELECT endpoint.id
         FROM webhook_endpoint AS endpoint
         WHERE endpoint.state = 'enabled'
           AND endpoint.paused_until_ms <= $1
           AND EXISTS (
               SELECT 1
               FROM webhook_delivery AS delivery
               WHERE delivery.endpoint_id = endpoint.id AND {SENDABLE}
           )
         ORDER BY endpoint.id"
    );
    let ready = tx.query(&ready, params![now_ms])?;
    let ready = ready.iter().map(|row| row.text("id").map(str::to_owned)).collect::<Result<_, _>>()?;
    Ok(Look { has_events, ready })
}

const BEHIND: &str = "
    SELECT id, types, position
    FROM webhook_endpoint
    WHERE state = 'enabled'
      AND position < $1
    ORDER BY id";

const MOVE_ON: &str = "UPDATE webhook_endpoint SET position = $3 WHERE id = $1 AND position = $2";

const INSERT: &str = "
    INSERT INTO webhook_delivery (
        endpoint_id, position, event_id, type, subject, sequence,
        state, attempts, failures, due_ms, leased_ms, fence, event_ms
    )
    VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0, $7, 0, 0, $8)";

/// Makes deliveries of the next events, for every endpoint that wants them. Position and deliveries move together.
pub(in super::super) fn derive(tx: &mut Tx, now_ms: i64) -> Result<(), DatabaseError> {
    let last = event::last(tx)?;
    let mut pages: BTreeMap<i64, Vec<Headline>> = BTreeMap::new();
    for row in tx.query(BEHIND, params![last])? {
        let (id, types, position) = (row.text("id")?, read_types(&row)?, row.int("position")?);
        let page = match pages.entry(position) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => unread.insert(event::headlines(tx, position, EVENTS_AT_ONCE)?),
        };
        let Some(newest) = page.last() else { continue };
        if tx.execute(MOVE_ON, params![id, position, newest.position])? != 1 {
            continue;
        }
        for event in page.iter().filter(|event| types.want(id, event)) {
            insert(tx, id, event, now_ms, "ON CONFLICT (endpoint_id, position) DO NOTHING")?;
        }
    }
    Ok(())
}

/// Writes a delivery that is due now; `on_conflict` says what becomes of one that is there.
pub(super) fn insert(
    tx: &mut Tx,
    endpoint_id: &str,
    event: &Headline,
    now_ms: i64,
    on_conflict: &'static str,
) -> Result<u64, DatabaseError> {
    let values = params![
        endpoint_id,
        event.position,
        event.id.as_str(),
        event.kind.as_str(),
        event.subject.as_str(),
        event.sequence,
        now_ms,
        ms(event.created),
    ];
    tx.execute(&format!("{INSERT} {on_conflict}"), values)
}

/// A delivery that this node may send until its lease ends.
#[derive(Clone)]
pub(in super::super) struct Claim {
    pub(in super::super) endpoint_id: String,
    pub(in super::super) url: String,
    pub(in super::super) secrets: Vec<Secret>,
    pub(in super::super) position: i64,
    pub(in super::super) event_id: String,
    pub(in super::super) event_ms: i64,
    pub(in super::super) attempts: i64,
    pub(in super::super) failures: i64,
    pub(in super::super) fence: i64,
}

const ENDPOINT: &str = "
    SELECT id, url, secret_sealed, old_secret_sealed, old_secret_until_ms
    FROM webhook_endpoint
    WHERE id = $1
      AND state = 'enabled'
      AND paused_until_ms <= $2";

/// Claims what can be sent now, the oldest first, for each endpoint not more than it has places.
pub(in super::super) fn claim(
    tx: &mut Tx,
    seal: &Seal,
    now_ms: i64,
    lease_ms: i64,
    places: &HashMap<String, i64>,
) -> Result<Vec<Claim>, DatabaseError> {
    let skip_locked = tx.dialect().for_update_skip_locked();
    let sql = format!(
        "UPDATE webhook_delivery
         SET leased_ms = $2,
             fence = fence + 1,
             attempts = attempts + 1
         WHERE endpoint_id = $3
           AND position IN (
               SELECT delivery.position
               FROM webhook_delivery AS delivery
               WHERE delivery.endpoint_id = $3 AND {SENDABLE}
               ORDER BY delivery.position
               LIMIT $4
               {skip_locked}
           )
         RETURNING position, event_id, event_ms, attempts, failures, fence"
    );
    let mut claims = Vec::new();
    for (endpoint_id, limit) in places {
        let Some(endpoint) = tx.query_opt(ENDPOINT, params![endpoint_id.as_str(), now_ms])? else { continue };
        let secrets = read_secrets(&endpoint, seal, now_ms)?;
        for row in tx.query(&sql, params![now_ms, now_ms + lease_ms, endpoint_id.as_str(), *limit])? {
            claims.push(Claim {
                endpoint_id: endpoint_id.clone(),
                url: endpoint.text("url")?.to_owned(),
                secrets: secrets.clone(),
                position: row.int("position")?,
                event_id: row.text("event_id")?.to_owned(),
                event_ms: row.int("event_ms")?,
                attempts: row.int("attempts")?,
                failures: row.int("failures")?,
                fence: row.int("fence")?,
            });
        }
    }
    Ok(claims)
}

/// How a try went, for the list of tries.
#[derive(Clone)]
pub(in super::super) struct Attempted {
    pub(in super::super) started: Timestamp,
    pub(in super::super) ended: Timestamp,
    pub(in super::super) http_status: Option<u16>,
    pub(in super::super) failure: Option<&'static str>,
    pub(in super::super) answer: Option<Vec<u8>>,
}

const IS_THERE: &str = "SELECT fence FROM webhook_delivery WHERE endpoint_id = $1 AND position = $2";

const ATTEMPT: &str = "
    INSERT INTO webhook_attempt (
        endpoint_id, position, number, event_id, started_ms, duration_ms, http_status, failure, answer_sealed
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (endpoint_id, position, number) DO NOTHING";

const SETTLE: &str = "
    UPDATE webhook_delivery
    SET state = $4,
        failures = $5,
        due_ms = $6,
        delivered_ms = $7,
        leased_ms = 0
    WHERE endpoint_id = $1
      AND position = $2
      AND fence = $3";

const IS_CURRENT: &str = "SELECT id FROM webhook_endpoint WHERE id = $1 AND url = $2 AND state = 'enabled'";

const DISABLE: &str = "
    UPDATE webhook_endpoint
    SET state = 'disabled',
        disabled_reason = 'gone',
        updated_ms = $2
    WHERE id = $1
      AND state = 'enabled'";

const PAUSE: &str = "
    UPDATE webhook_endpoint
    SET paused_until_ms = $2
    WHERE id = $1
      AND paused_until_ms < $2";

/// Writes a try and what follows from it, and gives that; `None` if somebody else has the delivery by now, which keeps its
/// state. Only the address that the endpoint still has speaks for it.
pub(in super::super) fn finish(
    tx: &mut Tx,
    seal: &Seal,
    claim: &Claim,
    attempted: &Attempted,
    verdict: (Next, Effect),
) -> Result<Option<(Next, Effect)>, DatabaseError> {
    let (endpoint_id, position) = (claim.endpoint_id.as_str(), claim.position);
    if tx.query_opt(IS_THERE, params![endpoint_id, position])?.is_none() {
        return Ok(None);
    }
    insert_attempt(tx, seal, claim, attempted)?;
    let is_taken = verdict.0 == Next::Delivered;
    let (next, effect) = match is_taken || tx.query_opt(IS_CURRENT, params![endpoint_id, claim.url.as_str()])?.is_some()
    {
        true => verdict,
        // The address is not the endpoint's any more, or the endpoint was disabled meanwhile.
        false => (Next::Kept, Effect::None),
    };
    let ended_ms = ms(attempted.ended);
    let (state, failures, due_ms, delivered_ms) = match next {
        Next::Delivered => (DeliveryState::Delivered, claim.failures, ended_ms, Some(ended_ms)),
        Next::Kept => (DeliveryState::Waiting, claim.failures, ended_ms, None),
        Next::Again(due) => (DeliveryState::Waiting, claim.failures + 1, ms(due), None),
        Next::Exhausted => (DeliveryState::Exhausted, claim.failures + 1, ended_ms, None),
    };
    let values = params![endpoint_id, position, claim.fence, state.as_str(), failures, due_ms, delivered_ms];
    if tx.execute(SETTLE, values)? == 0 {
        return Ok(None);
    }
    match effect {
        Effect::None => {}
        Effect::Disable => tx.execute(DISABLE, params![endpoint_id, ended_ms]).map(drop)?,
        Effect::PauseUntil(until) => tx.execute(PAUSE, params![endpoint_id, ms(until)]).map(drop)?,
    }
    Ok(Some((next, effect)))
}

fn insert_attempt(tx: &mut Tx, seal: &Seal, claim: &Claim, attempted: &Attempted) -> Result<(), DatabaseError> {
    let row = attempt_row(&claim.endpoint_id, claim.position, claim.attempts);
    let answer = attempted.answer.as_ref().map(|answer| seal.seal(attempt_place(&row), answer));
    let values = params![
        claim.endpoint_id.as_str(),
        claim.position,
        claim.attempts,
        claim.event_id.as_str(),
        ms(attempted.started),
        ms(attempted.ended) - ms(attempted.started),
        attempted.http_status.map(i64::from),
        attempted.failure,
        answer,
    ];
    tx.execute(ATTEMPT, values).map(drop)
}

/// Names the row of a try.
pub(super) fn attempt_row(endpoint_id: &str, position: i64, number: i64) -> String {
    format!("{endpoint_id}/{position}/{number}")
}

pub(super) fn attempt_place(row: &str) -> Place<'_> {
    Place { table: "webhook_attempt", row, column: "answer_sealed" }
}
