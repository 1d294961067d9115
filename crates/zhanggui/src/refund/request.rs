//! `POST /v1/orders/{id}/refunds`: a system of the merchant gives money back; and money that came too late goes back by
//! itself.
//!
//! Both reserve the amount and write the refund with its frozen request down in one transaction; a job applies for it at
//! WeChat. The merchant's own `reference` makes a request the same one when it is repeated.

use std::sync::Arc;

use axum::{
    extract::{Path, State as Shared},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::Deserialize;
use weixin::{Fen, NonceStr, OrderAmount, OutRefundNo, RefundReason, pay::PaymentNo};

use super::{Cause, NotReserved, Refund, State, reserve, settle, store, view};
use crate::{
    api_key::{self, Scope},
    app::App,
    config::Merchant,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    gateway::{
        GatewayError,
        refund::{self as gateway, NewRefund},
    },
    http::{Code, Problem},
    id,
    idempotency::{Answered, Creating},
    job,
    order::{self, CNY, State as OrderState},
    payment::{self, Payment},
};

/// The longest reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 64;

/// What the caller sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestRefund {
    /// Whole fen; everything that is left if absent.
    #[schema(value_type = Option<i64>)]
    amount: Option<serde_json::Number>,
    currency: Option<String>,
    reason: Option<String>,
    reference: Option<String>,
}

/// Gives money of a paid order back: a part, or everything that is left.
///
/// # Errors
/// The money cannot go back.
pub async fn request(
    Shared(app): Shared<Arc<App>>,
    Path(order_id): Path<String>,
    Creating { caller, body, once }: Creating<RequestRefund>,
) -> Result<Answered, Problem> {
    let key = caller.key_with(Scope::Refunds)?;
    if !id::is(id::Kind::Order, &order_id) {
        return Err(RequestError::OrderNotFound.into());
    }
    let wish = Wish::read(body)?;
    let now = app.now();
    let new = New { id: id::new(id::Kind::Refund, now, &app.entropy), nonce_str: app.nonce_str(), now };
    let writing = Arc::clone(&app);
    let answered = once.write_with_status(&app, move |tx| match write_down(tx, &writing, &new, &order_id, &wish)? {
        Made::Now(refund) if api_key::spend_refund(tx, &key, refund.amount.fen(), now)? => {
            Ok((StatusCode::CREATED, view(&refund)))
        }
        Made::Now(_) => Err(RequestError::CapReached),
        Made::Before(refund) => Ok((StatusCode::OK, view(&refund))),
    });
    let answered = answered.await?;
    if answered.is_fresh() {
        app.job_wake.notify_one();
        app.event_wake.notify_waiters();
    }
    Ok(answered)
}

/// What somebody wants.
#[derive(Clone)]
struct Wish {
    /// Everything that is left if absent.
    amount: Option<OrderAmount>,
    reason: Option<RefundReason>,
    reference: Option<String>,
}

impl Wish {
    fn read(body: RequestRefund) -> Result<Self, Problem> {
        if body.currency.as_deref().is_some_and(|currency| currency != CNY) {
            return Err(Problem::new(Code::AmountInvalid, "The currency must be CNY."));
        }
        let amount = body.amount.as_ref().map(order::checked_amount).transpose()?;
        let reason = body.reason.map(RefundReason::parse).transpose();
        let reason = reason.map_err(|error| Problem::new(Code::BodyInvalid, format!("The {error}.")))?;
        let printable = |text: &String| !text.is_empty() && !text.chars().any(char::is_control);
        if body.reference.as_ref().is_some_and(|text| !printable(text) || text.len() > REFERENCE_BYTES_MAX) {
            let detail = "The reference must have 1 to 64 bytes without control characters.";
            return Err(Problem::new(Code::BodyInvalid, detail));
        }
        Ok(Self { amount, reason, reference: body.reference })
    }
}

/// What a new refund needs from outside of the transaction.
struct New {
    id: String,
    nonce_str: NonceStr,
    now: Timestamp,
}

enum Made {
    Now(Refund),
    Before(Refund),
}

fn write_down(tx: &mut Tx, app: &App, new: &New, order_id: &str, wish: &Wish) -> Result<Made, RequestError> {
    let order = order::find(tx, order_id)?.ok_or(RequestError::OrderNotFound)?;
    let known = match &wish.reference {
        Some(reference) => store::find_by_reference(tx, order_id, reference)?,
        None => None,
    };
    if let Some(known) = known {
        let same = wish.amount.is_none_or(|amount| amount == known.amount) && wish.reason == known.reason;
        return if same { Ok(Made::Before(known)) } else { Err(RequestError::ReferenceUsed) };
    }
    let OrderState::Paid { payment_id } = &order.state else { return Err(RequestError::OrderNotPaid) };
    let payment = payment::find(tx, payment_id)?.ok_or(DatabaseError::NotFound)?;
    let payment::State::Succeeded { success_time, .. } = payment.state else { return Err(RequestError::OrderNotPaid) };
    let claimed = store::claimed(tx, &payment.id)?;
    let amount = reserve(payment.amount.fen(), success_time, claimed, wish.amount, new.now)?;
    let terms =
        Terms { amount, cause: Cause::Requested, reason: wish.reason.clone(), reference: wish.reference.clone() };
    insert(tx, app, new, &payment, terms).map(Made::Now)
}

