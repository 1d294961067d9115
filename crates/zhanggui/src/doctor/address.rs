//! Whether WeChat can reach the address that it is to call.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791902> (notify_url).

use std::net::IpAddr;

use super::Check;
use crate::{config::Merchant, database::Realm};

const NAME: &str = "notify_url";

/// The form of the address; whether it answers can only be seen from outside.
pub(super) fn examine(merchant: &Merchant, realm: Realm) -> Check {
    judge(merchant.mchid.as_str(), merchant.notify_url.as_str(), realm)
}

fn judge(mchid: &str, url: &str, realm: Realm) -> Check {
    let problem = |text: &str| {
        let fix = "set server.public_url to the public https address of this server, by its name";
        Check::problem(NAME, mchid, format!("{url} {text}")).fix(fix)
    };
    if realm == Realm::Simulated {
        return Check::ok(NAME, mchid, format!("{url}, called by the simulator"));
    }
    let Some(rest) = url.strip_prefix("https://") else { return problem("is not https; WeChat calls over TLS only") };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    if host.parse::<IpAddr>().is_ok() {
        return problem("has an IP address; WeChat needs a name");
    }
    if host == "localhost" || PRIVATE.iter().any(|end| host.ends_with(end)) || !host.contains('.') {
        return problem("has a name that exists only inside");
    }
    if EXAMPLES.iter().any(|example| host == *example || host.ends_with(&format!(".{example}"))) {
        return problem("is the example of the template");
    }
    match port {
        None | Some("443") => Check::ok(NAME, mchid, format!("{url} has the form that WeChat needs")),
        Some(port) => {
            let text = format!("{url} has the port {port}, which firewalls on the way may not let pass");
            Check::warning(NAME, mchid, text).fix("use 443, the port of https, if callbacks do not arrive")
        }
    }
}

const PRIVATE: [&str; 7] = [".localhost", ".local", ".internal", ".lan", ".home", ".test", ".invalid"];
const EXAMPLES: [&str; 4] = ["example.com", "example.net", "example.org", "example"];

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[track_caller]
    fn live(url: &str) -> Check {
        judge("1600000001", url, Realm::Live)
    }

    #[test]
    fn a_public_https_address_is_good() {
        assert_eq!(live("https://pay.shop.cn/wechat/pay/1600000001").outcome, Outcome::Ok);
        assert_eq!(live("https://pay.shop.cn:443/wechat/pay/1600000001").outcome, Outcome::Ok);
    }

    #[test]
    fn an_address_that_wechat_cannot_reach_is_a_problem_that_names_the_fix() {
        for (url, words) in [
            ("http://pay.shop.cn/a", "not https"),
            ("https://127.0.0.1/a", "IP address"),
            ("https://[::1]:8443/a", "IP address"),
            ("https://203.0.113.7/a", "IP address"),
            ("https://localhost/a", "only inside"),
            ("https://shop.local/a", "only inside"),
            ("https://shop/a", "only inside"),
            ("https://shop.example.com/a", "example"),
        ] {
            let check = live(url);
            assert_eq!(check.outcome, Outcome::Problem, "{url}");
            assert!(check.text.contains(words) && check.fix.unwrap().contains("public_url"), "{url}: {}", check.text);
        }
    }

    #[test]
    fn an_unusual_port_is_a_warning() {
        assert_eq!(live("https://pay.shop.cn:8443/a").outcome, Outcome::Warning);
    }

    #[test]
    fn the_simulator_may_call_this_machine() {
        assert_eq!(judge("1", "http://127.0.0.1:8080/a", Realm::Simulated).outcome, Outcome::Ok);
    }
}
