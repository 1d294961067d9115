//! What WeChat says of one refund, in whatever version and by whatever way it was said.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Fen, FieldError, OutRefundNo, OutTradeNo, TransactionId};

/// One refund as WeChat sees it.
///
/// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> and
/// <https://pay.weixin.qq.com/doc/v2/merchant/4011941316> (queries).
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

impl Refund {
    /// Whether it is a refund of this payment.
    pub fn belongs_to(&self, payment: &PaymentNo) -> bool {
        match payment {
            PaymentNo::TransactionId(number) => self.transaction_id == *number,
            PaymentNo::OutTradeNo(number) => self.out_trade_no == *number,
        }
    }
}

/// The number by which a payment is named. WeChat's own is preferred, and wins if a message carries both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentNo {
    /// WeChat's number.
    TransactionId(TransactionId),
    /// The merchant's number.
    OutTradeNo(OutTradeNo),
}

/// What a refusal says about a refund that was applied for or asked for, in whatever version it came.
///
/// Source: the codes of applying, <https://pay.weixin.qq.com/doc/v2/merchant/4011941262> and
/// <https://pay.weixin.qq.com/doc/v3/merchant/4012791903>, and of asking,
/// <https://pay.weixin.qq.com/doc/v2/merchant/4011941316> and <https://pay.weixin.qq.com/doc/v3/merchant/4012791904>.
///
/// Nothing but [`RefundRefusal::Definitive`], or [`RefundRefusal::Query`] followed by a query that finds nothing, may
/// end a refund; and that only if no earlier call with the number can have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRefusal {
    /// Nothing is known (`SYSTEM_ERROR`, `FREQUENCY_LIMITED`, …): send the same number with the same amounts again, later.
    TryAgain,
    /// The merchant's balance is too low (`NOTENOUGH`, `NOT_ENOUGH`). Not accepted; the same message again after somebody
    /// has topped it up.
    NotEnough,
    /// WeChat does not know the refund (`REFUNDNOTEXIST`, `RESOURCE_NOT_EXISTS`), or, when it was applied for, the payment
    /// (`ORDERNOTEXIST`). It never means that the refund failed: the request may be on its way.
    NotFound,
    /// The number is known with other amounts, or the order does not allow it now (`REFUND_FEE_MISMATCH`,
    /// `INVALID_REQUEST`): ask what became of the number.
    Query,
    /// This call was refused for good (`TRADE_OVERDUE`, `USER_ACCOUNT_ABNORMAL`, …).
    Definitive,
}

/// Reads WeChat's number of a refund.
pub(in crate::pay) fn refund_id(text: &str) -> Result<String, FieldError> {
    match text.len() {
        1..=32 => Ok(text.to_owned()),
        _ => Err(FieldError::new("refund_id", "must be 1 to 32 characters")),
    }
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
