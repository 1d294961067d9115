//! The calls by which an order is closed or paid at WeChat where the server does not expect it.

use serde::Deserialize;
use serde_json::{Value, json};
use weixin::MchId;

use super::{Refusal, refuse};
use crate::{LateMoneyError, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderCall {
    mchid: MchId,
    out_trade_no: String,
}

pub(super) fn close(shared: &Shared, call: &OrderCall) -> Result<Value, Refusal> {
    answer(shared.close_order(&call.mchid, &call.out_trade_no))
}

pub(super) fn pay(shared: &Shared, call: &OrderCall) -> Result<Value, Refusal> {
    answer(shared.pay_order(&call.mchid, &call.out_trade_no))
}

fn answer(result: Result<(), LateMoneyError>) -> Result<Value, Refusal> {
    match result {
        Ok(()) => Ok(json!({})),
        Err(error @ LateMoneyError::Unknown) => refuse(404, error.to_string()),
        Err(error @ LateMoneyError::Paid) => refuse(409, error.to_string()),
    }
}
