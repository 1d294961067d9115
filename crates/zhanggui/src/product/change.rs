//! `GET`, `PUT` and `DELETE /v1/products/{sku}`: the shelf, managed by a system of the merchant.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use weixin::Fen;

use super::{Asked, Offer, Product, remove, set_all, store};
use crate::{
    api_key::Scope,
    app::App,
    http::{Caller, Code, JsonBody, Problem, QueryString},
};

/// What the caller sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeProduct)]
pub struct Change {
    name: String,
    /// In fen.
    price: i64,
    #[serde(default = "yes")]
    active: bool,
}

fn yes() -> bool {
    true
}

fn not_found() -> Problem {
    Problem::new(Code::ProductNotFound, "Look at the sku; GET /v1/products lists what is sold.")
}

/// Shows a product, also one that is not sold at the moment.
///
/// # Errors
/// The caller may not, or there is no such product.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(sku): Path<String>,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<Offer>, Problem> {
    caller.key_with(Scope::Read)?;
    let appid = app.asked_app(asked.appid.as_deref())?.appid.clone();
    if sku.contains('\0') {
        return Err(not_found());
    }
    let found = app.database.read(move |tx| store::find_offer(tx, &appid, &sku)).await?;
    found.map(Json).ok_or_else(not_found)
}

/// Adds a product or changes it. Orders that exist keep their price.
///
/// # Errors
/// The caller may not, or the product cannot be sold.
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(sku): Path<String>,
    QueryString(asked): QueryString<Asked>,
    JsonBody(body): JsonBody<Change>,
) -> Result<Json<Offer>, Problem> {
    caller.key_with(Scope::Admin)?;
    let appid = app.asked_app(asked.appid.as_deref())?.appid.clone();
    let product = Product::new(&sku, &body.name, Fen::new(body.price));
    let product = product.map_err(|text| Problem::new(Code::ProductInvalid, format!("{text}.")))?;
    let offer = Offer { product, is_active: body.active };
    set_all(&app.database, &appid, vec![offer.clone()], app.now()).await?;
    Ok(Json(offer))
}

/// Takes a product out of the shop.
///
/// # Errors
/// The caller may not, or there is no such product for sale.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(sku): Path<String>,
    QueryString(asked): QueryString<Asked>,
) -> Result<StatusCode, Problem> {
    caller.key_with(Scope::Admin)?;
    let appid = app.asked_app(asked.appid.as_deref())?.appid.clone();
    if sku.contains('\0') || !remove(&app.database, &appid, &sku, app.now()).await? {
        return Err(not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}