/// Money that came too late goes back, all of it. The refund has the number of its payment, so there can be only one.
pub(crate) fn owe(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    payment: &Payment,
    cause: Cause,
) -> Result<Refund, DatabaseError> {
    let digits = id::suffix(id::Kind::Payment, &payment.id).unwrap_or_default();
    let new = New { id: id::of(id::Kind::Refund, digits), nonce_str: app.nonce_str(), now };
    let terms = Terms { amount: payment.amount, cause, reason: None, reference: None };
    insert(tx, app, &new, payment, terms).map_err(|error| match error {
        RequestError::Database(error) => error,
        // The merchant is configured: its answer was just verified.
        _ => DatabaseError::Aborted,
    })
}

/// What a refund is to be.
struct Terms {
    amount: OrderAmount,
    cause: Cause,
    reason: Option<RefundReason>,
    reference: Option<String>,
}

fn insert(tx: &mut Tx, app: &App, new: &New, payment: &Payment, terms: Terms) -> Result<Refund, RequestError> {
    let Terms { amount, cause, reason, reference } = terms;
    let merchant = app.config.merchant(payment.mchid.as_str()).ok_or(RequestError::MerchantUnknown)?;
    let api = gateway::api_for(app, merchant, payment);
    let digits = id::suffix(id::Kind::Refund, &new.id).unwrap_or_default();
    let out_refund_no = OutRefundNo::parse(digits).expect("the digits of an id are a number that WeChat takes");
    let refund = Refund {
        id: new.id.clone(),
        order_id: payment.order_id.clone(),
        payment_id: payment.id.clone(),
        appid: payment.appid.clone(),
        mchid: payment.mchid.clone(),
        api,
        out_refund_no: out_refund_no.clone(),
        amount,
        cause,
        reason: reason.clone(),
        reference,
        frozen_request: Some(freeze(merchant, payment, (api, out_refund_no, amount, reason), &new.nonce_str)?),
        state: State::NEW,
        tried: None,
        doubt: None,
        accepted: None,
        created: new.now,
    };
    if !store::insert(tx, &refund)? {
        // A number that was given away before: nothing is sent under it a second time.
        return Err(DatabaseError::UniqueViolation.into());
    }
    crash::point(Point::RefundRequestBeforeJob);
    job::schedule(tx, job::Kind::SubmitRefund, &refund.id, new.now, new.now)?;
    settle::happened(tx, app, new.now, event::Type::RefundCreated, &refund)?;
    tracing::info!(refund.id = refund.id, refund.amount_fen = amount.fen().get(), "refund created");
    Ok(refund)
}

fn freeze(
    merchant: &Merchant,
    payment: &Payment,
    (api, out_refund_no, amount, reason): (crate::config::Api, OutRefundNo, OrderAmount, Option<RefundReason>),
    nonce_str: &NonceStr,
) -> Result<String, GatewayError> {
    let payment_no = match &payment.state {
        payment::State::Succeeded { transaction_id, .. } => PaymentNo::TransactionId(transaction_id.clone()),
        _ => PaymentNo::OutTradeNo(payment.out_trade_no.clone()),
    };
    gateway::freeze(merchant, api, NewRefund { payment, payment_no, out_refund_no, amount, reason }, nonce_str)
}

/// Why the money stays.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("there is no such order")]
    OrderNotFound,
    #[error("the order is not paid")]
    OrderNotPaid,
    #[error("the reference belongs to another refund of the order")]
    ReferenceUsed,
    #[error("the key has refunded what it may in a day")]
    CapReached,
    #[error("the money cannot go back")]
    NotReserved(#[from] NotReserved),
    #[error("the merchant of the order is not configured")]
    MerchantUnknown,
    #[error("the refund cannot be written for WeChat")]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::OrderNotFound => Self::new(Code::OrderNotFound, "Look at the id."),
            RequestError::OrderNotPaid => {
                Self::new(Code::OrderNotPaid, "Only money that was paid can go back: look at the order.")
            }
            RequestError::ReferenceUsed => {
                let detail =
                    "Send the same amount and reason to get that refund, or another reference for another one.";
                Self::new(Code::RefundReferenceUsed, detail)
            }
            RequestError::CapReached => {
                let detail = "Go on after midnight in Beijing, or use a key with a higher limit.";
                Self::new(Code::RefundCapReached, detail)
            }
            RequestError::NotReserved(NotReserved::TooMuch { left }) => {
                let detail = format!("{} fen of the payment are left that are not on their way back.", Fen::get(left));
                Self::new(Code::RefundTooMuch, detail)
            }
            RequestError::NotReserved(NotReserved::TooMany) => {
                Self::new(Code::RefundTooMany, "WeChat takes fifty refunds of a payment. Settle the rest elsewhere.")
            }
            RequestError::NotReserved(NotReserved::TooOld) => {
                Self::new(Code::RefundTooLate, "WeChat gives money back within a year. Settle it elsewhere.")
            }
            RequestError::Database(error) => error.into(),
            error => {
                Self::caused(Code::Internal, "The failure was noted. Ask the operator with the request_id.", error)
            }
        }
    }
}
