//! Keys of the merchant's own systems: shown once, kept as a hash, live or simulated by their text.
//!
//! A key has scopes and may have an end, a list of addresses and a limit on what it refunds in a day. Keys are made,
//! listed and revoked with `zhanggui key` and at `/v1/keys`.

mod calls;
mod describe;
mod store;

use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use weixin::Fen;

use crate::{
    app::App,
    clock::{Entropy, ms, random},
    database::{Database, DatabaseError, Realm, Tx},
    id,
    network::Network,
};
pub use calls::{CreateKey, create_call, list_call, revoke_call};
pub(crate) use describe::describe;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Look at everything.
    Read,
    /// Make orders.
    Orders,
    /// Give money back.
    Refunds,
    /// Read what customers write, and answer.
    Messages,
    /// Make keys, webhooks and products.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: &[Scope] = &[Scope::Read, Scope::Orders, Scope::Refunds, Scope::Messages, Scope::Admin];

    /// The word on the command line and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Orders => "orders",
            Self::Refunds => "refunds",
            Self::Messages => "messages",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == word)
    }

    /// Reads words.
    ///
    /// # Errors
    /// Names a word that is no scope, and those that are.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, String> {
        let known = || Self::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
        let read =
            |word| Self::from_word(word).ok_or_else(|| format!("there is no scope {word:?}; there are {}", known()));
        words.into_iter().map(read).collect()
    }
}

/// A key that was found good.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id; not secret.
    pub id: String,
    scopes: Vec<Scope>,
    /// From where it may be used; empty: from everywhere.
    addresses: Vec<Network>,
    /// What it may refund in a day.
    refunds_per_day: Option<Fen>,
}

impl ApiKey {
    /// Whether the key has the scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the key may be used from there.
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(address))
    }
}

/// What a key is made of.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Until when it works; for ever if absent.
    pub expires: Option<Timestamp>,
    /// From where it may be used; from everywhere if empty.
    pub addresses: Vec<Network>,
    /// What it may refund in a day of Beijing; without limit if absent.
    pub refunds_per_day: Option<Fen>,
}

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

impl NewKey {
    /// Checks what somebody typed, except for what its type says already.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn checked(self, now: Timestamp) -> Result<Self, String> {
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES_MAX || self.name.chars().any(char::is_control) {
            return Err(format!("the name must be a text of 1 to {NAME_BYTES_MAX} bytes"));
        }
        if self.scopes.is_empty() {
            return Err("a key needs at least one scope".to_owned());
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err("the end of the key must be in the future".to_owned());
        }
        if self.refunds_per_day.is_some_and(|limit| limit < Fen::ZERO) {
            return Err("the limit on refunds must not be negative".to_owned());
        }
        Ok(self)
    }
}

/// A key as it is listed. Its text is known to nobody any more.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Key)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The first characters of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From where it may be used.
    pub addresses: Vec<String>,
    /// What it may refund in a day, in fen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunds_fen_per_day: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Until when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Since when it does not work any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// Whether a bearer token is meant to be a key rather than a session.
pub fn looks_like_one(token: &str) -> bool {
    token.starts_with("zg_")
}

fn prefix(realm: Realm) -> &'static str {
    match realm {
        Realm::Live => "zg_live_",
        Realm::Simulated => "zg_sim_",
    }
}

/// So many random characters of a key are shown in lists: enough to tell keys apart, and more than 200 bits stay secret.
const SHOWN_CHARACTERS: usize = 6;

/// How often the last use is written down, in milliseconds: every request would be a write otherwise.
const TOUCH_MS: i64 = 60 * 1000;

