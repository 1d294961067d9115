//! How WeChat Pay is asked, in the version that a payment was made with. Everything else in this folder speaks one
//! language, whatever version carried the message.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use weixin::{
    Body, NonceStr, OutTradeNo, PrepayId, Verified, beijing_time,
    pay::{
        Refusal, RequestPayment, Transaction,
        v2::{
            Call as _, ErrCode, SignType, close_order,
            order_query::{OrderQuery, Which},
            unified_order::UnifiedOrder,
        },
        v3::{
            Call as _, Code as CodeV3, close,
            jsapi::{FrozenJsapiOrder, JsapiOrder},
            query::QueryByOutTradeNo,
        },
    },
    xml::Fields,
};
use weixin_client::{Answered, CallError, CallErrorV3, Evidence, MerchantKeyV2, MerchantV3};

use super::Payment;
use crate::{
    app::App,
    config::{Api, Merchant},
    evidence::{Message, Source, Weight},
    http::WechatCause,
    order::Order,
    session::Customer,
};

/// What a payment is made of.
pub(super) struct NewPayment<'a> {
    pub(super) order: &'a Order,
    pub(super) customer: &'a Customer,
    pub(super) out_trade_no: OutTradeNo,
    pub(super) client_ip: IpAddr,
    pub(super) now: Timestamp,
    /// The last moment to pay.
    pub(super) time_expire: Timestamp,
    pub(super) nonce_str: &'a NonceStr,
}

/// Writes the request to WeChat as it will be sent for ever, without its signature.
pub(super) fn freeze(merchant: &Merchant, new: NewPayment<'_>) -> Result<String, GatewayError> {
    let NewPayment { order, customer, out_trade_no, client_ip, now, time_expire, nonce_str } = new;
    match merchant.api {
        Api::V2 => {
            let call = UnifiedOrder {
                appid: order.appid.clone(),
                mchid: order.mchid.clone(),
                out_trade_no,
                body: Body::clone(&order.description),
                attach: order.attach.clone(),
                total: order.amount,
                openid: customer.openid.clone(),
                client_ip,
                time_start: Some(now),
                time_expire: Some(time_expire),
                notify_url: merchant.notify_url.clone(),
            };
            Ok(call.unsigned(v2_key(merchant)?.sign_type, nonce_str).to_xml())
        }
        Api::V3 => {
            let call = JsapiOrder {
                appid: order.appid.clone(),
                mchid: order.mchid.clone(),
                description: Body::clone(&order.description),
                out_trade_no,
                time_expire: Some(time_expire),
                attach: order.attach.clone(),
                notify_url: merchant.notify_url.clone(),
                total: order.amount,
                openid: customer.openid.clone(),
                client_ip: Some(client_ip),
            };
            Ok(call.body())
        }
    }
}

/// Whether WeChat would refuse the frozen request for its `time_expire` alone, also one that it knows. API v3 takes a
/// near one; API v2 wants five minutes.
///
/// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985> (`time_expire`).
pub(super) fn is_too_late_to_send(payment: &Payment, now: Timestamp) -> Result<bool, GatewayError> {
    const NEAREST: SignedDuration = SignedDuration::from_mins(5);
    if payment.api == Api::V3 {
        return Ok(false);
    }
    let fields = frozen_fields(payment)?;
    let time_expire = fields.get("time_expire").map(|text| beijing_time::from_compact("time_expire", text)).transpose();
    Ok(time_expire.map_err(|_| GatewayError::FrozenBroken)?.is_some_and(|time| time < now + NEAREST))
}

/// Sends the frozen request.
pub(super) async fn submit(app: &App, merchant: &Merchant, payment: &Payment) -> Result<PrepayId, GatewayError> {
    match payment.api {
        Api::V2 => {
            let unsigned = frozen_fields(payment)?;
            let answered = app.pay_v2.send_frozen::<UnifiedOrder>(&v2_key(merchant)?, &unsigned).await?;
            Ok(answered.prepay_id.clone())
        }
        Api::V3 => {
            let call = FrozenJsapiOrder(payment.frozen_request.clone());
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            Ok(answered.prepay_id.clone())
        }
    }
}

/// Signs what the phone needs.
pub(super) fn sign_for_phone(
    app: &App,
    merchant: &Merchant,
    payment: &Payment,
    prepay_id: &PrepayId,
) -> Result<RequestPayment, GatewayError> {
    let (appid, now, nonce_str) = (&payment.appid, app.now(), app.nonce_str());
    match payment.api {
        Api::V2 => {
            // The hash of the frozen message, which may be older than the merchant's setting: the phone compares them.
            let sign_type = frozen_fields(payment)?.get("sign_type").map_or(Ok(SignType::Md5), SignType::from_wire);
            let sign_type = sign_type.map_err(|_| GatewayError::FrozenBroken)?;
            Ok(RequestPayment::new(appid, prepay_id, sign_type, now, nonce_str, &v2_key(merchant)?.key))
        }
        Api::V3 => {
            let credential = &v3_keys(app, merchant)?.credential;
            Ok(RequestPayment::new_v3(appid, prepay_id, now, nonce_str, credential))
        }
    }
}

