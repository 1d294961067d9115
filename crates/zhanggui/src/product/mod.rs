//! What can be bought: sku, name and price, for each app. A customer orders products only; the price is ours.

mod store;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use weixin::{AppId, Body, Fen, OrderAmount};

use crate::{
    app::App,
    database::{Database, DatabaseError},
    http::{Code, Problem, QueryString},
};
pub use store::find;

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The merchant's own name of the thing: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub sku: String,
    /// What the customer reads.
    pub name: Body,
    /// The price of one.
    pub price: Fen,
}

impl Product {
    /// Checks what a merchant typed.
    ///
    /// # Errors
    /// Says which value is wrong.
    pub fn new(sku: &str, name: &str, price: Fen) -> Result<Self, String> {
        let sku_ok = (1..=64).contains(&sku.len())
            && sku.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !sku_ok {
            return Err("the sku must be 1 to 64 letters, digits, -, _ or .".to_owned());
        }
        let name = Body::parse(name).map_err(|error| format!("the name {}", error.rule))?;
        OrderAmount::new(price).map_err(|error| error.to_string())?;
        Ok(Self { sku: sku.to_owned(), name, price })
    }
}

/// What the caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    appid: Option<String>,
}

/// All products of an app.
#[derive(Debug, Serialize)]
pub struct Products {
    products: Vec<Product>,
}

/// `GET /v1/products`: what can be bought in an app.
///
/// # Errors
/// The app is unknown.
pub async fn list(
    State(app): State<Arc<App>>,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<Products>, Problem> {
    let mini_program = app.config.app(asked.appid.as_deref()).ok_or_else(|| {
        Problem::new(Code::AppUnknown, "Send ?appid= with one of this server's apps; with several apps it is needed.")
    })?;
    Ok(Json(Products { products: all(&app.database, &mini_program.appid).await? }))
}

/// What can be bought in an app.
///
/// # Errors
/// The database fails.
pub async fn all(database: &Database, appid: &AppId) -> Result<Vec<Product>, DatabaseError> {
    let appid = appid.clone();
    database.read(move |tx| store::all(tx, &appid)).await
}

/// Adds a product or changes it. Orders that exist keep their price.
///
/// # Errors
/// The database fails.
pub async fn set(
    database: &Database,
    appid: &AppId,
    product: &Product,
    now: jiff::Timestamp,
) -> Result<(), DatabaseError> {
    let (appid, product) = (appid.clone(), product.clone());
    database.write(move |tx| store::set(tx, &appid, &product, crate::clock::ms(now))).await
}

/// Takes a product out of the shop; says whether it was there.
///
/// # Errors
/// The database fails.
pub async fn remove(
    database: &Database,
    appid: &AppId,
    sku: &str,
    now: jiff::Timestamp,
) -> Result<bool, DatabaseError> {
    let (appid, sku) = (appid.clone(), sku.to_owned());
    database.write(move |tx| store::deactivate(tx, &appid, &sku, crate::clock::ms(now))).await
}
