//! Where it happens: a WeChat in this process, which outlives the server, a receiver of webhooks, a shelf, a key, and one
//! time for all of them, fifty times as quick as ours.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use weixin_simulator::{Fault, FaultKind, NOTIFICATION, Options, PushSetup, Simulator, Strictness};
use zhanggui::{
    clock::Entropy,
    config::{Api, Config, empty_environment},
    crash::Point,
    database::{self, Database, Realm, Row},
};

use super::{
    server::{self, CLOCK, Server, Versions, config_of},
    support::{DEMO, Http, Receiver, Reply, Shop, entropy_of},
};

/// The time moves on by this much …
const STEP: SignedDuration = SignedDuration::from_secs(5);

/// … after so much real time, if the server answers: a machine that is busy does not make signatures old.
const STEP_EVERY: Duration = Duration::from_millis(100);

/// How long a refund takes at WeChat: long enough to be asked for.
const REFUND_AFTER_S: u32 = 90;

/// So many of a thousand messages are struck by each kind of trouble.
const TROUBLE_PER_MILLE: u16 = 20;

/// How long everybody waits before trying again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a caller waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked whether everything is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Everything of one shop.
pub(crate) struct Stage {
    pub(crate) sim: Simulator,
    pub(crate) receiver: Receiver,
    pub(crate) server: Server,
    pub(crate) luck: Luck,
    /// How many stories have begun.
    pub(crate) begun: AtomicUsize,
    pub(crate) folder: TempDir,
    http: Http,
    control: Http,
    key: String,
    moving: Mutex<Option<JoinHandle<()>>>,
}

impl Stage {
    pub(crate) async fn start(seed: u64, versions: Versions, dies_at: Option<(Point, usize)>) -> Arc<Self> {
        // Only the first shop of the process installs it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let strictness = Strictness { minute_between_refunds: true, ..Strictness::default() };
        let sim =
            Simulator::start(Options { seed, strictness, magic_amounts: false, ..Options::demo() }).await.unwrap();
        sim.set_refund_after_s(REFUND_AFTER_S);
        let port = free_port();
        configure(folder.path(), &sim, port);
        let config = config_of(Api::V3);
        run(folder.path(), &["migrate", "--config", &config]);
        let tea = ["product", "set", "--config", &config, "--sku", "tea", "--name", "明前龙井", "--price-fen", "12800"];
        run(folder.path(), &tea);
        let scopes = "read,orders,refunds,messages,admin";
        let made =
            run(folder.path(), &["key", "create", "--config", &config, "--name", "till", "--scope", scopes, "--json"]);
        let key = serde_json::from_str::<Value>(&made).unwrap()["key"].as_str().unwrap().to_owned();
        let stage = Arc::new(Self {
            receiver: Receiver::start().await,
            server: Server::start(folder.path(), versions, dies_at),
            luck: Luck(entropy_of(seed)),
            begun: AtomicUsize::new(0),
            http: Http::new(format!("http://127.0.0.1:{port}")),
            control: Http::new(sim.base_url()),
            key,
            moving: Mutex::default(),
            sim,
            folder,
        });
        let endpoint = json!({ "url": stage.receiver.url });
        stage.merchant(Method::POST, "/v1/webhooks", Some("endpoint"), &endpoint).await.json(201);
        let push = PushSetup::demo(&format!("http://127.0.0.1:{port}/wechat/push/{}", DEMO.appid));
        while stage.sim.set_push(&DEMO.appid(), push.clone()).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        *stage.moving.lock().unwrap() = Some(tokio::spawn(move_time(Arc::downgrade(&stage))));
        stage
    }

