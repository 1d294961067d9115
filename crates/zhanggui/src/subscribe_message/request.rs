//! `POST /v1/orders/{id}/subscribe-messages`: the merchant's system asks for a message, for example when it has shipped.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

use super::{View, content::Facts, queue, send, store};
use crate::{
    api_key::Scope,
    app::App,
    config,
    database::{DatabaseError, Tx},
    http::{Caller, Code, JsonBody, Problem},
    id, order,
    sending::{self, SAFETY_NET},
};

/// How many values may be given, and how long one may be in bytes.
const VALUES_MAX: usize = 20;
const VALUE_BYTES_MAX: usize = 256;

/// What is asked for.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestSubscribeMessage)]
pub struct Request {
    /// The name of the message in the configuration.
    name: String,
    /// Facts beside those of the order, such as a tracking number.
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// Sends a message to the customer of an order, once.
///
/// # Errors
/// The key lacks the scope, there is no such order or message, or a fact is missing or too long.
pub async fn request(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(order_id): Path<String>,
    JsonBody(request): JsonBody<Request>,
) -> Result<(StatusCode, Json<View>), Problem> {
    caller.key_with(Scope::Messages)?;
    if request.values.len() > VALUES_MAX || request.values.values().any(|value| value.len() > VALUE_BYTES_MAX) {
        let detail = format!("Send at most {VALUES_MAX} values of at most {VALUE_BYTES_MAX} bytes.");
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    if !id::is(id::Kind::Order, &order_id) {
        return Err(order::not_found());
    }
    let (looking, id) = (request.clone(), order_id.clone());
    let order = app.database.read(move |tx| order::find(tx, &id)).await?.ok_or_else(order::not_found)?;
    let configured = configured(&app, &order, &looking.name)?;
    let facts = Facts { order: &order, values: &looking.values };
    send::data(configured, &facts).map_err(|error| Problem::new(Code::SubscribeMessageInvalid, error))?;
    let now = app.now();
    let (id, asked) = (order_id.clone(), request.clone());
    let is_new =
        app.database.write(move |tx| queue(tx, now, &id, &asked.name, &asked.values, now + SAFETY_NET)).await?;
    let (sending, id, name) = (Arc::clone(&app), order_id.clone(), request.name.clone());
    sending::at_once(async move { send::send(&sending, &id, &name).await }).await;
    let read = move |tx: &mut Tx| store::find(tx, &order_id, &request.name);
    let message = app.database.read(read).await?.ok_or(DatabaseError::NotFound)?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(message.view())))
}

fn configured<'a>(app: &'a App, order: &order::Order, name: &str) -> Result<&'a config::SubscribeMessage, Problem> {
    let mini_program = app.config.app(Some(order.appid.as_str()));
    let configured = mini_program.and_then(|app| app.subscribe_messages.iter().find(|message| message.name == name));
    configured.ok_or_else(|| {
        let detail = format!("The configuration has no [[app.subscribe_message]] of the name {name} for this app.");
        Problem::new(Code::SubscribeMessageUnknown, detail)
    })
}
