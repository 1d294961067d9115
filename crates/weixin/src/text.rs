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

checked_text! {
    /// Why money goes back (`refund_desc` in API v2, `reason` in v3), for the customer to read: 1 to 80 bytes.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941262> and
    /// <https://pay.weixin.qq.com/doc/v3/merchant/4012791903>.
    RefundReason, "reason", "must be 1 to 80 bytes of UTF-8 without emoji and control characters",
    |text| (1..=80).contains(&text.len()) && text.chars().all(is_wechat_character)
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
fn is_wechat_character(character: char) -> bool {
    character.len_utf8() <= 3 && !character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_measured_in_bytes_and_has_no_emoji() {
        assert!(RefundReason::parse("茶".repeat(26)).is_ok());
        for bad in [String::new(), "茶".repeat(27), "a\u{1f375}".to_owned(), "a\nb".to_owned()] {
            assert_eq!(RefundReason::parse(bad).unwrap_err().field, "reason");
        }
    }
}