    /// A customer calls, again and again until there is an answer.
    pub(crate) async fn customer(
        &self,
        token: &str,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Reply {
        self.answer_of(|| {
            let request = self.http.request(method.clone(), path).bearer_auth(token).json(body);
            key.iter().fold(request, |request, key| request.header("idempotency-key", *key))
        })
        .await
    }

    /// A system of the merchant calls, again and again until there is an answer.
    pub(crate) async fn merchant(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Reply {
        self.customer(&self.key, method, path, key, body).await
    }

    /// `wx.login` and `POST /v1/login`: the session, and the customer's id. A code that got no answer is not used again.
    pub(crate) async fn log_in(&self, phone: &weixin_simulator::Phone) -> (String, String) {
        let made = || {
            let body = json!({ "code": phone.login().as_str(), "appid": DEMO.appid });
            self.http.request(Method::POST, "/v1/login").json(&body)
        };
        let session = self.answer_of(made).await.json(200);
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        (text("token"), text("customer"))
    }

    /// From now on some calls and some answers are lost on the way, and some notifications are lost or come twice.
    pub(crate) fn trouble(&self) {
        let always = |fault: Fault| fault.per_mille(TROUBLE_PER_MILLE).times(u32::MAX);
        for kind in [FaultKind::Lost, FaultKind::Twice] {
            self.sim.inject(always(Fault::on(NOTIFICATION, kind)));
        }
        for kind in [FaultKind::NoAnswerBefore, FaultKind::NoAnswerAfter, FaultKind::HalfAnswer, FaultKind::Status(502)]
        {
            self.sim.inject(always(Fault::new(kind)));
        }
    }

    /// What the simulator's control API says.
    pub(crate) async fn control(&self, path: &str, body: &Value) -> Value {
        self.control.post(&format!("/_sim/{path}"), None, body).await.json(200)
    }

    async fn answer_of(&self, request: impl Fn() -> RequestBuilder) -> Reply {
        loop {
            if let Some(reply) = try_once(request().timeout(ANSWER_WITHIN)).await.filter(is_answer) {
                return reply;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until nothing is left to do: every order is paid or closed, every refund has ended, every event has arrived.
    pub(crate) async fn quiet(&self) {
        while !self.left().await.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is left to do. Nobody keeps the database open: a process that comes back after a death finds it as it was left.
    async fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let database = self.open().await;
        for (what, sql) in LEFT {
            let rows = rows(&database, sql).await;
            left.extend(rows.iter().map(|row| format!("{what}: {}", row.text("id").unwrap())));
        }
        let known = rows(&database, "SELECT out_trade_no FROM payment WHERE state = 'succeeded'").await;
        database.close().await;
        let known: std::collections::HashSet<_> = known.iter().map(|row| row.text("out_trade_no").unwrap()).collect();
        let ledger = self.sim.ledger();
        let paid = ledger.paid().filter(|payment| !known.contains(&*payment.out_trade_no));
        left.extend(paid.map(|payment| format!("paid at WeChat only: {}", payment.out_trade_no)));
        if let Some(due) = self.sim.next_due() {
            left.push(format!("WeChat notifies at {due}"));
        }
        left
    }

    pub(crate) async fn open(&self) -> Database {
        let config = self.folder.path().join(config_of(Api::V3));
        let config = Config::parse(&std::fs::read_to_string(&config).unwrap(), &config, &empty_environment).unwrap();
        Database::open(database::Options::new(config.database), Realm::Simulated).await.unwrap()
    }

    /// Why it does not become quiet.
    pub(crate) async fn report(&self) -> String {
        format!("now {}\nleft: {:#?}\n{}", self.sim.now(), self.left().await, self.server.log())
    }

    /// The time stands still from now on.
    pub(crate) fn stop_time(&self) {
        if let Some(moving) = self.moving.lock().unwrap().take() {
            moving.abort();
        }
    }
}

/// Who has paid is told so, once.
const SUBSCRIBE_MESSAGE: &str = r#"
[[app.subscribe_message]]
name = "paid"
template_id = "fakeTemplatePaid"
on = "order.paid"
data = { character_string1 = "{order_number}", amount2 = "{amount_yuan}元", time3 = "{paid_at}" }
"#;

const LEFT: &[(&str, &str)] = &[
    ("order", "SELECT id FROM shop_order WHERE state IN ('open', 'closing')"),
    ("payment", "SELECT id FROM payment WHERE state IN ('submitting', 'awaiting', 'closing')"),
    ("refund", "SELECT id FROM refund WHERE state IN ('submitting', 'processing')"),
    ("message", "SELECT id FROM message WHERE state IN ('queued', 'sending')"),
    ("subscribe message", "SELECT order_id AS id FROM subscribe_message WHERE state IN ('queued', 'sending')"),
    ("job", "SELECT kind || ' ' || subject AS id FROM job"),
    ("delivery", "SELECT event_id AS id FROM webhook_delivery WHERE state = 'waiting'"),
    ("event", "SELECT id FROM event WHERE position > (SELECT MIN(position) FROM webhook_endpoint)"),
];

pub(crate) async fn rows(database: &Database, sql: &'static str) -> Vec<Row> {
    database.read(move |tx| tx.query(sql, &[])).await.unwrap()
}

/// `None`: the connection was refused, or broke, or nothing came.
async fn try_once(request: RequestBuilder) -> Option<Reply> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Some(Reply { status, headers, body: response.bytes().await.ok()? })
}

/// Whether it says more than "again".
fn is_answer(reply: &Reply) -> bool {
    let is_running = reply.status == 409 && reply.text().contains("idempotency_key_running");
    reply.status < 500 && reply.status != 429 && !is_running
}

/// The server first, then WeChat: neither is ever much older than the other.
async fn move_time(stage: std::sync::Weak<Stage>) {
    let mut ahead = SignedDuration::ZERO;
    loop {
        tokio::time::sleep(STEP_EVERY).await;
        let Some(stage) = stage.upgrade() else { return };
        let alive = stage.http.request(Method::GET, "/livez").timeout(ANSWER_WITHIN);
        if try_once(alive).await.is_none() {
            continue;
        }
        ahead += STEP;
        let (clock, neighbour) = (stage.folder.path().join(CLOCK), stage.folder.path().join("clock.new"));
        std::fs::write(&neighbour, ahead.as_secs().to_string()).unwrap();
        std::fs::rename(&neighbour, &clock).unwrap();
        stage.sim.advance(STEP).unwrap();
    }
}

/// The configurations of both versions: they differ in the one with which new payments are made.
fn configure(folder: &Path, sim: &Simulator, port: u16) {
    for api in [Api::V3, Api::V2] {
        let mut shop = Shop { api, ..Shop::default() };
        (shop.push.handler, shop.push.more) = ("desk", SUBSCRIBE_MESSAGE);
        let toml = shop.toml(port, "sqlite:zhanggui.db", (&sim.base_url(), &sim.tls_base_url().unwrap()));
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../weixin-simulator");
        std::fs::write(folder.join(config_of(api)), toml.replace("../weixin-simulator", fixtures)).unwrap();
    }
    std::fs::write(folder.join(CLOCK), "0").unwrap();
}

/// Runs a command and gives what it printed.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = server::run(folder, arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A port below those that the system gives away: it stays free while the process is dead.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add((std::process::id() as u16) << 4);
        let port = 10_000 + offset % 20_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Random numbers that the seed decides.
pub(crate) struct Luck(Entropy);

impl Luck {
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
}
