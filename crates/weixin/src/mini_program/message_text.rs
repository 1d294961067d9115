//! The text of a customer-service message. WeChat makes `<a href=…>` in it clickable.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_sendcustommessage.html>.

use crate::id::checked_text;

/// The longest text, in bytes. WeChat publishes no number; developers of public accounts measured this one, and longer
/// texts are refused with 45002.
pub const TEXT_BYTES_MAX: usize = 2048;

checked_text! {
    /// A text for a customer. Line breaks and tabs are allowed; other control characters would be written as `\uXXXX`,
    /// which customers have been shown as it is.
    MessageText, "content", "must be 1 to 2048 bytes of UTF-8 without control characters other than line breaks and tabs",
    |text| {
        let is_allowed = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
        (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.chars().all(is_allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_greatest_length_is_taken_and_a_longer_one_is_not() {
        assert!(MessageText::parse("a".repeat(TEXT_BYTES_MAX)).is_ok());
        assert!(MessageText::parse("a".repeat(TEXT_BYTES_MAX + 1)).is_err());
        assert!(MessageText::parse("字".repeat(TEXT_BYTES_MAX / 3 + 1)).is_err(), "bytes, not characters");
    }

    #[test]
    fn nothing_and_control_characters_cannot_be_sent() {
        for text in ["", "a\u{1b}[2J", "a\u{0}", "\u{85}"] {
            assert!(MessageText::parse(text).is_err(), "{text:?}");
        }
        assert!(MessageText::parse("one\r\n\ttwo 😀").is_ok());
    }
}
