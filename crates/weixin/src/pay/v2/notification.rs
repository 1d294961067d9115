//! The payment notification that WeChat posts to `notify_url`, and the reply that it understands.
//!
//! It is sent only after a successful payment, may come several times, also at the same moment, and in any order.
//! The reply is the XML body; the HTTP status alone says nothing.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941607>.

use super::{ErrCode, SignType, SignatureError, order_query::read_transaction, signed, verify};
use crate::{
    ApiV2Key, FieldError, MchId, NonceStr, Verified,
    pay::{TradeState, Transaction},
    xml::{Fields, XmlError},
};

/// Pauses in seconds between unsuccessful deliveries: 15 repeats within 24 hours and 4 minutes.
pub const RETRY_PAUSES_S: [u32; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];

/// How long WeChat waits for the reply, in seconds.
pub const REPLY_TIMEOUT_S: u64 = 5;

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A customer has paid.
    Paid(Box<Transaction>),
    /// Documented, but never seen: a payment failed. It proves nothing about later attempts.
    Failed {
        /// WeChat's code.
        err_code: Option<ErrCode>,
    },
}

impl Verified<Notification> {
    /// The payment, if the notification tells of one.
    pub fn paid(self) -> Option<Verified<Transaction>> {
        self.try_map(|notification| match notification {
            Notification::Paid(transaction) => Ok(*transaction),
            Notification::Failed { .. } => Err(()),
        })
        .ok()
    }
}

/// Reads a notification. The signature is checked over all fields received, with the agreed hash only, before
/// anything else is looked at.
pub fn read(
    body: &[u8],
    mchid: &MchId,
    key: &ApiV2Key,
    sign_type: SignType,
) -> Result<Verified<Notification>, NotificationError> {
    let verified = verify(Fields::parse(body)?, key, sign_type)?;
    if verified.get("mch_id") != Some(mchid.as_str()) {
        return Err(NotificationError::OtherMerchant);
    }
    let notification = verified.try_map(|fields| {
        let paid = fields.get("return_code") == Some("SUCCESS") && fields.get("result_code") == Some("SUCCESS");
        if paid {
            read_transaction(&fields, TradeState::Success).map(|paid| Notification::Paid(Box::new(paid)))
        } else {
            Ok(Notification::Failed { err_code: fields.get("err_code").map(ErrCode::from_wire) })
        }
    })?;
    Ok(notification)
}

/// Why bytes are not a notification that can be believed.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// Not XML of the dialect.
    #[error("the notification is not readable")]
    Unreadable(#[from] XmlError),
    /// The signature is missing or wrong.
    #[error("the notification is not authentic")]
    NotAuthentic(#[from] SignatureError),
    /// Authentic, but for another merchant than the address says.
    #[error("the notification belongs to another merchant")]
    OtherMerchant,
    /// A field is missing or has an impossible value.
    #[error("the notification has a field that cannot be")]
    Field(#[from] FieldError),
}

/// Writes the notification of a payment, in alphabetical order as WeChat does.
pub fn write(transaction: &Transaction, sign_type: Option<SignType>, nonce_str: &NonceStr, key: &ApiV2Key) -> Fields {
    let mut fields = Fields::new();
    let amount = |fen: crate::Fen| fen.get().to_string();
    fields
        .set("appid", transaction.appid.as_str())
        .set_some("attach", transaction.attach.as_ref().map(crate::Attach::as_str))
        .set_some("bank_type", transaction.bank_type.as_deref())
        .set_some("cash_fee", transaction.payer_total.map(amount))
        .set("fee_type", transaction.currency.as_deref().unwrap_or("CNY"))
        .set("is_subscribe", "N")
        .set("mch_id", transaction.mchid.as_str())
        .set("nonce_str", nonce_str.as_str())
        .set_some("openid", transaction.openid.as_ref().map(crate::OpenId::as_str))
        .set("out_trade_no", transaction.out_trade_no.as_str())
        .set("result_code", "SUCCESS")
        .set("return_code", "SUCCESS")
        .set("sign", "")
        .set_some("sign_type", sign_type.map(SignType::as_str))
        .set_some("time_end", transaction.success_time.map(crate::beijing_time::compact))
        .set_some("total_fee", transaction.total.map(amount))
        .set("trade_type", "JSAPI")
        .set_some("transaction_id", transaction.transaction_id.as_ref().map(crate::TransactionId::as_str));
    signed(fields, key, sign_type.unwrap_or(SignType::Md5))
}

/// The reply that ends the repeats. To be sent only after everything is durable.
pub const REPLY_SUCCESS: &str =
    "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";

/// The reply that asks WeChat to come again. The reason must not contain `]]>`.
pub fn reply_fail(reason: &str) -> String {
    format!("<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[{reason}]]></return_msg></xml>")
}

/// Whether WeChat takes a reply for "received": status 200 and one XML message with `return_code` SUCCESS.
pub fn is_accepted(http_status: u16, body: &[u8]) -> bool {
    http_status == 200 && Fields::parse(body).is_ok_and(|fields| fields.get("return_code") == Some("SUCCESS"))
}
