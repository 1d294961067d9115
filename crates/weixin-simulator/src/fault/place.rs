//! Where a fault can strike: paths, and names for the calls that both versions of WeChat Pay have.

use weixin::pay::{
    v2::{Call as _, close_order, order_query, refund, refund_query, unified_order},
    v3,
};

use super::{Fault, NOTIFICATION, PUSH, Target};
use crate::{mini_program, pay, server::ENDPOINTS};

/// A name stands for the call in either version.
const NAMES: [(&str, &[&str]); 5] = [
    ("order", &[unified_order::UnifiedOrder::PATH, v3::jsapi::PATH]),
    (
        "query",
        &[
            order_query::OrderQuery::PATH,
            "/v3/pay/transactions/out-trade-no/{out_trade_no}",
            "/v3/pay/transactions/id/{transaction_id}",
        ],
    ),
    ("close", &[close_order::CloseOrder::PATH, "/v3/pay/transactions/out-trade-no/{out_trade_no}/close"]),
    ("refund", &[refund::RefundRequest::PATH, v3::refund::PATH]),
    ("refund_query", &[refund_query::RefundQuery::PATH, "/v3/refund/domestic/refunds/{out_refund_no}"]),
];

/// Whether a rule for `wanted` is a rule for this path, whose pattern has the names of its numbers in braces.
pub(crate) fn is_here(wanted: &str, path: &str, pattern: &str) -> bool {
    wanted == path || wanted == pattern || named(wanted).contains(&pattern)
}

fn named(name: &str) -> &'static [&'static str] {
    NAMES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, paths)| paths)
}

/// Checks the place of a rule.
///
/// # Errors
/// A sentence that names the possible ones.
pub(crate) fn check_place(place: &str) -> Result<(), String> {
    let paths = || ENDPOINTS.into_iter().chain(mini_program::paths()).chain(pay::PATHS).chain(pay::v3::patterns());
    let known = [NOTIFICATION, PUSH].contains(&place) || !named(place).is_empty();
    if known || paths().any(|path| path == place) || pay::v3::pattern(place).is_some() {
        return Ok(());
    }
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).chain(paths()).collect();
    Err(format!("path must be {NOTIFICATION}, {PUSH} or one of {}", names.join(" ")))
}

/// Checks a rule: one that can never strike would be a mistake that nobody sees.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn check(fault: &Fault) -> Result<(), String> {
    if fault.per_mille > 1000 {
        return Err("per_mille must be 0 to 1000".to_owned());
    }
    let Some(place) = fault.path.as_deref() else { return Ok(()) };
    check_place(place)?;
    let fits = match named(place) {
        [] => fault.kind.fits(Target::of(place)),
        paths => paths.iter().any(|path| fault.kind.fits(Target::of(path))),
    };
    if fits {
        return Ok(());
    }
    Err(format!("{} does not happen at {place}", serde_json::json!(fault.kind)))
}
