//! `POST /v3/pay/transactions/jsapi`: makes an order of a mini program at WeChat, or enters it again.
//!
//! The same `out_trade_no` with the same parameters is the same order; with one changed parameter it is refused. Keep
//! the first body and send it again.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791897>.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Call, Code, ErrorBody, Method, json, transaction::rfc3339};
use crate::{
    AppId, Attach, Body, FieldError, MchId, NotifyUrl, OpenId, OrderAmount, OutTradeNo, PrepayId, pay::Refusal,
};

/// The path below the host.
pub const PATH: &str = "/v3/pay/transactions/jsapi";

/// An order of a mini program's customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsapiOrder {
    /// The mini program.
    pub appid: AppId,
    /// The merchant; must be bound to the mini program.
    pub mchid: MchId,
    /// What is sold.
    pub description: Body,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
    /// The last moment to pay. It does not close the order.
    pub time_expire: Option<Timestamp>,
    /// The merchant's own data, returned unchanged.
    pub attach: Option<Attach>,
    /// Where to report the payment.
    pub notify_url: NotifyUrl,
    /// The amount in fen (`amount.total`).
    pub total: OrderAmount,
    /// Who pays: an `openid` of this very app.
    pub openid: OpenId,
    /// The customer's address (`scene_info.payer_client_ip`).
    pub client_ip: Option<IpAddr>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    appid: AppId,
    mchid: MchId,
    description: Body,
    out_trade_no: OutTradeNo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_expire: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attach: Option<Attach>,
    notify_url: NotifyUrl,
    amount: Amount,
    payer: Payer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneInfo>,
}

#[derive(Serialize, Deserialize)]
struct Amount {
    total: OrderAmount,
    #[serde(default = "cny")]
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct Payer {
    openid: OpenId,
}

#[derive(Serialize, Deserialize)]
struct SceneInfo {
    payer_client_ip: IpAddr,
}

fn cny() -> String {
    "CNY".to_owned()
}

impl JsapiOrder {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Not the JSON of an order.
    pub fn from_json(body: &[u8]) -> Result<Self, FieldError> {
        let error = FieldError::new("body", "must be the JSON of an order");
        let wire: Wire = serde_json::from_slice(body).map_err(|_| error.clone())?;
        let time_expire = wire.time_expire.map(|text| super::transaction::time(&text).ok_or(error)).transpose()?;
        Ok(Self {
            appid: wire.appid,
            mchid: wire.mchid,
            description: wire.description,
            out_trade_no: wire.out_trade_no,
            time_expire,
            attach: wire.attach,
            notify_url: wire.notify_url,
            total: wire.amount.total,
            openid: wire.payer.openid,
            client_ip: wire.scene_info.map(|scene| scene.payer_client_ip),
        })
    }
}

impl Call for JsapiOrder {
    const METHOD: Method = Method::Post;
    type Answer = JsapiAnswer;

    fn path(&self) -> String {
        PATH.to_owned()
    }

    fn body(&self) -> String {
        json(&Wire {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            description: self.description.clone(),
            out_trade_no: self.out_trade_no.clone(),
            time_expire: self.time_expire.map(rfc3339),
            attach: self.attach.clone(),
            notify_url: self.notify_url.clone(),
            amount: Amount { total: self.total, currency: cny() },
            payer: Payer { openid: self.openid.clone() },
            scene_info: self.client_ip.map(|payer_client_ip| SceneInfo { payer_client_ip }),
        })
    }
}

/// A body that was written down before it was first sent. It is sent with the same bytes for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenJsapiOrder(pub String);

impl Call for FrozenJsapiOrder {
    const METHOD: Method = Method::Post;
    type Answer = JsapiAnswer;

    fn path(&self) -> String {
        PATH.to_owned()
    }

    fn body(&self) -> String {
        self.0.clone()
    }
}

/// The order exists at WeChat and waits for the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsapiAnswer {
    /// What the phone needs to show the payment sheet; valid for two hours.
    pub prepay_id: PrepayId,
}

impl Refusal {
    /// Sorts a refusal of API v3. It is not signed, and it speaks of this call only: a definitive one ends a payment
    /// only if no earlier call with the same number can have given a `prepay_id` to somebody.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791897> (error codes).
    pub fn of_v3(http_status: u16, error: &ErrorBody) -> Self {
        match error.code {
            _ if http_status == 401 || http_status == 429 => Self::TryAgain,
            Code::OrderPaid | Code::OrderClosed | Code::OutTradeNoUsed | Code::InvalidRequest => Self::Query,
            Code::ParamError | Code::AppidMchidNotMatch | Code::MchNotExists | Code::OpenidMismatch | Code::NoAuth => {
                Self::Definitive
            }
            _ => Self::TryAgain,
        }
    }
}

/// Status and code of the refusals that the page documents for this endpoint.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (400, Code::InvalidRequest),
    (400, Code::AppidMchidNotMatch),
    (400, Code::MchNotExists),
    (400, Code::OrderClosed),
    (400, Code::OrderPaid),
    (403, Code::NoAuth),
    (403, Code::OutTradeNoUsed),
    (403, Code::RuleLimit),
    (403, Code::AccountError),
    (403, Code::TradeError),
    (403, Code::NotEnough),
    (202, Code::Userpaying),
    (500, Code::BankError),
    (500, Code::OpenidMismatch),
    (500, Code::InvalidTransactionid),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
