//! How many payment notifications a second the server answers, each durable before it is answered, against the
//! commits that the same disk takes one by one.
//!
//! `cargo bench -p zhanggui --bench notification`. SQLite with synchronous=FULL in the target directory; server,
//! clients and the simulated WeChat share the machine. A notification that is not answered SUCCESS is a failure.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has failed")]

use std::{
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
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
const CLIENTS: usize = 64;
const RAW_COMMITS_FOR: Duration = Duration::from_secs(3);
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

/// What the disk can do without us: a connection like ours, one row for each commit.
fn raw_commits_per_s(directory: &Path, name: &str) -> u64 {
    let connection = rusqlite::Connection::open(directory.join(name)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch("CREATE TABLE raw (id INTEGER PRIMARY KEY, body BLOB)").unwrap();
    let mut insert = connection.prepare("INSERT INTO raw (body) VALUES (?1)").unwrap();
    let (started, mut commits, body) = (Instant::now(), 0_u128, [7_u8; 1000]);
    while started.elapsed() < RAW_COMMITS_FOR {
        insert.execute([&body]).unwrap();
        commits += 1;
    }
    (commits * 1_000_000 / started.elapsed().as_micros()) as u64
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
    let distinct = post_all(address, letters).await;
    let copies = post_all(address, copies).await;
    let stored = rows(&app, "SELECT COUNT(*) AS n FROM evidence WHERE source = 'notification'").await;
    server.stop().await;
    (distinct, copies, stored[0].int("n").unwrap())
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
    assert_eq!(post_all(address, Arc::new(vec![order; NOTIFICATIONS])).await.times.len(), NOTIFICATIONS);
    let orders = rows(app, "SELECT id FROM shop_order").await;
    let press = |id: &str| request(&format!("/v1/orders/{id}/pay"), "application/json", &token, "{}");
    let presses: Vec<_> = orders.iter().map(|row| press(row.text("id").unwrap())).collect();
    post_all(address, Arc::new(presses)).await;
}

/// What was measured.
struct Run {
    duration: Duration,
    times: Vec<Duration>,
    refused: usize,
}

impl Run {
    fn per_s(&self) -> u64 {
        (self.times.len() as u128 * 1_000_000 / self.duration.as_micros()) as u64
    }

    /// Milliseconds with two decimals.
    fn percentile(&self, per_cent: usize) -> String {
        let micros = self.times[(self.times.len() - 1) * per_cent / 100].as_micros();
        format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
    }
}

/// Sends every request once, from many clients at once, each on a connection that it keeps.
async fn post_all(address: SocketAddr, requests: Arc<Vec<String>>) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..CLIENTS {
        let (next, requests) = (Arc::clone(&next), Arc::clone(&requests));
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let (mut times, mut refused) = (Vec::new(), 0);
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let answer = client.send(request).await;
                times.push(sent.elapsed());
                refused += usize::from(answer != REPLY_SUCCESS);
            }
            (times, refused)
        });
    }
    let (mut times, mut refused) = (Vec::new(), 0);
    for (more, more_refused) in clients.join_all().await {
        times.extend(more);
        refused += more_refused;
    }
    let duration = started.elapsed();
    times.sort_unstable();
    Run { duration, times, refused }
}

fn request(path: &str, content_type: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{header}content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// As little of a client as possible, because it shares the machine with the server.
struct Client(TcpStream);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends a request and gives the body of the answer.
    async fn send(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::with_capacity(1024);
        loop {
            assert!(self.0.read_buf(&mut answer).await.unwrap() > 0, "the server closed the connection");
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return body.to_owned();
            }
        }
    }
}
