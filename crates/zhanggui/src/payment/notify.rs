//! `POST /wechat/pay/{mchid}`: WeChat reports a payment or a refund, as v3 JSON or v2 XML.
//!
//! The raw bytes are verified with the keys of the merchant in the address, never with ones that the message chooses.
//! Success is answered only after the statement is durable, and nothing slow happens before: confirming a v2 statement
//! is a job. Every failure has a status that is not 2xx, which asks WeChat to come again, in either version.
//!
//! Sources: <https://pay.weixin.qq.com/doc/v3/merchant/4012791902>,
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941607>.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use weixin::{
    MchId, Verified,
    pay::{
        Refund,
        v2::{
            notification::{self as v2_notification, NotificationError as V2Error},
            refund_notification::{self, RefundNotificationError},
        },
        v3::{
            SignatureHeaders, VerifyError,
            notification::{self as v3_notification, NotificationError as V3Error},
        },
    },
};

use super::settle::{Settled, settle};
use crate::{
    app::App,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    evidence::{Message, Source, VerifiedBy, Weight},
    explain, gateway,
    http::{Problem, RawBody, chain},
    refund,
};

/// How long a certificate that the message names may take to be downloaded. WeChat waits five seconds for the answer;
/// the download goes on, and the repeat finds it done.
const KEYS_TIMEOUT: Duration = Duration::from_secs(3);

/// Takes a notification.
pub async fn notify(
    State(app): State<Arc<App>>,
    Path(mchid): Path<String>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let Ok(RawBody(raw)) = body else {
        Refusal::BodyBroken.log(&mchid);
        return Form::V3.answer(Err(Refusal::BodyBroken));
    };
    let incoming = Incoming { mchid, headers, raw };
    let form = Form::of(&incoming);
    let taken = take(&app, form, &incoming).await;
    if let Err(refusal) = &taken {
        refusal.log(&incoming.mchid);
        if refusal.is_about_the_signature() && app.may_explain() {
            explain_in_log(&app, &incoming);
        }
    }
    form.answer(taken)
}

/// Says in one line why a signature does not fit: what was signed, with which key, and the likely cause.
fn explain_in_log(app: &App, incoming: &Incoming) {
    let Some(merchant) = app.config.merchant(&incoming.mchid) else { return };
    let mut keys = explain::Keys::of(&app.config);
    if let Some(v3) = app.merchant_v3(&merchant.mchid) {
        keys = keys.trusting(&merchant.mchid, &v3.trust.current());
    }
    let header = |name: &'static str| incoming.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(why) = explain::callback(header, &incoming.raw, &keys, &merchant.mchid, app.now()) else { return };
    if why.is_probe() {
        tracing::info!(merchant.mchid = incoming.mchid, "{}", why.summary());
    } else {
        tracing::warn!(merchant.mchid = incoming.mchid, "{}", why.summary());
    }
}

/// What came in.
struct Incoming {
    mchid: String,
    headers: HeaderMap,
    raw: bytes::Bytes,
}

