//! Whom the server may call: public addresses, and those inside that the operator names.
//!
//! Somebody who may set webhooks could make the server call its neighbours otherwise. Names are judged by the addresses
//! that they resolve to, and the connection goes to just these addresses.

use std::{net::IpAddr, sync::LazyLock};

use reqwest::Url;

use crate::{database::Realm, network::Network};

/// What is not the public internet, after
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and <https://www.iana.org/assignments/iana-ipv6-special-registry>.
const INSIDE: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    // A host of Azure that answers inside only.
    "168.63.129.16",
    // Teredo and other protocol assignments.
    "2001::/23",
    "2001:db8::/32",
    // 6to4 carries an IPv4 address.
    "2002::/16",
    "3fff::/20",
];

/// Everything in IPv6 that is given to networks. Loopback, link-local, private, multicast, NAT64 and IPv4 in other clothes
/// lie outside.
const GLOBAL_UNICAST: &str = "2000::/3";

static NOT_PUBLIC: LazyLock<Vec<Network>> = LazyLock::new(|| INSIDE.iter().map(|text| network(text)).collect());
static PUBLIC_V6: LazyLock<Network> = LazyLock::new(|| network(GLOBAL_UNICAST));

fn network(text: &str) -> Network {
    // The lists above are checked by the tests below.
    text.parse().expect("a network")
}

/// The longest address of an endpoint, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Whom the server may call.
#[derive(Clone, Debug)]
pub struct Reach {
    realm: Realm,
    internal: Vec<Network>,
}

impl Reach {
    /// Everybody outside, these networks inside, and, where no money is real, this machine.
    pub fn new(realm: Realm, internal: Vec<Network>) -> Self {
        Self { realm, internal }
    }

    /// Whether the server may connect to this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_public = match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(_) => PUBLIC_V6.contains(address),
        } && !NOT_PUBLIC.iter().any(|network| network.contains(address));
        let is_this_machine = self.realm == Realm::Simulated && address.is_loopback();
        is_public || is_this_machine || self.internal.iter().any(|network| network.contains(address))
    }

    /// Checks the address of an endpoint. Where its name leads is looked at with every call.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self, text: &str) -> Result<Url, String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("the url must have at most {URL_BYTES_MAX} bytes"));
        }
        let url = Url::parse(text)
            .map_err(|_| "the url must be an address such as https://shop.example.com/hook".to_owned())?;
        match (url.scheme(), self.realm) {
            ("https", _) | ("http", Realm::Simulated) => {}
            _ => return Err("the url must begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the url must not have a user name or password: verify the signature instead".to_owned());
        }
        if url.fragment().is_some() {
            return Err("the url must not have a fragment (#)".to_owned());
        }
        if !self.allows_literal(&url) {
            return Err("the url must lead to a public address; webhook.internal_networks allows others".to_owned());
        }
        Ok(url)
    }

    /// Whether the host is a name, or an address that is allowed.
    pub(super) fn allows_literal(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        literal.map_or(!host.is_empty(), |address| self.allows(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Reach {
        Reach::new(Realm::Live, Vec::new())
    }

    #[test]
    fn only_public_addresses_are_called() {
        let simulated = Reach::new(Realm::Simulated, Vec::new());
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:0a00:0001::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let address = inside.parse().unwrap();
            assert!(!live().allows(address) && !simulated.allows(address), "{inside}");
        }
        for outside in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2400:3200::1", "2606:4700::1"]
        {
            assert!(live().allows(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn this_machine_is_called_only_where_no_money_is_real() {
        for loopback in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            let address = loopback.parse().unwrap();
            assert!(!live().allows(address), "{loopback}");
            assert!(Reach::new(Realm::Simulated, Vec::new()).allows(address), "{loopback}");
        }
    }

    #[test]
    fn the_operator_may_open_networks_inside() {
        let reach = Reach::new(Realm::Live, Network::parse_list("10.1.0.0/16, fd00::/8").unwrap());
        for (address, allowed) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("fd00::1", true)]
        {
            assert_eq!(reach.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn an_address_in_any_spelling_is_judged() {
        for bad in [
            "http://shop.example.com/",
            "ftp://shop.example.com",
            "shop.example.com",
            "https://",
            "https://user@shop.example.com",
            "https://:pw@shop.example.com",
            "https://shop.example.com/#x",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://017700000001/",
            "https://10.0.0.1./",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://①②⑦.0.0.1/",
            "https://169.254.169.254/latest",
        ] {
            assert!(live().check(bad).is_err(), "{bad}");
        }
        for good in ["https://shop.example.com/hook?token=1", "https://8.8.8.8:8443/", "https://[2400:3200::1]/"] {
            assert!(live().check(good).is_ok(), "{good}");
        }
        let simulated = Reach::new(Realm::Simulated, Vec::new());
        assert!(simulated.check("http://127.0.0.1:8000/hook").is_ok());
        assert!(simulated.check("http://10.0.0.1/hook").is_err());
        assert!(live().check(&format!("https://shop.example.com/{}", "x".repeat(2048))).is_err());
    }
}
