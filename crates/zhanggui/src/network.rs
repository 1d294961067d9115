//! Networks of IP addresses, such as `10.0.0.0/8`, `2001:db8::/32` or one address: from where a key may be used, and whom
//! the server may call.

use std::{fmt, net::IpAddr, str::FromStr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u32,
}

/// A text that names no network.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not an address such as 203.0.113.7 or a network such as 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// Whether the address is in the network. An IPv4 address that is written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                masked(first.to_bits().into(), 32, self.prefix_bits)
                    == masked(address.to_bits().into(), 32, self.prefix_bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                masked(first.to_bits(), 128, self.prefix_bits) == masked(address.to_bits(), 128, self.prefix_bits)
            }
            _ => false,
        }
    }

    /// Reads networks that are written with commas or blanks between them.
    ///
    /// # Errors
    /// Names the first text that is no network.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NetworkError> {
        text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

/// The first bits of an address of this width.
fn masked(bits: u128, width: u32, prefix_bits: u32) -> u128 {
    bits.checked_shr(width - prefix_bits).unwrap_or_default()
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if first.is_ipv4() { 32 } else { 128 };
        let digits = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = match prefix {
            None => width,
            Some(prefix) if digits(prefix) => prefix.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if prefix_bits > width || first != first.to_canonical() {
            return Err(wrong());
        }
        Ok(Self { first, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.first)?;
        if self.prefix_bits < width { write!(f, "/{}", self.prefix_bits) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let network: Network = network.parse().unwrap();
        assert!(inside.iter().all(|address| network.contains(address.parse().unwrap())), "{network}");
        assert!(!outside.iter().any(|address| network.contains(address.parse().unwrap())), "{network}");
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["11.0.0.0", "9.255.255.255", "::1"]);
        check("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]);
        check("192.0.2.7/31", &["192.0.2.6", "192.0.2.7"], &["192.0.2.8"]);
        check("0.0.0.0/0", &["1.2.3.4", "255.255.255.255"], &["2001:db8::1"]);
        check("2001:db8::/32", &["2001:db8:ffff::1"], &["2001:db9::1", "10.0.0.1"]);
        check("::/0", &["::1", "fe80::1"], &["10.0.0.1"]);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "host", "::ffff:10.0.0.0/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!(Network::parse_list("10.0.0.0/8, 192.0.2.7").unwrap().len(), 2);
        assert!(Network::parse_list("10.0.0.0/8; x").is_err());
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
