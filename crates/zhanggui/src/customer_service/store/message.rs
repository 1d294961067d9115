//! The table `message`.

use jiff::Timestamp;

use crate::{
    app::App,
    clock::{from_ms, ms},
    customer_service::{
        Handler,
        message::{Content, Direction, Message, State},
    },
    database::{DatabaseError, Row, Tx, params},
    seal,
};

fn column(id: &str) -> seal::Place<'_> {
    seal::Place { table: "message", row: id, column: "content_sealed" }
}

const INSERT: &str = "
    INSERT INTO message (
        id, conversation_id, direction, kind, content_sealed, picture_id, state, handler, author,
        client_id, fingerprint, attempts, said_ms, place, created_ms, updated_ms
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, COALESCE($13, $14 + COUNT(*)), $15, $15
    FROM message
    WHERE conversation_id = $2
    ON CONFLICT (conversation_id, client_id) DO NOTHING";

/// What we say comes after what a customer said in the same moment.
const FIRST_PLACE_OF_REPLIES: i64 = 1 << 62;

/// What orders and identifies a message beside its own fields.
pub(in crate::customer_service) struct Place<'a> {
    /// The number that WeChat gave to a customer's message: of two in one second the smaller was said first.
    pub(in crate::customer_service) msg_id: Option<i64>,
    /// Tells two replies with one `client_id` apart.
    pub(in crate::customer_service) fingerprint: Option<&'a str>,
}

/// Writes a message.
pub(in crate::customer_service) fn insert(
    tx: &mut Tx,
    app: &App,
    message: &Message,
    place: &Place<'_>,
) -> Result<(), DatabaseError> {
    // An enum of texts can always be written.
    let content = serde_json::to_vec(&message.content).unwrap_or_default();
    let first = match message.direction {
        Direction::In => 0,
        Direction::Out => FIRST_PLACE_OF_REPLIES,
    };
    let rows = tx.execute(
        INSERT,
        params![
            message.id.as_str(),
            message.conversation_id.as_str(),
            message.direction.as_str(),
            message.content.kind(),
            app.seal.seal(column(&message.id), &content),
            message.content.picture(),
            message.state.as_str(),
            message.handler.map(Handler::as_str),
            message.author.as_deref(),
            message.client_id.as_deref(),
            place.fingerprint,
            ms(message.said),
            place.msg_id,
            first,
            ms(message.created),
        ],
    )?;
    // Another node was quicker. PostgreSQL notices and runs the transaction again; SQLite has one writer.
    if rows == 1 { Ok(()) } else { Err(DatabaseError::Aborted) }
}

const COLUMNS: &str = "
    SELECT id,
           conversation_id,
           direction,
           content_sealed,
           state,
           handler,
           author,
           client_id,
           errcode,
           attempts,
           said_ms,
           created_ms,
           updated_ms
    FROM message";

/// The message with this id.
pub(in crate::customer_service) fn find(tx: &mut Tx, app: &App, id: &str) -> Result<Option<Message>, DatabaseError> {
    let row = tx.query_opt(&format!("{COLUMNS} WHERE id = $1"), params![id])?;
    row.map(|row| read(app, &row)).transpose()
}

const FINGERPRINT: &str = "SELECT id, fingerprint FROM message WHERE conversation_id = $1 AND client_id = $2";

/// The reply that was posted with this `client_id`, and its fingerprint.
pub(in crate::customer_service) fn of_client_id(
    tx: &mut Tx,
    conversation_id: &str,
    client_id: &str,
) -> Result<Option<(String, String)>, DatabaseError> {
    let row = tx.query_opt(FINGERPRINT, params![conversation_id, client_id])?;
    row.map(|row| Ok((row.text("id")?.to_owned(), row.text("fingerprint")?.to_owned()))).transpose()
}

const LATEST: &str = "WHERE conversation_id = $1 ORDER BY said_ms DESC, place DESC LIMIT $2";

const BEFORE: &str = "
    WHERE conversation_id = $1
      AND (said_ms, place) < (SELECT said_ms, place FROM message WHERE id = $3)
    ORDER BY said_ms DESC, place DESC
    LIMIT $2";

