//! AES-256-GCM with the APIv3 key, as callbacks and certificates are sealed. The tag is always checked.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012071382> (decrypting callbacks and certificates).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::ApiV3Key;

/// The only algorithm.
pub const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// A sealed value as it stands in messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// [`ALGORITHM`].
    pub algorithm: String,
    /// 12 characters.
    pub nonce: String,
    /// What the value is for; absent counts as empty.
    #[serde(default)]
    pub associated_data: String,
    /// Base64 of ciphertext and tag.
    pub ciphertext: String,
}

impl Sealed {
    /// Seals a value. The nonce must not be used twice with the key.
    ///
    /// # Errors
    /// The nonce has not twelve bytes.
    pub fn seal(key: &ApiV3Key, nonce: &str, associated_data: &str, plain: &[u8]) -> Result<Self, OpenError> {
        let mut bytes = plain.to_vec();
        aes(key)
            .seal_in_place_append_tag(nonce_of(nonce)?, Aad::from(associated_data.as_bytes()), &mut bytes)
            .map_err(|_| OpenError::Broken)?;
        Ok(Self {
            algorithm: ALGORITHM.to_owned(),
            nonce: nonce.to_owned(),
            associated_data: associated_data.to_owned(),
            ciphertext: STANDARD.encode(bytes),
        })
    }

    /// Opens a value.
    ///
    /// # Errors
    /// Another key, changed bytes, or not a sealed value at all.
    pub fn open(&self, key: &ApiV3Key) -> Result<Vec<u8>, OpenError> {
        if self.algorithm != ALGORITHM {
            return Err(OpenError::Algorithm);
        }
        let mut bytes = STANDARD.decode(&self.ciphertext).map_err(|_| OpenError::Base64)?;
        let associated_data = Aad::from(self.associated_data.as_bytes());
        let plain = aes(key).open_in_place(nonce_of(&self.nonce)?, associated_data, &mut bytes);
        plain.map(|plain| plain.to_vec()).map_err(|_| OpenError::Broken)
    }
}

fn aes(key: &ApiV3Key) -> LessSafeKey {
    // The type holds exactly 32 ASCII characters.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose().as_bytes()).expect("a key of 32 bytes"))
}

fn nonce_of(text: &str) -> Result<Nonce, OpenError> {
    let bytes: [u8; NONCE_LEN] = text.as_bytes().try_into().map_err(|_| OpenError::Nonce)?;
    Ok(Nonce::assume_unique_for_key(bytes))
}

/// Why a sealed value cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another algorithm.
    #[error("the sealed value has another algorithm than {ALGORITHM}")]
    Algorithm,
    /// Not twelve bytes.
    #[error("the nonce of the sealed value has not 12 bytes")]
    Nonce,
    /// Not base64.
    #[error("the sealed value is not base64")]
    Base64,
    /// Another key, or changed bytes.
    #[error("the sealed value was made with another APIv3 key, or was changed")]
    Broken,
}
