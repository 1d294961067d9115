//! What WeChat says: the types, bytes, signatures and ciphers of a mini program's back end.
//!
//! This crate turns values into messages and messages into values. It does no input or output, has
//! no async code, reads no clock and draws no random number: the time and the nonce are arguments.
//! The client encodes the requests that the simulator decodes, and the other way round for the
//! answers; therefore everything that is signed or parsed is also held against vectors that were made
//! with other people's software (`tests/vectors`).
//!
//! * [`pay`]: WeChat Pay. [`pay::Transaction`] is what every version of the interface says of a payment.
//! * [`mini_program`]: `api.weixin.qq.com`: log-in, access tokens, messages, pictures, personal data, content checks.
//! * [`push`]: what WeChat sends to an app's server: customers' messages and events, and the answers to them.
//! * [`xml`]: the flat, safe XML dialect of API v2.

pub mod beijing_time;
mod fen;
mod id;
pub mod mini_program;
pub mod pay;
pub mod push;
mod secret;
mod text;
mod verified;
pub mod xml;

pub use fen::{AmountError, Fen, OrderAmount};
pub use id::{
    AppId, JsCode, MchId, NonceStr, NotifyUrl, OpenId, OutRefundNo, OutTradeNo, PrepayId, TransactionId, UnionId,
};
pub use secret::{AccessToken, ApiV2Key, ApiV3Key, AppSecret, EncodingAesKey, PushToken, SessionKey};
pub use text::{Attach, Body, RefundReason};
pub use verified::Verified;

/// A value that WeChat would refuse, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct FieldError {
    /// The name that WeChat gives to the field.
    pub field: &'static str,
    /// What the field must be; reads as the rest of a sentence that begins with the name.
    pub rule: &'static str,
}

impl FieldError {
    pub(crate) const fn new(field: &'static str, rule: &'static str) -> Self {
        Self { field, rule }
    }
}
