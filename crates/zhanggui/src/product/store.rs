//! The table `product`.

use weixin::{AppId, Fen};

use super::{Offer, Product};
use crate::database::{DatabaseError, Row, Tx, params};

/// More products than this are not a mini program's shelf but a catalogue.
const LIST_MAX: i64 = 1000;

const ALL: &str = "
    SELECT sku, name, price_fen
    FROM product
    WHERE appid = $1 AND active = 1
    ORDER BY sku
    LIMIT $2";

pub(super) fn all(tx: &mut Tx, appid: &AppId) -> Result<Vec<Product>, DatabaseError> {
    tx.query(ALL, params![appid.as_str(), LIST_MAX])?.iter().map(read).collect()
}

const FIND: &str = "
    SELECT sku, name, price_fen
    FROM product
    WHERE appid = $1 AND sku = $2 AND active = 1";

/// The product with this sku, if it is sold.
///
/// # Errors
/// The database fails.
pub fn find(tx: &mut Tx, appid: &AppId, sku: &str) -> Result<Option<Product>, DatabaseError> {
    tx.query_opt(FIND, params![appid.as_str(), sku])?.as_ref().map(read).transpose()
}

const OFFERS: &str = "
    SELECT sku, name, price_fen, active
    FROM product
    WHERE appid = $1
    ORDER BY sku
    LIMIT $2";

pub(super) fn offers(tx: &mut Tx, appid: &AppId) -> Result<Vec<Offer>, DatabaseError> {
    tx.query(OFFERS, params![appid.as_str(), 10 * LIST_MAX])?.iter().map(offer).collect()
}

const OFFER: &str = "
    SELECT sku, name, price_fen, active
    FROM product
    WHERE appid = $1 AND sku = $2";

pub(super) fn find_offer(tx: &mut Tx, appid: &AppId, sku: &str) -> Result<Option<Offer>, DatabaseError> {
    tx.query_opt(OFFER, params![appid.as_str(), sku])?.as_ref().map(offer).transpose()
}

fn offer(row: &Row) -> Result<Offer, DatabaseError> {
    Ok(Offer { product: read(row)?, is_active: row.int("active")? == 1 })
}

const SET: &str = "
    INSERT INTO product (appid, sku, name, price_fen, active, updated_ms)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (appid, sku) DO UPDATE SET
        name = excluded.name,
        price_fen = excluded.price_fen,
        active = excluded.active,
        updated_ms = excluded.updated_ms";

pub(super) fn set(tx: &mut Tx, appid: &AppId, offer: &Offer, now_ms: i64) -> Result<(), DatabaseError> {
    let Product { sku, name, price } = &offer.product;
    let is_active = i64::from(offer.is_active);
    let values = params![appid.as_str(), sku.as_str(), name.as_str(), price.get(), is_active, now_ms];
    tx.execute(SET, values).map(drop)
}

const DEACTIVATE: &str = "UPDATE product SET active = 0, updated_ms = $3 WHERE appid = $1 AND sku = $2 AND active = 1";

pub(super) fn deactivate(tx: &mut Tx, appid: &AppId, sku: &str, now_ms: i64) -> Result<bool, DatabaseError> {
    Ok(tx.execute(DEACTIVATE, params![appid.as_str(), sku, now_ms])? == 1)
}

fn read(row: &Row) -> Result<Product, DatabaseError> {
    Ok(Product { sku: row.text("sku")?.to_owned(), name: row.parsed("name")?, price: Fen::new(row.int("price_fen")?) })
}
