//! `POST /secapi/pay/refund`: gives money back. Needs the merchant's client certificate.
//!
//! Two words SUCCESS say accepted, not paid back. The same `out_refund_no` with the same amounts is the same refund,
//! however often it is sent; a new number is a second refund.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941262>.

use super::{
    Answer, Call, ErrCode, fen, optional,
    order_query::{payment, set_payment},
    required,
};
use crate::{
    AppId, FieldError, MchId, NotifyUrl, OrderAmount, OutRefundNo, OutTradeNo, RefundReason, TransactionId,
    pay::{PaymentNo, Refund, RefundRefusal, RefundState, refund::refund_id},
    xml::Fields,
};

/// Asks to give money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// The mini program.
    pub appid: AppId,
    /// The merchant; its certificate proves who asks.
    pub mchid: MchId,
    /// Which payment is refunded.
    pub payment: PaymentNo,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// What goes back, in fen (`refund_fee`).
    pub refund: OrderAmount,
    /// The amount of the payment, in fen (`total_fee`).
    pub total: OrderAmount,
    /// Shown to the customer (`refund_desc`).
    pub reason: Option<RefundReason>,
    /// Where to report the result. Always send it: without it the result goes elsewhere, or nowhere.
    pub notify_url: NotifyUrl,
}

impl Call for RefundRequest {
    const PATH: &'static str = "/secapi/pay/refund";
    const NEEDS_CERTIFICATE: bool = true;
    type Answer = Refund;

    fn appid(&self) -> &AppId {
        &self.appid
    }

    fn mchid(&self) -> &MchId {
        &self.mchid
    }

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set("appid", self.appid.as_str()).set("mch_id", self.mchid.as_str());
        set_payment(&mut fields, &self.payment);
        fields
            .set("out_refund_no", self.out_refund_no.as_str())
            .set("total_fee", self.total.fen().get().to_string())
            .set("refund_fee", self.refund.fen().get().to_string())
            .set_some("refund_desc", self.reason.as_ref().map(RefundReason::as_str))
            .set("notify_url", self.notify_url.as_str());
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            appid: required(fields, "appid", AppId::parse)?,
            mchid: required(fields, "mch_id", MchId::parse)?,
            payment: payment(fields)?,
            out_refund_no: required(fields, "out_refund_no", OutRefundNo::parse)?,
            refund: required(fields, "refund_fee", amount("refund_fee"))?,
            total: required(fields, "total_fee", amount("total_fee"))?,
            reason: optional(fields, "refund_desc", RefundReason::parse)?,
            notify_url: required(fields, "notify_url", NotifyUrl::parse)?,
        })
    }

    fn is_answered_by(&self, answer: &Refund) -> bool {
        answer.out_refund_no == self.out_refund_no
            && answer.refund == self.refund.fen()
            && answer.total == self.total.fen()
            && answer.belongs_to(&self.payment)
    }
}

fn amount(name: &'static str) -> impl FnOnce(&str) -> Result<OrderAmount, FieldError> {
    move |text| OrderAmount::from_wire(text).map_err(|_| FieldError::new(name, "must be 1 fen or more, within 32 bits"))
}

/// The refund was accepted. The answer tells no state; a repeat of a refund that has ended gets the same answer, so
/// it says nothing about how far the refund is.
impl Answer for Refund {
    /// The order of real answers; no coupons.
    fn to_fields(&self) -> Fields {
        let (refund_fee, total_fee) = (self.refund.get().to_string(), self.total.get().to_string());
        let mut fields = Fields::new();
        fields
            .set("transaction_id", self.transaction_id.as_str())
            .set("out_trade_no", self.out_trade_no.as_str())
            .set("out_refund_no", self.out_refund_no.as_str())
            .set("refund_id", self.refund_id.as_str())
            .set("refund_channel", "")
            .set("refund_fee", refund_fee.as_str())
            .set("coupon_refund_fee", "0")
            .set("total_fee", total_fee.as_str())
            .set("cash_fee", total_fee)
            .set("coupon_refund_count", "0")
            .set("cash_refund_fee", refund_fee);
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            out_trade_no: required(fields, "out_trade_no", OutTradeNo::received)?,
            transaction_id: required(fields, "transaction_id", TransactionId::parse)?,
            out_refund_no: required(fields, "out_refund_no", OutRefundNo::parse)?,
            refund_id: required(fields, "refund_id", refund_id)?,
            state: RefundState::Processing,
            refund: required(fields, "refund_fee", fen("refund_fee"))?,
            total: required(fields, "total_fee", fen("total_fee"))?,
            success_time: None,
            user_received_account: None,
        })
    }
}

impl RefundRefusal {
    /// Sorts a signed refusal of API v2, of this call or of the query. Codes that we do not know prove nothing.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941262> and
    /// <https://pay.weixin.qq.com/doc/v2/merchant/4011941316> (error codes).
    pub fn of(code: &ErrCode) -> Self {
        match code {
            ErrCode::Notenough => Self::NotEnough,
            ErrCode::Ordernotexist | ErrCode::Refundnotexist => Self::NotFound,
            // ERROR is also said of an order that is refunded already.
            ErrCode::RefundFeeMismatch | ErrCode::InvalidRequest | ErrCode::Error => Self::Query,
            ErrCode::TradeOverdue | ErrCode::UserAccountAbnormal | ErrCode::InvalidTransactionid => Self::Definitive,
            code if code.is_about_the_message() => Self::Definitive,
            _ => Self::TryAgain,
        }
    }
}

/// The codes that the page documents for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::Systemerror,
    ErrCode::BizerrNeedRetry,
    ErrCode::TradeOverdue,
    ErrCode::Error,
    ErrCode::UserAccountAbnormal,
    ErrCode::InvalidReqTooMuch,
    ErrCode::Notenough,
    ErrCode::InvalidTransactionid,
    ErrCode::Ordernotexist,
    ErrCode::RefundFeeMismatch,
    ErrCode::InvalidRequest,
    ErrCode::FrequencyLimited,
    ErrCode::Noauth,
    ErrCode::ParamError,
    ErrCode::AppidNotExist,
    ErrCode::MchidNotExist,
    ErrCode::RequirePostMethod,
    ErrCode::Signerror,
    ErrCode::XmlFormatError,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_ends_only_by_a_code_that_proves_that_no_money_went_back() {
        let ends = ERR_CODES.iter().filter(|code| RefundRefusal::of(code) == RefundRefusal::Definitive);
        let ends: Vec<_> = ends.map(ErrCode::as_str).collect();
        assert_eq!(
            ends,
            [
                "TRADE_OVERDUE",
                "USER_ACCOUNT_ABNORMAL",
                "INVALID_TRANSACTIONID",
                "NOAUTH",
                "PARAM_ERROR",
                "APPID_NOT_EXIST",
                "MCHID_NOT_EXIST",
                "REQUIRE_POST_METHOD",
                "SIGNERROR",
                "XML_FORMAT_ERROR",
            ]
        );
        assert_eq!(RefundRefusal::of(&ErrCode::from_wire("NEW_CODE")), RefundRefusal::TryAgain);
    }
}
