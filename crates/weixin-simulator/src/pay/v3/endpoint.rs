//! The endpoints of API v3 that are played, by path and method.

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Jsapi,
    QueryByOutTradeNo,
    QueryById,
    Close,
    Refund,
    RefundQuery,
    TradeBill,
    FundFlowBill,
    Certificates,
    Echo,
}

/// Path, method, endpoint. What stands in braces is a number.
const TABLE: [(&str, &str, Endpoint); 10] = [
    ("/v3/pay/transactions/jsapi", "POST", Endpoint::Jsapi),
    ("/v3/pay/transactions/out-trade-no/{out_trade_no}", "GET", Endpoint::QueryByOutTradeNo),
    ("/v3/pay/transactions/id/{transaction_id}", "GET", Endpoint::QueryById),
    ("/v3/pay/transactions/out-trade-no/{out_trade_no}/close", "POST", Endpoint::Close),
    ("/v3/refund/domestic/refunds", "POST", Endpoint::Refund),
    ("/v3/refund/domestic/refunds/{out_refund_no}", "GET", Endpoint::RefundQuery),
    ("/v3/bill/tradebill", "GET", Endpoint::TradeBill),
    ("/v3/bill/fundflowbill", "GET", Endpoint::FundFlowBill),
    ("/v3/certificates", "GET", Endpoint::Certificates),
    ("/v3/security/echo", "POST", Endpoint::Echo),
];

/// The paths of all endpoints.
pub(crate) fn patterns() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(pattern, _, _)| *pattern)
}

/// The pattern of a path, if an endpoint answers there.
pub(crate) fn pattern(path: &str) -> Option<&'static str> {
    patterns().find(|pattern| *pattern == path).or_else(|| patterns().find(|pattern| number(pattern, path).is_some()))
}

/// Why nobody answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// 404.
    NoSuchPath,
    /// 405.
    OtherMethod,
}

/// Who answers, and the number in the path, decoded.
pub(super) fn find(method: &str, path: &str) -> Result<(Endpoint, String), Nobody> {
    let pattern = pattern(path).ok_or(Nobody::NoSuchPath)?;
    let row = TABLE.iter().find(|(known, wanted, _)| *known == pattern && *wanted == method);
    let (_, _, endpoint) = row.ok_or(Nobody::OtherMethod)?;
    Ok((*endpoint, number(pattern, path).map(decoded).unwrap_or_default()))
}

/// What stands in the place of the braces.
fn number<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (before, rest) = pattern.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let number = path.strip_prefix(before)?.strip_suffix(after)?;
    (!number.is_empty() && !number.contains('/')).then_some(number)
}

/// Takes the percent signs out of a part of a path. What is not an escape stays as it is.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2).and_then(|digits| hex::decode(digits).ok())).flatten();
        match escape {
            Some(byte) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Endpoint {
    /// Below `/v3/pay/transactions`, where some answers look different.
    pub(super) fn is_of_orders(self) -> bool {
        matches!(self, Self::Jsapi | Self::QueryByOutTradeNo | Self::QueryById | Self::Close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_endpoint_and_number() {
        assert_eq!(find("POST", "/v3/pay/transactions/jsapi"), Ok((Endpoint::Jsapi, String::new())));
        let order = "/v3/pay/transactions/out-trade-no/A%7CB%2a";
        assert_eq!(find("GET", order), Ok((Endpoint::QueryByOutTradeNo, "A|B*".to_owned())));
        assert_eq!(find("POST", &format!("{order}/close")), Ok((Endpoint::Close, "A|B*".to_owned())));
        assert_eq!(find("GET", "/v3/refund/domestic/refunds/R%"), Ok((Endpoint::RefundQuery, "R%".to_owned())));
        assert_eq!(find("POST", order), Err(Nobody::OtherMethod));
        for nothing in ["/v3/pay/transactions", "/v3/pay/transactions/out-trade-no/", "/v3/pay/transactions/id/a/b"] {
            assert_eq!(find("GET", nothing), Err(Nobody::NoSuchPath), "{nothing}");
        }
        assert_eq!(pattern(order), Some("/v3/pay/transactions/out-trade-no/{out_trade_no}"));
    }
}
