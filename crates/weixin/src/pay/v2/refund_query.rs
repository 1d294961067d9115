//! `POST /pay/refundquery`: what became of a refund, or of all refunds of a payment. No client certificate.
//!
//! Fields end in the number of the refund, from 0 (`refund_status_0`); coupons have a second number
//! (`coupon_refund_fee_0_1`), and names without a number are sums. So names are asked for whole, never cut at `_`.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941316>.

use super::{
    Answer, Call, ErrCode, fen, optional,
    order_query::{payment, set_payment},
    required,
};
use crate::{
    AppId, FieldError, MchId, OutRefundNo, OutTradeNo, TransactionId, Verified, beijing_time,
    pay::{PaymentNo, Refund, RefundState, refund::refund_id},
    xml::Fields,
};

/// How many refunds one answer tells at most.
pub const REFUNDS_PER_ANSWER: usize = 10;

/// Asks for refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundQuery {
    /// The mini program.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// Which refunds.
    pub which: Which,
    /// Of a payment with more than ten refunds: how many are skipped. Ask by the number of the refund instead.
    pub offset: Option<u32>,
}

/// The number by which refunds are asked for. If a message carries several, the first of these wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One refund, by WeChat's number.
    RefundId(String),
    /// One refund, by the merchant's number.
    OutRefundNo(OutRefundNo),
    /// All refunds of a payment, ten at a time.
    Payment(PaymentNo),
}

impl Call for RefundQuery {
    const PATH: &'static str = "/pay/refundquery";
    type Answer = Refunds;

    fn appid(&self) -> &AppId {
        &self.appid
    }

    fn mchid(&self) -> &MchId {
        &self.mchid
    }

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set("appid", self.appid.as_str()).set("mch_id", self.mchid.as_str());
        match &self.which {
            Which::RefundId(number) => drop(fields.set("refund_id", number.as_str())),
            Which::OutRefundNo(number) => drop(fields.set("out_refund_no", number.as_str())),
            Which::Payment(number) => set_payment(&mut fields, number),
        }
        fields.set_some("offset", self.offset.map(|offset| offset.to_string()));
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        let by_id = optional(fields, "refund_id", refund_id)?;
        let by_number = optional(fields, "out_refund_no", OutRefundNo::parse)?;
        let which = match (by_id, by_number) {
            (Some(number), _) => Which::RefundId(number),
            (None, Some(number)) => Which::OutRefundNo(number),
            (None, None) => Which::Payment(payment(fields)?),
        };
        Ok(Self {
            appid: required(fields, "appid", AppId::parse)?,
            mchid: required(fields, "mch_id", MchId::parse)?,
            which,
            offset: optional(fields, "offset", count("offset"))?,
        })
    }

    fn is_answered_by(&self, answer: &Refunds) -> bool {
        let asked = |refund: &Refund| match &self.which {
            Which::RefundId(number) => refund.refund_id == *number,
            Which::OutRefundNo(number) => refund.out_refund_no == *number,
            Which::Payment(number) => refund.belongs_to(number),
        };
        answer.refunds.iter().all(asked)
    }
}

/// The refunds that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunds {
    /// Those of this answer; all belong to one payment.
    pub refunds: Vec<Refund>,
    /// How many refunds the payment has. Not in every answer.
    pub total_count: Option<u32>,
}

impl Refunds {
    /// The refund with this number of the merchant.
    pub fn find(&self, out_refund_no: &OutRefundNo) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.out_refund_no == *out_refund_no)
    }
}

impl Verified<Refunds> {
    /// The refund with this number of the merchant, with the proof of the answer that tells of it.
    pub fn refund(&self, out_refund_no: &OutRefundNo) -> Option<Verified<Refund>> {
        self.find(out_refund_no).cloned().map(Verified::new)
    }
}

