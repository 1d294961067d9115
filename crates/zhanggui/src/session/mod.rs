//! Customers and their sessions: `js_code` in, our own token out.
//!
//! WeChat's `session_key` is sealed and never leaves; the token has 256 random bits and is stored as a hash. Who the
//! customer is comes from WeChat only, never from the phone.

mod describe;
mod login;
mod phone_number;
mod store;

use crate::{api_key::token_hash, app::App, clock::ms, database::DatabaseError};
pub(crate) use describe::describe;
pub use login::login;
pub use phone_number::phone_number;
pub use store::{customer_of, customer_of_openid, openid_of};

/// How long a session lives at most, in milliseconds: 30 days.
const SESSION_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How long a session lives without being used, in milliseconds: 7 days.
const IDLE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How often the last use is written down, in milliseconds: every request would be a write otherwise.
const TOUCH_MS: i64 = 60 * 60 * 1000;

/// A user of one of our apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Our id.
    pub id: String,
    /// The app.
    pub appid: weixin::AppId,
    /// The customer at that app.
    pub openid: weixin::OpenId,
}

/// The customer whose session has this token.
///
/// # Errors
/// The database fails.
pub async fn find(app: &App, token: &str) -> Result<Option<Customer>, DatabaseError> {
    let (hash, now_ms) = (token_hash(token), ms(app.now()));
    let found = {
        let hash = hash.clone();
        app.database.read(move |tx| store::find(tx, &hash, now_ms)).await?
    };
    let Some((customer, last_used_ms)) = found else { return Ok(None) };
    if last_used_ms + TOUCH_MS < now_ms {
        app.database.write(move |tx| store::touch(tx, &hash, now_ms)).await?;
    }
    Ok(Some(customer))
}
