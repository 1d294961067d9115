//! The tables `api_key` and `api_key_refund`.

use weixin::Fen;

use super::{ApiKey, Listed, Made, Scope, token_hash};
use crate::{
    clock::{from_ms, ms},
    database::{DatabaseError, Row, Tx, params},
    network::Network,
};

const INSERT: &str = "
    INSERT INTO api_key (id, name, key_hash, prefix, scopes, addresses, refunds_fen_per_day, created_ms, expires_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

pub(super) fn insert(tx: &mut Tx, made: &Made) -> Result<(), DatabaseError> {
    let new = &made.new;
    let scopes = words(new.scopes.iter().map(|scope| scope.as_str().to_owned()));
    let addresses = words(new.addresses.iter().map(Network::to_string));
    let values = params![
        made.id.as_str(),
        new.name.as_str(),
        token_hash(&made.text),
        made.shown.as_str(),
        scopes,
        addresses,
        new.refunds_per_day.map(Fen::get),
        ms(made.created),
        new.expires.map(ms),
    ];
    tx.execute(INSERT, values).map(drop)
}

fn words(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

const FIND: &str = "
    SELECT id,
           scopes,
           addresses,
           refunds_fen_per_day,
           last_used_ms
    FROM api_key
    WHERE key_hash = $1
      AND revoked_ms IS NULL
      AND (expires_ms IS NULL OR expires_ms > $2)";

/// The key with this hash, if it works, and when it was last used.
pub(super) fn find(tx: &mut Tx, hash: &str, now_ms: i64) -> Result<Option<(ApiKey, Option<i64>)>, DatabaseError> {
    let row = tx.query_opt(FIND, params![hash, now_ms])?;
    row.map(|row| Ok((read(&row)?, row.opt_int("last_used_ms")?))).transpose()
}

const WORKS: &str = "
    SELECT id
    FROM api_key
    WHERE id = $1
      AND revoked_ms IS NULL
      AND (expires_ms IS NULL OR expires_ms > $2)";

pub(super) fn works(tx: &mut Tx, id: &str, now_ms: i64) -> Result<bool, DatabaseError> {
    tx.query_opt(WORKS, params![id, now_ms]).map(|row| row.is_some())
}

fn read(row: &Row) -> Result<ApiKey, DatabaseError> {
    let addresses = row.opt_text("addresses")?.unwrap_or_default();
    Ok(ApiKey {
        id: row.text("id")?.to_owned(),
        scopes: row.text("scopes")?.split(' ').filter_map(Scope::from_word).collect(),
        addresses: Network::parse_list(addresses).map_err(|_| row.impossible("addresses", "networks"))?,
        refunds_per_day: row.opt_int("refunds_fen_per_day")?.map(Fen::new),
    })
}

const TOUCH: &str = "
    UPDATE api_key
    SET last_used_ms = $2
    WHERE id = $1
      AND (last_used_ms IS NULL OR last_used_ms < $2)";

/// Remembers that the key was used.
pub(super) fn touch(tx: &mut Tx, id: &str, now_ms: i64) -> Result<(), DatabaseError> {
    tx.execute(TOUCH, params![id, now_ms]).map(drop)
}

const COLUMNS: &str = "
    SELECT id,
           name,
           prefix,
           scopes,
           addresses,
           refunds_fen_per_day,
           created_ms,
           last_used_ms,
           expires_ms,
           revoked_ms
    FROM api_key";

/// Keys before the one with an id, or all, the newest first.
pub(super) fn list(tx: &mut Tx, before: Option<&str>, limit: i64) -> Result<Vec<Listed>, DatabaseError> {
    let rows = match before {
        Some(id) => tx.query(&format!("{COLUMNS} WHERE id < $2 ORDER BY id DESC LIMIT $1"), params![limit, id])?,
        None => tx.query(&format!("{COLUMNS} ORDER BY id DESC LIMIT $1"), params![limit])?,
    };
    rows.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<Listed, DatabaseError> {
    let split = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let time = |column| Ok::<_, DatabaseError>(row.opt_int(column)?.map(from_ms));
    Ok(Listed {
        id: row.text("id")?.to_owned(),
        name: row.text("name")?.to_owned(),
        prefix: row.opt_text("prefix")?.map(str::to_owned),
        scopes: split(row.text("scopes")?),
        addresses: split(row.opt_text("addresses")?.unwrap_or_default()),
        refunds_fen_per_day: row.opt_int("refunds_fen_per_day")?,
        created_at: from_ms(row.int("created_ms")?),
        last_used_at: time("last_used_ms")?,
        expires_at: time("expires_ms")?,
        revoked_at: time("revoked_ms")?,
    })
}

const NAMED: &str = "
    SELECT id
    FROM api_key
    WHERE (id = $1 OR prefix = $1)
      AND revoked_ms IS NULL
    ORDER BY id
    LIMIT 1";

const REVOKE: &str = "UPDATE api_key SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL";

pub(super) fn revoke(tx: &mut Tx, which: &str, now_ms: i64) -> Result<Option<String>, DatabaseError> {
    let Some(row) = tx.query_opt(NAMED, params![which])? else { return Ok(None) };
    let id = row.text("id")?;
    Ok((tx.execute(REVOKE, params![id, now_ms])? == 1).then(|| id.to_owned()))
}

const SPEND: &str = "
    INSERT INTO api_key_refund (key_id, day, amount_fen)
    VALUES ($1, $2, $3)
    ON CONFLICT (key_id, day) DO UPDATE SET amount_fen = api_key_refund.amount_fen + excluded.amount_fen
    WHERE api_key_refund.amount_fen + excluded.amount_fen <= $4";

pub(super) fn spend_refund(
    tx: &mut Tx,
    key_id: &str,
    day: i64,
    amount_fen: i64,
    limit_fen: i64,
) -> Result<bool, DatabaseError> {
    // The statement compares only when it adds.
    if amount_fen > limit_fen {
        return Ok(false);
    }
    Ok(tx.execute(SPEND, params![key_id, day, amount_fen, limit_fen])? == 1)
}
