//! The calls for what befalls WeChat beside single faults: outages, a clock that jumps, forgers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use weixin::MchId;

use super::{Refusal, refuse};
use crate::{ForgeError, Forger, Shared, pay};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockCall {
    advance_s: Option<i64>,
    to: Option<Timestamp>,
}

pub(super) fn move_clock(shared: &Shared, call: ClockCall) -> Result<(), Refusal> {
    let moved = match (call.advance_s, call.to) {
        (Some(seconds), None) => shared.advance(SignedDuration::from_secs(seconds)),
        (None, Some(time)) => shared.jump_to(time),
        _ => return refuse(400, "give either advance_s or to"),
    };
    moved.map(drop).or_else(|error| refuse(400, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutageCall {
    for_s: Option<u32>,
    until: Option<Timestamp>,
}

pub(super) fn begin_outage(shared: &Shared, call: OutageCall) -> Result<Value, Refusal> {
    let now = shared.time(&shared.world());
    let until = match (call.for_s, call.until) {
        (Some(for_s), None) => now.saturating_add(SignedDuration::from_secs(i64::from(for_s))).unwrap_or(now),
        (None, Some(until)) => until,
        _ => return refuse(400, "give either for_s or until"),
    };
    shared.switch(|switches| switches.outage_until = Some(until));
    Ok(outage(shared))
}

pub(super) fn end_outage(shared: &Shared) -> Value {
    shared.switch(|switches| switches.outage_until = None);
    outage(shared)
}

pub(super) fn outage(shared: &Shared) -> Value {
    let world = shared.world();
    json!({ "outage_until": world.switches.outage_until, "is_out": world.is_out(shared.time(&world)) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgeCall {
    mchid: MchId,
    out_trade_no: String,
    #[serde(default)]
    forger: Forger,
}

pub(super) async fn forge(shared: &Arc<Shared>, call: ForgeCall) -> Result<Value, Refusal> {
    match pay::forge_notification(shared, &call.mchid, &call.out_trade_no, call.forger).await {
        Ok(attempt) => Ok(json!(attempt)),
        Err(error @ ForgeError::UnknownOrder) => refuse(404, error.to_string()),
        Err(error) => refuse(409, error.to_string()),
    }
}
