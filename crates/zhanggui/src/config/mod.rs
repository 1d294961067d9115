//! The configuration: one TOML file, each value overridable by the environment, checked as a whole before anything
//! starts. The reference is docs/configuration.md; `zhanggui init` writes a commented file.
//!
//! [`Config::load`] gives either a configuration that can work or all its problems at once, each with its line.

mod customer_service;
mod limits;
mod merchant;
mod reader;
mod template;
#[cfg(test)]
mod tests;
mod webhook;

use std::{cell::RefCell, net::SocketAddr, path::Path, time::Duration};

use jiff::SignedDuration;
use weixin::{AppId, AppSecret, MchId, NotifyUrl};
use weixin_client::Hosts;

use crate::{
    customer_service::{allowance, rule::Rule},
    database::{DatabaseUrl, Realm},
    order::LateMoney,
    seal::MasterKey,
};
pub use customer_service::{Push, SubscribeMessage};
pub use limits::{Limits, Rate};
pub use merchant::{Api, Merchant, V2, V3};
pub use reader::{ConfigError, Problem};
use reader::{Reader, Section};
pub use template::{TEMPLATE, new_master_key};
pub use webhook::Webhook;

/// Everything that the operator decides.
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Where the data is.
    pub database: DatabaseUrl,
    /// Seals secrets and personal data in the database.
    pub master_key: MasterKey,
    /// Which WeChat is called.
    pub wechat: Wechat,
    /// How long orders can be paid, and what is done with late money.
    pub order: OrderPolicy,
    /// How many requests are taken.
    pub limits: Limits,
    /// How events are sent to the merchant's systems.
    pub webhook: Webhook,
    /// How many replies WeChat takes for a customer.
    pub reply_limits: allowance::Limits,
    /// The form of the log.
    pub log: LogFormat,
    /// The mini programs.
    pub apps: Vec<App>,
    /// The merchants who are paid.
    pub merchants: Vec<Merchant>,
}

/// The HTTP server.
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How the outside world reaches this server, without a slash at the end. WeChat's callbacks begin with it.
    pub public_url: String,
    /// Whether a proxy in front tells the customer's address in `X-Forwarded-For` (the last entry counts).
    pub trust_forwarded_for: bool,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long requests under way may take to finish after a signal to stop.
    pub drain_timeout: Duration,
    /// How many connections are served at once.
    pub connections_max: usize,
}

/// Which WeChat is called.
pub struct Wechat {
    /// The real one, or a simulator.
    pub realm: Realm,
    /// The hosts of WeChat Pay.
    pub pay: Hosts,
    /// The hosts of WeChat Pay for calls with a client certificate, if they are others: the simulator's.
    pub pay_certified: Option<Hosts>,
    /// The hosts of `api.weixin.qq.com`.
    pub mini_program: Hosts,
    /// A certificate authority beside the public ones (PEM), for simulators behind TLS.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// How long orders can be paid, and what is done with money that comes later.
pub struct OrderPolicy {
    /// From creation to expiry.
    pub expires_in: SignedDuration,
    /// What is done with money for a closed order.
    pub late_money: LateMoney,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A mini program.
pub struct App {
    /// Its number.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// The merchant who is paid in it.
    pub mchid: MchId,
    /// Message push, if it is configured. Without it nobody can prove to be WeChat.
    pub push: Option<Push>,
    /// What happens by itself in chats.
    pub rules: Vec<Rule>,
    /// Messages that customers have subscribed to.
    pub subscribe_messages: Vec<SubscribeMessage>,
}

impl Config {
    /// Reads a file and the environment of the process.
    ///
    /// # Errors
    /// All problems at once, each with its line and what to do.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::single(path, format!("the file cannot be read: {error}")))?;
        let asked = RefCell::new(Vec::new());
        let environment = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            std::env::var(name).ok()
        };
        let parsed = Self::parse(&text, path, &environment);
        let unknown =
            unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()), &asked.borrow());
        match parsed {
            Ok(config) if unknown.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError { path: path.to_owned(), problems: unknown }),
            Err(mut error) => {
                error.problems.extend(unknown);
                Err(error)
            }
        }
    }

    /// Reads a text. File names in it are relative to the folder of `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(text, path, environment);
        // What is not TOML has no keys that could be missing.
        let config = if reader.has_problems() { None } else { read(&mut reader) };
        reader.finish(config)
    }

    /// The app with this number, or the only one if none is named.
    pub fn app(&self, appid: Option<&str>) -> Option<&App> {
        match (appid, self.apps.as_slice()) {
            (Some(appid), apps) => apps.iter().find(|app| app.appid.as_str() == appid),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The merchant with this number.
    pub fn merchant(&self, mchid: &str) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.mchid.as_str() == mchid)
    }
}

