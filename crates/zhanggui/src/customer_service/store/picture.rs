//! The table `picture`.

use jiff::Timestamp;

use crate::{
    app::App,
    clock::{from_ms, ms},
    customer_service::picture::{Picture, State},
    database::{DatabaseError, Row, Tx, params},
    seal::Place,
};

fn place(id: &str) -> Place<'_> {
    Place { table: "picture", row: id, column: "bytes_sealed" }
}

const INSERT_PENDING: &str = "
    INSERT INTO picture (id, appid, state, media_id, media_until_ms, created_ms)
    VALUES ($1, $2, 'pending', $3, $4, $5)";

/// A picture of a customer that has to be fetched before WeChat forgets it.
pub(in crate::customer_service) fn insert_pending(
    tx: &mut Tx,
    id: &str,
    appid: &str,
    media: (&str, Timestamp),
    now: Timestamp,
) -> Result<(), DatabaseError> {
    tx.execute(INSERT_PENDING, params![id, appid, media.0, ms(media.1), ms(now)]).map(drop)
}

const INSERT_KEPT: &str = "
    INSERT INTO picture (id, appid, state, content_type, length_bytes, bytes_sealed, created_ms)
    VALUES ($1, $2, 'kept', $3, $4, $5, $6)";

/// A picture that is to be sent to customers.
pub(in crate::customer_service) fn insert_kept(
    tx: &mut Tx,
    app: &App,
    id: &str,
    appid: &str,
    (content_type, bytes): (&str, &[u8]),
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let sealed = app.seal.seal(place(id), bytes);
    tx.execute(INSERT_KEPT, params![id, appid, content_type, bytes.len() as i64, sealed, ms(now)]).map(drop)
}

const KEEP: &str = "
    UPDATE picture
    SET state = 'kept',
        content_type = $2,
        length_bytes = $3,
        bytes_sealed = $4
    WHERE id = $1
      AND state = 'pending'";

/// The picture has arrived.
pub(in crate::customer_service) fn keep(
    tx: &mut Tx,
    app: &App,
    id: &str,
    content_type: &str,
    bytes: &[u8],
) -> Result<(), DatabaseError> {
    tx.execute(KEEP, params![id, content_type, bytes.len() as i64, app.seal.seal(place(id), bytes)]).map(drop)
}

const LOSE: &str = "UPDATE picture SET state = $2, reason = $3 WHERE id = $1 AND state = 'pending'";

/// The picture cannot be had, for this reason.
pub(in crate::customer_service) fn lose(
    tx: &mut Tx,
    id: &str,
    state: State,
    reason: &str,
) -> Result<(), DatabaseError> {
    tx.execute(LOSE, params![id, state.as_str(), reason]).map(drop)
}

const UPLOADED: &str = "UPDATE picture SET media_id = $2, media_until_ms = $3 WHERE id = $1";

/// WeChat has the picture under this name until then; without one, it has it no more.
pub(in crate::customer_service) fn uploaded(
    tx: &mut Tx,
    id: &str,
    media: Option<(&str, Timestamp)>,
) -> Result<(), DatabaseError> {
    let (media_id, until_ms) = (media.map(|media| media.0), media.map(|media| ms(media.1)));
    tx.execute(UPLOADED, params![id, media_id, until_ms]).map(drop)
}

const FIND: &str = "
    SELECT id,
           appid,
           state,
           reason,
           content_type,
           bytes_sealed,
           media_id,
           media_until_ms
    FROM picture
    WHERE id = $1";

/// The picture with this id and its bytes.
pub(in crate::customer_service) fn find(tx: &mut Tx, app: &App, id: &str) -> Result<Option<Picture>, DatabaseError> {
    let Some(row) = tx.query_opt(FIND, params![id])? else { return Ok(None) };
    Ok(Some(Picture { bytes: read_bytes(app, &row)?, ..read(&row)? }))
}

fn read_bytes(app: &App, row: &Row) -> Result<Option<Vec<u8>>, DatabaseError> {
    let Some(sealed) = row.opt_bytes("bytes_sealed")? else { return Ok(None) };
    let opened = app.seal.open(place(row.text("id")?), sealed);
    opened.map(Some).map_err(|_| row.impossible("bytes_sealed", "a picture that this server sealed"))
}

fn read(row: &Row) -> Result<Picture, DatabaseError> {
    let state = State::from_word(row.text("state")?).ok_or_else(|| row.impossible("state", "a state of a picture"))?;
    Ok(Picture {
        id: row.text("id")?.to_owned(),
        appid: row.parsed("appid")?,
        state,
        reason: row.opt_text("reason")?.map(str::to_owned),
        content_type: row.opt_text("content_type")?.map(str::to_owned),
        bytes: None,
        media: row.opt_text("media_id")?.map(str::to_owned).zip(row.opt_int("media_until_ms")?.map(from_ms)),
    })
}
