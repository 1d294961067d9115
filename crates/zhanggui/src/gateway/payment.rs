//! Payments at WeChat Pay: order, ask, close, and sign for the phone, in the version that a payment was made with.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use weixin::{
    Body, NonceStr, OutTradeNo, PrepayId, Verified, beijing_time,
    pay::{
        RequestPayment, Transaction,
        v2::{
            Call as _, SignType, close_order,
            order_query::{OrderQuery, Which},
            unified_order::UnifiedOrder,
        },
        v3::{
            Call as _, close,
            jsapi::{FrozenJsapiOrder, JsapiOrder},
            query::QueryByOutTradeNo,
        },
    },
    xml::Fields,
};
use weixin_client::Answered;

use super::{GatewayError, answer_to, usable_api, v2_key, v3_keys};
use crate::{
    app::App,
    config::{Api, Merchant},
    evidence::{Message, Source, VerifiedBy},
    order::Order,
    payment::Payment,
    session::Customer,
};

/// What a payment is made of.
pub(crate) struct NewPayment<'a> {
    pub(crate) order: &'a Order,
    pub(crate) customer: &'a Customer,
    pub(crate) out_trade_no: OutTradeNo,
    pub(crate) client_ip: IpAddr,
    pub(crate) now: Timestamp,
    /// The last moment to pay.
    pub(crate) time_expire: Timestamp,
    pub(crate) nonce_str: &'a NonceStr,
}

/// Writes the request to WeChat as it will be sent for ever, without its signature.
pub(crate) fn freeze(merchant: &Merchant, new: NewPayment<'_>) -> Result<String, GatewayError> {
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
pub(crate) fn is_too_late_to_send(payment: &Payment, now: Timestamp) -> Result<bool, GatewayError> {
    const NEAREST: SignedDuration = SignedDuration::from_mins(5);
    if payment.api == Api::V3 {
        return Ok(false);
    }
    let fields = frozen_fields(payment)?;
    let time_expire = fields.get("time_expire").map(|text| beijing_time::from_compact("time_expire", text)).transpose();
    Ok(time_expire.map_err(|_| GatewayError::FrozenBroken)?.is_some_and(|time| time < now + NEAREST))
}

/// Sends the frozen request.
pub(crate) async fn submit(app: &App, merchant: &Merchant, payment: &Payment) -> Result<PrepayId, GatewayError> {
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
pub(crate) fn sign_for_phone(
    app: &App,
    merchant: &Merchant,
    payment: &Payment,
    prepay_id: &PrepayId,
) -> Result<RequestPayment, GatewayError> {
    let (appid, now, nonce_str) = (&payment.appid, app.now(), app.nonce_str());
    match payment.api {
        Api::V2 => {
            // The hash of the frozen message, which may be older than the merchant's setting: the phone compares them.
            let sign_type = SignType::of(&frozen_fields(payment)?).map_err(|_| GatewayError::FrozenBroken)?;
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
pub(crate) async fn query(
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
            (answered, VerifiedBy::V2(key.sign_type))
        }
        Api::V3 => {
            let call = QueryByOutTradeNo { mchid, out_trade_no };
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            (answered, VerifiedBy::V3)
        }
    };
    let Answered { answer, evidence } = answered;
    Ok((answer_to(Source::Query, asked, verified_by, evidence), answer))
}

/// Closes a payment. A refusal proves nothing: ask what became of it.
pub(crate) async fn close(app: &App, merchant: &Merchant, payment: &Payment) -> Result<Message, GatewayError> {
    let asked = app.now();
    let (mchid, out_trade_no) = (payment.mchid.clone(), payment.out_trade_no.clone());
    let (evidence, verified_by) = match usable_api(merchant, payment.api) {
        Api::V2 => {
            let key = v2_key(merchant)?;
            let call = close_order::CloseOrder { appid: payment.appid.clone(), mchid, out_trade_no };
            let answered = app.pay_v2.call(&key, &app.nonce_str(), &call).await?;
            (answered.evidence, VerifiedBy::V2(key.sign_type))
        }
        Api::V3 => {
            let call = close::CloseOrder { mchid, out_trade_no };
            let answered = app.pay_v3.call(v3_keys(app, merchant)?, app.nonce_str(), &call).await?;
            (answered.evidence, VerifiedBy::V3)
        }
    };
    Ok(answer_to(Source::Close, asked, verified_by, evidence))
}

fn frozen_fields(payment: &Payment) -> Result<Fields, GatewayError> {
    Fields::parse(payment.frozen_request.as_bytes()).map_err(|_| GatewayError::FrozenBroken)
}