/// Variables that are meant for the configuration and that nothing in it asked for: a typing error must not be silent.
fn unknown_variables(names: impl Iterator<Item = String>, asked: &[String]) -> Vec<Problem> {
    let others: &[&str] = match cfg!(feature = "crash-points") {
        true => &["ZHANGGUI_CONFIG", "ZHANGGUI_TEST_", "ZHANGGUI_REQUIRE_", "ZHANGGUI_CRASH_"],
        false => &["ZHANGGUI_CONFIG", "ZHANGGUI_TEST_", "ZHANGGUI_REQUIRE_"],
    };
    let ours = |name: &String| name.starts_with("ZHANGGUI_") && !others.iter().any(|other| name.starts_with(other));
    let mut unknown: Vec<_> = names.filter(ours).filter(|name| !asked.contains(name)).collect();
    unknown.sort_unstable();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let problem = |name: String| {
        let nearest = reader::nearest_of(&name, &asked);
        Problem { line: None, text: format!("unknown variable {name}{nearest}") }
    };
    unknown.into_iter().map(problem).collect()
}

fn read(reader: &mut Reader<'_>) -> Option<Config> {
    let wechat = read_wechat(reader);
    let realm = wechat.as_ref().map_or(Realm::Live, |wechat| wechat.realm);
    let server = read_server(reader, realm);
    let mut database = reader.section("database");
    let url = database.text_or(reader, "url", "sqlite:zhanggui.db").and_then(|text| {
        let url = text.value.parse::<DatabaseUrl>().map_err(|error| error.to_string());
        reader.check(&text, url).map(|url| reader.beside_the_file(url))
    });
    database.end(reader);
    let mut secrets = reader.section("secrets");
    let master_key = secrets.secret(reader, "master_key").and_then(|text| {
        let key = master_key(&text.value);
        reader.check(&text, key)
    });
    secrets.end(reader);
    let order = read_order(reader);
    let limits = limits::read(reader);
    let webhook = webhook::read(reader, realm);
    let reply_limits = customer_service::read_limits(reader);
    let log = read_log(reader);
    let merchants = merchant::read(reader, realm, server.as_ref());
    let apps = read_apps(reader, realm, &merchants);
    reader.end();
    Some(Config {
        server: server?,
        database: url?,
        master_key: master_key?,
        wechat: wechat?,
        order: order?,
        limits: limits?,
        webhook: webhook?,
        reply_limits: reply_limits?,
        log: log?,
        apps,
        merchants,
    })
}

fn read_server(reader: &mut Reader<'_>, realm: Realm) -> Option<Server> {
    let mut section = reader.section("server");
    let listen = section.text_or(reader, "listen", "127.0.0.1:8080").and_then(|text| {
        let address =
            text.value.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:8080".to_owned());
        reader.check(&text, address)
    });
    let public_url = section.text(reader, "public_url").and_then(|text| {
        let url = public_url(&text.value, realm);
        reader.check(&text, url)
    });
    let trust_forwarded_for = section.flag_or(reader, "trust_forwarded_for", false);
    let request_timeout_s = section.number_or(reader, "request_timeout_s", 30, 1..=300);
    let drain_timeout_s = section.number_or(reader, "drain_timeout_s", 30, 0..=600);
    let connections_max = section.number_or(reader, "connections_max", 4096, 16..=1_000_000);
    section.end(reader);
    Some(Server {
        listen: listen?,
        public_url: public_url?,
        trust_forwarded_for: trust_forwarded_for?,
        request_timeout: Duration::from_secs(request_timeout_s?.unsigned_abs()),
        drain_timeout: Duration::from_secs(drain_timeout_s?.unsigned_abs()),
        connections_max: usize::try_from(connections_max?).unwrap_or(usize::MAX),
    })
}

fn public_url(text: &str, realm: Realm) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    NotifyUrl::parse(format!("{url}/wechat/pay/1600000001"))
        .map_err(|_| "must be an address such as https://shop.example.com, without query and user name".to_owned())?;
    if realm == Realm::Live && !url.starts_with("https://") {
        return Err("must begin with https:// because WeChat calls back over TLS only".to_owned());
    }
    Ok(url.to_owned())
}