async fn take(app: &Arc<App>, form: Form, incoming: &Incoming) -> Result<(), Refusal> {
    let merchant = app.config.merchant(&incoming.mchid).ok_or(Refusal::MerchantUnknown)?;
    let (message, transaction) = match form {
        Form::V2 => {
            let v2 = merchant.v2.as_ref().ok_or(Refusal::VersionNotConfigured)?;
            if refund_notification::is_one(&incoming.raw) {
                let told = refund_notification::read(&incoming.raw, &merchant.mchid, &v2.key)?;
                let message = message(incoming, VerifiedBy::V2ReqInfo, Weight::Hint);
                return keep_hint(app, message, &merchant.mchid, told.refund).await;
            }
            let verified = v2_notification::read(&incoming.raw, &merchant.mchid, &v2.key, v2.sign_type)?;
            let weight = if v2.confirm { Weight::Hint } else { Weight::Proof };
            (message(incoming, VerifiedBy::V2(v2.sign_type), weight), verified.paid())
        }
        Form::V3 => {
            let keys = gateway::v3_keys(app, merchant).map_err(|_| Refusal::VersionNotConfigured)?;
            let header = |name: &'static str| incoming.headers.get(name).and_then(|value| value.to_str().ok());
            let headers = SignatureHeaders::read(header)?;
            let verifying = app.pay_v3.verify_callback(keys, &headers, &incoming.raw);
            let verified = tokio::time::timeout(KEYS_TIMEOUT, verifying).await.map_err(|_| Refusal::KeysNotHere)??;
            let notification = v3_notification::read(verified, &merchant.mchid, &keys.api_v3_key)?;
            let told = message(incoming, VerifiedBy::V3Callback { serial: headers.serial }, Weight::Proof);
            if let Some(refund) = notification.refunded() {
                return settle_refund(app, told, merchant.mchid.clone(), refund).await;
            }
            (told, notification.paid())
        }
    };
    let Some(transaction) = transaction else {
        // Verified, but nothing that concerns an order. There is nothing to repeat.
        tracing::warn!(merchant.mchid = incoming.mchid, "WeChat reports something else than a payment");
        return Ok(());
    };
    crash::point(Point::PaymentNotificationVerified);
    let (now, settling) = (app.now(), Arc::clone(app));
    let settled = app.database.write(move |tx| settle(tx, &settling, now, &message, &transaction)).await?;
    crash::point(Point::PaymentNotificationDurable);
    app.event_wake.notify_waiters();
    app.job_wake.notify_one();
    match settled {
        Settled::Paid | Settled::NotPaid | Settled::Closed | Settled::ToConfirm => Ok(()),
        Settled::Quarantined => Err(Refusal::Quarantined),
    }
}

fn message(incoming: &Incoming, verified_by: VerifiedBy, weight: Weight) -> Message {
    let raw = incoming.raw.clone();
    Message { source: Source::Notification, weight, verified_by, raw, request_id: None, asked: None }
}

/// A refund of API v3: signed, so it is proof.
async fn settle_refund(app: &Arc<App>, message: Message, mchid: MchId, told: Verified<Refund>) -> Result<(), Refusal> {
    let (now, settling) = (app.now(), Arc::clone(app));
    let settle = move |tx: &mut Tx| refund::settle(tx, &settling, now, &message, &mchid, &told);
    let settled = app.database.write(settle).await?;
    crash::point(Point::RefundNotificationDurable);
    app.event_wake.notify_waiters();
    app.job_wake.notify_one();
    match settled {
        refund::Settled::Believed | refund::Settled::UnderWay => Ok(()),
        refund::Settled::Quarantined => Err(Refusal::Quarantined),
        refund::Settled::TooEarly => Err(Refusal::TooEarly),
    }
}

/// A refund of API v2: sealed, but not signed. WeChat is asked whether it is true.
async fn keep_hint(app: &Arc<App>, message: Message, mchid: &MchId, told: Refund) -> Result<(), Refusal> {
    let (now, writing, mchid) = (app.now(), Arc::clone(app), mchid.clone());
    let keep = move |tx: &mut Tx| refund::hint(tx, &writing, now, &message, &mchid, &told);
    app.database.write(keep).await?;
    crash::point(Point::RefundHintDurable);
    app.job_wake.notify_one();
    Ok(())
}

/// The version that a notification speaks. One address takes both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V2,
    V3,
}

impl Form {
    fn of(incoming: &Incoming) -> Self {
        let signed = incoming.headers.keys().any(|name| name.as_str().starts_with("wechatpay-"));
        let json = incoming.raw.trim_ascii_start().first() == Some(&b'{');
        if signed || json { Self::V3 } else { Self::V2 }
    }