/// A page of a conversation, the latest first, before a message.
pub(in crate::customer_service) fn list(
    tx: &mut Tx,
    app: &App,
    conversation_id: &str,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Message>, DatabaseError> {
    let rows = match before {
        Some(id) => tx.query(&format!("{COLUMNS} {BEFORE}"), params![conversation_id, limit, id])?,
        None => tx.query(&format!("{COLUMNS} {LATEST}"), params![conversation_id, limit])?,
    };
    rows.iter().map(|row| read(app, row)).collect()
}

/// The oldest reply that waits to be sent, if none is being sent: replies of a conversation keep their order.
pub(in crate::customer_service) fn next_to_send(
    tx: &mut Tx,
    app: &App,
    conversation_id: &str,
) -> Result<Option<Message>, DatabaseError> {
    let condition = "WHERE conversation_id = $1 AND state IN ('queued', 'sending')";
    let row =
        tx.query_opt(&format!("{COLUMNS} {condition} ORDER BY created_ms, place LIMIT 1"), params![conversation_id])?;
    row.map(|row| read(app, &row)).transpose()
}

const CHANGE: &str = "
    UPDATE message
    SET state = $3,
        errcode = $4,
        attempts = attempts + $5,
        updated_ms = $6
    WHERE id = $1
      AND state = $2";

/// Goes from one state into another; says whether the message was still in the first.
pub(in crate::customer_service) fn change(
    tx: &mut Tx,
    id: &str,
    from: State,
    to: State,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let begun = i64::from(to == State::Sending);
    Ok(tx.execute(CHANGE, params![id, from.as_str(), to.as_str(), to.errcode(), begun, ms(now)])? == 1)
}

const FIRST_SAID_AFTER: &str = "
    SELECT MIN(created_ms) AS first_ms
    FROM message
    WHERE conversation_id = $1
      AND direction = 'in'
      AND handler <> 'wechat'
      AND created_ms > $2";

/// When the first message came that we answer and that whoever posted this reply cannot have seen.
pub(in crate::customer_service) fn first_said_after(
    tx: &mut Tx,
    reply: &Message,
) -> Result<Option<Timestamp>, DatabaseError> {
    let row = tx.query_one(FIRST_SAID_AFTER, params![reply.conversation_id.as_str(), ms(reply.created)])?;
    Ok(row.opt_int("first_ms")?.map(from_ms))
}

const COUNT_AFTER: &str = "
    SELECT COUNT(*) AS n
    FROM message
    WHERE conversation_id = $1
      AND direction = 'in'
      AND handler <> 'wechat'
      AND (said_ms, place) > (SELECT said_ms, place FROM message WHERE id = $2)";

/// How many messages of the customer that we answer are newer than this one.
pub(in crate::customer_service) fn count_after(
    tx: &mut Tx,
    conversation_id: &str,
    message: &Message,
) -> Result<i64, DatabaseError> {
    tx.query_one(COUNT_AFTER, params![conversation_id, message.id.as_str()])?.int("n")
}

fn read(app: &App, row: &Row) -> Result<Message, DatabaseError> {
    let id = row.text("id")?;
    let content = app.seal.open(column(id), row.bytes("content_sealed")?).ok();
    let content: Option<Content> = content.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let direction = Direction::from_word(row.text("direction")?);
    let state = State::from_columns(row.text("state")?, row.opt_int("errcode")?);
    let handler = match row.opt_text("handler")? {
        Some(word) => Some(Handler::from_word(word).ok_or_else(|| row.impossible("handler", "somebody who answers"))?),
        None => None,
    };
    Ok(Message {
        id: id.to_owned(),
        conversation_id: row.text("conversation_id")?.to_owned(),
        direction: direction.ok_or_else(|| row.impossible("direction", "in or out"))?,
        content: content.ok_or_else(|| row.impossible("content_sealed", "a message that this server sealed"))?,
        state: state.ok_or_else(|| row.impossible("state", "a state of a message with its own columns"))?,
        handler,
        author: row.opt_text("author")?.map(str::to_owned),
        client_id: row.opt_text("client_id")?.map(str::to_owned),
        attempts: row.int("attempts")?,
        said: from_ms(row.int("said_ms")?),
        created: from_ms(row.int("created_ms")?),
        updated: from_ms(row.int("updated_ms")?),
    })
}
