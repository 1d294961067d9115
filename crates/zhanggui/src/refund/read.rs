//! `GET /v1/refunds/{id}`: the refund as the API shows it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as Shared},
};
use jiff::Timestamp;
use serde::Serialize;

use super::{Refund, State, store};
use crate::{
    api_key::Scope,
    app::App,
    http::{Caller, Code, Problem},
    id,
    order::CNY,
};

/// A refund as the API shows it. Amounts in fen.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Refund)]
pub struct View {
    id: String,
    order: String,
    state: &'static str,
    /// The balance of the merchant was too low at the last try.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    /// WeChat's code, if it refused for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    wechat_code: Option<String>,
    amount: i64,
    currency: &'static str,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    out_refund_no: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded_at: Option<Timestamp>,
}

/// Shows a refund.
pub fn view(refund: &Refund) -> View {
    let (wechat_code, succeeded_at) = match &refund.state {
        State::Rejected { code } => (Some(code.clone()), None),
        State::Succeeded { success_time } | State::External { success_time } => (None, Some(*success_time)),
        State::Submitting { .. } | State::Processing | State::Abnormal | State::Closed => (None, None),
    };
    View {
        id: refund.id.clone(),
        order: refund.order_id.clone(),
        state: refund.state.as_str(),
        blocked: refund.state == State::Submitting { blocked: true },
        wechat_code,
        amount: refund.amount.fen().get(),
        currency: CNY,
        cause: refund.cause.as_str(),
        reason: refund.reason.as_ref().map(ToString::to_string),
        reference: refund.reference.clone(),
        out_refund_no: refund.out_refund_no.to_string(),
        created_at: refund.created,
        succeeded_at,
    }
}

/// Reads a refund.
///
/// # Errors
/// There is no such refund, or the caller is no key that may see it.
pub async fn read(
    Shared(app): Shared<Arc<App>>,
    caller: Caller,
    Path(refund_id): Path<String>,
) -> Result<Json<View>, Problem> {
    caller.key_with(Scope::Read)?;
    let found = if id::is(id::Kind::Refund, &refund_id) {
        app.database.read(move |tx| store::find(tx, &refund_id)).await?
    } else {
        None
    };
    let refund = found.ok_or_else(|| Problem::new(Code::RefundNotFound, "Look at the id."))?;
    Ok(Json(view(&refund)))
}
