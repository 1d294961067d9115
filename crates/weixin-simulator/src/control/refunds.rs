//! The calls that decide over a merchant's money: balance, refunds by hand, how a refund ends.

use serde::Deserialize;
use serde_json::{Value, json};
use weixin::{Fen, MchId, NotifyUrl};

use super::{Refusal, refuse};
use crate::{RefundEnding, RefundError, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndCall {
    mchid: MchId,
    out_refund_no: String,
    ending: RefundEnding,
}

pub(super) fn end(shared: &Shared, call: EndCall) -> Result<Value, Refusal> {
    let EndCall { mchid, out_refund_no, ending } = call;
    answer(shared.end_refund(&mchid, &out_refund_no, ending)).map(|()| json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlatformRefundCall {
    mchid: MchId,
    out_trade_no: String,
    refund_fen: Fen,
}

pub(super) fn at_platform(shared: &Shared, call: PlatformRefundCall) -> Result<Value, Refusal> {
    let number = shared.refund_at_platform(&call.mchid, &call.out_trade_no, call.refund_fen);
    answer(number).map(|out_refund_no| json!({ "out_refund_no": out_refund_no }))
}

fn answer<T>(result: Result<T, RefundError>) -> Result<T, Refusal> {
    result.or_else(|error| match error {
        RefundError::Unknown => refuse(404, error.to_string()),
        RefundError::Ended(_) | RefundError::Refused(_) => refuse(409, error.to_string()),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoneyCall {
    mchid: MchId,
    /// Absent: stays. `null`: no limit.
    #[serde(default, deserialize_with = "present")]
    balance_fen: Option<Option<Fen>>,
    /// Absent: stays. `null`: none.
    #[serde(default, deserialize_with = "present")]
    refund_address: Option<Option<NotifyUrl>>,
}

fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(super) fn money(shared: &Shared, call: MoneyCall) -> Result<Value, Refusal> {
    if let Some(balance) = call.balance_fen {
        shared.set_balance(&call.mchid, balance);
    }
    if let Some(address) = call.refund_address {
        shared.set_refund_address(&call.mchid, address);
    }
    Ok(json!({}))
}
