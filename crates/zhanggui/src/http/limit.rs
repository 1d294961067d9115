//! Limits on the rate of requests: for each caller and for each address, with a reserve for bursts. Every node counts for
//! itself, in memory. A caller is the token or key that is sent, known or not: who guesses is counted by address. WeChat's
//! callbacks are not limited.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    address::client_address,
    caller::bearer_token,
    problem::{Code, Problem},
};
use crate::{
    app::App,
    config::{self, Rate},
};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// So many callers or addresses are remembered; after that all begin anew.
const REMEMBERED_MAX: usize = 100_000;

const SECOND_US: i64 = 1_000_000;

/// What this node has counted.
#[derive(Debug)]
pub struct Limits {
    callers: Option<Buckets<[u8; 32]>>,
    addresses: Option<Buckets<IpAddr>>,
}

impl Limits {
    /// Counts from nothing.
    pub fn new(config: &config::Limits) -> Self {
        Self { callers: config.caller.map(Buckets::new), addresses: config.address.map(Buckets::new) }
    }
}

/// How a caller stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    is_allowed: bool,
    limit: u32,
    remaining: u32,
    /// Until the reserve is whole again, or, for who was refused, until the next request is taken; in seconds, rounded up.
    wait_s: u32,
}

/// The time at which each reserve is whole again (the generic cell rate algorithm): one number for each.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    whole_us: Mutex<HashMap<K, i64>>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, whole_us: Mutex::default() }
    }

    fn take(&self, who: K, now_us: i64) -> Standing {
        let Rate { per_s, burst } = self.rate;
        let price_us = SECOND_US / i64::from(per_s);
        let reserve_us = price_us * i64::from(burst);
        // A panic while holding this lock leaves the map as it was.
        let mut all = self.whole_us.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, whole_us| *whole_us > now_us);
            if all.len() >= REMEMBERED_MAX {
                all.clear();
            }
        }
        let whole_us = all.entry(who).or_insert(now_us);
        let after_us = (*whole_us).max(now_us) + price_us;
        let is_allowed = after_us - now_us <= reserve_us;
        if is_allowed {
            *whole_us = after_us;
        }
        let left_us = reserve_us - (*whole_us - now_us);
        let wait_us = if is_allowed { after_us - now_us } else { after_us - now_us - reserve_us };
        Standing {
            is_allowed,
            limit: burst,
            remaining: u32::try_from(left_us / price_us).unwrap_or_default(),
            wait_s: u32::try_from((wait_us + SECOND_US - 1) / SECOND_US).unwrap_or(u32::MAX),
        }
    }
}

/// Counts a request and lets it through, or answers 429.
pub(super) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let standing = stand(&app, &request);
    let mut response = match standing {
        Some(Standing { is_allowed: false, wait_s, .. }) => {
            Problem::new(Code::RateLimited, "Send requests more slowly; the header Retry-After says when to go on.")
                .retry_after(wait_s.max(1))
                .into_response()
        }
        _ => next.run(request).await,
    };
    if let Some(standing) = standing {
        write(response.headers_mut(), &standing);
    }
    response
}

/// The stricter one of caller and address.
fn stand(app: &App, request: &Request) -> Option<Standing> {
    let now_us = app.now().as_microsecond();
    let address = app.limits.addresses.as_ref().and_then(|addresses| {
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        let address = counted_address(app, *peer, request.headers())?;
        Some(addresses.take(address, now_us))
    });
    // Who is refused by address does not use up what the caller may.
    if address.is_some_and(|standing| !standing.is_allowed) {
        return address;
    }
    let caller = app.limits.callers.as_ref().and_then(|callers| {
        let token = bearer_token(request.headers())?;
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        Some(callers.take(hash.as_ref().try_into().ok()?, now_us))
    });
    [address, caller].into_iter().flatten().min_by_key(|standing| (standing.is_allowed, standing.remaining))
}

/// The address that is counted. Without word from a trusted proxy, a neighbour is probably a proxy that speaks for many.
/// Who has an IPv6 address has at least 2^64 of them.
fn counted_address(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Option<IpAddr> {
    let address = client_address(app, peer, headers);
    let is_neighbour = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    };
    if is_neighbour && !app.config.server.trust_forwarded_for {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    })
}

fn write(headers: &mut HeaderMap, standing: &Standing) {
    headers.insert(LIMIT, HeaderValue::from(standing.limit));
    headers.insert(REMAINING, HeaderValue::from(standing.remaining));
    headers.insert(RESET, HeaderValue::from(standing.wait_s));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(per_s: u32, burst: u32) -> Buckets<u32> {
        Buckets::new(Rate { per_s, burst })
    }

    #[test]
    fn a_burst_is_taken_and_then_the_rate_holds() {
        let buckets = buckets(10, 5);
        for remaining in (0..5).rev() {
            let standing = buckets.take(1, 0);
            assert!(standing.is_allowed && standing.remaining == remaining, "{standing:?}");
        }
        let refused = buckets.take(1, 0);
        assert_eq!((refused.is_allowed, refused.remaining, refused.wait_s), (false, 0, 1));
        assert!(buckets.take(2, 0).is_allowed, "somebody else is not concerned");
        assert!(!buckets.take(1, 99_999).is_allowed);
        assert!(buckets.take(1, 100_000).is_allowed);
        assert!(!buckets.take(1, 100_000).is_allowed);
        assert_eq!(buckets.take(1, 10 * SECOND_US).remaining, 4, "the reserve is never larger than the burst");
    }

    #[test]
    fn a_crowd_of_strangers_does_not_fill_the_memory() {
        let buckets = buckets(1, 1);
        for who in 0..=REMEMBERED_MAX as u32 {
            assert!(buckets.take(who, 0).is_allowed);
        }
        assert!(buckets.whole_us.lock().unwrap().len() <= REMEMBERED_MAX);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate_allow(
            per_s in 1..1000_u32,
            burst in 1..100_u32,
            pauses_us in proptest::collection::vec(0..50_000_i64, 1..300),
        ) {
            let buckets = buckets(per_s, burst);
            let (mut now_us, mut taken) = (0, 0_i64);
            for pause_us in pauses_us {
                now_us += pause_us;
                taken += i64::from(buckets.take(1, now_us).is_allowed);
            }
            let price_us = SECOND_US / i64::from(per_s);
            prop_assert!(taken <= i64::from(burst) + now_us / price_us);
        }
    }
}
