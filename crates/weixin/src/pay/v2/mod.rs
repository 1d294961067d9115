//! API v2: XML messages over POST, signed with the merchant's key by MD5 or HMAC-SHA256.
//!
//! One file for each endpoint with request, answer, documented error codes and the official page. [`Call`] and
//! [`Answer`] are what they have in common: the client writes a call and reads its answer, the simulator reads the
//! call and writes the answer. [`read_answer`] keeps WeChat's two levels apart: what is said without a signature
//! proves nothing.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules).

mod answer;
pub mod close_order;
mod error_code;
pub mod notification;
pub mod order_query;
pub mod refund;
pub mod refund_notification;
pub mod refund_query;
pub mod req_info;
pub mod request_payment;
mod sign;
pub mod unified_order;

pub use answer::{Answer, AnswerError, Rejection, communication_failure, read_answer, rejection, success};
pub use error_code::ErrCode;
pub use sign::{SignType, SignatureError, hash, sign, signed_text, verify};

use crate::{ApiV2Key, AppId, FieldError, MchId, NonceStr, xml::Fields};

/// A request of API v2.
pub trait Call: Sized {
    /// The path below the host; the method is always POST.
    const PATH: &'static str;
    /// Whether WeChat wants the merchant's client certificate.
    const NEEDS_CERTIFICATE: bool = false;
    /// What WeChat answers on success.
    type Answer: Answer;

    /// The app in whose name is asked.
    fn appid(&self) -> &AppId;
    /// The merchant in whose name is asked.
    fn mchid(&self) -> &MchId;
    /// All fields but `nonce_str`, `sign_type` and `sign`.
    fn to_fields(&self) -> Fields;
    /// Reads the fields of a message.
    fn from_fields(fields: &Fields) -> Result<Self, FieldError>;

    /// Whether an answer is about what was asked. A signature says that WeChat wrote the answer, not to which question.
    fn is_answered_by(&self, _: &Self::Answer) -> bool {
        true
    }

    /// The message without its signature. It can be stored and signed again later: the same bytes come out as long
    /// as the key is the same.
    fn unsigned(&self, sign_type: SignType, nonce_str: &NonceStr) -> Fields {
        let mut fields = self.to_fields();
        fields.set("nonce_str", nonce_str.as_str());
        fields.set("sign_type", sign_type.as_str());
        fields
    }
}

/// Signs a message: appends `sign`.
pub fn signed(mut fields: Fields, key: &ApiV2Key, sign_type: SignType) -> Fields {
    let sign = sign(&fields, key, sign_type);
    fields.set("sign", sign);
    fields
}

/// Reads a field that must be there, through the type that checks it.
fn required<'a, T>(
    fields: &'a Fields,
    name: &'static str,
    parse: impl FnOnce(&'a str) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    parse(fields.get(name).ok_or(FieldError::new(name, "is missing"))?)
}

/// Reads a field that may be absent, through the type that checks it.
fn optional<'a, T>(
    fields: &'a Fields,
    name: &'static str,
    parse: impl FnOnce(&'a str) -> Result<T, FieldError>,
) -> Result<Option<T>, FieldError> {
    fields.get(name).map(parse).transpose()
}

/// Reads an amount.
fn fen(name: &'static str) -> impl FnOnce(&str) -> Result<crate::Fen, FieldError> {
    move |text| crate::Fen::from_wire(text).map_err(|_| FieldError::new(name, "must be a whole number of fen"))
}
