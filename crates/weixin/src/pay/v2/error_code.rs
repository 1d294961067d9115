//! The error codes of API v2 (`err_code`), with their meaning. What to do about one depends on the endpoint.
//!
//! Source: the tables "错误码" of the endpoints, for example <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>.

use crate::pay::wire_codes::wire_codes;

wire_codes! {
    /// A code of WeChat. Codes that we do not know are kept.
    ErrCode {
        AppidMchidNotMatch "APPID_MCHID_NOT_MATCH" "the app is not bound to the merchant",
        AppidNotExist "APPID_NOT_EXIST" "no such app",
        BizerrNeedRetry "BIZERR_NEED_RETRY" "concurrent processing, try again with the same parameters",
        Error "ERROR" "refused for a reason that stands in err_code_des",
        FrequencyLimit "FREQUENCY_LIMIT" "called too often, not accepted",
        FrequencyLimited "FREQUENCY_LIMITED" "called too often, not accepted",
        InvalidReqTooMuch "INVALID_REQ_TOO_MUCH" "too many bad requests, blocked for a moment",
        InvalidRequest "INVALID_REQUEST" "the number was used with other parameters, or the request is not allowed",
        InvalidTransactionid "INVALID_TRANSACTIONID" "no such transaction_id",
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
        RefundFeeMismatch "REFUND_FEE_MISMATCH" "the amounts differ from the order's or from the first request",
        Refundnotexist "REFUNDNOTEXIST" "no such refund",
        RequirePostMethod "REQUIRE_POST_METHOD" "the method must be POST",
        Signerror "SIGNERROR" "the signature is wrong",
        Systemerror "SYSTEMERROR" "internal failure or time-out, try again with the same parameters",
        TradeOverdue "TRADE_OVERDUE" "the payment is older than a year",
        TradeStateError "TRADE_STATE_ERROR" "the state of the order does not allow it",
        UserAccountAbnormal "USER_ACCOUNT_ABNORMAL" "the customer's account is closed or frozen",
        XmlFormatError "XML_FORMAT_ERROR" "the message is not well-formed XML",
    }
}

impl ErrCode {
    /// Reads WeChat's word.
    pub fn from_wire(word: &str) -> Self {
        let known = Self::ALL.iter().find(|code| code.as_str() == word);
        known.cloned().unwrap_or_else(|| Self::Unknown(word.to_owned()))
    }

    /// Whether it refuses a message for what it is or who sends it: nothing was done, and nothing will be.
    pub(super) fn is_about_the_message(&self) -> bool {
        matches!(
            self,
            Self::Noauth
                | Self::AppidNotExist
                | Self::MchidNotExist
                | Self::AppidMchidNotMatch
                | Self::LackParams
                | Self::ParamError
                | Self::Signerror
                | Self::XmlFormatError
                | Self::RequirePostMethod
                | Self::PostDataEmpty
                | Self::NotUtf8
        )
    }
}
