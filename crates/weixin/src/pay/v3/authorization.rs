//! The signature of a request, in the header `Authorization`.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012365336> (signing requests).

use jiff::Timestamp;

use super::{Credential, Method, SerialNo, VerifyingKey, verify::WINDOW_S};
use crate::{FieldError, MchId, NonceStr};

/// The scheme of the header.
pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// What is signed: five lines, each ended by a line feed, the last one too.
pub fn request_message(signed: &Signed<'_>, timestamp: &str, nonce_str: &str) -> Vec<u8> {
    let head = format!("{}\n{}\n{timestamp}\n{nonce_str}\n", signed.method, signed.path);
    [head.as_bytes(), signed.body, b"\n"].concat()
}

/// The parts of a request that are signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// In capitals.
    pub method: &'a str,
    /// Path and query exactly as they go over the wire.
    pub path: &'a str,
    /// The exact bytes; empty for GET. Of an upload only the text of `meta`.
    pub body: &'a [u8],
}

impl<'a> Signed<'a> {
    /// The signed parts of a call.
    pub fn new(method: Method, path: &'a str, body: &'a [u8]) -> Self {
        Self { method: method.as_str(), path, body }
    }
}

/// The five fields of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who calls.
    pub mchid: MchId,
    /// Random.
    pub nonce_str: NonceStr,
    /// Seconds since 1970, as they are signed.
    pub timestamp: String,
    /// The certificate of the merchant.
    pub serial_no: SerialNo,
    /// Base64.
    pub signature: String,
}

impl Authorization {
    /// Signs a request.
    pub fn sign(credential: &Credential, signed: &Signed<'_>, now: Timestamp, nonce_str: NonceStr) -> Self {
        let timestamp = now.as_second().to_string();
        let message = request_message(signed, &timestamp, nonce_str.as_str());
        Self {
            mchid: credential.mchid.clone(),
            serial_no: credential.serial_no.clone(),
            signature: credential.key.sign(&message),
            nonce_str,
            timestamp,
        }
    }

    /// The value of the header.
    pub fn to_header(&self) -> String {
        let Self { mchid, nonce_str, timestamp, serial_no, signature } = self;
        format!(
            "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce_str}\",timestamp=\"{timestamp}\",\
             serial_no=\"{serial_no}\",signature=\"{signature}\""
        )
    }

    /// Reads the header; the fields may stand in any order.
    ///
    /// # Errors
    /// Another scheme, or a field that is missing, doubled or malformed.
    pub fn parse(header: &str) -> Result<Self, AuthorizationError> {
        let (scheme, fields) = header.trim().split_once(' ').ok_or(AuthorizationError::Malformed)?;
        if scheme != SCHEME {
            return Err(AuthorizationError::Scheme);
        }
        let mut values: [(&'static str, Option<&str>); 5] =
            [("mchid", None), ("nonce_str", None), ("timestamp", None), ("serial_no", None), ("signature", None)];
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(AuthorizationError::Malformed)?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let place = values.iter_mut().find(|(known, _)| *known == name).ok_or(AuthorizationError::Malformed)?;
            if place.1.is_some() {
                return Err(AuthorizationError::Malformed);
            }
            place.1 = Some(value.ok_or(AuthorizationError::Malformed)?);
        }
        let [mchid, nonce_str, timestamp, serial_no, signature] =
            values.map(|(name, value)| value.ok_or(FieldError::new(name, "is missing")));
        Ok(Self {
            mchid: MchId::parse(mchid?)?,
            nonce_str: NonceStr::parse(nonce_str?)?,
            timestamp: timestamp?.to_owned(),
            serial_no: SerialNo::parse(serial_no?)?,
            signature: signature?.to_owned(),
        })
    }

    /// Whether the clock of the caller is near enough: WeChat looks at it before the signature.
    pub fn is_timely(&self, now: Timestamp) -> bool {
        let skew_s = self.timestamp.parse::<i64>().map(|timestamp| now.as_second().saturating_sub(timestamp));
        skew_s.is_ok_and(|skew_s| skew_s.unsigned_abs() < WINDOW_S.unsigned_abs())
    }

    /// Whether the signature belongs to the request and the key.
    pub fn verifies(&self, signed: &Signed<'_>, key: &VerifyingKey) -> bool {
        key.verifies(&request_message(signed, &self.timestamp, self.nonce_str.as_str()), &self.signature)
    }
}

/// Why a header is not an authorization.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Another scheme than [`SCHEME`].
    #[error("the scheme is not {SCHEME}")]
    Scheme,
    /// Not a list of five quoted values.
    #[error("the header is malformed")]
    Malformed,
    /// A field is missing or has an impossible value.
    #[error("the header has a field that cannot be")]
    Field(#[from] FieldError),
}
