//! How many payment notifications a second the server answers, each durable before it is answered, against the
//! commits that the same disk takes one by one.
//!
//! `cargo bench -p zhanggui --bench notification`. SQLite with synchronous=FULL in the target directory; server,
//! clients and the simulated WeChat share the machine. A notification that is not answered SUCCESS is a failure.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has failed")]

mod load;

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use load::{CLIENTS, Client, Run, post_all, raw_commits_per_s, request};
use serde_json::{Value, json};
use weixin::{
    AppId, Fen, NonceStr, OutTradeNo, TransactionId,
    pay::{
        TradeState, Transaction,
        v2::{
            SignType,
            notification::{self, REPLY_SUCCESS},
        },
    },
};
use weixin_simulator::{DEMO_API_V2_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_MCHID, MerchantSetup, Options, Simulator};
use zhanggui::{
    app::App,
    clock::{system_clock, system_entropy},
    config::{Config, empty_environment},
    database::{self, Database, DatabaseError, Realm, Row},
    http::Server,
    product::{self, Product},
};

const NOTIFICATIONS: usize = 5_000;
const PATH: &str = "/wechat/pay/1600000001";

fn main() -> ExitCode {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let raw_before = raw_commits_per_s(directory.path(), "raw-before.db");
    let (distinct, copies, stored) = runtime.block_on(measure(directory.path()));
    let raw_after = raw_commits_per_s(directory.path(), "raw-after.db");
    let raw = (raw_before + raw_after) / 2;

    println!("{NOTIFICATIONS} orders, {CLIENTS} clients, SQLite WAL synchronous=FULL, {}", directory.path().display());
    println!();
    println!("{:<44} {:>10} {:>9} {:>9} {:>7}", "", "per second", "p50 ms", "p99 ms", "ratio");
    let per_cent = |rate: u64| format!("{:>5}.{:02}", rate / raw, rate * 100 / raw % 100);
    println!("{:<44} {raw:>10} {:>9} {:>9} {:>7}", "one-row commits, one after the other", "-", "-", "1.00");
    for (name, run) in
        [("distinct notifications, durable and answered", &distinct), ("copies of one notification", &copies)]
    {
        let (p50, p99) = (run.percentile(50), run.percentile(99));
        println!("{name:<44} {:>10} {p50:>9} {p99:>9} {:>7}", run.per_s(), per_cent(run.per_s()));
    }
    println!();
    println!(
        "ratio: against the one-row commits of the same disk in the same run ({raw_before} before, {raw_after} after)"
    );
    let refused = distinct.refused + copies.refused;
    if refused > 0 || stored != NOTIFICATIONS as i64 {
        println!("FAILED: {refused} were not answered SUCCESS, {stored} of {NOTIFICATIONS} are stored");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prepares the orders through the API, then measures. Gives the number of notifications in the database, too.
async fn measure(directory: &Path) -> (Run, Run, i64) {
    let wechat = Simulator::start(Options::for_tests(1, system_clock())).await.unwrap();
    let (app, server) = start(directory, &wechat.base_url()).await;
    let address = server.address();
    prepare_payments(&app, &wechat, address).await;

    let openid = wechat.phone(&wechat.demo_appid(), "li").unwrap().openid().clone();
    let numbers = rows(&app, "SELECT out_trade_no FROM payment WHERE state = 'awaiting'").await;
    assert_eq!(numbers.len(), NOTIFICATIONS);
    let merchant = MerchantSetup::demo();
    let letters = numbers.iter().enumerate().map(|(index, row)| {
        let transaction = Transaction {
            appid: AppId::parse(DEMO_APPID).unwrap(),
            mchid: merchant.mchid.clone(),
            out_trade_no: OutTradeNo::parse(row.text("out_trade_no").unwrap()).unwrap(),
            trade_state: TradeState::Success,
            transaction_id: Some(TransactionId::parse(format!("42000012342026{index:014}")).unwrap()),
            openid: Some(openid.clone()),
            total: Some(Fen::new(12_800)),
            payer_total: Some(Fen::new(12_800)),
            currency: Some("CNY".to_owned()),
            bank_type: Some("OTHERS".to_owned()),
            attach: None,
            success_time: Some(app.now()),
        };
        let nonce_str = NonceStr::from_random((index as u128).to_be_bytes());
        let fields = notification::write(&transaction, Some(SignType::HmacSha256), &nonce_str, &merchant.api_v2_key);
        request(PATH, "text/xml", "", &fields.to_xml())
    });
    let letters: Arc<Vec<_>> = Arc::new(letters.collect());
    let copies = Arc::new(vec![letters[0].clone(); NOTIFICATIONS]);
    let distinct = post_all(address, letters, is_success).await;
    let copies = post_all(address, copies, is_success).await;
    let stored = rows(&app, "SELECT COUNT(*) AS n FROM evidence WHERE source = 'notification'").await;
    server.stop().await;
    (distinct, copies, stored[0].int("n").unwrap())
}

fn is_success(answer: &str) -> bool {
    answer == REPLY_SUCCESS
}

async fn rows(app: &App, sql: &'static str) -> Vec<Row> {
    let rows: Result<_, DatabaseError> = app.database.read(move |tx| tx.query(sql, &[])).await;
    rows.unwrap()
}

async fn start(directory: &Path, wechat: &str) -> (Arc<App>, Server) {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:1\"\n[database]\nurl = \"sqlite:bench.db\"\n\
         [secrets]\nmaster_key = \"{}\"\n[wechat]\nrealm = \"simulated\"\npay_url = \"{wechat}\"\napi_url = \"{wechat}\"\n\
         [limits]\ncaller_per_s = 0\n[[merchant]]\nmchid = \"{DEMO_MCHID}\"\napi = \"v2\"\napi_v2_key = \"{DEMO_API_V2_KEY}\"\n\
         [[app]]\nappid = \"{DEMO_APPID}\"\nsecret = \"{DEMO_APP_SECRET}\"\nmerchant = \"{DEMO_MCHID}\"\n",
        "00".repeat(32)
    );
    let config = Config::parse(&text, &directory.join("zhanggui.toml"), &empty_environment).unwrap();
    let (clock, url) = (system_clock(), config.database.clone());
    database::migrate(&url, Realm::Simulated, clock()).await.unwrap();
    let database = Database::open(database::Options::new(url), Realm::Simulated).await.unwrap();
    let tea = Product::new("tea", "明前龙井", Fen::new(12_800)).unwrap();
    product::set(&database, &AppId::parse(DEMO_APPID).unwrap(), &tea, clock()).await.unwrap();
    let app = App::new(config, database, clock, system_entropy()).unwrap();
    let server = Server::start(Arc::clone(&app)).await.unwrap();
    (app, server)
}

/// Orders that wait for the customer, made as a mini program makes them.
async fn prepare_payments(app: &Arc<App>, wechat: &Simulator, address: SocketAddr) {
    let js_code = wechat.phone(&wechat.demo_appid(), "li").unwrap().login();
    let login = request("/v1/login", "application/json", "", &json!({ "code": js_code.as_str() }).to_string());
    let answer: Value = serde_json::from_str(&Client::connect(address).await.send(&login).await).unwrap();
    let token = format!("authorization: Bearer {}\r\n", answer["token"].as_str().unwrap());
    let order = request("/v1/orders", "application/json", &token, r#"{"items":[{"sku":"tea"}]}"#);
    assert_eq!(post_all(address, Arc::new(vec![order; NOTIFICATIONS]), is_success).await.times.len(), NOTIFICATIONS);
    let orders = rows(app, "SELECT id FROM shop_order").await;
    let press = |id: &str| request(&format!("/v1/orders/{id}/pay"), "application/json", &token, "{}");
    let presses: Vec<_> = orders.iter().map(|row| press(row.text("id").unwrap())).collect();
    post_all(address, Arc::new(presses), is_success).await;
}
