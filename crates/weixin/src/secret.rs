//! Secrets: types without `Display` and `Serialize`, with a redacted `Debug`, wiped when dropped.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use crate::FieldError;

/// Declares a secret text whose only way in is a check.
macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Checks the form of the secret. The error never contains it.
            pub fn parse(text: impl Into<String>) -> Result<Self, FieldError> {
                let text = SecretString::from(text.into());
                let check: fn(&str) -> bool = $check;
                if check(text.expose_secret()) { Ok(Self(text)) } else { Err(FieldError::new($field, $rule)) }
            }

            /// The secret itself, for the place where it is used.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        /// Compares in constant time.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                constant_time_equal(self.expose().as_bytes(), other.expose().as_bytes())
            }
        }

        impl Eq for $name {}
    };
}

secret_text! {
    /// The merchant's key of API v2: 32 letters and digits, set in the merchant platform.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> (signing).
    ApiV2Key, "api_v2_key", "must be 32 letters or digits",
    |text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

secret_text! {
    /// The merchant's key of API v3: 32 letters and digits, set in the merchant platform. Not the key of API v2.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4013053267> (APIv3 key).
    ApiV3Key, "api_v3_key", "must be 32 letters or digits",
    |text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

secret_text! {
    /// The AppSecret of a mini program: 32 letters and digits.
    AppSecret, "secret", "must be the AppSecret of 32 letters or digits",
    |text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

secret_text! {
    /// The key of a customer's log-in at one app: base64 of 16 bytes. Never leaves the server.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html>.
    SessionKey, "session_key", "must be base64 of 16 bytes",
    |text| STANDARD.decode(text).is_ok_and(|key| key.len() == 16)
}

secret_text! {
    /// The access token of an app: 1 to 512 visible characters.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>.
    AccessToken, "access_token", "must be 1 to 512 visible characters",
    |text| (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

secret_text! {
    /// The Token of an app's message push, set in the console: 3 to 32 letters or digits.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.
    PushToken, "token", "must be the Token of message push: 3 to 32 letters or digits",
    |text| (3..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

secret_text! {
    /// The EncodingAESKey of an app's message push: 43 letters or digits, base64 of 32 bytes without its padding.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.
    EncodingAesKey, "encoding_aes_key", "must be the EncodingAESKey of message push: 43 letters or digits",
    |text| text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Compares without telling by its duration where the difference is. Unequal lengths are told at once.
pub(crate) fn constant_time_equal(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        let key = ApiV2Key::parse("0123456789abcdefghijklmnopqrstuv").unwrap();
        assert_eq!(format!("{key:?}"), "ApiV2Key([redacted])");
        let error = ApiV2Key::parse("tooshortkey").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("tooshortkey"));
    }

    #[test]
    fn a_stray_blank_in_a_key_is_refused() {
        assert!(ApiV2Key::parse("0123456789abcdefghijklmnopqrstu\n").is_err());
        assert!(ApiV2Key::parse("0123456789abcdefghijklmnopqrstuv ").is_err());
    }
}
