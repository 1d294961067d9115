//! What can be bought: sku, name and price, for each app. A customer orders products only; the price is ours.

mod change;
mod csv;
mod describe;
mod store;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use weixin::{AppId, Body, Fen, OrderAmount};

use crate::{
    app::App,
    database::{Database, DatabaseError},
    http::{Problem, QueryString},
};
pub use change::{Change, change, delete, read};
pub use csv::{LineError, read as read_csv};
pub(crate) use describe::describe;
pub use store::find;

/// A product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Product {
    /// The merchant's own name of the thing: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub sku: String,
    /// What the customer reads.
    #[schema(value_type = String)]
    pub name: Body,
    /// The price of one.
    #[schema(value_type = i64)]
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

/// A product and whether it is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ProductOffer)]
pub struct Offer {
    /// What it is.
    #[serde(flatten)]
    pub product: Product,
    /// Whether it is sold; what is not stays as it is until it is sold again.
    #[serde(rename = "active")]
    pub is_active: bool,
}

/// What the caller asks for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    appid: Option<String>,
}

/// All products of an app.
#[derive(Debug, Serialize, utoipa::ToSchema)]
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
    let mini_program = app.asked_app(asked.appid.as_deref())?;
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
    set_all(database, appid, vec![Offer { product: product.clone(), is_active: true }], now).await
}

/// Adds or changes products, all or none of them. Others stay as they are.
///
/// # Errors
/// The database fails.
pub async fn set_all(
    database: &Database,
    appid: &AppId,
    offers: Vec<Offer>,
    now: jiff::Timestamp,
) -> Result<(), DatabaseError> {
    let (appid, now_ms) = (appid.clone(), crate::clock::ms(now));
    database.write(move |tx| offers.iter().try_for_each(|offer| store::set(tx, &appid, offer, now_ms))).await
}

/// Everything that is or was sold in an app.
///
/// # Errors
/// The database fails.
pub async fn offers(database: &Database, appid: &AppId) -> Result<Vec<Offer>, DatabaseError> {
    let appid = appid.clone();
    database.read(move |tx| store::offers(tx, &appid)).await
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