/// Asks what became of a payment. Both versions know the same numbers, so the merchant's present one serves if the
/// keys of the payment's own are gone.
pub(super) async fn query(
    app: &App,
    merchant: &Merchant,
    payment: &Payment,
) -> Result<(Message, Verified<Transaction>), GatewayError> {
    let asked = app.now();
    let (mchid, out_trade_no) = (payment.mchid.clone(), payment.out_trade_no.clone());
    let (answered, verified_by) = match usable_api(merchant, payment.api) {
        Api::V2 => {
            let key = v2_key(merchant)?;
            let call = OrderQuery { appid: payment.appid.clone(), mchid, which: Which::OutTradeNo(out_trade_no) };
            let answered = app.pay_v2.call(&key, &app.nonce_str(), &call).await?;
            (answered, format!("v2 {}", key.sign_type.as_str()))
        }
        Api::V3 => {
            let call = QueryByOutTradeNo { mchid, out_trade_no };
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            (answered, "v3".to_owned())
        }
    };
    if answered.out_trade_no != payment.out_trade_no {
        return Err(GatewayError::OtherPayment);
    }
    let Answered { answer, evidence } = answered;
    Ok((answer_to(Source::Query, asked, verified_by, evidence), answer))
}

/// Closes a payment. A refusal proves nothing: ask what became of it.
pub(super) async fn close(app: &App, merchant: &Merchant, payment: &Payment) -> Result<Message, GatewayError> {
    let asked = app.now();
    let (mchid, out_trade_no) = (payment.mchid.clone(), payment.out_trade_no.clone());
    let (evidence, verified_by) = match usable_api(merchant, payment.api) {
        Api::V2 => {
            let key = v2_key(merchant)?;
            let call = close_order::CloseOrder { appid: payment.appid.clone(), mchid, out_trade_no };
            let answered = app.pay_v2.call(&key, &app.nonce_str(), &call).await?;
            (answered.evidence, format!("v2 {}", key.sign_type.as_str()))
        }
        Api::V3 => {
            let call = close::CloseOrder { mchid, out_trade_no };
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            (answered.evidence, "v3".to_owned())
        }
    };
    Ok(answer_to(Source::Close, asked, verified_by, evidence))
}

/// The version that something was made with, or the merchant's present one if the keys of that are gone.
fn usable_api(merchant: &Merchant, made_with: Api) -> Api {
    let keys_are_there = match made_with {
        Api::V2 => merchant.v2.is_some(),
        Api::V3 => merchant.v3.is_some(),
    };
    if keys_are_there { made_with } else { merchant.api }
}

fn answer_to(source: Source, asked: Timestamp, verified_by: String, evidence: Evidence) -> Message {
    Message {
        source,
        weight: Weight::Proof,
        verified_by,
        raw: evidence.answer_body,
        request_id: evidence.request_id,
        asked: Some(asked),
    }
}

fn frozen_fields(payment: &Payment) -> Result<Fields, GatewayError> {
    Fields::parse(payment.frozen_request.as_bytes()).map_err(|_| GatewayError::FrozenBroken)
}

fn v2_key(merchant: &Merchant) -> Result<MerchantKeyV2, GatewayError> {
    let v2 = merchant.v2.as_ref().ok_or(GatewayError::NotConfigured("api_v2_key"))?;
    Ok(MerchantKeyV2 { mchid: merchant.mchid.clone(), key: v2.key.clone(), sign_type: v2.sign_type })
}

pub(super) fn v3_keys<'a>(app: &'a App, merchant: &Merchant) -> Result<&'a MerchantV3, GatewayError> {
    app.merchant_v3(&merchant.mchid).ok_or(GatewayError::NotConfigured("private_key_file and api_v3_key_file"))
}

/// Why WeChat gave nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum GatewayError {
    /// WeChat refused; `refusal` says what follows for the order.
    #[error("WeChat refused with {} ({meaning}): {}", .wechat.code, .wechat.message)]
    Refused { refusal: Refusal, wechat: WechatCause, meaning: &'static str },
    /// WeChat did not take the request as it was sent: keys or numbers. It proves nothing about the order.
    #[error("WeChat did not take the request: {} {}", .0.code, .0.message)]
    NotTaken(WechatCause),
    /// WeChat does not know the payment. Absence is not failure.
    #[error("WeChat does not know the payment")]
    NotFound,
    /// The answer is authentic, but about another payment.
    #[error("WeChat answered about another payment")]
    OtherPayment,
    /// No answer, or none that can be believed.
    #[error("WeChat Pay did not answer in a way that can be believed")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keys of the version that the payment was made with are not configured (any more).
    #[error("{0} of the merchant must be in the configuration, because the payment was made with that version")]
    NotConfigured(&'static str),
    /// The stored request is not what this program wrote.
    #[error("the frozen request cannot be read")]
    FrozenBroken,
}

impl From<CallError> for GatewayError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejected) if rejected.err_code == ErrCode::Ordernotexist => Self::NotFound,
            CallError::Rejected(rejected) => Self::Refused {
                refusal: Refusal::of(&rejected.err_code),
                meaning: rejected.err_code.meaning(),
                wechat: WechatCause {
                    code: rejected.err_code.to_string(),
                    message: rejected.err_code_des.clone(),
                    request_id: rejected.evidence.request_id.clone(),
                },
            },
            CallError::Refused { return_msg } => {
                Self::NotTaken(WechatCause { code: "FAIL".to_owned(), message: return_msg, request_id: None })
            }
            error => Self::NoAnswer(Box::new(error)),
        }
    }
}

impl From<CallErrorV3> for GatewayError {
    fn from(error: CallErrorV3) -> Self {
        let CallErrorV3::Refused { status, error: Some(body), request_id } = error else {
            return Self::NoAnswer(Box::new(error));
        };
        let wechat = WechatCause { code: body.code.to_string(), message: body.message.clone(), request_id };
        match (status, &body.code) {
            (404, CodeV3::OrderNotExist) => Self::NotFound,
            (401, _) => Self::NotTaken(wechat),
            _ => Self::Refused { refusal: Refusal::of_v3(status, &body), meaning: body.code.meaning(), wechat },
        }
    }
}
