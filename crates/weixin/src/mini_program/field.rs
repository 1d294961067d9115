//! Values of the endpoints that more than one of them has. What goes into JSON has no control characters: they would
//! be written as `\uXXXX`, which customers have been shown as it is.
//!
//! WeChat publishes few lengths here; the limits keep a mistake from becoming a request of megabytes.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_sendcustommessage.html>.

use crate::id::checked_text;

checked_text! {
    /// A picture that was uploaded, or that a customer sent. Good for three days.
    MediaId, "media_id", "must be 1 to 512 visible characters",
    |text| (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

checked_text! {
    /// A page of the mini program with its query, as in `app.json`.
    PagePath, "pagepath", "must be 1 to 1024 bytes without white space, control characters and a leading /",
    |text| {
        let is_plain = |character: char| !character.is_control() && !character.is_whitespace();
        (1..=1024).contains(&text.len()) && !text.starts_with('/') && text.chars().all(is_plain)
    }
}

checked_text! {
    /// An address that a customer's phone opens.
    WebUrl, "url", "must be an absolute http(s) address of at most 2048 bytes without white space",
    |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_plain = |character: char| !character.is_control() && !character.is_whitespace();
        text.len() <= 2048 && rest.is_some_and(|rest| !rest.is_empty()) && text.chars().all(is_plain)
    }
}

checked_text! {
    /// An account of WeChat's own agents, `name@account`.
    KfAccount, "kf_account", "must be 1 to 128 visible characters",
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

checked_text! {
    /// A sub-merchant of an app that has some.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-management/>.
    BusinessId, "businessid", "must be 1 to 64 letters, digits, - or _",
    |text| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=64).contains(&text.len()) && text.bytes().all(is_known)
    }
}

/// A text of one line within a number of bytes.
pub(super) fn is_line(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}
