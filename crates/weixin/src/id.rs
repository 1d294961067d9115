//! Identifiers: checked once when they are parsed, trusted afterwards.
//!
//! Lengths and characters: <https://pay.weixin.qq.com/doc/v2/merchant/4011941162> (parameter rules) and
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011940985> (unified order of a mini program).

use crate::FieldError;

/// Declares a text type whose only way in is a check.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text against WeChat's rule for the field.
            pub fn parse(text: impl Into<String>) -> Result<Self, $crate::FieldError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err($crate::FieldError::new($field, $rule)) }
            }

            /// The text as it goes over the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::FieldError;
            fn try_from(text: String) -> Result<Self, $crate::FieldError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::FieldError;
            fn from_str(text: &str) -> Result<Self, $crate::FieldError> {
                Self::parse(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use checked_text;

checked_text! {
    /// The number of a mini program: `wx` and sixteen letters or digits.
    AppId, "appid", "must be wx followed by 16 letters or digits",
    |text| text.len() == 18 && text.starts_with("wx") && alphanumeric(text)
}

checked_text! {
    /// The number of a merchant (`mch_id` in API v2, `mchid` in v3): digits only.
    MchId, "mchid", "must be 6 to 32 digits",
    |text| (6..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

checked_text! {
    /// A customer as one mini program knows them.
    OpenId, "openid", "must be 1 to 128 letters, digits, - or _",
    |text| (1..=128).contains(&text.len()) && only(text, b"-_")
}

checked_text! {
    /// A customer as all mini programs of one Open Platform account know them.
    UnionId, "unionid", "must be 1 to 128 letters, digits, - or _",
    |text| (1..=128).contains(&text.len()) && only(text, b"-_")
}

checked_text! {
    /// What `wx.login` gives to the phone: good once, for five minutes.
    JsCode, "js_code", "must be 1 to 128 letters, digits, - or _",
    |text| (1..=128).contains(&text.len()) && only(text, b"-_")
}

checked_text! {
    /// The merchant's number of one payment: unique for the merchant, for ever. Upper and lower case differ.
    OutTradeNo, "out_trade_no", "must be 6 to 32 letters, digits, _, -, | or *",
    |text| (6..=32).contains(&text.len()) && only(text, b"_-|*")
}

impl OutTradeNo {
    /// Reads a number that WeChat tells us. Older rules allowed shorter ones and `@`; what WeChat says is not refused
    /// for its form, or a genuine notification would be lost.
    pub(crate) fn received(text: impl Into<String>) -> Result<Self, FieldError> {
        let text = text.into();
        if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text));
        }
        Err(FieldError::new("out_trade_no", "must be 1 to 64 visible characters"))
    }
}

checked_text! {
    /// The merchant's number of one refund: unique for the merchant, for ever.
    OutRefundNo, "out_refund_no", "must be 1 to 64 letters, digits, _, -, |, * or @",
    |text| (1..=64).contains(&text.len()) && only(text, b"_-|*@")
}

checked_text! {
    /// WeChat's number of a payment; exists only after the money has moved.
    TransactionId, "transaction_id", "must be 1 to 32 letters or digits",
    |text| (1..=32).contains(&text.len()) && alphanumeric(text)
}

checked_text! {
    /// WeChat's number of an order that waits for the customer; valid for two hours.
    PrepayId, "prepay_id", "must be 1 to 64 letters, digits, - or _",
    |text| (1..=64).contains(&text.len()) && only(text, b"-_")
}

checked_text! {
    /// A random text that makes two equal messages differ.
    NonceStr, "nonce_str", "must be 1 to 32 letters or digits",
    |text| (1..=32).contains(&text.len()) && alphanumeric(text)
}

impl NonceStr {
    /// Sixteen random bytes as 32 hexadecimal digits, the longest nonce that WeChat takes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex::encode(bytes))
    }
}

checked_text! {
    /// Where WeChat reports results: absolute, without query, fragment or credentials, at most 255 characters (the smaller of
    /// the two limits: API v2 says 256, v3 255).
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941607> (payment notification).
    NotifyUrl, "notify_url",
    "must be an absolute http(s) address of at most 255 characters without ?, #, user name or white space",
    |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        text.len() <= 255
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte))
            && !host.is_empty()
            && !host.contains('@')
    }
}

fn alphanumeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn only(text: &str, also: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_its_field_when_it_is_wrong() {
        let error = AppId::parse("wx123").unwrap_err();
        assert_eq!(error.to_string(), "appid must be wx followed by 16 letters or digits");
    }

    #[test]
    fn a_notify_url_has_no_query_because_wechat_forbids_it() {
        assert!(NotifyUrl::parse("https://shop.example.com/wechat/pay/1600000001").is_ok());
        for bad in
            ["https://shop.example.com/a?b=1", "/a", "ftp://a/b", "https:///a", "https://u:p@h/a", "https://h/a b"]
        {
            assert!(NotifyUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
