//! The table `push`: every push once, with the exact answer.

use jiff::Timestamp;

use crate::{
    clock::ms,
    database::{DatabaseError, Tx, params},
    seal::Place,
};

/// What WeChat is answered, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::customer_service) struct StoredAnswer {
    pub(in crate::customer_service) body: String,
    pub(in crate::customer_service) content_type: String,
}

/// A push that was not here before.
pub(in crate::customer_service) struct NewPush<'a> {
    pub(in crate::customer_service) appid: &'a str,
    pub(in crate::customer_service) dedupe_key: &'a str,
    pub(in crate::customer_service) id: &'a str,
    /// `message`, or the name of the event.
    pub(in crate::customer_service) kind: &'a str,
    pub(in crate::customer_service) answer: &'a StoredAnswer,
    pub(in crate::customer_service) plaintext_sealed: Vec<u8>,
}

/// Where the content of a push stands.
pub(in crate::customer_service) fn place(id: &str) -> Place<'_> {
    Place { table: "push", row: id, column: "plaintext_sealed" }
}

const COUNT_COPY: &str = "
    UPDATE push
    SET copies = copies + 1
    WHERE appid = $1
      AND dedupe_key = $2
    RETURNING answer, content_type";

/// The answer that a push of this key was given before; the copy is counted.
pub(in crate::customer_service) fn answered(
    tx: &mut Tx,
    appid: &str,
    dedupe_key: &str,
) -> Result<Option<StoredAnswer>, DatabaseError> {
    let Some(row) = tx.query_opt(COUNT_COPY, params![appid, dedupe_key])? else { return Ok(None) };
    let (body, content_type) = (row.text("answer")?.to_owned(), row.text("content_type")?.to_owned());
    Ok(Some(StoredAnswer { body, content_type }))
}

const INSERT: &str = "
    INSERT INTO push (appid, dedupe_key, id, kind, answer, content_type, copies, plaintext_sealed, received_ms)
    VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8)
    ON CONFLICT (appid, dedupe_key) DO NOTHING";

/// Writes a push and its answer. The key makes a second one impossible.
pub(in crate::customer_service) fn insert(tx: &mut Tx, push: NewPush<'_>, now: Timestamp) -> Result<(), DatabaseError> {
    let NewPush { appid, dedupe_key, id, kind, answer, plaintext_sealed } = push;
    let (body, content_type) = (answer.body.as_str(), answer.content_type.as_str());
    match tx.execute(INSERT, params![appid, dedupe_key, id, kind, body, content_type, plaintext_sealed, ms(now)])? {
        1 => Ok(()),
        // Another node was quicker. PostgreSQL notices and runs the transaction again; SQLite has one writer.
        _ => Err(DatabaseError::Aborted),
    }
}

const FORGET: &str = "
    DELETE FROM push
    WHERE (appid, dedupe_key) IN (
        SELECT appid, dedupe_key FROM push WHERE received_ms < $1 ORDER BY received_ms LIMIT 1000
    )";

/// Forgets the oldest pushes from before a time, at most a thousand; gives how many.
pub(in crate::customer_service) fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64, DatabaseError> {
    tx.execute(FORGET, params![ms(before)])
}
