//! The bodies of refusals (4xx and 5xx). They are not signed.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012081709> (errors).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pay::wire_codes::wire_codes;

/// What WeChat says when it refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorBody {
    /// The code to act on, together with the HTTP status.
    pub code: Code,
    /// A sentence for people. It changes without notice.
    pub message: String,
    /// Field, value, reason and place, or what WeChat itself signed; any JSON.
    pub detail: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

impl ErrorBody {
    /// Reads a body; it may be empty or HTML, and then there is no code.
    pub fn read(body: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        Some(Self { code: Code::from_wire(&wire.code), message: wire.message, detail: wire.detail })
    }

    /// Writes a body as WeChat does.
    pub fn to_json(&self) -> String {
        let Self { code, message, detail } = self.clone();
        super::json(&Wire { code: code.as_str().to_owned(), message, detail })
    }
}

wire_codes! {
    /// A code of WeChat. Codes that we do not know are kept.
    Code {
        AccountError "ACCOUNT_ERROR" "the state of the account does not allow it",
        AppidMchidNotMatch "APPID_MCHID_NOT_MATCH" "the app is not bound to the merchant",
        BankError "BANK_ERROR" "the bank failed, try again with the same parameters",
        FrequencyLimited "FREQUENCY_LIMITED" "called too often, not accepted",
        InvalidRequest "INVALID_REQUEST" "the request does not fit the rules or the state",
        InvalidTransactionid "INVALID_TRANSACTIONID" "no such transaction_id",
        MchNotExists "MCH_NOT_EXISTS" "no such merchant",
        NoAuth "NO_AUTH" "the merchant lacks this permission",
        NoStatementExist "NO_STATEMENT_EXIST" "nothing happened on that day",
        NotEnough "NOT_ENOUGH" "the balance is too low",
        OpenidMismatch "OPENID_MISMATCH" "the openid does not belong to the app",
        OrderClosed "ORDER_CLOSED" "the order is closed",
        OrderNotExist "ORDER_NOT_EXIST" "no such order",
        OrderPaid "ORDER_PAID" "the order is paid",
        OutTradeNoUsed "OUT_TRADE_NO_USED" "the number was used with other parameters",
        ParamError "PARAM_ERROR" "a parameter is wrong",
        RatelimitExceeded "RATELIMIT_EXCEEDED" "called too often, not accepted",
        RefundFeeMismatch "REFUND_FEE_MISMATCH" "the amounts differ from the order's or from the first request",
        ResourceNotExists "RESOURCE_NOT_EXISTS" "no such thing",
        RuleLimit "RULE_LIMIT" "a limit of the business",
        ServiceUnavailable "SERVICE_UNAVAILABLE" "not available, try again with the same parameters",
        SignError "SIGN_ERROR" "the signature is wrong",
        StatementCreating "STATEMENT_CREATING" "the bill is not ready",
        SystemError "SYSTEM_ERROR" "internal failure, the outcome is unknown",
        TradeError "TRADE_ERROR" "the state of the deal does not allow it",
        TradeOverdue "TRADE_OVERDUE" "the payment is older than a year",
        UserAccountAbnormal "USER_ACCOUNT_ABNORMAL" "the customer's account is closed or frozen",
        Userpaying "USERPAYING" "the customer is paying",
    }
}

impl Code {
    /// Reads WeChat's word. Old spellings without underscores mean the same.
    pub fn from_wire(word: &str) -> Self {
        let plain = |word: &str| word.replace('_', "");
        let known = Self::ALL.iter().find(|code| plain(code.as_str()) == plain(word));
        known.cloned().unwrap_or_else(|| Self::Unknown(word.to_owned()))
    }
}
