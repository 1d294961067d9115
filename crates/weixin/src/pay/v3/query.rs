//! `GET /v3/pay/transactions/…`: what became of a payment.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791899> (by the merchant's number) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791900> (by WeChat's).

use super::{Call, Code, Method};
use crate::{MchId, OutTradeNo, TransactionId, pay::Transaction};

/// Asks by the merchant's number: any time, the only way while it is unpaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryByOutTradeNo {
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
}

impl Call for QueryByOutTradeNo {
    const METHOD: Method = Method::Get;
    type Answer = Transaction;

    fn path(&self) -> String {
        format!("/v3/pay/transactions/out-trade-no/{}?mchid={}", encoded(self.out_trade_no.as_str()), self.mchid)
    }

    fn is_answered_by(&self, answer: &Transaction) -> bool {
        answer.mchid == self.mchid && answer.out_trade_no == self.out_trade_no
    }
}

/// Asks by WeChat's number, after the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryById {
    /// The merchant.
    pub mchid: MchId,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
}

impl Call for QueryById {
    const METHOD: Method = Method::Get;
    type Answer = Transaction;

    fn path(&self) -> String {
        format!("/v3/pay/transactions/id/{}?mchid={}", self.transaction_id, self.mchid)
    }

    fn is_answered_by(&self, answer: &Transaction) -> bool {
        answer.mchid == self.mchid && answer.transaction_id.as_ref() == Some(&self.transaction_id)
    }
}

/// A number as part of a path: what is not a letter, a digit, `-`, `_` or `*` is escaped, before it is signed.
pub(super) fn encoded(number: &str) -> String {
    number.replace('|', "%7C").replace('@', "%40")
}

/// Status and code of the refusals that the page documents for both ways of asking.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (400, Code::InvalidRequest),
    (400, Code::MchNotExists),
    (403, Code::RuleLimit),
    (403, Code::TradeError),
    (404, Code::OrderNotExist),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
