//! Signatures of API v2.
//!
//! Every field that is not empty takes part, except `sign`: sorted by the bytes of the name, joined as
//! `name=value&…`, then `&key=` and the key; MD5 or HMAC-SHA256; upper-case hexadecimal.
//! A verifier signs what it received, not a list of fields that it knows, because WeChat adds fields.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> (signing).

use aws_lc_rs::hmac;
use md5::{Digest as _, Md5};
use secrecy::zeroize::Zeroizing;

use crate::{ApiV2Key, FieldError, Verified, secret::constant_time_equal, xml::Fields};

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignType {
    /// The default of API v2; weak, kept for merchants who still use it.
    Md5,
    /// HMAC-SHA256; the message must say so in `sign_type`.
    HmacSha256,
}

impl SignType {
    /// WeChat's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }

    /// Reads WeChat's word.
    pub fn from_wire(word: &str) -> Result<Self, FieldError> {
        match word {
            "MD5" => Ok(Self::Md5),
            "HMAC-SHA256" => Ok(Self::HmacSha256),
            _ => Err(FieldError::new("sign_type", "must be MD5 or HMAC-SHA256")),
        }
    }

    /// The hash by which a message is signed, as the message itself says. One that does not say is signed by MD5.
    ///
    /// # Errors
    /// The message names another hash.
    pub fn of(fields: &Fields) -> Result<Self, FieldError> {
        fields.get("sign_type").map_or(Ok(Self::Md5), Self::from_wire)
    }

    /// The length of a signature in hexadecimal digits.
    const fn length(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::HmacSha256 => 64,
        }
    }
}

/// Computes the signature of a message.
pub fn sign(fields: &Fields, key: &ApiV2Key, sign_type: SignType) -> String {
    hash(&string_to_sign(fields, key), key.expose(), sign_type)
}

/// Hashes any text as a signature is hashed: for [`sign`], and for finding out what somebody else has signed. `key` is
/// the key of the HMAC; MD5 has none.
pub fn hash(text: &str, key: &str, sign_type: SignType) -> String {
    match sign_type {
        SignType::Md5 => hex::encode_upper(Md5::digest(text.as_bytes())),
        SignType::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            hex::encode_upper(hmac::sign(&key, text.as_bytes()))
        }
    }
}

/// The text that is hashed, up to and without the key: it ends with `&key=`. Not a secret.
pub fn signed_text(fields: &Fields) -> String {
    let mut signed: Vec<_> = fields.iter().filter(|(name, value)| *name != "sign" && !value.is_empty()).collect();
    signed.sort_unstable();
    // With room for the key: a reallocation would leave a copy of it behind.
    let length = signed.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    let mut text = String::with_capacity(length + 64);
    for (name, value) in signed {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('&');
    }
    text.push_str("key=");
    text
}

/// Checks the signature over all fields received. Only the hash that was asked for is accepted: a message cannot
/// choose a weaker one.
pub fn verify(fields: Fields, key: &ApiV2Key, sign_type: SignType) -> Result<Verified<Fields>, SignatureError> {
    let received = fields.get("sign").ok_or(SignatureError::Missing)?;
    if fields.get("sign_type").is_some_and(|word| word != sign_type.as_str()) {
        return Err(SignatureError::OtherType);
    }
    if received.len() != sign_type.length() {
        return Err(SignatureError::OtherType);
    }
    if !constant_time_equal(received.as_bytes(), sign(&fields, key, sign_type).as_bytes()) {
        return Err(SignatureError::Mismatch);
    }
    Ok(Verified::new(fields))
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No `sign`, or an empty one.
    #[error("the message carries no signature")]
    Missing,
    /// The signature was made with another hash than agreed.
    #[error("the signature has another type than agreed (MD5 or HMAC-SHA256)")]
    OtherType,
    /// The signature does not belong to these fields and this key.
    #[error("the signature does not fit the message and the key")]
    Mismatch,
}

/// The text that is hashed. It ends with the key, so it is wiped after use.
fn string_to_sign(fields: &Fields, key: &ApiV2Key) -> Zeroizing<String> {
    let mut text = Zeroizing::new(signed_text(fields));
    text.push_str(key.expose());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_that_can_be_shown_ends_before_the_key() {
        let key = ApiV2Key::parse("0123456789abcdefghijklmnopqrstuv").unwrap();
        let fields: Fields = [("b", "2"), ("a", "1"), ("empty", ""), ("sign", "X")].into_iter().collect();
        assert_eq!(signed_text(&fields), "a=1&b=2&key=");
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let whole = signed_text(&fields) + key.expose();
            assert_eq!(sign(&fields, &key, sign_type), hash(&whole, key.expose(), sign_type));
        }
    }

    #[test]
    fn appending_the_key_moves_no_bytes() {
        let text = signed_text(&[("a", "1")].into_iter().collect());
        assert!(text.capacity() >= text.len() + 32);
    }
}
