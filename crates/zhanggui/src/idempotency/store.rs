//! The table `idempotent_answer`.

use axum::http::StatusCode;

use super::{Answered, Keyed};
use crate::{
    database::{DatabaseError, Tx, params},
    seal::{Place, Seal},
};

/// Ids of callers contain no line break, so two rows never have the same name.
fn row_name(keyed: &Keyed) -> String {
    format!("{}\n{}", keyed.caller_id, keyed.key)
}

fn place(row: &str) -> Place<'_> {
    Place { table: "idempotent_answer", row, column: "answer_sealed" }
}

const FIND: &str = "
    SELECT fingerprint, status, answer_sealed
    FROM idempotent_answer
    WHERE caller_id = $1
      AND key = $2";

/// The kept answer; the inner `None` if the key belongs to another request.
pub(super) fn find(tx: &mut Tx, seal: &Seal, keyed: &Keyed) -> Result<Option<Option<Answered>>, DatabaseError> {
    let Some(row) = tx.query_opt(FIND, params![keyed.caller_id.as_str(), keyed.key.as_str()])? else {
        return Ok(None);
    };
    if row.text("fingerprint")? != keyed.fingerprint {
        return Ok(Some(None));
    }
    let body = seal.open(place(&row_name(keyed)), row.bytes("answer_sealed")?);
    let body = body.map_err(|_| row.impossible("answer_sealed", "an answer that this server sealed"))?;
    let status = u16::try_from(row.int("status")?).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(|| row.impossible("status", "an HTTP status"))?;
    Ok(Some(Some(Answered { status, body: body.into(), is_fresh: false })))
}

const KEEP: &str = "
    INSERT INTO idempotent_answer (caller_id, key, fingerprint, status, answer_sealed, created_ms)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (caller_id, key) DO NOTHING";

/// Keeps an answer. Another node that was quicker makes this transaction run again.
pub(super) fn keep(
    tx: &mut Tx,
    seal: &Seal,
    keyed: &Keyed,
    answered: &Answered,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let sealed = seal.seal(place(&row_name(keyed)), &answered.body);
    let values = params![
        keyed.caller_id.as_str(),
        keyed.key.as_str(),
        keyed.fingerprint.as_str(),
        i64::from(answered.status.as_u16()),
        sealed,
        now_ms,
    ];
    if tx.execute(KEEP, values)? == 1 { Ok(()) } else { Err(DatabaseError::UniqueViolation) }
}

const FORGET: &str = "
    DELETE FROM idempotent_answer
    WHERE (caller_id, key) IN (
        SELECT caller_id, key
        FROM idempotent_answer
        WHERE created_ms < $1
        ORDER BY created_ms
        LIMIT $2
    )";

pub(super) fn forget(tx: &mut Tx, before_ms: i64, limit: i64) -> Result<u64, DatabaseError> {
    tx.execute(FORGET, params![before_ms, limit])
}
