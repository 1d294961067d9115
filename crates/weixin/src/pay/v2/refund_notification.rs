//! The refund notification that WeChat posts to the refund's `notify_url`, or to the address set in the merchant
//! platform: also for refunds made there by hand, and for refunds of API v3 without an address of their own.
//!
//! It has no signature. That it can be opened shows no more than that the sender knows the API v2 key, and ECB lets
//! old blocks be put together anew: so it is a hint, never a [`crate::Verified`]. Ask ([`super::refund_query`]).
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941681>.

use super::{
    fen, optional,
    refund_query::{read_state, state_word},
    req_info, required,
};
use crate::{
    ApiV2Key, AppId, FieldError, MchId, NonceStr, OutRefundNo, OutTradeNo, TransactionId, beijing_time,
    pay::{Refund, RefundState, refund::refund_id},
    xml::{Fields, XmlError},
};

/// What a notification claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundNotification {
    /// The mini program.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// The refund as it is told: succeeded, closed or abnormal.
    pub refund: Refund,
    /// Who asked for the refund.
    pub request_source: RequestSource,
}

/// Who asked for a refund (`refund_request_source`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestSource {
    /// A program, by the interface.
    Api,
    /// Somebody at the merchant platform: the number may be unknown here.
    VendorPlatform,
    /// A word that we do not know yet, or none.
    Unknown(String),
}

impl RequestSource {
    /// WeChat's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Api => "API",
            Self::VendorPlatform => "VENDOR_PLATFORM",
            Self::Unknown(word) => word,
        }
    }

    fn from_wire(word: &str) -> Self {
        match word {
            "API" => Self::Api,
            "VENDOR_PLATFORM" => Self::VendorPlatform,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// Whether a message that came to a callback address is a refund notification, and not one of a payment.
pub fn is_one(body: &[u8]) -> bool {
    Fields::parse(body).is_ok_and(|fields| fields.get("req_info").is_some())
}

/// Reads a notification for the merchant whose address it came to.
///
/// # Errors
/// It cannot be opened or read, or belongs to another merchant.
pub fn read(body: &[u8], mchid: &MchId, key: &ApiV2Key) -> Result<RefundNotification, RefundNotificationError> {
    let outer = Fields::parse(body)?;
    if outer.get("return_code") != Some("SUCCESS") {
        return Err(FieldError::new("return_code", "must be SUCCESS").into());
    }
    let told = required(&outer, "mch_id", MchId::parse)?;
    if told != *mchid {
        return Err(RefundNotificationError::OtherMerchant);
    }
    let sealed = required(&outer, "req_info", Ok::<_, FieldError>)?;
    let plain = req_info::open(sealed, key).ok_or(RefundNotificationError::Sealed)?;
    // A wrong key gives good padding once in 256 times, and then no XML.
    let inner = Fields::parse_root("root", &plain).map_err(|_| RefundNotificationError::Sealed)?;
    Ok(RefundNotification {
        appid: required(&outer, "appid", AppId::parse)?,
        mchid: told,
        refund: read_refund(&inner)?,
        request_source: RequestSource::from_wire(inner.get("refund_request_source").unwrap_or_default()),
    })
}

fn read_refund(inner: &Fields) -> Result<Refund, FieldError> {
    let time = |text: &str| beijing_time::from_spaced("success_time", text);
    Ok(Refund {
        out_trade_no: required(inner, "out_trade_no", OutTradeNo::received)?,
        transaction_id: required(inner, "transaction_id", TransactionId::parse)?,
        out_refund_no: required(inner, "out_refund_no", OutRefundNo::parse)?,
        refund_id: required(inner, "refund_id", refund_id)?,
        state: required(inner, "refund_status", |word| Ok(read_state(word)))?,
        refund: required(inner, "refund_fee", fen("refund_fee"))?,
        total: required(inner, "total_fee", fen("total_fee"))?,
        success_time: optional(inner, "success_time", time)?,
        user_received_account: inner.get("refund_recv_accout").map(str::to_owned),
    })
}

impl RefundNotification {
    /// Writes the notification as WeChat does.
    pub fn write(&self, nonce_str: &NonceStr, key: &ApiV2Key) -> Fields {
        let sealed = req_info::seal(&self.inner().to_cdata("root"), key);
        [
            ("return_code", "SUCCESS"),
            ("appid", self.appid.as_str()),
            ("mch_id", self.mchid.as_str()),
            ("nonce_str", nonce_str.as_str()),
            ("req_info", &sealed),
        ]
        .into_iter()
        .collect()
    }

    /// The encrypted part, in alphabetical order as in reality; no coupons.
    fn inner(&self) -> Fields {
        let refund = &self.refund;
        let (refund_fee, total_fee) = (refund.refund.get().to_string(), refund.total.get().to_string());
        let success_time = refund.success_time.filter(|_| refund.state == RefundState::Success);
        let mut fields = Fields::new();
        fields
            .set("cash_refund_fee", refund_fee.as_str())
            .set("out_refund_no", refund.out_refund_no.as_str())
            .set("out_trade_no", refund.out_trade_no.as_str())
            .set("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS")
            .set("refund_fee", refund_fee.as_str())
            .set("refund_id", refund.refund_id.as_str())
            .set("refund_recv_accout", refund.user_received_account.as_deref().unwrap_or_default())
            .set("refund_request_source", self.request_source.as_str())
            .set("refund_status", state_word(&refund.state))
            .set("settlement_refund_fee", refund_fee)
            .set("settlement_total_fee", total_fee.as_str())
            .set_some("success_time", success_time.map(beijing_time::spaced))
            .set("total_fee", total_fee)
            .set("transaction_id", refund.transaction_id.as_str());
        fields
    }
}

/// Why bytes are not a refund notification for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundNotificationError {
    /// Not XML of the dialect.
    #[error("the notification is not readable")]
    Unreadable(#[from] XmlError),
    /// For another merchant than the address says.
    #[error("the notification belongs to another merchant")]
    OtherMerchant,
    /// Sealed with another key, or changed. Often the API v2 key is not the one that WeChat knows.
    #[error("the notification cannot be opened with the API v2 key")]
    Sealed,
    /// A field is missing or has an impossible value.
    #[error("the notification has a field that cannot be")]
    Field(#[from] FieldError),
}
