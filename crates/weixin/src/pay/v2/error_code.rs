//! The error codes of API v2 (`err_code`), with their meaning. What to do about one depends on the endpoint.
//!
//! Source: the tables "错误码" of the endpoints, for example <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>.

use std::fmt;

/// Declares the codes once: variant, word, meaning.
macro_rules! codes {
    ($($variant:ident $word:literal $meaning:literal),* $(,)?) => {
        /// A code of WeChat. Codes that we do not know are kept.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ErrCode {
            $(#[doc = concat!("`", $word, "`: ", $meaning, ".")] $variant,)*
            /// A code that we do not know yet.
            Unknown(String),
        }

        impl ErrCode {
            /// All codes that are documented.
            pub const ALL: &[ErrCode] = &[$(ErrCode::$variant),*];

            /// Reads WeChat's word.
            pub fn from_wire(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }

            /// WeChat's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(word) => word,
                }
            }

            /// What the code means, in one phrase.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                    Self::Unknown(_) => "a code that is not documented",
                }
            }
        }
    };
}

codes! {
    AppidMchidNotMatch "APPID_MCHID_NOT_MATCH" "the app is not bound to the merchant",
    AppidNotExist "APPID_NOT_EXIST" "no such app",
    BizerrNeedRetry "BIZERR_NEED_RETRY" "concurrent processing, try again with the same parameters",
    FrequencyLimit "FREQUENCY_LIMIT" "called too often, not accepted",
    FrequencyLimited "FREQUENCY_LIMITED" "called too often, not accepted",
    InvalidReqTooMuch "INVALID_REQ_TOO_MUCH" "too many bad requests, blocked for a moment",
    InvalidRequest "INVALID_REQUEST" "the number was used with other parameters, or the request is not allowed",
    LackParams "LACK_PARAMS" "a parameter is missing",
    MchidNotExist "MCHID_NOT_EXIST" "no such merchant",
    Noauth "NOAUTH" "the merchant lacks this permission",
    Notenough "NOTENOUGH" "the balance is too low",
    NotUtf8 "NOT_UTF8" "the message is not UTF-8",
    Orderclosed "ORDERCLOSED" "the order is closed",
    Ordernotexist "ORDERNOTEXIST" "no such order",
    Orderpaid "ORDERPAID" "the order is paid",
    OutTradeNoUsed "OUT_TRADE_NO_USED" "the number was used with other data",
    ParamError "PARAM_ERROR" "a parameter is wrong",
    PostDataEmpty "POST_DATA_EMPTY" "the body is empty",
    RequirePostMethod "REQUIRE_POST_METHOD" "the method must be POST",
    Signerror "SIGNERROR" "the signature is wrong",
    Systemerror "SYSTEMERROR" "internal failure or time-out, try again with the same parameters",
    TradeStateError "TRADE_STATE_ERROR" "the state of the order does not allow it",
    XmlFormatError "XML_FORMAT_ERROR" "the message is not well-formed XML",
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
