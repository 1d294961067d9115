//! The table `job`.

use crate::database::{DatabaseError, Tx, params};

/// A job that this node may run until its lease ends.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) attempts: i64,
    pub(super) fence: i64,
}

/// Where the fence of a new job begins: beyond that of every job of this subject that was taken away before, so that who
/// still holds one of those cannot end the new one.
const FENCES_PER_MS: i64 = 1000;

const SCHEDULE: &str = "
    INSERT INTO job (kind, subject, run_ms, attempts, leased_ms, fence, created_ms)
    VALUES ($1, $2, $3, 0, 0, $5, $4)
    ON CONFLICT (kind, subject) DO UPDATE SET
        run_ms = CASE WHEN job.run_ms < excluded.run_ms THEN job.run_ms ELSE excluded.run_ms END,
        leased_ms = 0,
        fence = job.fence + 1";

pub(super) fn schedule(tx: &mut Tx, kind: &str, subject: &str, run_ms: i64, now_ms: i64) -> Result<(), DatabaseError> {
    tx.execute(SCHEDULE, params![kind, subject, run_ms, now_ms, now_ms * FENCES_PER_MS]).map(drop)
}

const CANCEL: &str = "DELETE FROM job WHERE kind = $1 AND subject = $2";

pub(super) fn cancel(tx: &mut Tx, kind: &str, subject: &str) -> Result<(), DatabaseError> {
    tx.execute(CANCEL, params![kind, subject]).map(drop)
}

const IS_ANY_DUE: &str = "SELECT kind FROM job WHERE run_ms <= $1 AND leased_ms <= $1 LIMIT 1";

/// Whether a claim would find something. A read: an idle server does not write.
pub(super) fn is_any_due(tx: &mut Tx, now_ms: i64) -> Result<bool, DatabaseError> {
    Ok(tx.query_opt(IS_ANY_DUE, params![now_ms])?.is_some())
}

/// Claims due jobs, the oldest first.
pub(super) fn claim(tx: &mut Tx, now_ms: i64, lease_ms: i64, limit: i64) -> Result<Vec<Claim>, DatabaseError> {
    let skip_locked = tx.dialect().for_update_skip_locked();
    let sql = format!(
        "UPDATE job
         SET leased_ms = $2,
             fence = fence + 1,
             attempts = attempts + 1
         WHERE (kind, subject) IN (
             SELECT kind, subject
             FROM job
             WHERE run_ms <= $1 AND leased_ms <= $1
             ORDER BY run_ms
             LIMIT $3
             {skip_locked}
         )
         RETURNING kind, subject, attempts, fence"
    );
    let rows = tx.query(&sql, params![now_ms, now_ms + lease_ms, limit])?;
    rows.iter()
        .map(|row| {
            Ok(Claim {
                kind: row.text("kind")?.to_owned(),
                subject: row.text("subject")?.to_owned(),
                attempts: row.int("attempts")?,
                fence: row.int("fence")?,
            })
        })
        .collect()
}

const FINISH: &str = "DELETE FROM job WHERE kind = $1 AND subject = $2 AND fence = $3";

/// The job is done, unless somebody else has it by now.
pub(super) fn finish(tx: &mut Tx, claim: &Claim) -> Result<(), DatabaseError> {
    tx.execute(FINISH, params![claim.kind.as_str(), claim.subject.as_str(), claim.fence]).map(drop)
}

const RETRY: &str = "
    UPDATE job
    SET run_ms = $4,
        leased_ms = 0,
        last_error = $5
    WHERE kind = $1
      AND subject = $2
      AND fence = $3";

/// The job is to be run again, unless it was scheduled meanwhile or somebody else has it by now.
pub(super) fn retry(tx: &mut Tx, claim: &Claim, run_ms: i64, error: &str) -> Result<(), DatabaseError> {
    let values = params![claim.kind.as_str(), claim.subject.as_str(), claim.fence, run_ms, error];
    tx.execute(RETRY, values).map(drop)
}

const AGAIN: &str = "
    UPDATE job
    SET run_ms = $4,
        leased_ms = 0,
        attempts = 0,
        last_error = NULL
    WHERE kind = $1
      AND subject = $2
      AND fence = $3";

/// The job is to be run again, and nothing went wrong. As in [`retry`], whoever scheduled it meanwhile goes first.
pub(super) fn again(tx: &mut Tx, claim: &Claim, run_ms: i64) -> Result<(), DatabaseError> {
    let values = params![claim.kind.as_str(), claim.subject.as_str(), claim.fence, run_ms];
    tx.execute(AGAIN, values).map(drop)
}
