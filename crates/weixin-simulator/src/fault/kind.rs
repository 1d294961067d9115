//! What can go wrong with a message, and where each kind makes sense.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::pay;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No effect; the gateway answers with this HTTP status and a page of HTML.
    Status(u16),
    /// No effect; the gateway answers with status 200 and a page of HTML.
    Html,
    /// No effect; status 200 and no body.
    Empty,
    /// No effect; the connection is closed without an answer.
    NoAnswerBefore,
    /// The request takes effect; the connection is closed without an answer.
    NoAnswerAfter,
    /// The request takes effect; the connection breaks in the middle of the answer.
    HalfAnswer,
    /// The request takes effect; the answer is cut in its middle, but looks whole.
    Broken,
    /// The request takes effect; the answer comes so many real milliseconds later.
    Hang(u64),
    /// The request takes effect; the answer has no signature. Also for notifications and pushes.
    Unsigned,
    /// The request takes effect; the answer has a wrong signature. Also for notifications and pushes.
    WrongSignature,
    /// The request takes effect; the answer, properly signed, is for another merchant.
    ForeignMerchant,
    /// The request takes effect; the answer, properly signed, is about another number.
    ForeignNumber,
    /// Order queries only: the answer, properly signed, says this `trade_state`, whatever the books say.
    TradeState(String),
    /// Refund queries, and in API v3 the answer to a refund: the answer, properly signed, says this `refund_status`
    /// (`status` in API v3), whatever the books say.
    RefundStatus(String),
    /// API v3. The request takes effect; the signature is good, but ten minutes old. Also for notifications; a push is
    /// eight days old.
    Stale,
    /// API v3. The request takes effect; a key signs that was never published, under its own name. Also for
    /// notifications.
    UnknownSerial,
    /// API v3. The request takes effect; the signature is a probe (`WECHATPAY/SIGNTEST/…`), by which WeChat Pay tests
    /// whether anybody verifies. Half of them are not base64. Also for notifications. Never strikes a repeat.
    Probe,
    /// API v2. No effect; WeChat Pay refuses on the business level, signed, with this `err_code`.
    ErrCode(String),
    /// API v2. The request takes effect; WeChat Pay refuses all the same, signed, with this `err_code` (as
    /// `SYSTEMERROR` may).
    ErrCodeAfter(String),
    /// API v2. No effect; WeChat Pay refuses on the communication level, unsigned, with this `return_msg`.
    Fail(String),
    /// API v3. No effect; WeChat Pay refuses with this HTTP status and code, after it found the signature good.
    V3Error {
        /// The HTTP status.
        status: u16,
        /// For example `FREQUENCY_LIMITED`.
        code: String,
    },
    /// API v3. The request takes effect; WeChat Pay refuses all the same (as 500 `SYSTEM_ERROR` may).
    V3ErrorAfter {
        /// The HTTP status.
        status: u16,
        /// For example `SYSTEM_ERROR`.
        code: String,
    },
    /// No effect; `api.weixin.qq.com` answers with this `errcode`.
    Errcode(i64),
    /// Notifications and pushes only: the attempt is lost on its way and counts as unsuccessful.
    Lost,
    /// Notifications and pushes only: the same one is posted twice at the same time.
    Twice,
    /// Notifications only: `total_fee` is one fen more than was signed. In API v3 nobody can do that to a sealed
    /// amount; there it is the same as [`FaultKind::TamperedBody`].
    TamperedAmount,
    /// Notifications and pushes only: the body is not the one that was signed.
    TamperedBody,
    /// Notifications only: the amount is one fen more, properly sealed and signed.
    WrongAmount,
    /// Notifications only: the payment is another merchant's, properly sealed and signed for this one.
    OtherMerchant,
    /// Notifications only: an element that nobody knows, signed like the others.
    UnknownField,
    /// Notifications and pushes only: the attempt is made so many simulated seconds later.
    Delay(u32),
    /// Notifications only: the attempt is made right after the next other one, or after an hour if none comes.
    Reordered,
    /// Notifications only: it comes again so many simulated seconds later, although it was accepted.
    Again(u32),
    /// Pushes only: sealed for another app.
    OtherApp,
    /// Pushes only: in clear text, whatever the app has agreed on.
    ClearText,
}

impl FaultKind {
    /// Whether the kind makes sense there. One that does not would be used up without being seen.
    pub(crate) fn fits(&self, target: Target<'_>) -> bool {
        use FaultKind as Kind;
        match (self, target) {
            (kind, Target::Notification) => kind.is_for_notifications() || kind.is_of_signatures(),
            (kind, Target::Request(_)) if kind.is_for_notifications() => false,
            (Kind::ForeignMerchant, Target::Request(path)) => {
                pay::is_path(path) || path.starts_with("/v3/pay/transactions/")
            }
            (Kind::ForeignNumber, Target::Request(path)) => pay::answers_with_a_number(path),
            (Kind::TradeState(_), Target::Request(path)) => pay::answers_with_a_trade_state(path),
            (Kind::RefundStatus(_), Target::Request(path)) => pay::answers_with_a_refund_status(path),
            (kind, Target::Push) => kind.is_for_pushes(),
            (Kind::OtherApp | Kind::ClearText, Target::Request(_)) => false,
            (Kind::Unsigned | Kind::WrongSignature, Target::Request(path)) => {
                pay::is_path(path) || path.starts_with("/v3/")
            }
            (Kind::ErrCode(_) | Kind::ErrCodeAfter(_) | Kind::Fail(_), Target::Request(path)) => pay::is_path(path),
            (
                Kind::Stale | Kind::UnknownSerial | Kind::Probe | Kind::V3Error { .. } | Kind::V3ErrorAfter { .. },
                Target::Request(path),
            ) => path.starts_with("/v3/"),
            (Kind::Errcode(_), Target::Request(path)) => !pay::is_path(path) && !path.starts_with("/v3/"),
            (_, Target::Request(_)) => true,
        }
    }

    pub(super) fn is_for_notifications(&self) -> bool {
        use FaultKind as Kind;
        matches!(
            self,
            Kind::Lost
                | Kind::Twice
                | Kind::TamperedAmount
                | Kind::TamperedBody
                | Kind::WrongAmount
                | Kind::OtherMerchant
                | Kind::UnknownField
                | Kind::Delay(_)
                | Kind::Reordered
                | Kind::Again(_)
        )
    }

    /// [`FaultKind::Stale`] makes a push eight days old.
    fn is_for_pushes(&self) -> bool {
        use FaultKind as Kind;
        matches!(
            self,
            Kind::Lost
                | Kind::Twice
                | Kind::Delay(_)
                | Kind::Unsigned
                | Kind::WrongSignature
                | Kind::TamperedBody
                | Kind::Stale
                | Kind::OtherApp
                | Kind::ClearText
        )
    }

    fn is_of_signatures(&self) -> bool {
        matches!(self, Self::Unsigned | Self::WrongSignature) || self.is_of_v3_signatures()
    }

    pub(super) fn is_of_v3_signatures(&self) -> bool {
        matches!(self, Self::Stale | Self::UnknownSerial | Self::Probe)
    }
}
