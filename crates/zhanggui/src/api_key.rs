//! Keys of the merchant's own systems: shown once, kept as a hash, live or simulated by their text.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;

use crate::{
    app::App,
    clock::{Entropy, ms, random},
    database::{Database, DatabaseError, Realm, params},
    id,
};

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
}

impl Scope {
    /// All scopes.
    pub const ALL: &[Scope] = &[Scope::Read, Scope::Orders, Scope::Refunds, Scope::Messages];

    /// The word on the command line and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Orders => "orders",
            Self::Refunds => "refunds",
            Self::Messages => "messages",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == word)
    }
}

/// A key that was found good.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id; not secret.
    pub id: String,
    scopes: Vec<Scope>,
}

impl ApiKey {
    /// Whether the key has the scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
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

/// The hash under which a secret token is stored: 256 random bits need no salt and no slow hash.
pub(crate) fn token_hash(token: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

const INSERT: &str = "
    INSERT INTO api_key (id, name, key_hash, scopes, created_ms)
    VALUES ($1, $2, $3, $4, $5)";

/// Makes a key and gives its text, which is stored nowhere.
///
/// # Errors
/// The database fails.
pub async fn create(
    database: &Database,
    realm: Realm,
    name: &str,
    scopes: &[Scope],
    now: Timestamp,
    entropy: &Entropy,
) -> Result<String, DatabaseError> {
    let text = format!("{}{}", prefix(realm), URL_SAFE_NO_PAD.encode(random::<32>(entropy)));
    let id = id::new(id::Kind::ApiKey, now, entropy);
    let (name, hash) = (name.to_owned(), token_hash(&text));
    let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    database
        .write(move |tx| {
            let rows = params![id.as_str(), name.as_str(), hash.as_str(), scopes.as_str(), ms(now)];
            tx.execute(INSERT, rows).map(drop)
        })
        .await
        .map(|()| text)
}

const FIND: &str = "
    SELECT id, scopes
    FROM api_key
    WHERE key_hash = $1
      AND revoked_ms IS NULL
      AND (expires_ms IS NULL OR expires_ms > $2)";

/// The key with this text, if it is good and of this server's realm.
///
/// # Errors
/// The database fails.
pub async fn find(app: &App, token: &str) -> Result<Option<ApiKey>, DatabaseError> {
    if !token.starts_with(prefix(app.config.wechat.realm)) {
        return Ok(None);
    }
    let (hash, now) = (token_hash(token), ms(app.now()));
    app.database
        .read(move |tx| {
            let Some(row) = tx.query_opt(FIND, params![hash.as_str(), now])? else { return Ok(None) };
            let scopes = row.text("scopes")?.split(' ').filter_map(Scope::from_word).collect();
            Ok(Some(ApiKey { id: row.text("id")?.to_owned(), scopes }))
        })
        .await
}
