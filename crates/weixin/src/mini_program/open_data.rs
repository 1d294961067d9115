//! Data that the phone hands over for WeChat, sealed or signed with the key of the log-in.
//!
//! [`open`] reads `encryptedData`, [`verify_raw_data`] the clear `rawData`, [`user_state_signature`] proves to WeChat that
//! we have a customer's session key. After a new `wx.login` the old key opens nothing any more: log in first, then ask.
//!
//! Sealed is not signed: AES-CBC has no tag, and whoever knows the text can change single characters of it. The watermark
//! keeps out data of another app; it does not make a `Verified`. For a phone number, use
//! [`phone_number`](super::phone_number), where WeChat itself answers.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html>.

use aws_lc_rs::{
    cipher::{
        AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    },
    digest::{self, SHA1_FOR_LEGACY_USE_ONLY},
    hmac,
    iv::FixedLength,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, de::DeserializeOwned};

use super::Watermark;
use crate::{AppId, SessionKey, Verified, secret::constant_time_equal};

/// The block of AES.
const BLOCK: usize = 16;

/// The only way to sign for [`user_state_signature`] (`sig_method`).
pub const SIG_METHOD: &str = "hmac_sha256";

/// Data as the phone hands it over: both are base64.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sealed {
    /// The first vector.
    pub iv: String,
    /// The sealed JSON.
    #[serde(rename = "encryptedData")]
    pub encrypted_data: String,
}

/// Opened data. Personal: not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenData {
    /// For which app it was made, and when. How old it may be is for the caller to say.
    pub watermark: Watermark,
    text: String,
}

impl OpenData {
    /// The JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads what is expected, for example a [`PhoneInfo`](super::phone_number::PhoneInfo).
    ///
    /// # Errors
    /// It is something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, OpenDataError> {
        serde_json::from_str(&self.text).map_err(|_| OpenDataError::Content)
    }
}

impl std::fmt::Debug for OpenData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenData").field("watermark", &self.watermark).finish_non_exhaustive()
    }
}

/// Opens data that was made for this app.
///
/// # Errors
/// Another session key (the customer has logged in again), another app, or changed bytes.
pub fn open(session_key: &SessionKey, appid: &AppId, sealed: &Sealed) -> Result<OpenData, OpenDataError> {
    let iv: [u8; BLOCK] = decode(&sealed.iv)?.try_into().map_err(|_| OpenDataError::Iv)?;
    let mut bytes = decode(&sealed.encrypted_data)?;
    if bytes.is_empty() || bytes.len() % BLOCK != 0 {
        return Err(OpenDataError::BlockLength);
    }
    let text = decrypt(session_key, iv, &mut bytes).ok_or(OpenDataError::Broken)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| OpenDataError::Broken)?;
    let watermark = Watermark::deserialize(&value["watermark"]).map_err(|_| OpenDataError::NoWatermark)?;
    if watermark.appid != appid.as_str() {
        return Err(OpenDataError::OtherApp);
    }
    Ok(OpenData { watermark, text })
}

/// Seals data as WeChat does. The first vector must be fresh.
pub fn seal(session_key: &SessionKey, iv: [u8; BLOCK], text: &str) -> Sealed {
    let mut bytes = text.as_bytes().to_vec();
    // Both fail for lengths that are wrong, and these are right.
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher_key(session_key)).expect("AES has the mode CBC");
    cipher
        .less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("padded bytes can be encrypted");
    Sealed { iv: STANDARD.encode(iv), encrypted_data: STANDARD.encode(bytes) }
}

fn decode(text: &str) -> Result<Vec<u8>, OpenDataError> {
    STANDARD.decode(text).map_err(|_| OpenDataError::Base64)
}

/// `None` for every reason alike, so that nobody learns from it which one it was.
fn decrypt(session_key: &SessionKey, iv: [u8; BLOCK], bytes: &mut [u8]) -> Option<String> {
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher_key(session_key)).ok()?;
    let plain = cipher.decrypt(bytes, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

fn cipher_key(session_key: &SessionKey) -> UnboundCipherKey {
    // The type holds base64 of exactly 16 bytes.
    let bytes = Zeroizing::new(STANDARD.decode(session_key.expose()).expect("a session key is base64"));
    UnboundCipherKey::new(&AES_128, &bytes).expect("a session key has 16 bytes")
}

/// Verifies the `signature` of `rawData`. The text must be the one that came, byte for byte.
///
/// # Errors
/// Signed with another session key, or changed.
pub fn verify_raw_data<'a>(
    session_key: &SessionKey,
    raw_data: &'a str,
    signature: &str,
) -> Result<Verified<&'a str>, RawDataError> {
    let expected = raw_data_signature(session_key, raw_data);
    if !constant_time_equal(expected.as_bytes(), signature.as_bytes()) {
        return Err(RawDataError);
    }
    Ok(Verified::new(raw_data))
}

/// The `signature` of `rawData` as WeChat makes it: SHA-1 over the text and the session key as base64.
pub fn raw_data_signature(session_key: &SessionKey, raw_data: &str) -> String {
    let mut context = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(raw_data.as_bytes());
    context.update(session_key.expose().as_bytes());
    hex::encode(context.finish())
}

/// The signature that proves to WeChat that the session key is the current one, over a text that may be empty. The key of
/// the HMAC is the base64 text, not what it stands for.
pub fn user_state_signature(session_key: &SessionKey, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session_key.expose().as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

/// Whether a signature was made with the session key over the text, as WeChat checks it.
pub fn is_user_state_signature(session_key: &SessionKey, text: &str, signature: &str) -> bool {
    constant_time_equal(user_state_signature(session_key, text).as_bytes(), signature.as_bytes())
}

/// The text was not signed with the customer's session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rawData was signed with another session key, or was changed")]
pub struct RawDataError;

/// Why data of the phone cannot be used. Nothing tells a wrong key from changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenDataError {
    /// Not base64. Form encoding turns `+` into a blank.
    #[error("iv or encryptedData is not base64; a form may have turned + into a blank")]
    Base64,
    /// Not 16 bytes.
    #[error("iv must be base64 of 16 bytes")]
    Iv,
    /// Nothing, or not whole blocks.
    #[error("encryptedData does not consist of whole blocks")]
    BlockLength,
    /// Another session key, or changed bytes.
    #[error("encryptedData does not open with the customer's session key; has there been another wx.login?")]
    Broken,
    /// It does not say for which app it is.
    #[error("the data has no watermark")]
    NoWatermark,
    /// Made for another app.
    #[error("the data was made for another app")]
    OtherApp,
    /// Authentic form, unexpected content.
    #[error("the data has not the expected content")]
    Content,
}
