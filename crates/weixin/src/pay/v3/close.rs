//! `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`: nothing can be paid on the order any more. Answered
//! with 204 and an empty, signed body; can be repeated.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791901>.

use serde::{Deserialize, Serialize};

use super::{Call, Code, Method, json, query::encoded};
use crate::{MchId, OutTradeNo};

/// Asks to close an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOrder {
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
}

/// The body of the request.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloseBody {
    /// The merchant.
    pub mchid: MchId,
}

impl Call for CloseOrder {
    const METHOD: Method = Method::Post;
    type Answer = ();

    fn path(&self) -> String {
        format!("/v3/pay/transactions/out-trade-no/{}/close", encoded(self.out_trade_no.as_str()))
    }

    fn body(&self) -> String {
        json(&CloseBody { mchid: self.mchid.clone() })
    }
}

/// Status and code of the refusals that the page documents for this endpoint.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (400, Code::InvalidRequest),
    (400, Code::MchNotExists),
    (400, Code::OrderClosed),
    (400, Code::OrderPaid),
    (403, Code::RuleLimit),
    (403, Code::TradeError),
    (404, Code::OrderNotExist),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
