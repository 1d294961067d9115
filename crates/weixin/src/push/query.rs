//! The query string of a push, and its signatures.
//!
//! `signature` covers token, timestamp and nonce only; `msg_signature` also covers the sealed text. Both are SHA-1 over
//! the texts sorted by their bytes and joined without a separator.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::PushError;
use crate::{PushToken, secret::constant_time_equal};

/// What stands in the query string of a push or of the question for the address. Texts as they came, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Covers token, timestamp and nonce.
    pub signature: Option<String>,
    /// Seconds since 1970.
    pub timestamp: Option<String>,
    /// Makes two signatures differ.
    pub nonce: Option<String>,
    /// What the answer to the question for the address repeats.
    pub echostr: Option<String>,
    /// Who sends, as a hint: it is not signed.
    pub openid: Option<String>,
    /// `aes` if the body holds sealed text.
    pub encrypt_type: Option<String>,
    /// Covers token, timestamp, nonce and the sealed text.
    pub msg_signature: Option<String>,
}

impl Query {
    /// Reads a query string. Parameters that we do not know are skipped; of two with one name the first counts.
    pub fn parse(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(field) = read.field(&name) {
                field.get_or_insert_with(|| value.into_owned());
            }
        }
        read
    }

    /// Writes the query string.
    pub fn to_query_string(&self) -> String {
        let mut writer = form_urlencoded::Serializer::new(String::new());
        let mut write = |name, value: &Option<String>| {
            if let Some(value) = value {
                writer.append_pair(name, value);
            }
        };
        write("signature", &self.signature);
        write("timestamp", &self.timestamp);
        write("nonce", &self.nonce);
        write("echostr", &self.echostr);
        write("openid", &self.openid);
        write("encrypt_type", &self.encrypt_type);
        write("msg_signature", &self.msg_signature);
        writer.finish()
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "signature" => Some(&mut self.signature),
            "timestamp" => Some(&mut self.timestamp),
            "nonce" => Some(&mut self.nonce),
            "echostr" => Some(&mut self.echostr),
            "openid" => Some(&mut self.openid),
            "encrypt_type" => Some(&mut self.encrypt_type),
            "msg_signature" => Some(&mut self.msg_signature),
            _ => None,
        }
    }

    /// Whether the push says that its body holds sealed text.
    pub(super) fn is_sealed(&self) -> bool {
        self.encrypt_type.as_deref() == Some("aes")
    }

    /// The token that made `signature`, as its place in the list.
    pub(super) fn check_signature(&self, tokens: &[PushToken]) -> Result<usize, PushError> {
        let given = required(&self.signature, "signature")?;
        self.token_that_made(given, tokens, None)?.ok_or(PushError::SignatureMismatch)
    }

    /// The token that made `msg_signature` over this sealed text.
    pub(super) fn check_msg_signature(&self, tokens: &[PushToken], encrypt: &str) -> Result<usize, PushError> {
        let given = required(&self.msg_signature, "msg_signature")?;
        self.token_that_made(given, tokens, Some(encrypt))?.ok_or(PushError::MsgSignatureMismatch)
    }

    fn token_that_made(
        &self,
        given: &str,
        tokens: &[PushToken],
        encrypt: Option<&str>,
    ) -> Result<Option<usize>, PushError> {
        let timestamp = required(&self.timestamp, "timestamp")?;
        let nonce = required(&self.nonce, "nonce")?;
        let made = |token: &PushToken| match encrypt {
            Some(encrypt) => signature(&[token.expose(), timestamp, nonce, encrypt]),
            None => signature(&[token.expose(), timestamp, nonce]),
        };
        Ok(tokens.iter().position(|token| constant_time_equal(made(token).as_bytes(), given.as_bytes())))
    }
}

fn required<'a>(value: &'a Option<String>, name: &'static str) -> Result<&'a str, PushError> {
    value.as_deref().ok_or(PushError::MissingParameter(name))
}

/// The signature of these texts: sorted by their bytes, joined, SHA-1, lower-case hexadecimal.
pub fn signature(texts: &[&str]) -> String {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, sorted.concat().as_bytes()))
}

/// Answers the question that WeChat asks (`GET`) when the address is set in the console: the text to send back as
/// `text/plain`, exactly. It is clear text in every mode.
///
/// # Errors
/// A parameter is missing, or no token made the signature.
pub fn verify_url<'a>(query: &'a Query, tokens: &[PushToken]) -> Result<&'a str, PushError> {
    query.check_signature(tokens)?;
    required(&query.echostr, "echostr")
}
