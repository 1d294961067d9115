//! `POST /wechat/pay/{mchid}`: WeChat reports a payment.
//!
//! The raw bytes are verified with the key of the merchant in the address, never with one that the message chooses.
//! SUCCESS is answered only after the statement is durable, and nothing slow happens before: confirming is a job.
//! Every failure is an XML body with `return_code` FAIL under a status that is not 200, which asks WeChat to come
//! again.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941607>.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use weixin::pay::v2::notification::{self, NotificationError};

use super::{
    evidence::{Message, Source},
    settle::{Settled, settle},
};
use crate::{
    app::App,
    database::DatabaseError,
    http::{Problem, RawBody, chain},
};

/// Takes a notification.
pub async fn notify(
    State(app): State<Arc<App>>,
    Path(mchid): Path<String>,
    body: Result<RawBody, Problem>,
) -> Response {
    let taken = match body {
        Ok(RawBody(body)) => take(&app, &mchid, body).await,
        Err(_) => Err(Refusal::BodyBroken),
    };
    match taken {
        Ok(()) => answer(StatusCode::OK, notification::REPLY_SUCCESS.to_owned()),
        Err(refusal) => {
            refusal.log(&mchid);
            answer(refusal.status(), notification::reply_fail(refusal.reason()))
        }
    }
}

async fn take(app: &Arc<App>, mchid: &str, raw: bytes::Bytes) -> Result<(), Refusal> {
    let merchant = app.config.merchant(mchid).ok_or(Refusal::MerchantUnknown)?;
    let verified = notification::read(&raw, &merchant.mchid, &merchant.api_v2_key, merchant.sign_type)?;
    let Some(transaction) = verified.paid() else {
        // Documented but never seen. It proves nothing, and there is nothing to repeat.
        tracing::warn!(merchant.mchid = mchid, "WeChat reports a failed payment");
        return Ok(());
    };
    let verified_by = format!("v2 {}", merchant.sign_type.as_str());
    let message = Message { source: Source::Notification, verified_by, raw, request_id: None };
    let (now, settling) = (app.now(), Arc::clone(app));
    let settled = app.database.write(move |tx| settle(tx, &settling, now, &message, &transaction)).await?;
    match settled {
        Settled::Paid | Settled::NotPaid | Settled::Closed => Ok(()),
        Settled::ToConfirm => {
            app.job_wake.notify_one();
            Ok(())
        }
        Settled::Quarantined => {
            app.job_wake.notify_one();
            Err(Refusal::Quarantined)
        }
    }
}

fn answer(status: StatusCode, xml: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], xml).into_response()
}

/// Why WeChat (or somebody else) has to come again.
#[derive(Debug)]
enum Refusal {
    MerchantUnknown,
    BodyBroken,
    NotBelieved(NotificationError),
    Quarantined,
    NotDurable(DatabaseError),
}

impl From<NotificationError> for Refusal {
    fn from(error: NotificationError) -> Self {
        Self::NotBelieved(error)
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
            Self::BodyBroken | Self::NotBelieved(_) => StatusCode::BAD_REQUEST,
            Self::Quarantined => StatusCode::CONFLICT,
            Self::NotDurable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What stands in `return_msg`. Nothing about the cause: the sender may be anybody.
    fn reason(&self) -> &'static str {
        match self {
            Self::MerchantUnknown => "商户号不存在",
            Self::BodyBroken => "报文错误",
            Self::NotBelieved(NotificationError::NotAuthentic(_)) => "签名失败",
            Self::NotBelieved(_) => "报文错误",
            Self::Quarantined => "订单信息不一致",
            Self::NotDurable(_) => "系统繁忙",
        }
    }

    fn log(&self, mchid: &str) {
        match self {
            Self::MerchantUnknown | Self::BodyBroken => {
                tracing::info!("a notification was refused: {}", self.reason());
            }
            Self::NotBelieved(error) => {
                tracing::warn!(merchant.mchid = mchid, error.cause = chain(error), "a notification was not believed");
            }
            Self::Quarantined => {
                tracing::warn!(merchant.mchid = mchid, "a notification was put into quarantine");
            }
            Self::NotDurable(error) => {
                tracing::error!(
                    merchant.mchid = mchid,
                    error.cause = chain(error),
                    "a notification was not written down"
                );
            }
        }
    }
}
