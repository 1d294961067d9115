//! `GET`, `POST` and `DELETE /v1/keys`: what `zhanggui key` does, for a system with a key of the scope `admin`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::Fen;

use super::{Listed, NewKey, Scope, make, revoke, store};
use crate::{
    app::App,
    database::DatabaseError,
    http::{Caller, Code, PageAsked, PageSize, Problem, QueryString, checked_cursor},
    id,
    idempotency::{Answered, Creating},
};

/// What the caller sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    addresses: Vec<String>,
    refunds_fen_per_day: Option<i64>,
}

/// A new key. Its text is shown in this answer only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CreatedKey)]
pub(super) struct Created {
    id: String,
    key: String,
    name: String,
    scopes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Makes a key.
///
/// # Errors
/// The caller may not, or the key makes no sense.
pub async fn create_call(
    State(app): State<Arc<App>>,
    Creating { caller, body, once }: Creating<CreateKey>,
) -> Result<Answered, Problem> {
    let by = caller.key_with(Scope::Admin)?;
    let now = app.now();
    let new = checked(body, now).map_err(|text| Problem::new(Code::KeyInvalid, format!("{text}.")))?;
    let made = make(app.config.wechat.realm, new, now, &app.entropy);
    let key_id = made.id.clone();
    let answered = once
        .write(&app, StatusCode::CREATED, move |tx| {
            store::insert(tx, &made)?;
            Ok::<_, DatabaseError>(Created {
                id: made.id.clone(),
                key: made.text.clone(),
                name: made.new.name.clone(),
                scopes: made.new.scopes.iter().map(|scope| scope.as_str()).collect(),
                expires_at: made.new.expires,
            })
        })
        .await?;
    if answered.is_fresh() {
        tracing::info!(key.id = key_id, key.created_by = by.id, "API key created");
    }
    Ok(answered)
}

fn checked(body: CreateKey, now: Timestamp) -> Result<NewKey, String> {
    let scopes = Scope::from_words(body.scopes.iter().map(String::as_str))?;
    let addresses = body.addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let addresses = addresses.map_err(|error: crate::network::NetworkError| error.to_string())?;
    let refunds_per_day = body.refunds_fen_per_day.map(Fen::new);
    NewKey { name: body.name, scopes, expires: body.expires_at, addresses, refunds_per_day }.checked(now)
}

/// A page, the newest keys first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Keys {
    keys: Vec<Listed>,
    /// The cursor for the next page.
    after: Option<String>,
    has_more: bool,
}

/// Lists the keys.
///
/// # Errors
/// The caller may not, or the query cannot be.
pub async fn list_call(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(asked): QueryString<PageAsked>,
) -> Result<Json<Keys>, Problem> {
    caller.key_with(Scope::Admin)?;
    let size = PageSize::asked(asked.limit)?;
    let after = checked_cursor(id::Kind::ApiKey, asked.after)?;
    let before = after.clone();
    let mut keys = app.database.read(move |tx| store::list(tx, before.as_deref(), size.rows())).await?;
    let has_more = size.cut(&mut keys);
    Ok(Json(Keys { after: keys.last().map(|key| key.id.clone()).or(after), keys, has_more }))
}

/// Revokes a key: it stops working at once, and its streams of events end.
///
/// # Errors
/// The caller may not, or there is no such key that works.
pub async fn revoke_call(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(key_id): Path<String>,
) -> Result<StatusCode, Problem> {
    let by = caller.key_with(Scope::Admin)?;
    let not_found = || Problem::new(Code::KeyNotFound, "Look at GET /v1/keys; it may be revoked already.");
    if !id::is(id::Kind::ApiKey, &key_id) {
        return Err(not_found());
    }
    let key_id = revoke(&app.database, &key_id, app.now()).await?.ok_or_else(not_found)?;
    // Its streams of events look at it again.
    app.event_wake.notify_waiters();
    tracing::info!(key.id = key_id, key.revoked_by = by.id, "API key revoked");
    Ok(StatusCode::NO_CONTENT)
}
