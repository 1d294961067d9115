//! The signature of what WeChat says: answers and callbacks alike.
//!
//! Three lines, each ended by a line feed: time, nonce and the raw bytes as received, before anything parses them.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012365350> (verifying answers and callbacks).

use jiff::Timestamp;

use super::{Certificate, KeyId, SigningKey, VerifyingKey, authorization::SCHEME};
use crate::Verified;

/// How far the time of a message may be away from ours, in seconds.
pub const WINDOW_S: i64 = 300;

/// With this begins the signature of messages by which WeChat tests whether we verify at all.
///
/// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4013053249> (signature probes).
pub const PROBE_PREFIX: &str = "WECHATPAY/SIGNTEST/";

/// What is signed.
pub fn message(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body, b"\n"].concat()
}

/// The headers that carry the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Wechatpay-Timestamp`: seconds since 1970.
    pub timestamp: String,
    /// `Wechatpay-Nonce`.
    pub nonce: String,
    /// `Wechatpay-Serial`: names the key.
    pub serial: String,
    /// `Wechatpay-Signature`: base64.
    pub signature: String,
    /// `Wechatpay-Signature-Type`; absent means [`SCHEME`].
    pub signature_type: Option<String>,
}

impl SignatureHeaders {
    /// Reads the headers of a message.
    ///
    /// # Errors
    /// Names the one that is missing.
    pub fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, VerifyError> {
        let required = |name| header(name).map(str::to_owned).ok_or(VerifyError::MissingHeader(name));
        Ok(Self {
            timestamp: required("Wechatpay-Timestamp")?,
            nonce: required("Wechatpay-Nonce")?,
            serial: required("Wechatpay-Serial")?,
            signature: required("Wechatpay-Signature")?,
            signature_type: header("Wechatpay-Signature-Type").map(str::to_owned),
        })
    }

    /// The headers as they are sent.
    pub fn to_pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("Wechatpay-Timestamp", &self.timestamp),
            ("Wechatpay-Nonce", &self.nonce),
            ("Wechatpay-Serial", &self.serial),
            ("Wechatpay-Signature", &self.signature),
            ("Wechatpay-Signature-Type", self.signature_type.as_deref().unwrap_or(SCHEME)),
        ]
    }
}

/// Signs a message as WeChat does.
pub fn sign_message(key: &SigningKey, id: &KeyId, now: Timestamp, nonce: String, body: &[u8]) -> SignatureHeaders {
    let timestamp = now.as_second().to_string();
    let signature = key.sign(&message(&timestamp, &nonce, body));
    SignatureHeaders { timestamp, nonce, serial: id.to_string(), signature, signature_type: Some(SCHEME.to_owned()) }
}

/// The keys of WeChat Pay that we trust: platform certificates and public keys side by side.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<VerifyingKey>);

impl TrustedKeys {
    /// Adds a key; one of the same name is replaced.
    pub fn add(&mut self, key: VerifyingKey) {
        self.0.retain(|known| known.id() != key.id());
        self.0.push(key);
    }

    /// The key of that name.
    pub fn get(&self, id: &KeyId) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// All names.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.0.iter().map(VerifyingKey::id)
    }

    /// Whether there is nothing to verify with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<VerifyingKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        let mut trusted = Self::default();
        keys.into_iter().for_each(|key| trusted.add(key));
        trusted
    }
}

impl FromIterator<Certificate> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        certificates.into_iter().map(|certificate| certificate.key).collect()
    }
}

/// Checks the signature over the raw bytes with the key that the message names, and no other.
///
/// # Errors
/// The message proves nothing; the error says why.
pub fn verify<'a>(
    headers: &SignatureHeaders,
    body: &'a [u8],
    trusted: &TrustedKeys,
    now: Timestamp,
) -> Result<Verified<&'a [u8]>, VerifyError> {
    if headers.signature_type.as_deref().is_some_and(|kind| kind != SCHEME) {
        return Err(VerifyError::SignatureType);
    }
    let timestamp: i64 = headers.timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let skew_s = now.as_second().saturating_sub(timestamp);
    if skew_s.unsigned_abs() >= WINDOW_S.unsigned_abs() {
        return Err(VerifyError::Untimely { skew_s });
    }
    if headers.signature.starts_with(PROBE_PREFIX) {
        return Err(VerifyError::Probe);
    }
    let unknown = || VerifyError::UnknownKey { serial: printable(&headers.serial) };
    let id = KeyId::parse(&headers.serial).map_err(|_| unknown())?;
    let key = trusted.get(&id).ok_or_else(unknown)?;
    if !key.verifies(&message(&headers.timestamp, &headers.nonce, body), &headers.signature) {
        return Err(VerifyError::Mismatch);
    }
    Ok(Verified::new(body))
}

/// A header of anybody, cut and cleaned for logs.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// Why a message proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not signed.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// Signed in a way that we did not agree on.
    #[error("the type of the signature is not {SCHEME}")]
    SignatureType,
    /// The time is not a number.
    #[error("the time of the message is not a number of seconds")]
    Timestamp,
    /// Too old, or from the future.
    #[error("the message is {skew_s} s away from our clock; {WINDOW_S} s are allowed")]
    Untimely {
        /// How much older than our clock it is, in seconds.
        skew_s: i64,
    },
    /// WeChat tests whether we verify. Nothing is wrong.
    #[error("the signature is one of WeChat's probes")]
    Probe,
    /// The named key is not among the trusted ones.
    #[error("the key {serial} is not known")]
    UnknownKey {
        /// The name, cut and cleaned.
        serial: String,
    },
    /// The signature does not belong to these bytes and this key.
    #[error("the signature does not fit the message and the key")]
    Mismatch,
}
