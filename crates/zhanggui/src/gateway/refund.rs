//! Refunds at WeChat Pay: apply and ask, in the version that a refund was made with.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903>, <https://pay.weixin.qq.com/doc/v3/merchant/4012791904>,
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941262>, <https://pay.weixin.qq.com/doc/v2/merchant/4011941316>.

use weixin::{
    AppId, NonceStr, OrderAmount, OutRefundNo, RefundReason, Verified,
    pay::{
        PaymentNo, Refund as Told, RefundRefusal,
        v2::{
            Call as _, SignType,
            refund::RefundRequest as RequestV2,
            refund_query::{RefundQuery as QueryV2, Which},
        },
        v3::{
            Call as _,
            refund::{FrozenRefund, RefundAmount, RefundQuery as QueryV3, RefundRequest as RequestV3},
        },
    },
    xml::Fields,
};
use weixin_client::{CallError, CallErrorV3};

use super::{GatewayError, answer_to, v2_key, v3_keys};
use crate::{
    app::App,
    config::{Api, Merchant},
    evidence::{Message, Source, VerifiedBy},
    payment::Payment,
    refund::Refund,
};

/// What a refund is made of.
pub(crate) struct NewRefund<'a> {
    pub(crate) payment: &'a Payment,
    pub(crate) payment_no: PaymentNo,
    pub(crate) out_refund_no: OutRefundNo,
    pub(crate) amount: OrderAmount,
    pub(crate) reason: Option<RefundReason>,
}

/// The version with which money of a payment can go back: its own, or the other one if its keys are not there. Both know
/// the same payments.
pub(crate) fn api_for(app: &App, merchant: &Merchant, payment: &Payment) -> Api {
    let can = |api| match api {
        Api::V2 => merchant.v2.is_some() && app.certified_v2(&merchant.mchid).is_some(),
        Api::V3 => merchant.v3.is_some(),
    };
    let other = match payment.api {
        Api::V2 => Api::V3,
        Api::V3 => Api::V2,
    };
    if !can(payment.api) && can(other) { other } else { payment.api }
}

/// Writes the request to WeChat as it will be sent for ever, without its signature.
pub(crate) fn freeze(
    merchant: &Merchant,
    api: Api,
    new: NewRefund<'_>,
    nonce_str: &NonceStr,
) -> Result<String, GatewayError> {
    let NewRefund { payment, payment_no, out_refund_no, amount, reason } = new;
    let notify_url = merchant.notify_url.clone();
    match api {
        Api::V2 => {
            let call = RequestV2 {
                appid: payment.appid.clone(),
                mchid: payment.mchid.clone(),
                payment: payment_no,
                out_refund_no,
                refund: amount,
                total: payment.amount,
                reason,
                notify_url,
            };
            Ok(call.unsigned(v2_key(merchant)?.sign_type, nonce_str).to_xml())
        }
        Api::V3 => {
            let amount = RefundAmount { refund: amount, total: payment.amount, currency: payment.currency.clone() };
            Ok(RequestV3 { payment: payment_no, out_refund_no, reason, notify_url, amount }.body())
        }
    }
}

/// Sends the frozen request.
pub(crate) async fn apply(
    app: &App,
    merchant: &Merchant,
    refund: &Refund,
    frozen_request: &str,
) -> Result<(Message, Verified<Told>), RefundError> {
    let asked = app.now();
    let (answered, verified_by) = match refund.api {
        Api::V2 => {
            let key = v2_key(merchant)?;
            let client = app.certified_v2(&merchant.mchid).ok_or(GatewayError::NotConfigured(CERTIFICATE))?;
            let unsigned = Fields::parse(frozen_request.as_bytes()).map_err(|_| GatewayError::FrozenBroken)?;
            // The hash of the frozen message, which may be older than the merchant's setting.
            let sign_type = SignType::of(&unsigned).map_err(|_| GatewayError::FrozenBroken)?;
            (client.send_frozen::<RequestV2>(&key, &unsigned).await?, VerifiedBy::V2(sign_type))
        }
        Api::V3 => {
            let call = FrozenRefund(frozen_request.to_owned());
            (app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?, VerifiedBy::V3)
        }
    };
    let message = answer_to(Source::Refund, asked, verified_by, answered.evidence);
    Ok((message, answered.answer))
}

const CERTIFICATE: &str = "certificate_file and private_key_file, or certificate_p12_file,";

/// Which refund is asked for.
pub(crate) struct Question<'a> {
    pub(crate) api: Api,
    pub(crate) appid: &'a AppId,
    pub(crate) out_refund_no: &'a OutRefundNo,
}

/// Asks what became of a refund.
pub(crate) async fn query(
    app: &App,
    merchant: &Merchant,
    question: Question<'_>,
) -> Result<(Message, Verified<Told>), RefundError> {
    let asked = app.now();
    let Question { api, appid, out_refund_no } = question;
    match super::usable_api(merchant, api) {
        Api::V2 => {
            let key = v2_key(merchant)?;
            let which = Which::OutRefundNo(out_refund_no.clone());
            let call = QueryV2 { appid: appid.clone(), mchid: merchant.mchid.clone(), which, offset: None };
            let answered = app.pay_v2.call(&key, &app.nonce_str(), &call).await?;
            let message = answer_to(Source::Query, asked, VerifiedBy::V2(key.sign_type), answered.evidence);
            let refund = answered.answer.refund(out_refund_no).ok_or(GatewayError::NotTold)?;
            Ok((message, refund))
        }
        Api::V3 => {
            let call = QueryV3 { out_refund_no: out_refund_no.clone() };
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            let message = answer_to(Source::Query, asked, VerifiedBy::V3, answered.evidence);
            Ok((message, answered.answer))
        }
    }
}

/// Why nothing was learned of a refund, or that WeChat did not take it.
#[derive(Debug, thiserror::Error)]
#[error("WeChat did not say how far the refund is")]
pub(crate) struct RefundError {
    /// What that says about the refund.
    pub(crate) refusal: RefundRefusal,
    #[source]
    pub(crate) cause: GatewayError,
}

impl RefundError {
    /// WeChat's code, if it refused with one.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.cause {
            GatewayError::Refused { wechat, .. } | GatewayError::NotTaken(wechat) => Some(&wechat.code),
            _ => None,
        }
    }
}

impl From<GatewayError> for RefundError {
    fn from(cause: GatewayError) -> Self {
        Self { refusal: RefundRefusal::TryAgain, cause }
    }
}

impl From<CallError> for RefundError {
    fn from(error: CallError) -> Self {
        Self { refusal: error.refund_refusal(), cause: error.into() }
    }
}

impl From<CallErrorV3> for RefundError {
    fn from(error: CallErrorV3) -> Self {
        Self { refusal: error.refund_refusal(), cause: error.into() }
    }
}