    /// The answer in WeChat's form: v2 reads the body, v3 the status; every failure fails in both.
    fn answer(self, taken: Result<(), Refusal>) -> Response {
        let (status, body) = match (&taken, self) {
            (Ok(()), Self::V2) => (StatusCode::OK, v2_notification::REPLY_SUCCESS.to_owned()),
            (Ok(()), Self::V3) => return StatusCode::NO_CONTENT.into_response(),
            (Err(refusal), Self::V2) => (refusal.status(), v2_notification::reply_fail(refusal.reason())),
            (Err(refusal), Self::V3) => (refusal.status(), v3_notification::reply_fail(refusal.reason())),
        };
        let content_type = match self {
            Self::V2 => "text/xml; charset=utf-8",
            Self::V3 => "application/json; charset=utf-8",
        };
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

/// Why WeChat (or somebody else) has to come again.
#[derive(Debug)]
enum Refusal {
    MerchantUnknown,
    VersionNotConfigured,
    KeysNotHere,
    BodyBroken,
    V2(V2Error),
    RefundV2(RefundNotificationError),
    Signature(VerifyError),
    V3(V3Error),
    Quarantined,
    TooEarly,
    NotDurable(DatabaseError),
}

impl From<V2Error> for Refusal {
    fn from(error: V2Error) -> Self {
        Self::V2(error)
    }
}

impl From<RefundNotificationError> for Refusal {
    fn from(error: RefundNotificationError) -> Self {
        Self::RefundV2(error)
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        Self::Signature(error)
    }
}

impl From<V3Error> for Refusal {
    fn from(error: V3Error) -> Self {
        Self::V3(error)
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::NotDurable(error)
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::MerchantUnknown => StatusCode::NOT_FOUND,
            Self::BodyBroken | Self::V2(_) | Self::RefundV2(_) | Self::V3(_) => StatusCode::BAD_REQUEST,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Quarantined | Self::TooEarly => StatusCode::CONFLICT,
            Self::VersionNotConfigured | Self::KeysNotHere | Self::NotDurable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the sender is told. Nothing about the cause: the sender may be anybody.
    fn reason(&self) -> &'static str {
        match self {
            Self::MerchantUnknown => "商户号不存在",
            Self::Signature(_) | Self::V2(V2Error::NotAuthentic(_)) => "签名失败",
            Self::BodyBroken | Self::V2(_) | Self::RefundV2(_) | Self::V3(_) => "报文错误",
            Self::Quarantined => "订单信息不一致",
            Self::TooEarly => "订单支付结果待确认",
            Self::VersionNotConfigured | Self::KeysNotHere | Self::NotDurable(_) => "系统繁忙",
        }
    }

    fn is_about_the_signature(&self) -> bool {
        matches!(self, Self::Signature(_) | Self::V2(V2Error::NotAuthentic(_)))
    }

    fn log(&self, mchid: &str) {
        let cause: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::V2(error) => Some(error),
            Self::RefundV2(error) => Some(error),
            Self::Signature(error) => Some(error),
            Self::V3(error) => Some(error),
            Self::NotDurable(error) => Some(error),
            Self::MerchantUnknown
            | Self::VersionNotConfigured
            | Self::KeysNotHere
            | Self::BodyBroken
            | Self::Quarantined
            | Self::TooEarly => None,
        };
        let cause = cause.map(chain).unwrap_or_default();
        match self {
            // Anybody can cause these.
            Self::MerchantUnknown | Self::BodyBroken => {
                tracing::info!("a notification was refused: {}", self.reason());
            }
            // WeChat tests whether we verify. We do.
            Self::Signature(VerifyError::Probe) => {
                tracing::info!(merchant.mchid = mchid, "a probe of WeChat was refused, as it must be");
            }
            Self::V2(_) | Self::RefundV2(_) | Self::Signature(_) | Self::V3(_) => {
                tracing::warn!(merchant.mchid = mchid, error.cause = cause, "a notification was not believed");
            }
            Self::Quarantined => {
                tracing::warn!(merchant.mchid = mchid, "a notification was put into quarantine");
            }
            Self::TooEarly => {
                tracing::info!(merchant.mchid = mchid, "a refund is reported before its payment is known to be paid");
            }
            Self::VersionNotConfigured => {
                tracing::error!(
                    merchant.mchid = mchid,
                    "a notification cannot be verified: the keys of its version are not configured"
                );
            }
            Self::KeysNotHere => {
                tracing::warn!(
                    merchant.mchid = mchid,
                    "a notification names a key that is still being downloaded; WeChat comes again"
                );
            }
            Self::NotDurable(_) => {
                tracing::error!(merchant.mchid = mchid, error.cause = cause, "a notification was not written down");
            }
        }
    }
}
