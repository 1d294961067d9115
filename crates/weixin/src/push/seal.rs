//! Sealed pushes and answers: AES-256-CBC with PKCS#7 over blocks of 32 bytes.
//!
//! Inside are 16 random bytes, the length of the message in four bytes (big endian), the message, and the appid. The
//! first vector is the beginning of the key. An EncodingAESKey has 258 bits for 256, and the last two are often set.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use aws_lc_rs::{
    cipher::{AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use secrecy::zeroize::Zeroizing;

use crate::{AppId, EncodingAesKey};

/// PKCS#7 counts to the next multiple of this, which is not the block of the cipher.
const PADDING_BLOCK: usize = 32;

/// The block of AES.
const CIPHER_BLOCK: usize = 16;

const RANDOM_LENGTH: usize = 16;
const HEADER_LENGTH: usize = RANDOM_LENGTH + 4;

/// Takes keys whose last character has bits that no byte needs.
const TRAILING_BITS: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Seals a message. The random bytes must be fresh.
pub fn seal(key: &EncodingAesKey, appid: &AppId, random: [u8; RANDOM_LENGTH], message: &[u8]) -> String {
    // Messages have a few thousand bytes; one of 4 GiB could not be sent.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + message.len() + appid.as_str().len() + PADDING_BLOCK);
    bytes.extend_from_slice(&random);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.extend_from_slice(appid.as_str().as_bytes());
    let padding = PADDING_BLOCK - bytes.len() % PADDING_BLOCK;
    bytes.resize(bytes.len() + padding, padding as u8);
    let (key, iv) = cipher_key(key);
    // Both fail for lengths that are wrong, and these are right.
    let cipher = EncryptingKey::cbc(key).expect("AES has the mode CBC");
    cipher.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(iv)).expect("whole blocks can be encrypted");
    STANDARD.encode(bytes)
}

/// Opens a sealed text and gives the message. The signature over the text must have been checked before.
///
/// # Errors
/// Another key, another app, or bytes that were changed.
pub fn open(key: &EncodingAesKey, appid: &AppId, encrypt: &str) -> Result<Vec<u8>, OpenError> {
    let mut bytes = STANDARD.decode(encrypt).map_err(|_| OpenError::Base64)?;
    if bytes.len() < PADDING_BLOCK || bytes.len() % CIPHER_BLOCK != 0 {
        return Err(OpenError::BlockLength);
    }
    let (key, iv) = cipher_key(key);
    let cipher = DecryptingKey::cbc(key).map_err(|_| OpenError::BlockLength)?;
    cipher.decrypt(&mut bytes, DecryptionContext::Iv128(iv)).map_err(|_| OpenError::BlockLength)?;
    let content = unpad(&bytes)?;
    let (header, rest) = content.split_at_checked(HEADER_LENGTH).ok_or(OpenError::Length)?;
    let mut length = [0; 4];
    length.copy_from_slice(&header[RANDOM_LENGTH..]);
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| OpenError::Length)?;
    let (message, remainder) = rest.split_at_checked(length).ok_or(OpenError::Length)?;
    if remainder != appid.as_str().as_bytes() {
        return Err(OpenError::OtherApp);
    }
    Ok(message.to_vec())
}

/// Takes the padding away. Every byte of it is looked at, which is stricter than the vendors' samples.
fn unpad(bytes: &[u8]) -> Result<&[u8], OpenError> {
    let padding = bytes.last().copied().map(usize::from).ok_or(OpenError::Padding)?;
    if !(1..=PADDING_BLOCK).contains(&padding) {
        return Err(OpenError::Padding);
    }
    let (content, tail) = bytes.split_at_checked(bytes.len() - padding).ok_or(OpenError::Padding)?;
    if tail.iter().any(|byte| usize::from(*byte) != padding) {
        return Err(OpenError::Padding);
    }
    Ok(content)
}

fn cipher_key(key: &EncodingAesKey) -> (UnboundCipherKey, FixedLength<16>) {
    // 43 letters and digits are checked when the key is parsed; they always decode to 32 bytes.
    let padded = Zeroizing::new(format!("{}=", key.expose()));
    let bytes = Zeroizing::new(TRAILING_BITS.decode(padded.as_bytes()).expect("43 letters and digits are base64"));
    let mut iv = [0; CIPHER_BLOCK];
    iv.copy_from_slice(&bytes[..CIPHER_BLOCK]);
    (UnboundCipherKey::new(&AES_256, &bytes).expect("the key has 32 bytes"), FixedLength::from(iv))
}

/// Why a sealed text cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not base64.
    #[error("the sealed text is not base64")]
    Base64,
    /// Not whole blocks, or too few.
    #[error("the sealed text does not consist of whole blocks")]
    BlockLength,
    /// The padding is wrong: another EncodingAESKey, or changed bytes.
    #[error("the padding is wrong, as with another EncodingAESKey")]
    Padding,
    /// The length of the message is wrong: another EncodingAESKey, or changed bytes.
    #[error("the length of the message is wrong, as with another EncodingAESKey")]
    Length,
    /// Sealed for another app.
    #[error("the message was sealed for another app")]
    OtherApp,
}
