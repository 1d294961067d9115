//! The table `event`.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Event, Headline, Type};
use crate::{
    app::App,
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, Value, params},
    seal::Place,
};

/// Where the data of an event stand.
pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "event", row: id, column: "data_sealed" }
}

const INSERT: &str = "
    INSERT INTO event (id, type, subject, sequence, data_sealed, created_ms)
    SELECT $1, $2, $3, COALESCE(MAX(sequence), 0) + 1, $4, $5
    FROM event
    WHERE subject = $3
    ON CONFLICT (subject, sequence) DO NOTHING";

pub(super) fn insert(
    tx: &mut Tx,
    id: &str,
    kind: &str,
    subject: &str,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if let Some(lock) = tx.dialect().lock_event_order() {
        tx.query_one(lock, &[])?;
    }
    match tx.execute(INSERT, params![id, kind, subject, sealed, ms(now)])? {
        1 => Ok(()),
        // Another node was quicker. PostgreSQL notices and runs the transaction again; SQLite has one writer.
        _ => Err(DatabaseError::Aborted),
    }
}

const POSITION: &str = "SELECT position FROM event WHERE id = $1";

/// Where the event of a cursor stands; `None` if there is no such event.
///
/// # Errors
/// The database fails.
pub fn position(tx: &mut Tx, id: &str) -> Result<Option<i64>, DatabaseError> {
    tx.query_opt(POSITION, params![id])?.map(|row| row.int("position")).transpose()
}

const ID_AT: &str = "SELECT id FROM event WHERE position = $1";

/// The event that stands there.
///
/// # Errors
/// The database fails.
pub(super) fn id_at(tx: &mut Tx, position: i64) -> Result<Option<String>, DatabaseError> {
    tx.query_opt(ID_AT, params![position])?.map(|row| row.text("id").map(str::to_owned)).transpose()
}

const LAST: &str = "SELECT COALESCE(MAX(position), 0) AS position FROM event";

/// Where the newest event stands.
///
/// # Errors
/// The database fails.
pub fn last(tx: &mut Tx) -> Result<i64, DatabaseError> {
    tx.query_one(LAST, params![])?.int("position")
}

const HEADLINES: &str = "
    SELECT position,
           id,
           type,
           subject,
           sequence,
           created_ms
    FROM event
    WHERE position > $1
    ORDER BY position
    LIMIT $2";

/// The events after a position without their data, the oldest first.
///
/// # Errors
/// The database fails.
pub fn headlines(tx: &mut Tx, position: i64, limit: i64) -> Result<Vec<Headline>, DatabaseError> {
    let headline = |row: &Row| {
        Ok(Headline {
            position: row.int("position")?,
            id: row.text("id")?.to_owned(),
            kind: row.text("type")?.to_owned(),
            subject: row.text("subject")?.to_owned(),
            sequence: row.int("sequence")?,
            created: from_ms(row.int("created_ms")?),
        })
    };
    tx.query(HEADLINES, params![position, limit])?.iter().map(headline).collect()
}

const AT: &str = "
    SELECT id,
           type,
           subject,
           sequence,
           data_sealed,
           created_ms
    FROM event
    WHERE position = $1";

/// The event at a position.
///
/// # Errors
/// The database fails, or the data cannot be read.
pub fn at(tx: &mut Tx, app: &App, position: i64) -> Result<Option<Event>, DatabaseError> {
    tx.query_opt(AT, params![position])?.map(|row| read(app, &row)).transpose()
}

/// Which events are asked for.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) types: Vec<Type>,
    pub(super) subject: Option<String>,
}

/// The events after a position, the oldest first, each with its position.
pub(super) fn after(
    tx: &mut Tx,
    app: &App,
    position: i64,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<(i64, Event)>, DatabaseError> {
    let mut values: Vec<Value> = vec![position.into(), limit.into()];
    let types: Vec<String> = filter
        .types
        .iter()
        .map(|kind| {
            values.push(kind.as_str().into());
            format!("${}", values.len())
        })
        .collect();
    let of_subject = filter.subject.as_ref().map_or_else(String::new, |subject| {
        values.push(subject.into());
        format!("AND subject = ${}", values.len())
    });
    let sql = format!(
        "SELECT position, id, type, subject, sequence, data_sealed, created_ms
         FROM event
         WHERE position > $1 AND type IN ({}) {of_subject}
         ORDER BY position
         LIMIT $2",
        types.join(", ")
    );
    let rows = tx.query(&sql, &values)?;
    rows.iter().map(|row| Ok((row.int("position")?, read(app, row)?))).collect()
}

fn read(app: &App, row: &Row) -> Result<Event, DatabaseError> {
    let id = row.text("id")?;
    let data = app.seal.open(place(id), row.bytes("data_sealed")?);
    let data = data.ok().and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok());
    Ok(Event {
        id: id.to_owned(),
        r#type: row.text("type")?.to_owned(),
        subject: row.text("subject")?.to_owned(),
        sequence: row.int("sequence")?,
        created_at: from_ms(row.int("created_ms")?),
        data: data.ok_or_else(|| row.impossible("data_sealed", "data that this server sealed"))?,
    })
}
