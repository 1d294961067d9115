//! A whole world in one process: WeChat (simulated), the server, its database, and a clock that only the test moves.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use serde_json::Value;
use tempfile::TempDir;
use weixin::{
    AppId, Fen,
    pay::{
        Refund, RefundState,
        v2::{
            Call as _,
            close_order::CloseOrder,
            order_query::OrderQuery,
            refund_notification::{RefundNotification, RequestSource},
        },
    },
    push::{Format, Mode},
};
use weixin_simulator::{Direction, Exchange, Options, PushSetup, Simulator, Strictness};
use zhanggui::{
    api_key::{self, NewKey, Scope},
    config::Api,
    database::{Database, Realm, Row, Value as Column, migrate},
    params,
    product::{self, Product},
};

use super::{
    Attacker, DEMO, DEMO_PUSH, Letter, LetterV3, ManualClock, Merchant, Node, OTHER, Phone, Pusher, Shop, entropy_of,
    letter::Told,
    node::Recipe,
    postgres,
    shop::{Business, wechat_setup},
};

/// Where the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Everything that exists in a test.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) seed: u64,
    pub(crate) sim: Simulator,
    pub(crate) clock: ManualClock,
    /// Takes effect at the next [`World::restart`].
    pub(crate) shop: Shop,
    pub(crate) recipe: Recipe,
    pub(crate) port: u16,
    pub(super) expected_attention: Vec<&'static str>,
    pub(super) expected_unsettled: BTreeSet<String>,
    /// How often each customer is told by WeChat that the service has failed.
    pub(crate) expected_failures: usize,
    node: Option<Node>,
    _directory: TempDir,
}

/// Runs a test in a world of its own and looks into all books when it ends.
pub(crate) async fn run(engine: Engine, test: impl AsyncFnOnce(&mut World)) {
    let seed = seed();
    println!("seed {seed}; ZHANGGUI_TEST_SEED={seed} replays it");
    let Some(mut world) = World::start(engine, seed).await else { return };
    test(&mut world).await;
    world.finish().await;
}

