//! `POST /v1/orders/{id}/pay`: gives the phone exactly the object that `wx.requestPayment` takes.
//!
//! The payment and its frozen request are committed before WeChat is called, and every later try sends the same
//! bytes. Pressing twice, or fifty times at once, gives the same `prepay_id`, freshly signed.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011938514> (guide for mini programs).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::HeaderMap,
};
use jiff::{SignedDuration, Timestamp};
use weixin::{
    OutTradeNo, PrepayId,
    pay::{Refusal, RequestPayment, v2::unified_order::PREPAY_ID_VALID_S},
};

use super::{
    Event, Next, Payment, State as PaymentState,
    poll::{self, QueryError, merchant_of},
    settle::Settled,
    store,
};
use crate::{
    app::App,
    config::Merchant,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    gateway::{GatewayError, payment as gateway, payment::NewPayment},
    http::{Caller, Code, Problem, client_address},
    id,
    order::{self, Order, State as OrderState},
    session::Customer,
};

/// A `prepay_id` this near to its end is not handed out any more: the customer still has to type a password.
const PREPAY_MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// WeChat refuses a `time_expire` that is nearer than this (the older pages and a real error text say five minutes).
const EXPIRE_MIN: SignedDuration = SignedDuration::from_mins(6);

/// How often a press may meet a payment that just ended and begin another one.
const ROUNDS_MAX: usize = 3;

