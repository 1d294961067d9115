//! PostgreSQL: a few threads, each with a connection of its own and one transaction per closure. Used by `database/mod.rs` only.
//!
//! The closure is run again when PostgreSQL reports that concurrent transactions displaced it, and when the connection was lost
//! *before* COMMIT. A connection lost *during* COMMIT leaves the outcome unknown: the caller is told, nothing is repeated.

mod codec;
mod session;
mod tls;

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

pub(super) use self::session::{Limits, Session, Settings};
use super::{
    DatabaseError, Tx,
    queue::{Queue, Verdict, Work},
    tx::{Engine, Failed, Then},
};

/// Runs until the queue is closed and empty. `begin` is the statement that opens each transaction.
pub(super) fn work_loop(mut tx: Tx, queue: &Queue, begin: &'static str) {
    let mut outage = None;
    while let Some(works) = queue.take(1) {
        for mut work in works {
            match run_until_done(&mut tx, work.as_mut(), queue, begin, &mut outage) {
                Ok(()) => work.answer(),
                Err(error) => work.fail(error),
            }
        }
    }
}

/// `outage` is the moment since when the server does not answer; it outlives the closure, so that those waiting behind it
/// learn of the outage quickly.
fn run_until_done(
    tx: &mut Tx,
    work: &mut dyn Work,
    queue: &Queue,
    begin: &str,
    outage: &mut Option<Instant>,
) -> Result<(), DatabaseError> {
    let (mut displaced, mut unreachable) = (0, 0);
    loop {
        let failed = match run_once(tx, work, begin) {
            Ok(()) => {
                *outage = None;
                return Ok(());
            }
            Err(failed) => failed,
        };
        match failed.then {
            Then::Retry => {
                displaced += 1;
                if displaced >= DISPLACED_MAX {
                    return Err(DatabaseError::Contended { attempts: displaced });
                }
                queue.pause(backoff(displaced, RETRY_PAUSE_MAX));
            }
            Then::Reconnect => {
                unreachable += 1;
                let since = *outage.get_or_insert_with(Instant::now);
                if since.elapsed() > OUTAGE_BORNE || !queue.pause(backoff(unreachable + 4, RECONNECT_PAUSE_MAX)) {
                    return Err(failed.error);
                }
            }
            Then::Undo | Then::UndoGroup => return Err(failed.error),
        }
    }
}

/// `Ok` means that the answer of the closure holds: it is committed, or was undone because the closure wanted so.
fn run_once(tx: &mut Tx, work: &mut dyn Work, begin: &str) -> Result<(), Failed> {
    tx.take_failed();
    tx.control(begin)?;
    let verdict = work.run(tx);
    if let Some(failed) = tx.take_failed()
        && matches!(failed.then, Then::Retry | Then::Reconnect)
    {
        roll_back(tx);
        return Err(failed);
    }
    match verdict {
        Verdict::Keep => commit(tx),
        Verdict::Undo => {
            roll_back(tx);
            Ok(())
        }
    }
}

fn commit(tx: &mut Tx) -> Result<(), Failed> {
    let Err(failed) = tx.control("COMMIT") else {
        return Ok(());
    };
    roll_back(tx);
    // Only a report of the server itself proves that nothing was kept.
    let is_proof = !matches!(&failed.error, DatabaseError::Engine(error) if error.is_from_outside());
    if failed.then == Then::Reconnect || !is_proof {
        tracing::error!("the connection to PostgreSQL was lost during COMMIT");
        return Err(DatabaseError::CommitUnknown.into());
    }
    Err(failed)
}

/// Without a connection there is nothing to do. If this fails the connection is not used again, and the server undoes the transaction when it notices.
fn roll_back(tx: &mut Tx) {
    if let Engine::Postgres(session) = tx.engine()
        && session.is_connected()
        && session.control("ROLLBACK").is_err()
    {
        session.disconnect();
    }
}

/// Doubles with every attempt up to `longest`, and is then cut at random, so that those who collided do not meet again.
fn backoff(attempt: u32, longest: Duration) -> Duration {
    let ceiling = Duration::from_millis(1 << attempt.min(16)).min(longest);
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(RandomState::new().hash_one(attempt) % micros)
}

/// Collisions of one closure with others, after which its caller is told.
const DISPLACED_MAX: u32 = 30;
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a closure waits for a server that restarts or fails over.
const OUTAGE_BORNE: Duration = Duration::from_secs(10);