/// The hash under which a secret token is stored: 256 random bits need no salt and no slow hash.
pub(crate) fn token_hash(token: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

/// A new key before it is written down.
#[derive(Clone)]
struct Made {
    id: String,
    text: String,
    shown: String,
    new: NewKey,
    created: Timestamp,
}

fn make(realm: Realm, new: NewKey, now: Timestamp, entropy: &Entropy) -> Made {
    let text = format!("{}{}", prefix(realm), URL_SAFE_NO_PAD.encode(random::<32>(entropy)));
    let shown = text[..prefix(realm).len() + SHOWN_CHARACTERS].to_owned();
    Made { id: id::new(id::Kind::ApiKey, now, entropy), text, shown, new, created: now }
}

/// Makes a key and gives its text, which is stored nowhere.
///
/// # Errors
/// The database fails.
pub async fn create(
    database: &Database,
    realm: Realm,
    new: NewKey,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<String, DatabaseError> {
    let made = make(realm, new, now, entropy);
    let text = made.text.clone();
    database.write(move |tx| store::insert(tx, &made)).await.map(|()| text)
}

/// More keys than this are not listed on the command line.
const LIST_MAX: i64 = 1000;

/// The keys, the newest first, also those that do not work any more.
///
/// # Errors
/// The database fails.
pub async fn list(database: &Database) -> Result<Vec<Listed>, DatabaseError> {
    database.read(|tx| store::list(tx, None, LIST_MAX)).await
}

/// The key with this id or these first characters stops working; gives its id if there was one that worked.
///
/// # Errors
/// The database fails.
pub async fn revoke(database: &Database, which: &str, now: Timestamp) -> Result<Option<String>, DatabaseError> {
    let which = which.to_owned();
    database.write(move |tx| store::revoke(tx, &which, ms(now))).await
}

/// The key with this text, if it is good and of this server's realm.
///
/// # Errors
/// The database fails.
pub async fn find(app: &App, token: &str) -> Result<Option<ApiKey>, DatabaseError> {
    if !token.starts_with(prefix(app.config.wechat.realm)) {
        return Ok(None);
    }
    let (hash, now_ms) = (token_hash(token), ms(app.now()));
    let Some((key, last_used_ms)) = app.database.read(move |tx| store::find(tx, &hash, now_ms)).await? else {
        return Ok(None);
    };
    if last_used_ms.is_none_or(|last_used_ms| last_used_ms + TOUCH_MS <= now_ms) {
        let id = key.id.clone();
        app.database.write(move |tx| store::touch(tx, &id, now_ms)).await?;
    }
    Ok(Some(key))
}

/// Whether the key with this id still works, for what goes on after the request that it was sent with.
///
/// # Errors
/// The database fails.
pub fn works(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, DatabaseError> {
    store::works(tx, id, ms(now))
}

/// Counts a refund against what the key may give back in a day, in the transaction of the refund; `false` if it would be
/// too much. The day is Beijing's, as on the merchant platform.
///
/// # Errors
/// The database fails.
pub fn spend_refund(tx: &mut Tx, key: &ApiKey, amount: Fen, now: Timestamp) -> Result<bool, DatabaseError> {
    let Some(limit) = key.refunds_per_day else { return Ok(true) };
    store::spend_refund(tx, &key.id, beijing_day(now), amount.get(), limit.get())
}

/// The day of Beijing, which is eight hours ahead and has no summer time, counted from 1970.
fn beijing_day(now: Timestamp) -> i64 {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    (ms(now) + 8 * HOUR_MS).div_euclid(24 * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_refunds_begins_at_midnight_in_beijing() {
        let day = |text: &str| beijing_day(text.parse().unwrap());
        assert_eq!(day("2026-01-22T15:59:59Z") + 1, day("2026-01-22T16:00:00Z"));
        assert_eq!(day("1970-01-01T00:00:00Z"), 0);
    }

    #[test]
    fn a_key_that_makes_no_sense_is_not_made() {
        let now: Timestamp = "2026-01-22T06:30:00Z".parse().unwrap();
        let good = NewKey { name: "till".to_owned(), scopes: vec![Scope::Read], ..NewKey::default() };
        assert!(good.clone().checked(now).is_ok());
        for bad in [
            NewKey { name: " ".to_owned(), ..good.clone() },
            NewKey { name: "a\nb".to_owned(), ..good.clone() },
            NewKey { name: "x".repeat(101), ..good.clone() },
            NewKey { scopes: Vec::new(), ..good.clone() },
            NewKey { expires: Some(now), ..good.clone() },
            NewKey { refunds_per_day: Some(Fen::new(-1)), ..good },
        ] {
            assert!(bad.clone().checked(now).is_err(), "{bad:?}");
        }
        assert!(Scope::from_words(["read", "everything"]).unwrap_err().contains("\"everything\""));
    }
}
