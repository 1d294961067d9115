//! What WeChat says of one payment, in whatever version and by whatever way it was said.

use std::fmt;

use jiff::Timestamp;

use crate::{AppId, Attach, Fen, MchId, OpenId, OutTradeNo, TransactionId};

/// One payment as WeChat sees it. Amount, payer and time exist only where WeChat tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The mini program in which is paid.
    pub appid: AppId,
    /// The merchant who is paid.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
    /// How far the payment is.
    pub trade_state: TradeState,
    /// WeChat's number; only of payments that succeeded.
    pub transaction_id: Option<TransactionId>,
    /// Who paid.
    pub openid: Option<OpenId>,
    /// The amount of the order in fen (`total_fee`): this one is compared with ours, never `cash_fee`.
    pub total: Option<Fen>,
    /// What the customer really paid after coupons, in fen (`cash_fee`).
    pub payer_total: Option<Fen>,
    /// The currency; WeChat leaves it out for CNY.
    pub currency: Option<String>,
    /// Bank and kind of card, an open list (`CMB_CREDIT`, `OTHERS`, …).
    pub bank_type: Option<String>,
    /// The merchant's own data, as sent with the order.
    pub attach: Option<Attach>,
    /// When the customer paid.
    pub success_time: Option<Timestamp>,
}

/// How far a payment is.
///
/// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941128> (order query of a mini program, `trade_state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeState {
    /// Paid.
    Success,
    /// Paid, and at least one refund was made, also a partial or unfinished one.
    Refund,
    /// Not paid; also after `time_expire`, until somebody closes the order.
    NotPay,
    /// Closed; nothing can be paid any more.
    Closed,
    /// Reversed; pay-code payments only.
    Revoked,
    /// The customer types the password; pay-code payments only.
    UserPaying,
    /// The bank refused.
    PayError,
    /// The deduction was accepted and is under way.
    Accept,
    /// A word that we do not know yet.
    Unknown(String),
}

impl TradeState {
    /// Reads WeChat's word. Words that we do not know are kept.
    pub fn from_wire(word: &str) -> Self {
        match word {
            "SUCCESS" => Self::Success,
            "REFUND" => Self::Refund,
            "NOTPAY" => Self::NotPay,
            "CLOSED" => Self::Closed,
            "REVOKED" => Self::Revoked,
            "USERPAYING" => Self::UserPaying,
            "PAYERROR" => Self::PayError,
            "ACCEPT" => Self::Accept,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// WeChat's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
            Self::NotPay => "NOTPAY",
            Self::Closed => "CLOSED",
            Self::Revoked => "REVOKED",
            Self::UserPaying => "USERPAYING",
            Self::PayError => "PAYERROR",
            Self::Accept => "ACCEPT",
            Self::Unknown(word) => word,
        }
    }

    /// Whether money has moved: a refunded payment was paid, too.
    pub fn is_paid(&self) -> bool {
        matches!(self, Self::Success | Self::Refund)
    }
}

impl fmt::Display for TradeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
