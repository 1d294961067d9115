//! Where WeChat is: a main host, and a back-up host in another region with the same interfaces.
//!
//! Every call names its hosts, so that a simulator on this machine can stand in for WeChat. Which messages may be
//! sent to the back-up host is not decided here but in `transport.rs`.

use std::net::IpAddr;

use reqwest::Url;
use weixin::{mini_program, pay};

/// A main and perhaps a back-up host. Both are `https`, or `http` on this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    pub(crate) main: Base,
    /// Asked if the main host gives no answer.
    pub(crate) backup: Option<Base>,
}

impl Hosts {
    /// Reads the addresses, for example `http://127.0.0.1:7080`. A path in front of WeChat's own paths is allowed;
    /// user names, query and fragment are not.
    pub fn new(main: &str, backup: Option<&str>) -> Result<Self, HostError> {
        Ok(Self { main: Base::parse(main)?, backup: backup.map(Base::parse).transpose()? })
    }

    /// WeChat Pay's own hosts.
    pub fn pay() -> Self {
        Self::constant(pay::HOST, pay::BACKUP_HOST)
    }

    /// The own hosts of the mini program interfaces.
    pub fn mini_program() -> Self {
        Self::constant(mini_program::HOST, mini_program::BACKUP_HOST)
    }

    /// Whether every host is WeChat's: the money and the customers are real.
    pub fn is_official(&self) -> bool {
        self.all().all(Base::is_official)
    }

    /// Whether every host is on this machine, as a simulator is.
    pub fn is_loopback(&self) -> bool {
        self.all().all(|base| base.loopback)
    }

    fn all(&self) -> impl Iterator<Item = &Base> {
        std::iter::once(&self.main).chain(&self.backup)
    }

    fn constant(main: &'static str, backup: &'static str) -> Self {
        // Both are constants of the protocol crate; a test below parses them.
        Self::new(main, Some(backup)).expect("WeChat's own addresses are well-formed")
    }
}

/// One host with what stands in front of WeChat's paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    url: Url,
    pub(crate) loopback: bool,
}

impl Base {
    fn parse(text: &str) -> Result<Self, HostError> {
        let url = Url::parse(text).map_err(|_| HostError::NotAnAddress)?;
        let loopback = is_loopback(url.host_str().ok_or(HostError::NotAnAddress)?);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(HostError::NotEncrypted),
            _ => return Err(HostError::NotAnAddress),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HostError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(HostError::QueryOrFragment);
        }
        Ok(Self { url, loopback })
    }

    /// The address of one of WeChat's paths. With a query it may contain secrets: never log it.
    pub(crate) fn join(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// Path and query as they will go over the wire, without what stands in front of WeChat's paths. The URL library
    /// escapes what it must, so what is signed is read from it.
    pub(crate) fn as_sent(&self, path: &str, query: Option<&str>) -> String {
        let url = self.join(path, query);
        let front = self.url.path().trim_end_matches('/').len();
        let path = &url.path()[front..];
        url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// The host with its port, for logs and errors.
    pub(crate) fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// `weixin.qq.com` has more access points than the four that we know (regions, overseas licences).
    fn is_official(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        self.url.scheme() == "https" && self.url.port().is_none() && host.ends_with(".weixin.qq.com")
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why an address cannot be the address of WeChat. The address itself is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not an absolute address with `https` (or `http`) and a host.
    #[error("the host must be an absolute address such as https://api.weixin.qq.com")]
    NotAnAddress,
    /// Plain `http` to another machine.
    #[error("the host must be https: plain http is for 127.0.0.1, ::1 and localhost only")]
    NotEncrypted,
    /// A user name or a password.
    #[error("the host must not contain a user name or a password")]
    Credentials,
    /// A query or a fragment.
    #[error("the host must not contain ? or #")]
    QueryOrFragment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wechats_own_hosts_are_official_and_encrypted() {
        for hosts in [Hosts::pay(), Hosts::mini_program()] {
            assert!(hosts.is_official() && !hosts.is_loopback(), "{hosts:?}");
            assert_eq!(hosts.all().count(), 2);
        }
        let region = Hosts::new("https://sh.api.weixin.qq.com", None).unwrap();
        assert!(region.is_official());
    }

    #[test]
    fn a_simulator_is_never_official() {
        let hosts = Hosts::new("http://127.0.0.1:7080", Some("http://localhost:7081/")).unwrap();
        assert!(hosts.is_loopback() && !hosts.is_official());
        for foreign in [
            "https://api.weixin.qq.com.example.com",
            "https://evilweixin.qq.com",
            "https://api.weixin.qq.com:8443",
            "https://127.0.0.1",
        ] {
            assert!(!Hosts::new(foreign, None).unwrap().is_official(), "{foreign}");
        }
        let mixed = Hosts::new("https://api.weixin.qq.com", Some("http://127.0.0.1:7080")).unwrap();
        assert!(!mixed.is_official() && !mixed.is_loopback());
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in ["http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:80", "http://localhost:7080"] {
            assert!(Hosts::new(good, None).is_ok(), "{good}");
        }
        for bad in ["http://192.168.0.1", "http://simulator:7080", "http://localhost.example.com", "http://0.0.0.0:1"] {
            assert_eq!(Hosts::new(bad, None), Err(HostError::NotEncrypted), "{bad}");
        }
    }

    #[test]
    fn an_address_with_a_password_or_a_query_is_refused_and_not_repeated() {
        let needle = "n33dle";
        for bad in [
            "https://u:n33dle@api.weixin.qq.com",
            "https://n33dle@api.weixin.qq.com",
            "https://api.weixin.qq.com/?n33dle",
            "https://api.weixin.qq.com/#n33dle",
            "ftp://n33dle/",
            "n33dle",
            "",
            "data:n33dle",
        ] {
            let error = Hosts::new("https://api.weixin.qq.com", Some(bad)).unwrap_err();
            assert!(!format!("{error:?} {error}").contains(needle), "{error}");
        }
    }

    #[test]
    fn a_path_in_front_is_kept() {
        let hosts = Hosts::new("https://relay.example.com/wechat/", None).unwrap();
        let url = hosts.main.join("/pay/orderquery", None);
        assert_eq!(url.as_str(), "https://relay.example.com/wechat/pay/orderquery");
        assert_eq!(
            Hosts::pay().main.join("/pay/orderquery", Some("a=b")).as_str(),
            format!("{}/pay/orderquery?a=b", pay::HOST)
        );
    }
}
