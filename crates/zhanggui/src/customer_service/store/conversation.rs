//! The table `conversation`.

use jiff::Timestamp;
use weixin::mini_program::BusinessId;

use crate::{
    clock::{from_ms, ms},
    customer_service::{Conversation, Handler, allowance::Allowance},
    database::{DatabaseError, Row, Tx, Value, params},
};

const COLUMNS: &str = "
    SELECT conversation.id,
           conversation.appid,
           conversation.customer_id,
           customer.openid,
           conversation.business_id,
           conversation.handler,
           conversation.session_from,
           conversation.unread,
           conversation.waiting_since_ms,
           conversation.forwarded_ms,
           conversation.allowance_left,
           conversation.allowance_until_ms,
           conversation.last_message_ms,
           conversation.created_ms
    FROM conversation
    JOIN customer ON customer.id = conversation.customer_id";

/// The conversation with this id.
pub(in crate::customer_service) fn find(tx: &mut Tx, id: &str) -> Result<Option<Conversation>, DatabaseError> {
    let row = tx.query_opt(&format!("{COLUMNS} WHERE conversation.id = $1"), params![id])?;
    row.as_ref().map(read).transpose()
}

/// Who talks with which app.
pub(in crate::customer_service) struct Parties<'a> {
    pub(in crate::customer_service) appid: &'a str,
    pub(in crate::customer_service) customer_id: &'a str,
    pub(in crate::customer_service) business_id: &'a str,
}

const INSERT: &str = "
    INSERT INTO conversation (
        id, appid, customer_id, business_id, handler, unread,
        allowance_left, allowance_until_ms, last_message_ms, created_ms
    )
    VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, $6)
    ON CONFLICT (appid, customer_id, business_id) DO NOTHING";

/// The conversation of these two, a new one if they have not talked yet. The unique key makes two of them impossible.
pub(in crate::customer_service) fn of(
    tx: &mut Tx,
    parties: &Parties<'_>,
    new_id: &str,
    handler: Handler,
    now: Timestamp,
) -> Result<Conversation, DatabaseError> {
    let Parties { appid, customer_id, business_id } = *parties;
    tx.execute(INSERT, params![new_id, appid, customer_id, business_id, handler.as_str(), ms(now)])?;
    let condition = "WHERE conversation.appid = $1 AND conversation.customer_id = $2 AND conversation.business_id = $3";
    let row = tx.query_one(&format!("{COLUMNS} {condition}"), params![appid, customer_id, business_id])?;
    read(&row)
}

const SAVE: &str = "
    UPDATE conversation
    SET handler = $2,
        session_from = $3,
        unread = $4,
        waiting_since_ms = $5,
        forwarded_ms = $6,
        allowance_left = $7,
        allowance_until_ms = $8,
        last_message_ms = $9
    WHERE id = $1";

/// Writes what can change. The row was read in this very transaction, which nobody else can have overtaken.
pub(in crate::customer_service) fn save(tx: &mut Tx, conversation: &Conversation) -> Result<(), DatabaseError> {
    let changed = tx.execute(
        SAVE,
        params![
            conversation.id.as_str(),
            conversation.handler.as_str(),
            conversation.session_from.as_deref(),
            conversation.unread,
            conversation.waiting_since.map(ms),
            conversation.forwarded.map(ms),
            conversation.allowance.left,
            conversation.allowance.until_ms(),
            ms(conversation.last_message),
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(DatabaseError::NotFound) }
}

/// Which conversations are asked for.
#[derive(Clone, Debug, Default)]
pub(in crate::customer_service) struct Filter {
    pub(in crate::customer_service) appid: Option<String>,
    pub(in crate::customer_service) customer_id: Option<String>,
    pub(in crate::customer_service) handler: Option<Handler>,
    /// Only those in which a customer waits, the longest first; else the latest first.
    pub(in crate::customer_service) waiting: bool,
    /// Only those after this place: the time that the list is sorted by, and the id.
    pub(in crate::customer_service) after: Option<(i64, String)>,
}

/// A page of conversations.
pub(in crate::customer_service) fn list(
    tx: &mut Tx,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Conversation>, DatabaseError> {
    let mut values: Vec<Value> = vec![limit.into()];
    let mut conditions: Vec<String> = Vec::new();
    let equals = |column: &str, value: Option<&str>, conditions: &mut Vec<String>, values: &mut Vec<Value>| {
        if let Some(value) = value {
            values.push(value.into());
            conditions.push(format!("conversation.{column} = ${}", values.len()));
        }
    };
    equals("appid", filter.appid.as_deref(), &mut conditions, &mut values);
    equals("customer_id", filter.customer_id.as_deref(), &mut conditions, &mut values);
    equals("handler", filter.handler.map(Handler::as_str), &mut conditions, &mut values);
    let (column, order, beyond) = match filter.waiting {
        true => ("conversation.waiting_since_ms", "", ">"),
        false => ("conversation.last_message_ms", "DESC", "<"),
    };
    if filter.waiting {
        conditions.push("conversation.waiting_since_ms IS NOT NULL".to_owned());
    }
    if let Some((time_ms, id)) = &filter.after {
        values.push((*time_ms).into());
        let time = values.len();
        values.push(id.into());
        conditions.push(format!("({column}, conversation.id) {beyond} (${time}, ${})", values.len()));
    }
    let condition = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = format!("{COLUMNS} {condition} ORDER BY {column} {order}, conversation.id {order} LIMIT $1");
    tx.query(&sql, &values)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Conversation, DatabaseError> {
    let handler = Handler::from_word(row.text("handler")?);
    Ok(Conversation {
        id: row.text("id")?.to_owned(),
        appid: row.parsed("appid")?,
        customer_id: row.text("customer_id")?.to_owned(),
        openid: row.parsed("openid")?,
        // Checked when the conversation began.
        business_id: BusinessId::parse(row.text("business_id")?).ok(),
        handler: handler.ok_or_else(|| row.impossible("handler", "somebody who answers"))?,
        session_from: row.opt_text("session_from")?.map(str::to_owned),
        unread: row.int("unread")?,
        waiting_since: row.opt_int("waiting_since_ms")?.map(from_ms),
        forwarded: row.opt_int("forwarded_ms")?.map(from_ms),
        allowance: Allowance::from_columns(row.int("allowance_left")?, row.int("allowance_until_ms")?),
        last_message: from_ms(row.int("last_message_ms")?),
        created: from_ms(row.int("created_ms")?),
    })
}
