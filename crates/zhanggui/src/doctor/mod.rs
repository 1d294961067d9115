//! Tests a deployment and says in plain words what is wrong: keys, database, clock, message push, and the way to WeChat.
//!
//! Called by `zhanggui doctor`. Nothing is changed anywhere: what is asked of WeChat only reads, and the access token is
//! asked for in the mode that takes it from nobody.

mod address;
mod key;
mod push;
mod refusal;
mod report;
mod wechat;

use jiff::Timestamp;
use weixin::NonceStr;
use weixin_client::{Transport, TransportOptions};

use crate::{
    clock::{Clock, Entropy, random},
    config::{Config, ConfigError},
    database::{self, Database, DatabaseError, Options, Realm},
    http::chain,
};
pub use report::{Check, Outcome, Report};
use wechat::Line;

/// How far the examination goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Asks WeChat, too.
    Wechat,
    /// Stays on this machine and its database.
    Offline,
}

/// What the doctor works with.
pub struct Doctor<'a> {
    /// The deployment.
    pub config: &'a Config,
    /// The time.
    pub clock: Clock,
    /// For nonces.
    pub entropy: Entropy,
}

/// A configuration that cannot work, as a report.
pub fn of_broken_configuration(error: &ConfigError) -> Report {
    let mut report = Report::default();
    for problem in &error.problems {
        let line = problem.line.map_or_else(String::new, |line| format!(", line {line}"));
        let place = format!("{}{line}", error.path.display());
        report.add(Check::problem("configuration", "", problem.text.clone()).fix(format!("edit {place}")));
    }
    report
}

impl Doctor<'_> {
    /// Looks at everything.
    pub async fn examine(&self, reach: Reach) -> Report {
        let mut report = Report::default();
        report.add(Check::ok("configuration", "", "the configuration can be read and has everything that is needed"));
        report.add(self.database().await);
        let now = (self.clock)();
        for merchant in &self.config.merchants {
            key::examine(&mut report, merchant, now);
            report.add(address::examine(merchant, self.config.wechat.realm));
        }
        for app in &self.config.apps {
            report.add(push::examine(app, &self.config.server.public_url));
        }
        match reach {
            Reach::Offline => {}
            Reach::Wechat => self.wechat(&mut report).await,
        }
        report
    }

    async fn database(&self) -> Check {
        let config = self.config;
        let (url, realm) = (config.database.to_string(), config.wechat.realm);
        let database = match Database::open(Options::new(config.database.clone()), realm).await {
            Ok(database) => database,
            Err(error) => {
                let fix = match error {
                    database::OpenError::Missing { .. } | database::OpenError::Older { .. } => "run `zhanggui migrate`",
                    _ => "see the sentence above; database.url in the configuration says which database is meant",
                };
                return Check::problem("database", url, chain(&error)).fix(fix);
            }
        };
        let version = database.read(|tx| tx.query_one(VERSION, &[])?.int("version")).await;
        database.close().await;
        match version {
            Ok(version) => Check::ok("database", url, format!("opens; realm {realm}, version {version}")),
            Err(error) => {
                let error: DatabaseError = error;
                Check::problem("database", url, chain(&error)).fix("see the log of the database")
            }
        }
    }

    async fn wechat(&self, report: &mut Report) {
        let options = TransportOptions { extra_ca_pem: self.config.wechat.extra_ca_pem.clone(), ..Default::default() };
        let transport = match Transport::new(&options) {
            Ok(transport) => transport,
            Err(error) => {
                report.add(Check::problem("certificates", "", chain(&error)).fix("correct wechat.ca_file"));
                return;
            }
        };
        report.add(self.roots(&transport));
        let line = Line::new(self, transport);
        if !line.clock(report).await {
            return;
        }
        for merchant in &self.config.merchants {
            line.merchant_v3(report, merchant).await;
            line.merchant_v2(report, merchant).await;
        }
        for app in &self.config.apps {
            line.app(report, app).await;
        }
    }

    /// The real WeChat is believed because of the certificate authorities of this machine.
    fn roots(&self, transport: &Transport) -> Check {
        let name = "certificates";
        match (transport.has_system_roots(), self.config.wechat.realm) {
            (true, _) => Check::ok(name, "", "the system has certificate authorities"),
            (false, Realm::Simulated) => {
                Check::ok(name, "", "the system has no certificate authorities; the simulator needs none")
            }
            (false, Realm::Live) => {
                let text = "the system has no certificate authorities, so WeChat's hosts cannot be trusted";
                Check::problem(name, "", text).fix("install the package ca-certificates")
            }
        }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn nonce(&self) -> NonceStr {
        NonceStr::from_random(random(&self.entropy))
    }
}

const VERSION: &str = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_migration";
