//! `GET /cgi-bin/getcallbackip`: the addresses from which WeChat calls us. The cheapest call that proves that an
//! access token works.
//!
//! Source: <https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Get_the_WeChat_server_IP_address.html>.

use serde::{Deserialize, Serialize};

/// The path below the host.
pub const PATH: &str = "/cgi-bin/getcallbackip";

/// The addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// IPv4 and IPv6 addresses or networks.
    pub ip_list: Vec<String>,
}