fn read_wechat(reader: &mut Reader<'_>) -> Option<Wechat> {
    let mut section = reader.section("wechat");
    let realm_text = section.text_or(reader, "realm", "live")?;
    let realm = match realm_text.value.as_str() {
        "live" => Ok(Realm::Live),
        "simulated" => Ok(Realm::Simulated),
        _ => Err("must be \"live\" or \"simulated\"".to_owned()),
    };
    let realm = reader.check(&realm_text, realm);
    let hosts = |section: &mut Section, reader: &mut Reader<'_>, name: &'static str, official: Hosts| {
        let Some(main) = section.optional_text(reader, name) else {
            if realm == Some(Realm::Simulated) {
                section.problem(
                    reader,
                    name,
                    "is missing: the address of the simulator, such as http://127.0.0.1:8088",
                );
            }
            return Some(official);
        };
        let hosts = match realm {
            Some(Realm::Live) => {
                Err("can be set only with realm = \"simulated\"; the real WeChat has fixed addresses".to_owned())
            }
            _ => Hosts::new(&main.value, None).map_err(|error| error.to_string()),
        };
        let hosts = reader.check(&main, hosts)?;
        if hosts.is_official() {
            section.problem(reader, name, "is the real WeChat, which cannot be called with realm = \"simulated\"");
        }
        Some(hosts)
    };
    let pay = hosts(&mut section, reader, "pay_url", Hosts::pay());
    let mini_program = hosts(&mut section, reader, "api_url", Hosts::mini_program());
    let pay_certified = section.optional_text(reader, "pay_certified_url").and_then(|url| {
        let hosts = match realm {
            Some(Realm::Live) => Err("can be set only with realm = \"simulated\"".to_owned()),
            _ => Hosts::new(&url.value, None).map_err(|error| error.to_string()),
        };
        reader.check(&url, hosts)
    });
    let extra_ca_pem = section.optional_file(reader, "ca_file");
    section.end(reader);
    Some(Wechat { realm: realm?, pay: pay?, pay_certified, mini_program: mini_program?, extra_ca_pem })
}

fn read_order(reader: &mut Reader<'_>) -> Option<OrderPolicy> {
    let mut section = reader.section("order");
    let minutes = section.number_or(reader, "expires_in_min", 120, 5..=7 * 24 * 60);
    let late_money = section.text_or(reader, "late_money", "refund").and_then(|text| {
        let late_money = match text.value.as_str() {
            "refund" => Ok(LateMoney::Refund),
            "accept" => Ok(LateMoney::Accept),
            _ => Err("must be \"refund\" or \"accept\"".to_owned()),
        };
        reader.check(&text, late_money)
    });
    section.end(reader);
    Some(OrderPolicy { expires_in: SignedDuration::from_mins(minutes?), late_money: late_money? })
}

fn read_log(reader: &mut Reader<'_>) -> Option<LogFormat> {
    let mut section = reader.section("log");
    let format = section.text_or(reader, "format", "json");
    section.end(reader);
    let format = format?;
    let parsed = match format.value.as_str() {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err("must be \"json\" or \"text\"".to_owned()),
    };
    reader.check(&format, parsed)
}

fn read_apps(reader: &mut Reader<'_>, realm: Realm, merchants: &[Merchant]) -> Vec<App> {
    let mut apps: Vec<App> = Vec::new();
    let sections = reader.sections("app");
    if sections.is_empty() {
        reader.missing("at least one [[app]] is needed: the mini program that this server works for");
    }
    for mut section in sections {
        let appid = section.parsed(reader, "appid", AppId::parse);
        let secret = section.secret(reader, "secret").and_then(|text| {
            let secret = AppSecret::parse(text.value.as_str()).map_err(|error| error.rule.to_owned());
            reader.check(&text, real_if_live(realm, &text.value, secret))
        });
        let mchid = section.parsed(reader, "merchant", MchId::parse);
        let push = customer_service::read_push(reader, &mut section, realm, appid.as_ref());
        let rules = customer_service::read_rules(reader, &mut section);
        let subscribe_messages = customer_service::read_subscribe_messages(reader, &mut section);
        section.end(reader);
        if apps.iter().any(|known| Some(&known.appid) == appid.as_ref()) {
            section.problem(reader, "appid", "stands twice in the file");
        }
        // A merchant that has problems of its own is not in the list: one message is enough.
        let known = |mchid: &MchId| reader.has_problems() || merchants.iter().any(|merchant| &merchant.mchid == mchid);
        if mchid.as_ref().is_some_and(|mchid| !known(mchid)) {
            section.problem(reader, "merchant", "names no [[merchant]] of this file");
        }
        let app = || Some(App { appid: appid?, secret: secret?, mchid: mchid?, push, rules, subscribe_messages });
        apps.extend(app());
    }
    apps
}

/// Keys that the simulator makes begin with "fake"; the real WeChat never gave them to anybody.
fn real_if_live<T>(realm: Realm, text: &str, key: Result<T, String>) -> Result<T, String> {
    if realm == Realm::Live && text.starts_with("fake") {
        return Err("is a key of the simulator; with realm = \"live\" the real one is needed".to_owned());
    }
    key
}

fn master_key(text: &str) -> Result<MasterKey, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .map_err(|_| "must be 64 hexadecimal digits; `zhanggui init` makes one".to_owned())?;
    Ok(MasterKey::new(bytes))
}

/// An environment without variables, for tests and for the development server.
pub fn empty_environment(_: &str) -> Option<String> {
    None
}
