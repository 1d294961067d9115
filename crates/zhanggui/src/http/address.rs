//! Who is at the other end: the connection's address, or what the trusted proxy in front appended.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::app::App;

/// The address of the caller: the connection's, or the last one in `X-Forwarded-For` where the operator trusts it.
pub fn client_address(app: &App, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|list| list.rsplit(',').next()).and_then(|text| text.trim().parse().ok());
    let ip = last.filter(|_| app.config.server.trust_forwarded_for).unwrap_or_else(|| peer.ip());
    ip.to_canonical()
}