impl Answer for Refunds {
    /// The alphabetical order of real answers; no coupons.
    fn to_fields(&self) -> Fields {
        let mut named = Vec::new();
        let mut set = |name: &str, value: String| named.push((name.to_owned(), value));
        for (index, refund) in self.refunds.iter().enumerate() {
            let amount = refund.refund.get().to_string();
            set(&format!("out_refund_no_{index}"), refund.out_refund_no.to_string());
            set(&format!("refund_account_{index}"), "REFUND_SOURCE_UNSETTLED_FUNDS".to_owned());
            set(&format!("refund_channel_{index}"), "ORIGINAL".to_owned());
            set(&format!("refund_fee_{index}"), amount.clone());
            set(&format!("refund_id_{index}"), refund.refund_id.clone());
            set(&format!("refund_recv_accout_{index}"), refund.user_received_account.clone().unwrap_or_default());
            set(&format!("refund_status_{index}"), state_word(&refund.state).to_owned());
            set(&format!("settlement_refund_fee_{index}"), amount);
            if let Some(time) = refund.success_time {
                set(&format!("refund_success_time_{index}"), beijing_time::spaced(time));
            }
        }
        if let Some(first) = self.refunds.first() {
            let total_fee = first.total.get().to_string();
            let sum: i64 = self.refunds.iter().map(|refund| refund.refund.get()).sum();
            set("cash_fee", total_fee.clone());
            set("cash_refund_fee", sum.to_string());
            set("fee_type", "CNY".to_owned());
            set("out_trade_no", first.out_trade_no.to_string());
            set("refund_fee", sum.to_string());
            set("total_fee", total_fee);
            set("transaction_id", first.transaction_id.to_string());
        }
        set("refund_count", self.refunds.len().to_string());
        if let Some(count) = self.total_count {
            set("total_refund_count", count.to_string());
        }
        named.sort();
        named.into_iter().collect()
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        let refund_count = required(fields, "refund_count", count("refund_count"))?;
        if refund_count as usize > crate::xml::FIELDS_MAX {
            return Err(FieldError::new("refund_count", "must be at most what a message can hold"));
        }
        Ok(Self {
            refunds: (0..refund_count).map(|index| read(fields, index)).collect::<Result<_, _>>()?,
            total_count: optional(fields, "total_refund_count", count("total_refund_count"))?,
        })
    }
}

/// Reads the refund of that number in the answer.
fn read(fields: &Fields, index: u32) -> Result<Refund, FieldError> {
    let numbered = |name: &'static str| fields.get(&format!("{name}_{index}"));
    let required_numbered = |name| numbered(name).ok_or(FieldError::new(name, "is missing"));
    let time = |text| beijing_time::from_spaced("refund_success_time", text);
    Ok(Refund {
        out_trade_no: required(fields, "out_trade_no", OutTradeNo::received)?,
        transaction_id: required(fields, "transaction_id", TransactionId::parse)?,
        out_refund_no: OutRefundNo::parse(required_numbered("out_refund_no")?)?,
        refund_id: refund_id(required_numbered("refund_id")?)?,
        state: read_state(required_numbered("refund_status")?),
        refund: fen("refund_fee")(required_numbered("refund_fee")?)?,
        total: required(fields, "total_fee", fen("total_fee"))?,
        success_time: numbered("refund_success_time").map(time).transpose()?,
        user_received_account: numbered("refund_recv_accout").map(str::to_owned),
    })
}

fn count(name: &'static str) -> impl FnOnce(&str) -> Result<u32, FieldError> {
    move |text| text.parse().map_err(|_| FieldError::new(name, "must be a whole number"))
}

/// Reads WeChat's word in API v2. `FAIL` is an old one for "closed". The old `NOTSURE`, which asks to send the same
/// refund again, is kept as it is, like every word that we do not know: nothing follows from it.
pub(super) fn read_state(word: &str) -> RefundState {
    match word {
        "PROCESSING" => RefundState::Processing,
        "SUCCESS" => RefundState::Success,
        "REFUNDCLOSE" | "FAIL" => RefundState::Closed,
        "CHANGE" => RefundState::Abnormal,
        other => RefundState::Unknown(other.to_owned()),
    }
}

/// WeChat's word in API v2.
pub(super) fn state_word(state: &RefundState) -> &str {
    match state {
        RefundState::Processing => "PROCESSING",
        RefundState::Success => "SUCCESS",
        RefundState::Closed => "REFUNDCLOSE",
        RefundState::Abnormal => "CHANGE",
        RefundState::Unknown(word) => word,
    }
}

/// The codes that the page documents for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::Systemerror,
    ErrCode::Refundnotexist,
    ErrCode::InvalidTransactionid,
    ErrCode::ParamError,
    ErrCode::AppidNotExist,
    ErrCode::MchidNotExist,
    ErrCode::RequirePostMethod,
    ErrCode::Signerror,
    ErrCode::XmlFormatError,
];