/// How much of something a test does: little by default, all of it where the environment says so.
#[allow(dead_code, reason = "for the binaries that have such tests")]
#[expect(clippy::disallowed_methods, reason = "a run that takes minutes is asked for in the environment")]
pub(crate) fn figure(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[expect(clippy::disallowed_methods, reason = "a run is replayed by naming its seed in the environment")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("ZHANGGUI_TEST_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 16)
}

impl World {
    /// `None` where there is no PostgreSQL.
    pub(crate) async fn start(engine: Engine, seed: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let database = match engine {
            Engine::Sqlite => format!("sqlite:{}", directory.path().join("test.db").display()),
            Engine::Postgres => postgres::url_or_skip()?,
        };
        let clock = ManualClock::new();
        let strictness = Strictness { minute_between_refunds: true, ..Strictness::default() };
        let options = Options { world: wechat_setup(), strictness, ..Options::for_tests(seed, clock.clock()) };
        let sim = Simulator::start(options).await.unwrap();
        let wechat = sim.base_url();
        let wechat_certified = sim.tls_base_url().unwrap();
        let recipe = Recipe { database, wechat, wechat_certified, clock: clock.clock(), entropy: entropy_of(seed) };
        let shop = Shop::default();
        migrate(&recipe.config(&shop, 1).database, Realm::Simulated, clock.now()).await.unwrap();
        let (node, port) = recipe.start_somewhere(&shop).await;
        let world = Self {
            engine,
            seed,
            sim,
            clock,
            shop,
            recipe,
            port,
            expected_attention: Vec::new(),
            expected_unsettled: BTreeSet::new(),
            expected_failures: 0,
            node: Some(node),
            _directory: directory,
        };
        for (appid, sku, name, price) in [
            (DEMO.appid(), "tea", "明前龙井", 12_800),
            (DEMO.appid(), "cup", "青瓷茶杯", 1),
            (OTHER.appid(), "tea", "Green tea", 990),
        ] {
            world.sell(&appid, sku, name, price).await;
        }
        Some(world)
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("the server is running")
    }

    pub(crate) fn database(&self) -> &Database {
        &self.node().app.database
    }

    pub(crate) async fn sell(&self, appid: &AppId, sku: &str, name: &str, price_fen: i64) {
        let product = Product::new(sku, name, Fen::new(price_fen)).unwrap();
        product::set(self.database(), appid, &product, self.clock.now()).await.unwrap();
    }

    /// The server ends; what it has written stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// The server ends and another one starts at the same address, with the configuration of now.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.node = Some(self.recipe.start(&self.shop, self.port).await.unwrap());
    }

    /// An order of an amount that somebody has paid, and that is known here.
    pub(crate) async fn paid_order(&self, phone: &Phone, sku: &str) -> String {
        let order = phone.order(sku).await;
        phone.pay(&order).await;
        self.settle().await;
        assert_eq!(self.order_state(&order).await, "paid");
        order
    }

    /// New payments are made with this version.
    pub(crate) async fn pay_by(&mut self, api: Api) {
        self.reconfigure(|shop| shop.api = api).await;
    }

    pub(crate) async fn reconfigure(&mut self, change: impl FnOnce(&mut Shop)) {
        change(&mut self.shop);
        self.restart().await;
    }

    /// Another server on the same database.
    pub(crate) async fn second_node(&self) -> Node {
        self.recipe.start_somewhere(&self.shop).await.0
    }

    /// A customer of the demonstration's app, logged in.
    pub(crate) async fn phone(&self, name: &str) -> Phone {
        self.phone_of(&DEMO, name).await
    }

    pub(crate) async fn phone_of(&self, business: &Business, name: &str) -> Phone {
        Phone::log_in(self.sim.phone(&business.appid(), name).unwrap(), self.node().http.clone()).await
    }

    pub(crate) async fn merchant(&self, scopes: &[Scope]) -> Merchant {
        let scopes = scopes.to_vec();
        self.merchant_with(Realm::Simulated, NewKey { name: "till".to_owned(), scopes, ..NewKey::default() }).await
    }

    pub(crate) async fn merchant_with(&self, realm: Realm, new: NewKey) -> Merchant {
        let (now, entropy) = (self.clock.now(), Arc::clone(&self.recipe.entropy));
        let key = api_key::create(self.database(), realm, new, now, &entropy).await.unwrap();
        Merchant { key, http: self.node().http.clone() }
    }

    /// The operator of the app switches message push on in WeChat's console, which asks the server for its address.
    pub(crate) async fn switch_push_on(&self, format: Format) {
        let url = format!("http://127.0.0.1:{}/wechat/push/{}", self.port, DEMO.appid);
        let mode = Mode::from_word(self.shop.push.mode).unwrap();
        self.sim.set_push(&DEMO.appid(), PushSetup::demo(&url).mode(mode).format(format)).await.unwrap();
    }

    /// A conversation of the only customer who has written, as the API shows it.
    pub(crate) async fn only_conversation(&self, desk: &Merchant) -> Value {
        let page = desk.get("/v1/conversations").await.json(200);
        let conversations = page["conversations"].as_array().unwrap();
        assert_eq!(conversations.len(), 1, "{page}");
        conversations[0].clone()
    }

    /// WeChat's side of message push for the demonstration's app.
    pub(crate) fn pusher(&self, format: Format) -> Pusher {
        let mode = Mode::from_word(self.shop.push.mode).unwrap();
        Pusher::new(self.node().http.clone(), &DEMO_PUSH, mode, format)
    }

    /// The time in seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now().as_second()
    }

    pub(crate) fn attacker(&self) -> Attacker {
        Attacker { http: self.node().http.clone() }
    }

    /// WeChat delivers what is due.
    pub(crate) async fn deliver(&self) -> usize {
        self.sim.deliver_due().await
    }

    pub(crate) async fn run_jobs(&self) -> usize {
        self.node().run_jobs().await
    }

    /// WeChat reports, and the server asks and believes.
    pub(crate) async fn settle(&self) {
        self.deliver().await;
        self.run_jobs().await;
    }

    /// The test ends with this mark in the list of what a person has to look at.
    pub(crate) fn expect_attention(&mut self, reason: &'static str) {
        self.expected_attention.push(reason);
    }

    /// The test ends with this payment paid at WeChat, but not here.
    pub(crate) fn expect_unsettled(&mut self, out_trade_no: String) {
        self.expected_unsettled.insert(out_trade_no);
    }

    pub(crate) async fn rows(&self, sql: &'static str, values: &[Column]) -> Vec<Row> {
        let values = values.to_vec();
        self.database().read(move |tx| tx.query(sql, &values)).await.unwrap()
    }

    /// The number that a query with one column `n` gives.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.rows(sql, &[]).await[0].int("n").unwrap()
    }

    /// The same for a query with values.
    pub(crate) async fn number_of(&self, sql: &'static str, values: &[Column]) -> i64 {
        self.rows(sql, values).await[0].int("n").unwrap()
    }

    /// Number and state of each payment of the order, the oldest first.
    pub(crate) async fn payments(&self, order: &str) -> Vec<(String, String)> {
        const SQL: &str = "SELECT out_trade_no, state FROM payment WHERE order_id = $1 ORDER BY created_ms, id";
        let text = |row: &Row, name| row.text(name).unwrap().to_owned();
        let rows = self.rows(SQL, params![order]).await;
        rows.iter().map(|row| (text(row, "out_trade_no"), text(row, "state"))).collect()
    }

    /// The number of the only payment of the order.
    pub(crate) async fn out_trade_no(&self, order: &str) -> String {
        let payments = self.payments(order).await;
        assert_eq!(payments.len(), 1);
        payments[0].0.clone()
    }

    pub(crate) async fn order_state(&self, order: &str) -> String {
        let rows = self.rows("SELECT state FROM shop_order WHERE id = $1", params![order]).await;
        rows[0].text("state").unwrap().to_owned()
    }

    /// Everything that a believed message could change. Equal before and after: nothing was believed.
    pub(crate) async fn state(&self) -> Vec<Vec<Row>> {
        let mut tables = Vec::new();
        for sql in [
            "SELECT id, state, paid_payment_id, paid_ms, refunded_fen FROM shop_order ORDER BY id",
            "SELECT id, state, prepay_id, transaction_id, attempts FROM payment ORDER BY id",
            "SELECT id, verdict, copies FROM evidence ORDER BY id",
            "SELECT id, subject, reason FROM attention ORDER BY id",
            "SELECT kind, subject, run_ms, fence FROM job ORDER BY kind, subject",
            "SELECT id, openid FROM customer ORDER BY id",
            "SELECT appid, dedupe_key, copies FROM push ORDER BY appid, dedupe_key",
            "SELECT id, handler, unread, allowance_left FROM conversation ORDER BY id",
            "SELECT id, state FROM message ORDER BY id",
            "SELECT id, state FROM picture ORDER BY id",
            "SELECT position, type FROM event ORDER BY position",
        ] {
            tables.push(self.rows(sql, &[]).await);
        }
        tables
    }

    /// The notification that WeChat would post for the order's only payment: the real one if it is paid.
    pub(crate) async fn letter(&self, order: &str) -> Letter {
        let number = self.out_trade_no(order).await;
        self.tell(&number, |told| Letter::new(&DEMO, self.shop.sign_type, told))
    }

    /// The same in API v3.
    pub(crate) async fn letter_v3(&self, order: &str) -> LetterV3 {
        let number = self.out_trade_no(order).await;
        self.tell(&number, |told| LetterV3::new(told, self.clock.now()))
    }

    /// What WeChat would tell of a refund that has succeeded.
    pub(crate) fn refund_told(&self, out_trade_no: &str, out_refund_no: &str, fen: i64) -> Refund {
        let ledger = self.sim.ledger();
        let payment = ledger.payment(out_trade_no).expect("WeChat knows the payment");
        Refund {
            out_trade_no: out_trade_no.parse().unwrap(),
            transaction_id: payment.transaction_id.clone().expect("it is paid"),
            out_refund_no: out_refund_no.parse().unwrap(),
            refund_id: "50300000000000000000000000001".to_owned(),
            state: RefundState::Success,
            refund: Fen::new(fen),
            total: payment.total_fen,
            success_time: Some(self.clock.now()),
            user_received_account: None,
        }
    }

    /// The notification of API v2 that tells it: sealed with the merchant's key, and not signed.
    pub(crate) fn refund_letter(&self, told: &Refund) -> String {
        let (appid, mchid, refund) = (DEMO.appid(), DEMO.mchid(), told.clone());
        let told = RefundNotification { appid, mchid, refund, request_source: RequestSource::Api };
        told.write(&self.node().app.nonce_str(), &DEMO.key()).to_xml()
    }

    fn tell<T>(&self, number: &str, write: impl FnOnce(&Told<'_>) -> T) -> T {
        let ledger = self.sim.ledger();
        let payment = ledger.payment(number).expect("WeChat knows the payment");
        let transaction_id = payment.transaction_id.as_ref().map_or("4200000000202601220000000000", |id| id.as_str());
        write(&Told {
            out_trade_no: number,
            total_fen: payment.total_fen.get(),
            openid: payment.openid.as_str(),
            transaction_id,
            success_time: payment.paid_at.unwrap_or_else(|| self.clock.now()),
        })
    }

    /// How often WeChat was asked what became of a payment, in either version.
    pub(crate) fn queries(&self) -> usize {
        self.count(|method, path| match method {
            "GET" => path.starts_with("/v3/pay/transactions/"),
            _ => path == OrderQuery::PATH,
        })
    }

    /// How often WeChat was asked to close a payment, in either version.
    pub(crate) fn closes(&self) -> usize {
        self.count(|method, path| method == "POST" && (path.ends_with("/close") || path == CloseOrder::PATH))
    }

    fn count(&self, is_one: impl Fn(&str, &str) -> bool) -> usize {
        let to_wechat = |exchange: &&Exchange| exchange.direction == Direction::ToWechat;
        let wire = self.sim.wire();
        wire.iter().filter(to_wechat).filter(|exchange| is_one(&exchange.method, &exchange.path)).count()
    }

    /// The requests that WeChat got at this path, in order.
    pub(crate) fn calls(&self, path: &str) -> Vec<String> {
        let wire = self.sim.wire().into_iter();
        let calls = wire.filter(|exchange| exchange.path.split('?').next() == Some(path));
        calls.map(|exchange| exchange.request).collect()
    }
}
