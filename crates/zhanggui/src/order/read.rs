//! `GET /v1/orders/{id}`: the order as the API shows it. With `?refresh=true` WeChat is asked first, if it is open.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Item, Order, State as OrderState, store};
use crate::{
    api_key::Scope,
    app::App,
    http::{Caller, Code, Problem, QueryString, chain},
    id, payment,
};

/// An order as the API shows it. Amounts in fen.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Order)]
pub struct View {
    id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<&'static str>,
    appid: String,
    customer: String,
    amount: i64,
    currency: String,
    refunded: i64,
    description: String,
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Timestamp>,
    /// Whether WeChat answered the question that `refresh` asks; absent if it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    refreshed: Option<bool>,
}

/// Shows an order.
pub fn view(order: &Order) -> View {
    let close_reason = match &order.state {
        OrderState::Closing { reason } | OrderState::Closed { reason } => Some(reason.as_str()),
        OrderState::Open | OrderState::Paid { .. } => None,
    };
    View {
        id: order.id.clone(),
        state: order.state.as_str(),
        close_reason,
        appid: order.appid.to_string(),
        customer: order.customer_id.clone(),
        amount: order.amount.fen().get(),
        currency: order.currency.clone(),
        refunded: order.refunded.get(),
        description: order.description.to_string(),
        items: order.items.clone(),
        reference: order.reference.clone(),
        attach: order.attach.as_ref().map(ToString::to_string),
        created_at: order.created,
        expires_at: order.expires,
        paid_at: order.paid,
        refreshed: None,
    }
}

/// What the caller asks for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    #[serde(default)]
    refresh: bool,
}

/// Reads an order. Somebody else's order is not there.
///
/// # Errors
/// There is no such order for this caller.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(order_id): Path<String>,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<View>, Problem> {
    caller.allow(Scope::Read)?;
    let order = load(&app, &caller, &order_id).await?;
    let may_change = order.state.waits_for_money();
    if !asked.refresh || !may_change {
        if may_change && let Err(error) = payment::wake(&app, &order.id).await {
            tracing::warn!(order.id = order.id, error.cause = chain(&error), "the order will be asked for later");
        }
        let refreshed = asked.refresh.then_some(true);
        return Ok(Json(View { refreshed, ..view(&order) }));
    }
    let refreshed = match payment::refresh(&app, &order.id).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(order.id = order.id, error.cause = chain(&error), "WeChat could not be asked for the order");
            false
        }
    };
    let order = load(&app, &caller, &order_id).await?;
    Ok(Json(View { refreshed: Some(refreshed), ..view(&order) }))
}

pub(super) async fn load(app: &App, caller: &Caller, order_id: &str) -> Result<Order, Problem> {
    let customer_id = match caller {
        Caller::Customer(customer) => Some(customer.id.clone()),
        Caller::Key(_) => None,
    };
    let order = if id::is(id::Kind::Order, order_id) {
        let order_id = order_id.to_owned();
        app.database
            .read(move |tx| match &customer_id {
                Some(customer_id) => store::find_of_customer(tx, &order_id, customer_id),
                None => store::find(tx, &order_id),
            })
            .await?
    } else {
        None
    };
    order.ok_or_else(not_found)
}

/// The same answer for "unknown" and "not yours".
pub fn not_found() -> Problem {
    Problem::new(Code::OrderNotFound, "Look at the id; an order of another customer is not shown.")
}
