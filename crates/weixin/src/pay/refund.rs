//! What WeChat says of one refund, in whatever version and by whatever way it was said.

use std::fmt;

use jiff::Timestamp;

use crate::{Fen, OutRefundNo, OutTradeNo, TransactionId};

/// One refund as WeChat sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The merchant's number of the payment that is refunded.
    pub out_trade_no: OutTradeNo,
    /// WeChat's number of that payment.
    pub transaction_id: TransactionId,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// WeChat's number of the refund: at most 32 characters.
    pub refund_id: String,
    /// How far the refund is.
    pub state: RefundState,
    /// What goes back, in fen.
    pub refund: Fen,
    /// The amount of the payment, in fen.
    pub total: Fen,
    /// When the money arrived.
    pub success_time: Option<Timestamp>,
    /// Where it went, in words.
    pub user_received_account: Option<String>,
}

/// How far a refund is.
///
/// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> (refund query, `status`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// Under way.
    Processing,
    /// The money arrived.
    Success,
    /// Closed; the money stays with the merchant.
    Closed,
    /// The money cannot be credited; the merchant has to act.
    Abnormal,
    /// A word that we do not know yet.
    Unknown(String),
}

impl RefundState {
    /// Reads WeChat's word. Words that we do not know are kept.
    pub fn from_wire(word: &str) -> Self {
        match word {
            "PROCESSING" => Self::Processing,
            "SUCCESS" => Self::Success,
            "CLOSED" => Self::Closed,
            "ABNORMAL" => Self::Abnormal,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// WeChat's word in API v3.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Closed => "CLOSED",
            Self::Abnormal => "ABNORMAL",
            Self::Unknown(word) => word,
        }
    }
}

impl fmt::Display for RefundState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
