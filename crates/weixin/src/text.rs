//! Texts that a merchant hands to WeChat and that customers or bills show.

use crate::{FieldError, id::checked_text};

checked_text! {
    /// What is sold (`body` in API v2, `description` in v3): 1 to 127 bytes of UTF-8.
    ///
    /// Characters of four bytes (emoji, rare Han characters) are outside WeChat's character set, and control
    /// characters do not survive an XML parser unchanged, which would break the signature. WeChat's pages say
    /// "127" without saying characters or bytes: bytes are the safe reading.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>.
    Body, "body", "must be 1 to 127 bytes of UTF-8 without emoji and control characters",
    |text| (1..=127).contains(&text.len()) && text.chars().all(is_wechat_character)
}

checked_text! {
    /// Data of the merchant that comes back unchanged in notification, query and bill: 1 to 127 bytes.
    Attach, "attach", "must be 1 to 127 bytes of UTF-8 without emoji and control characters",
    |text| (1..=127).contains(&text.len()) && text.chars().all(is_wechat_character)
}

impl Attach {
    /// Reads data that WeChat gives back. Somebody else may have sent it under looser rules.
    pub(crate) fn received(text: impl Into<String>) -> Result<Self, FieldError> {
        let text = text.into();
        if (1..=1024).contains(&text.len()) {
            return Ok(Self(text));
        }
        Err(FieldError::new("attach", "must be 1 to 1024 bytes"))
    }
}

/// Whether WeChat Pay takes the character: at most three bytes of UTF-8, no control character.
///
/// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules, character set).
pub(crate) fn is_wechat_character(character: char) -> bool {
    character.len_utf8() <= 3 && !character.is_control()
}
