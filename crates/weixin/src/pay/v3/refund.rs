//! `POST /v3/refund/domestic/refunds` and `GET /v3/refund/domestic/refunds/{out_refund_no}`.
//!
//! An answer of 200 says accepted, not paid back. The same `out_refund_no` is the same refund, however often it is
//! sent; a new number is a second refund.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791904>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Call, Code, ErrorBody, Method, checked, fen, json, query::encoded, transaction};
use crate::{
    Fen, FieldError, NotifyUrl, OrderAmount, OutRefundNo, OutTradeNo, RefundReason, TransactionId,
    pay::{Refund, RefundRefusal, RefundState, refund::refund_id},
};

pub use crate::pay::PaymentNo;

/// The path below the host.
pub const PATH: &str = "/v3/refund/domestic/refunds";

/// Asks to give money back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Which payment is refunded.
    #[serde(flatten)]
    pub payment: PaymentNo,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// Shown to the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RefundReason>,
    /// Where to report the result. Always send it: without it the result goes elsewhere as XML, or nowhere.
    pub notify_url: NotifyUrl,
    /// How much of how much.
    pub amount: RefundAmount,
}

/// How much goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAmount {
    /// What goes back, in fen.
    pub refund: OrderAmount,
    /// The amount of the payment, in fen.
    pub total: OrderAmount,
    /// `CNY`.
    pub currency: String,
}

impl Call for RefundRequest {
    const METHOD: Method = Method::Post;
    type Answer = Refund;

    fn path(&self) -> String {
        PATH.to_owned()
    }

    fn body(&self) -> String {
        json(self)
    }

    fn is_answered_by(&self, answer: &Refund) -> bool {
        answer.out_refund_no == self.out_refund_no
            && answer.refund == self.amount.refund.fen()
            && answer.total == self.amount.total.fen()
            && answer.belongs_to(&self.payment)
    }
}

/// A body that was written down before it was first sent. It is sent with the same bytes for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenRefund(pub String);

impl Call for FrozenRefund {
    const METHOD: Method = Method::Post;
    type Answer = Refund;

    fn path(&self) -> String {
        PATH.to_owned()
    }

    fn body(&self) -> String {
        self.0.clone()
    }

    fn is_answered_by(&self, answer: &Refund) -> bool {
        serde_json::from_str::<RefundRequest>(&self.0).is_ok_and(|request| request.is_answered_by(answer))
    }
}

impl RefundRefusal {
    /// Sorts a refusal of API v3, of either call. It is not signed: ask once more before a definitive one is believed.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> and
    /// <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> (error codes).
    pub fn of_v3(http_status: u16, error: &ErrorBody) -> Self {
        match error.code {
            _ if http_status == 401 || http_status == 429 || http_status >= 500 => Self::TryAgain,
            Code::NotEnough => Self::NotEnough,
            Code::ResourceNotExists | Code::OrderNotExist => Self::NotFound,
            Code::InvalidRequest | Code::RefundFeeMismatch => Self::Query,
            Code::ParamError
            | Code::MchNotExists
            | Code::NoAuth
            | Code::UserAccountAbnormal
            | Code::TradeOverdue
            | Code::InvalidTransactionid => Self::Definitive,
            _ => Self::TryAgain,
        }
    }
}

/// Asks what became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundQuery {
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
}

impl Call for RefundQuery {
    const METHOD: Method = Method::Get;
    type Answer = Refund;

    fn path(&self) -> String {
        format!("{PATH}/{}", encoded(self.out_refund_no.as_str()))
    }

    fn is_answered_by(&self, answer: &Refund) -> bool {
        answer.out_refund_no == self.out_refund_no
    }
}

/// The answer says `status`, the notification says `refund_status`.
#[derive(Debug, Serialize, Deserialize)]
struct Wire {
    refund_id: String,
    out_refund_no: OutRefundNo,
    transaction_id: TransactionId,
    out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_received_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund_status: Option<String>,
    amount: WireAmount,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireAmount {
    total: i64,
    refund: i64,
    payer_total: i64,
    payer_refund: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settlement_refund: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settlement_total: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount_refund: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

impl TryFrom<Wire> for Refund {
    type Error = FieldError;

    fn try_from(wire: Wire) -> Result<Self, FieldError> {
        let state = checked("status", wire.status.or(wire.refund_status))?;
        let time = |text: String| transaction::time(&text).ok_or(FieldError::new("success_time", "must be a time"));
        Ok(Self {
            out_trade_no: OutTradeNo::received(wire.out_trade_no)?,
            transaction_id: wire.transaction_id,
            out_refund_no: wire.out_refund_no,
            refund_id: refund_id(&wire.refund_id)?,
            state: RefundState::from_wire(&state),
            refund: fen(wire.amount.refund),
            total: fen(wire.amount.total),
            success_time: wire.success_time.filter(|text| !text.is_empty()).map(time).transpose()?,
            user_received_account: wire.user_received_account,
        })
    }
}

impl<'de> Deserialize<'de> for Refund {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// Where the state of a refund is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In an answer: `status`, with all amounts.
    Answer {
        /// When the refund was accepted.
        created: Timestamp,
    },
    /// In a notification: `refund_status`.
    Notification,
}

/// Writes a refund as WeChat does.
pub fn to_json(refund: &Refund, told: Told) -> String {
    let (answer, state) = (matches!(told, Told::Answer { .. }), refund.state.to_string());
    let everything = |amount: Fen| answer.then(|| amount.get());
    json(&Wire {
        refund_id: refund.refund_id.clone(),
        out_refund_no: refund.out_refund_no.clone(),
        transaction_id: refund.transaction_id.clone(),
        out_trade_no: refund.out_trade_no.to_string(),
        channel: answer.then(|| "ORIGINAL".to_owned()),
        user_received_account: Some(refund.user_received_account.clone().unwrap_or_else(|| "支付用户零钱".to_owned())),
        success_time: refund.success_time.map(transaction::rfc3339),
        create_time: match told {
            Told::Answer { created } => Some(transaction::rfc3339(created)),
            Told::Notification => None,
        },
        status: answer.then(|| state.clone()),
        refund_status: (!answer).then_some(state),
        amount: WireAmount {
            total: refund.total.get(),
            refund: refund.refund.get(),
            payer_total: refund.total.get(),
            payer_refund: refund.refund.get(),
            settlement_refund: everything(refund.refund),
            settlement_total: everything(refund.total),
            discount_refund: everything(Fen::ZERO),
            currency: answer.then(|| "CNY".to_owned()),
        },
    })
}

/// Status and code of the refusals that the page documents for applying.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (400, Code::InvalidRequest),
    (400, Code::TradeOverdue),
    (400, Code::RefundFeeMismatch),
    (403, Code::NotEnough),
    (403, Code::UserAccountAbnormal),
    (403, Code::NoAuth),
    (404, Code::MchNotExists),
    (404, Code::ResourceNotExists),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];

/// Status and code of the refusals that the page documents for asking.
pub const QUERY_ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (404, Code::ResourceNotExists),
    (404, Code::MchNotExists),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
