//! The access tokens of the apps, kept in the database so that all nodes use the same one. The token is sealed.

use std::sync::Arc;

use weixin::{AccessToken, AppId};
use weixin_client::{BoxFuture, StoredToken, TokenStore, TokenStoreError};

use crate::{
    clock::{from_ms, ms},
    database::{Database, Tx, params},
    seal::{Place, Seal},
};

/// The store behind [`weixin_client::AccessTokenKeeper`].
pub struct SharedTokens {
    database: Database,
    seal: Arc<Seal>,
}

const LOAD: &str = "SELECT token_sealed, expires_ms FROM access_token WHERE appid = $1";

const SAVE: &str = "
    INSERT INTO access_token (appid, token_sealed, expires_ms)
    VALUES ($1, $2, $3)
    ON CONFLICT (appid) DO UPDATE SET
        token_sealed = excluded.token_sealed,
        expires_ms = excluded.expires_ms";

impl SharedTokens {
    /// Tokens in this database, sealed with this key.
    pub fn new(database: Database, seal: Arc<Seal>) -> Self {
        Self { database, seal }
    }
}

fn place(appid: &str) -> Place<'_> {
    Place { table: "access_token", row: appid, column: "token_sealed" }
}

impl TokenStore for SharedTokens {
    fn load<'a>(&'a self, appid: &'a AppId) -> BoxFuture<'a, Result<Option<StoredToken>, TokenStoreError>> {
        Box::pin(async move {
            let key = appid.clone();
            let row = self.database.read(move |tx| tx.query_opt(LOAD, params![key.as_str()])).await?;
            let Some(row) = row else { return Ok(None) };
            let opened = self.seal.open(place(appid.as_str()), row.bytes("token_sealed")?);
            // A token that cannot be opened (another master key) is as good as none: a new one is fetched.
            let token = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let token = token.and_then(|text| AccessToken::parse(text).ok());
            let expires_at = from_ms(row.int("expires_ms")?);
            Ok(token.map(|access_token| StoredToken { access_token, expires_at }))
        })
    }

    fn save<'a>(&'a self, appid: &'a AppId, token: &'a StoredToken) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        Box::pin(async move {
            let appid = appid.clone();
            let sealed = self.seal.seal(place(appid.as_str()), token.access_token.expose().as_bytes());
            let expires_ms = ms(token.expires_at);
            let save = move |tx: &mut Tx| tx.execute(SAVE, params![appid.as_str(), sealed.clone(), expires_ms]);
            self.database.write(save).await?;
            Ok(())
        })
    }
}
