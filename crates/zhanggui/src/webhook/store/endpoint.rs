//! The table `webhook_endpoint`.

use jiff::Timestamp;

use super::super::{
    endpoint::{DisabledReason, Endpoint, EndpointState, Types},
    signature::Secret,
};
use crate::{
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, params},
    seal::{Place, Seal},
};

fn place<'a>(id: &'a str, column: &'static str) -> Place<'a> {
    Place { table: "webhook_endpoint", row: id, column }
}

const SECRET: &str = "secret_sealed";
const OLD_SECRET: &str = "old_secret_sealed";

const COUNT: &str = "SELECT COUNT(*) AS n FROM webhook_endpoint";

pub(in super::super) fn count(tx: &mut Tx) -> Result<i64, DatabaseError> {
    tx.query_one(COUNT, params![])?.int("n")
}

const INSERT: &str = "
    INSERT INTO webhook_endpoint (
        id, url, description, types, state, secret_sealed, position, paused_until_ms, created_ms, updated_ms
    )
    VALUES ($1, $2, $3, $4, 'enabled', $5, $6, 0, $7, $7)";

/// Writes an endpoint that gets the events after this position.
pub(in super::super) fn insert(
    tx: &mut Tx,
    seal: &Seal,
    endpoint: &Endpoint,
    secret: &Secret,
    position: i64,
) -> Result<(), DatabaseError> {
    let sealed = seal.seal(place(&endpoint.id, SECRET), secret.expose());
    let values = params![
        endpoint.id.as_str(),
        endpoint.url.as_str(),
        endpoint.description.as_str(),
        endpoint.types.words().join(" "),
        sealed,
        position,
        ms(endpoint.created),
    ];
    tx.execute(INSERT, values).map(drop)
}

const COLUMNS: &str = "
    SELECT id,
           url,
           description,
           types,
           state,
           disabled_reason,
           old_secret_until_ms,
           created_ms,
           updated_ms
    FROM webhook_endpoint";

/// Endpoints before the one with an id, or all, the newest first.
pub(in super::super) fn list(tx: &mut Tx, before: Option<&str>, limit: i64) -> Result<Vec<Endpoint>, DatabaseError> {
    let rows = match before {
        Some(id) => tx.query(&format!("{COLUMNS} WHERE id < $2 ORDER BY id DESC LIMIT $1"), params![limit, id])?,
        None => tx.query(&format!("{COLUMNS} ORDER BY id DESC LIMIT $1"), params![limit])?,
    };
    rows.iter().map(read).collect()
}

pub(in super::super) fn find(tx: &mut Tx, id: &str) -> Result<Option<Endpoint>, DatabaseError> {
    tx.query_opt(&format!("{COLUMNS} WHERE id = $1"), params![id])?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Endpoint, DatabaseError> {
    let reason = row.opt_text("disabled_reason")?.map(DisabledReason::from_word);
    let state = match (row.text("state")?, reason) {
        ("enabled", None) => EndpointState::Enabled,
        ("disabled", Some(Some(reason))) => EndpointState::Disabled(reason),
        _ => return Err(row.impossible("state", "a state of an endpoint with its reason")),
    };
    Ok(Endpoint {
        id: row.text("id")?.to_owned(),
        url: row.text("url")?.to_owned(),
        description: row.text("description")?.to_owned(),
        types: read_types(row)?,
        state,
        created: from_ms(row.int("created_ms")?),
        updated: from_ms(row.int("updated_ms")?),
        old_secret_until: row.opt_int("old_secret_until_ms")?.map(from_ms),
    })
}

pub(super) fn read_types(row: &Row) -> Result<Types, DatabaseError> {
    let words: Vec<_> = row.text("types")?.split(' ').map(str::to_owned).collect();
    Types::from_words(&words).map_err(|_| row.impossible("types", "types of events"))
}

/// The secrets of the endpoint that sign now, the newest first.
pub(super) fn read_secrets(row: &Row, seal: &Seal, now_ms: i64) -> Result<Vec<Secret>, DatabaseError> {
    let id = row.text("id")?;
    let open = |column, sealed| {
        let bytes = seal.open(place(id, column), sealed);
        bytes.map(Secret::from_bytes).map_err(|_| row.impossible(column, "a secret that this server sealed"))
    };
    let mut secrets = vec![open(SECRET, row.bytes(SECRET)?)?];
    let is_rotating = row.opt_int("old_secret_until_ms")?.is_some_and(|until_ms| until_ms > now_ms);
    if let (true, Some(sealed)) = (is_rotating, row.opt_bytes(OLD_SECRET)?) {
        secrets.push(open(OLD_SECRET, sealed)?);
    }
    Ok(secrets)
}

const UPDATE: &str = "
    UPDATE webhook_endpoint
    SET url = $2,
        description = $3,
        types = $4,
        state = $5,
        disabled_reason = $6,
        paused_until_ms = 0,
        updated_ms = $7
    WHERE id = $1";

pub(in super::super) fn update(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), DatabaseError> {
    let (state, reason) = match endpoint.state {
        EndpointState::Enabled => ("enabled", None),
        EndpointState::Disabled(reason) => ("disabled", Some(reason.as_str())),
    };
    let values = params![
        endpoint.id.as_str(),
        endpoint.url.as_str(),
        endpoint.description.as_str(),
        endpoint.types.words().join(" "),
        state,
        reason,
        ms(endpoint.updated),
    ];
    tx.execute(UPDATE, values).map(drop)
}

const SECRET_OF: &str = "
    SELECT id, secret_sealed, old_secret_sealed, old_secret_until_ms
    FROM webhook_endpoint
    WHERE id = $1";

const ROTATE: &str = "
    UPDATE webhook_endpoint
    SET secret_sealed = $2,
        old_secret_sealed = $3,
        old_secret_until_ms = $4,
        updated_ms = $5
    WHERE id = $1";

/// The secret becomes the old one; says nothing if there is no such endpoint.
pub(in super::super) fn rotate(
    tx: &mut Tx,
    seal: &Seal,
    id: &str,
    new: &Secret,
    old_until: Timestamp,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let Some(row) = tx.query_opt(SECRET_OF, params![id])? else { return Ok(()) };
    let old = read_secrets(&row, seal, ms(now))?.swap_remove(0);
    // A sealed value is bound to its column.
    let old = seal.seal(place(id, OLD_SECRET), old.expose());
    let new = seal.seal(place(id, SECRET), new.expose());
    tx.execute(ROTATE, params![id, new, old, ms(old_until), ms(now)]).map(drop)
}

const POSITION: &str = "SELECT position FROM webhook_endpoint WHERE id = $1";

/// Up to where events have become deliveries.
pub(in super::super) fn position(tx: &mut Tx, id: &str) -> Result<i64, DatabaseError> {
    tx.query_one(POSITION, params![id])?.int("position")
}

const DELETE_ATTEMPTS: &str = "DELETE FROM webhook_attempt WHERE endpoint_id = $1";
const DELETE_DELIVERIES: &str = "DELETE FROM webhook_delivery WHERE endpoint_id = $1";
const DELETE: &str = "DELETE FROM webhook_endpoint WHERE id = $1";

/// Deletes the endpoint and what belongs to it; says whether it was there.
pub(in super::super) fn delete(tx: &mut Tx, id: &str) -> Result<bool, DatabaseError> {
    tx.execute(DELETE_ATTEMPTS, params![id])?;
    tx.execute(DELETE_DELIVERIES, params![id])?;
    Ok(tx.execute(DELETE, params![id])? == 1)
}
