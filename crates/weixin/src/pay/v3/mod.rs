//! API v3: JSON over HTTP methods, signed with RSA-SHA256 on both sides, secrets in AES-256-GCM.
//!
//! One file for each endpoint. [`Call`] is what they have in common: method, path and body of a request, and the
//! type of its answer. What WeChat says is believed in two steps: [`verify`](verify()) checks the raw bytes against the
//! key that the message names, and only then [`read_answer`] or [`notification::read`] look into them.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012081606> (overview).

pub mod aead;
mod authorization;
pub mod bill;
pub mod certificates;
pub mod close;
pub mod echo;
mod error;
pub mod jsapi;
mod key;
pub mod notification;
pub mod query;
pub mod refund;
pub mod request_payment;
mod transaction;
mod verify;

use serde::{Serialize, de::DeserializeOwned};

pub use authorization::{Authorization, AuthorizationError, SCHEME, Signed, request_message};
pub use error::{Code, ErrorBody};
pub use key::{Certificate, Credential, KeyError, KeyId, PublicKeyId, SerialNo, SigningKey, VerifyingKey};
pub use verify::{PROBE_PREFIX, SignatureHeaders, TrustedKeys, VerifyError, WINDOW_S, message, sign_message, verify};

use crate::{Fen, FieldError, Verified};

/// The HTTP method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes.
    Post,
}

impl Method {
    /// As it is signed and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request of API v3.
pub trait Call {
    /// The HTTP method.
    const METHOD: Method;
    /// What WeChat answers with a status of 2xx. An empty body (204) is read as JSON `null`.
    type Answer: DeserializeOwned;

    /// Path and query as they are signed and sent.
    fn path(&self) -> String;

    /// Whether an answer is about what was asked. A signature says that WeChat wrote the answer, not to which question.
    fn is_answered_by(&self, _: &Self::Answer) -> bool {
        true
    }

    /// The JSON body; empty for GET.
    fn body(&self) -> String {
        String::new()
    }
}

/// Reads the answer to a call out of bytes whose signature was verified.
///
/// # Errors
/// The bytes are not the JSON that the page describes.
pub fn read_answer<C: Call>(body: Verified<&[u8]>) -> Result<Verified<C::Answer>, Unreadable> {
    read(body)
}

fn read<T: DeserializeOwned>(body: Verified<&[u8]>) -> Result<Verified<T>, Unreadable> {
    body.try_map(|bytes| if bytes.is_empty() { serde_json::from_str("null") } else { serde_json::from_slice(bytes) })
        .map_err(|error| Unreadable { reason: reason(&error) })
}

/// Bytes that are authentic, but not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the JSON that was expected: {reason}")]
pub struct Unreadable {
    /// What is wrong, without the content.
    pub reason: String,
}

/// Where and why JSON could not be read, without repeating values of it.
fn reason(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "cannot be read",
        serde_json::error::Category::Syntax => "is not JSON",
        serde_json::error::Category::Data => "has a field that cannot be",
        serde_json::error::Category::Eof => "is cut off",
    };
    format!("{kind}, line {} column {}", error.line(), error.column())
}

/// Writes JSON as it is signed and sent.
fn json(value: &impl Serialize) -> String {
    // Structs of texts and numbers can always be written.
    serde_json::to_string(value).expect("a request is JSON")
}

/// Reads through a type that checks, for serde.
fn checked<T>(field: &'static str, value: Option<T>) -> Result<T, FieldError> {
    value.ok_or(FieldError::new(field, "is missing"))
}

/// An amount of fen as API v3 writes it.
fn fen(amount: i64) -> Fen {
    Fen::new(amount)
}
