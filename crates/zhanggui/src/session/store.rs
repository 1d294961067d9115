//! The tables `customer` and `session`.

use weixin::{AppId, OpenId, mini_program::code2session};

use super::{Customer, IDLE_MS};
use crate::{
    database::{DatabaseError, Row, Tx, params},
    seal::{Place, Seal},
};

pub(super) struct NewSession {
    pub(super) token_hash: String,
    pub(super) appid: AppId,
    /// The id if the customer is new.
    pub(super) customer_id: String,
    pub(super) wechat: code2session::Response,
    pub(super) now_ms: i64,
    pub(super) expires_ms: i64,
}

const UPSERT_CUSTOMER: &str = "
    INSERT INTO customer (id, appid, openid, created_ms)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (appid, openid) DO UPDATE SET openid = excluded.openid
    RETURNING id";

const SAVE_LOGIN: &str = "
    UPDATE customer
    SET unionid = COALESCE($2, unionid),
        session_key_sealed = $3,
        last_login_ms = $4
    WHERE id = $1";

const INSERT_SESSION: &str = "
    INSERT INTO session (token_hash, customer_id, created_ms, last_used_ms, expires_ms)
    VALUES ($1, $2, $3, $3, $4)";

/// Keeps the customer and the session; gives the id of the customer.
pub(super) fn log_in(tx: &mut Tx, seal: &Seal, new: &NewSession) -> Result<String, DatabaseError> {
    let id = customer_of_openid(tx, &new.customer_id, &new.appid, &new.wechat.openid, new.now_ms)?;
    let place = Place { table: "customer", row: &id, column: "session_key_sealed" };
    let sealed = seal.seal(place, new.wechat.session_key.expose().as_bytes());
    let unionid = new.wechat.unionid.as_ref().map(|unionid| unionid.as_str());
    tx.execute(SAVE_LOGIN, params![id.as_str(), unionid, sealed, new.now_ms])?;
    tx.execute(INSERT_SESSION, params![new.token_hash.as_str(), id.as_str(), new.now_ms, new.expires_ms])?;
    Ok(id)
}

/// The customer with this `openid`; `new_id` if nobody has met them yet.
///
/// # Errors
/// The database fails.
pub fn customer_of_openid(
    tx: &mut Tx,
    new_id: &str,
    appid: &AppId,
    openid: &OpenId,
    now_ms: i64,
) -> Result<String, DatabaseError> {
    let row = tx.query_one(UPSERT_CUSTOMER, params![new_id, appid.as_str(), openid.as_str(), now_ms])?;
    Ok(row.text("id")?.to_owned())
}

const CUSTOMER_OF: &str = "SELECT id FROM customer WHERE appid = $1 AND openid = $2";

/// The customer with this `openid`, if they were ever here.
///
/// # Errors
/// The database fails.
pub fn customer_of(tx: &mut Tx, appid: &AppId, openid: &OpenId) -> Result<Option<String>, DatabaseError> {
    let row = tx.query_opt(CUSTOMER_OF, params![appid.as_str(), openid.as_str()])?;
    row.map(|row| row.text("id").map(str::to_owned)).transpose()
}

const OPENID: &str = "SELECT openid FROM customer WHERE id = $1";

/// The `openid` of a customer.
///
/// # Errors
/// The database fails.
pub fn openid_of(tx: &mut Tx, customer_id: &str) -> Result<Option<OpenId>, DatabaseError> {
    tx.query_opt(OPENID, params![customer_id])?.map(|row| row.parsed("openid")).transpose()
}

const FIND: &str = "
    SELECT customer.id,
           customer.appid,
           customer.openid,
           session.last_used_ms
    FROM session
    JOIN customer ON customer.id = session.customer_id
    WHERE session.token_hash = $1
      AND session.revoked_ms IS NULL
      AND session.expires_ms > $2
      AND session.last_used_ms > $3";

/// The customer of a session that is still good, and when it was last used.
pub(super) fn find(tx: &mut Tx, hash: &str, now_ms: i64) -> Result<Option<(Customer, i64)>, DatabaseError> {
    let row = tx.query_opt(FIND, params![hash, now_ms, now_ms - IDLE_MS])?;
    row.map(|row| Ok((read(&row)?, row.int("last_used_ms")?))).transpose()
}

fn read(row: &Row) -> Result<Customer, DatabaseError> {
    Ok(Customer { id: row.text("id")?.to_owned(), appid: row.parsed("appid")?, openid: row.parsed("openid")? })
}

const TOUCH: &str = "UPDATE session SET last_used_ms = $2 WHERE token_hash = $1 AND last_used_ms < $2";

/// Remembers that the session was used.
pub(super) fn touch(tx: &mut Tx, hash: &str, now_ms: i64) -> Result<(), DatabaseError> {
    tx.execute(TOUCH, params![hash, now_ms]).map(drop)
}