/// Gives the phone what it needs to pay.
///
/// # Errors
/// The order cannot be paid, or WeChat does not take it.
pub async fn pay(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(order_id): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<RequestPayment>, Problem> {
    let customer = caller.customer()?;
    if !id::is(id::Kind::Order, &order_id) {
        return Err(PayError::OrderNotFound.into());
    }
    let client_ip = client_address(&app, peer, &headers);
    for _ in 0..ROUNDS_MAX {
        let payment = begin(&app, &customer, &order_id, client_ip).await?;
        crash::point(Point::PaymentBegun);
        let merchant = merchant_of(&app, &payment).ok_or(PayError::MerchantUnknown)?;
        if let Some((payment, prepay_id)) = submit(&app, merchant, payment).await? {
            crash::point(Point::PaymentSubmitBeforeReply);
            let signed = gateway::sign_for_phone(&app, merchant, &payment, &prepay_id);
            return Ok(Json(signed.map_err(PayError::Wechat)?));
        }
    }
    Err(Problem::new(Code::WechatBusy, "The payments of this order ended one after the other: try again.")
        .retry_after(1))
}

/// Finds the live payment of the order, or writes a new one down.
async fn begin(app: &Arc<App>, customer: &Customer, order_id: &str, client_ip: IpAddr) -> Result<Payment, PayError> {
    let now = app.now();
    let (customer, order_id) = (customer.clone(), order_id.to_owned());
    let payment_id = id::new(id::Kind::Payment, now, &app.entropy);
    let nonce_str = app.nonce_str();
    let writing = Arc::clone(app);
    app.database
        .write(move |tx| {
            let order = order::find_of_customer(tx, &order_id, &customer.id)?.ok_or(PayError::OrderNotFound)?;
            match order.state {
                OrderState::Open if order.expires > now => {}
                OrderState::Open => return Err(PayError::OrderExpired),
                OrderState::Paid { .. } => return Err(PayError::OrderPaid),
                OrderState::Closing { .. } | OrderState::Closed { .. } => return Err(PayError::OrderClosed),
            }
            if let Some(payment) = store::find_live(tx, &order.id)? {
                return renew(tx, now, &order, payment);
            }
            let merchant = writing.config.merchant(order.mchid.as_str()).ok_or(PayError::MerchantUnknown)?;
            let payment = freeze(&order, &customer, merchant, &payment_id, now, client_ip, &nonce_str)?;
            store::insert(tx, &payment)?;
            Ok(payment)
        })
        .await
}

/// A `prepay_id` that is too old is asked for again, with the same number and the same bytes. They say when the order
/// ends, and shortly before that WeChat does not take them any more: then the old one serves until its own end.
fn renew(tx: &mut Tx, now: Timestamp, order: &Order, payment: Payment) -> Result<Payment, PayError> {
    let PaymentState::Awaiting { until, .. } = payment.state else { return Ok(payment) };
    if until > now + PREPAY_MARGIN {
        return Ok(payment);
    }
    if order.expires < now + EXPIRE_MIN {
        return if until > now { Ok(payment) } else { Err(PayError::OrderExpired) };
    }
    change(tx, now, payment, Event::PrepayExpired).map_err(PayError::Database)
}

fn freeze(
    order: &Order,
    customer: &Customer,
    merchant: &Merchant,
    payment_id: &str,
    now: Timestamp,
    client_ip: IpAddr,
    nonce_str: &weixin::NonceStr,
) -> Result<Payment, PayError> {
    // The digits of our own id: 32 letters and digits, unique, with 74 random bits.
    let digits = id::suffix(id::Kind::Payment, payment_id).unwrap_or_default();
    let out_trade_no = OutTradeNo::parse(digits).expect("the digits of an id are a number that WeChat takes");
    let time_expire = order.expires.max(now + EXPIRE_MIN);
    let new =
        NewPayment { order, customer, out_trade_no: out_trade_no.clone(), client_ip, now, time_expire, nonce_str };
    Ok(Payment {
        id: payment_id.to_owned(),
        order_id: order.id.clone(),
        appid: order.appid.clone(),
        mchid: order.mchid.clone(),
        openid: customer.openid.clone(),
        api: merchant.api,
        out_trade_no,
        amount: order.amount,
        currency: order.currency.clone(),
        frozen_request: gateway::freeze(merchant, new).map_err(PayError::Wechat)?,
        attempts: 0,
        state: PaymentState::Submitting,
        created: now,
        accepted: None,
        tried: None,
        pressed: now,
        woken: None,
        updated: now,
    })
}

/// Sends the frozen request unless somebody has done so. `None`: the payment ended, look at the order again.
async fn submit(
    app: &Arc<App>,
    merchant: &Merchant,
    payment: Payment,
) -> Result<Option<(Payment, PrepayId)>, PayError> {
    // Presses at the same moment wait here and find what the first one brought.
    let _alone = app.alone_with(&payment.id).await;
    let (id, now) = (payment.id.clone(), app.now());
    let payment = app
        .database
        .write(move |tx| {
            store::add_attempt(tx, &id, now)?;
            store::press(tx, &id, now)?;
            let payment = store::find(tx, &id)?.ok_or(DatabaseError::NotFound)?;
            poll::schedule(tx, &payment, now)?;
            Ok::<_, DatabaseError>(payment)
        })
        .await?;
    if payment.state != PaymentState::Submitting {
        return Ok(awaiting(payment));
    }
    if gateway::is_too_late_to_send(&payment, now)? {
        // WeChat does not take these bytes any more. Whether it took them before is a question.
        return match poll::query(app, &payment).await {
            Ok(settled) if settled.is_final() => Ok(None),
            Ok(_) | Err(QueryError::NotFound) => Err(PayError::OrderExpired),
            Err(error) => Err(PayError::Query(error)),
        };
    }
    crash::point(Point::PaymentSubmitBeforeCall);
    let answer = gateway::submit(app, merchant, &payment).await;
    crash::point(Point::PaymentSubmitAfterAnswer);
    let refused = match answer {
        Ok(prepay_id) => {
            let until = now + SignedDuration::from_secs(PREPAY_ID_VALID_S);
            let issued = move |_: &Payment| Event::PrepayIssued { prepay_id: prepay_id.clone(), until };
            return Ok(awaiting(record(app, payment, issued).await?));
        }
        Err(error) => error,
    };
    match &refused {
        GatewayError::Refused { refusal: Refusal::Definitive, wechat, .. } if payment.attempts == 1 => {
            let code = wechat.code.clone();
            // Another node may have sent it meanwhile.
            let refused = move |now: &Payment| Event::Refused { code: code.clone(), attempts: now.attempts };
            record(app, payment, refused).await?;
        }
        GatewayError::Refused { refusal: Refusal::Definitive | Refusal::Query, wechat, .. } => {
            tracing::info!(payment.id = payment.id, wechat.errcode = wechat.code, "WeChat may know the number");
            if poll::query(app, &payment).await.is_ok_and(Settled::is_final) {
                return Ok(None);
            }
        }
        // Unknown is not failure: the payment stays as it is, and the next press sends the same bytes.
        _ => {}
    }
    Err(PayError::Wechat(refused))
}

/// The payment with what the phone needs; `None` if it does not wait for the customer.
fn awaiting(payment: Payment) -> Option<(Payment, PrepayId)> {
    match &payment.state {
        PaymentState::Awaiting { prepay_id, .. } => {
            let prepay_id = prepay_id.clone();
            Some((payment, prepay_id))
        }
        _ => None,
    }
}

/// Writes an event down and gives the payment as it is afterwards.
async fn record(
    app: &App,
    payment: Payment,
    event: impl Fn(&Payment) -> Event + Send + 'static,
) -> Result<Payment, DatabaseError> {
    let now = app.now();
    app.database
        .write(move |tx| {
            let current = store::find(tx, &payment.id)?.ok_or(DatabaseError::NotFound)?;
            let event = event(&current);
            if matches!(event, Event::PrepayIssued { .. }) {
                store::accept(tx, &current.id, now)?;
            }
            change(tx, now, current, event)
        })
        .await
}

fn change(tx: &mut Tx, now: Timestamp, mut payment: Payment, event: Event) -> Result<Payment, DatabaseError> {
    if let Next::To(state) = payment.state.on(event) {
        if !store::change(tx, now, &payment.id, &payment.state, &state)? {
            // The row was read in this very transaction.
            return Err(DatabaseError::Aborted);
        }
        tracing::info!(payment.id = payment.id, payment.state = state.as_str(), "payment changed");
        payment.state = state;
    }
    Ok(payment)
}

/// Why the customer cannot pay now.
#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error("there is no such order of this customer")]
    OrderNotFound,
    #[error("the order is paid")]
    OrderPaid,
    #[error("the order is closed")]
    OrderClosed,
    #[error("the order has expired")]
    OrderExpired,
    #[error("the merchant of the order is not configured")]
    MerchantUnknown,
    #[error("WeChat did not take the order")]
    Wechat(#[from] GatewayError),
    #[error("WeChat could not be asked for the order")]
    Query(#[source] QueryError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<PayError> for Problem {
    fn from(error: PayError) -> Self {
        match error {
            PayError::OrderNotFound => {
                Self::new(Code::OrderNotFound, "Look at the id; an order of another customer is not shown.")
            }
            PayError::OrderPaid => Self::new(Code::OrderPaid, "Show the customer that the order is paid."),
            PayError::OrderClosed => Self::new(Code::OrderClosed, "Make a new order."),
            PayError::OrderExpired => Self::new(Code::OrderExpired, "Make a new order."),
            PayError::Database(error) => error.into(),
            PayError::Wechat(error) => wechat_problem(error),
            PayError::Query(error) => {
                Self::caused(Code::WechatUnavailable, "Nothing is lost: look at the order in a moment.", error)
                    .retry_after(2)
            }
            error => {
                Self::caused(Code::Internal, "The failure was noted. Ask the operator with the request_id.", error)
            }
        }
    }
}

fn wechat_problem(error: GatewayError) -> Problem {
    let unavailable = "Nothing is lost: press pay again in a moment, the same payment is continued.";
    match &error {
        GatewayError::Refused { refusal, wechat, meaning } => {
            let wechat = wechat.clone();
            let problem = match refusal {
                Refusal::Definitive => {
                    Problem::caused(Code::WechatRefused, format!("The operator has to look: {meaning}."), error)
                }
                // What WeChat knows of the number was asked, and it is not paid.
                Refusal::Query => Problem::caused(
                    Code::WechatRefused,
                    format!("The order stays as it is. The operator has to look: {meaning}."),
                    error,
                ),
                Refusal::TryAgain => Problem::caused(Code::WechatBusy, unavailable, error).retry_after(2),
            };
            problem.with_wechat(wechat)
        }
        GatewayError::NotTaken(wechat) => {
            let wechat = wechat.clone();
            let detail = "WeChat did not take the request. The operator has to look at the keys and numbers of the \
                          merchant; `zhanggui doctor` says which.";
            Problem::caused(Code::WechatRefused, detail, error).with_wechat(wechat)
        }
        GatewayError::NotConfigured(_) | GatewayError::FrozenBroken => {
            Problem::caused(Code::Internal, "The failure was noted. Ask the operator with the request_id.", error)
        }
        _ => Problem::caused(Code::WechatUnavailable, unavailable, error).retry_after(2),
    }
}
