//! The cipher of refund notifications: AES-256-ECB with PKCS#7 padding, under the lower-case hexadecimal MD5 of the API
//! v2 key. ECB proves nothing: blocks of old messages can be put together anew.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941681> (refund notification, decryption).

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use secrecy::zeroize::Zeroizing;

use crate::ApiV2Key;

/// Opens `req_info`; nothing if it was sealed with another key, or cut or changed.
pub fn open(req_info: &str, key: &ApiV2Key) -> Option<Vec<u8>> {
    let mut bytes = STANDARD.decode(req_info).ok()?;
    let key = PaddedBlockDecryptingKey::ecb_pkcs7(cipher_key(key)?).ok()?;
    let plain = key.decrypt(&mut bytes, DecryptionContext::None).ok()?.len();
    bytes.truncate(plain);
    Some(bytes)
}

/// Seals the inner message.
pub fn seal(plain: &str, key: &ApiV2Key) -> String {
    let mut bytes = plain.as_bytes().to_vec();
    let sealed = cipher_key(key).and_then(|key| {
        let key = PaddedBlockEncryptingKey::ecb_pkcs7(key).ok()?;
        key.encrypt(&mut bytes).ok()
    });
    // A key of 32 bytes always works with AES-256, and ECB pads any length.
    sealed.expect("AES-256 takes a key of 32 bytes");
    STANDARD.encode(bytes)
}

/// The 32 digits themselves are the key, not the 16 bytes that they stand for.
fn cipher_key(key: &ApiV2Key) -> Option<UnboundCipherKey> {
    let digits = Zeroizing::new(hex::encode(Md5::digest(key.expose().as_bytes())));
    UnboundCipherKey::new(&AES_256, digits.as_bytes()).ok()
}
