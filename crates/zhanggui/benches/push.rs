//! How many sealed pushes of customers' messages a second the server answers, each durable before it is answered, against the
//! commits that the same disk takes one by one; how long the slowest wait when ten thousand customers write at once; and how
//! much memory that takes.
//!
//! `cargo bench -p zhanggui --bench push`. SQLite with synchronous=FULL in the target directory; server and clients share the
//! machine. WeChat waits five seconds for an answer; ours are meant to come within one.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has failed")]

mod load;

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use load::{CLIENTS, Run, post_all, raw_commits_per_s, request};
use weixin::{
    AppId, EncodingAesKey, PushToken,
    push::{Delivery, Fields, Format, Mode, Receiver},
};
use weixin_simulator::{
    DEMO_API_V2_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_ENCODING_AES_KEY, DEMO_MCHID, DEMO_PUSH_TOKEN,
};
use zhanggui::{
    app::App,
    clock::{system_clock, system_entropy},
    config::{Config, empty_environment},
    database::{self, Database, DatabaseError, Realm},
    http::Server,
};

const CUSTOMERS: usize = 10_000;

/// The longest that the slowest of a hundred may wait, in milliseconds.
const P99_MS_MAX: u128 = 1_000;

fn main() -> ExitCode {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let raw_before = raw_commits_per_s(directory.path(), "raw-before.db");
    let measured = runtime.block_on(measure(directory.path()));
    let raw_after = raw_commits_per_s(directory.path(), "raw-after.db");
    let raw = (raw_before + raw_after) / 2;

    println!("{CUSTOMERS} customers, {CLIENTS} clients, SQLite WAL synchronous=FULL, {}", directory.path().display());
    println!();
    println!("{:<44} {:>10} {:>9} {:>9} {:>7}", "", "per second", "p50 ms", "p99 ms", "ratio");
    let ratio = |rate: u64| format!("{:>5}.{:02}", rate / raw, rate * 100 / raw % 100);
    println!("{:<44} {raw:>10} {:>9} {:>9} {:>7}", "one-row commits, one after the other", "-", "-", "1.00");
    let runs = [
        ("first messages, one for each customer", &measured.first),
        ("second messages of the same customers", &measured.second),
        ("copies of one push", &measured.copies),
    ];
    for (name, run) in runs {
        let (p50, p99) = (run.percentile(50), run.percentile(99));
        println!("{name:<44} {:>10} {p50:>9} {p99:>9} {:>7}", run.per_s(), ratio(run.per_s()));
    }
    println!();
    println!(
        "ratio: against the one-row commits of the same disk in the same run ({raw_before} before, {raw_after} after)"
    );
    println!(
        "memory of server and clients: {} KiB before, {} KiB at most",
        measured.memory_before_kib, measured.memory_kib
    );
    let refused: usize = runs.iter().map(|(_, run)| run.refused).sum();
    let slow = runs.iter().any(|(_, run)| run.times[run.times.len() * 99 / 100].as_millis() > P99_MS_MAX);
    if refused > 0 || measured.stored != (CUSTOMERS as i64, 2 * CUSTOMERS as i64) || slow {
        println!(
            "FAILED: {refused} were not answered, {:?} conversations and messages are stored, slow: {slow}",
            measured.stored
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

struct Measured {
    first: Run,
    second: Run,
    copies: Run,
    /// Conversations and messages in the database.
    stored: (i64, i64),
    memory_before_kib: u64,
    memory_kib: u64,
}

async fn measure(directory: &Path) -> Measured {
    let (app, server) = start(directory).await;
    let address: SocketAddr = server.address();
    let now_s = app.now().as_second();
    let first = Arc::new(pushes(now_s, 0));
    let second = Arc::new(pushes(now_s, CUSTOMERS));
    let copies = Arc::new(vec![first[0].clone(); CUSTOMERS]);
    let memory_before_kib = memory_kib("VmRSS");
    let first = post_all(address, first, is_forwarded).await;
    let second = post_all(address, second, is_forwarded).await;
    let copies = post_all(address, copies, is_forwarded).await;
    let count = |sql: &'static str| {
        let app = Arc::clone(&app);
        async move {
            let row: Result<_, DatabaseError> = app.database.read(move |tx| tx.query_one(sql, &[])).await;
            row.unwrap().int("n").unwrap()
        }
    };
    let conversations = count("SELECT COUNT(*) AS n FROM conversation").await;
    let messages = count("SELECT COUNT(*) AS n FROM message").await;
    let memory_kib = memory_kib("VmHWM");
    server.stop().await;
    Measured { first, second, copies, stored: (conversations, messages), memory_before_kib, memory_kib }
}

/// A sealed transfer to WeChat's own agents.
fn is_forwarded(answer: &str) -> bool {
    answer.starts_with("<xml><Encrypt>")
}

/// One message of each customer, as WeChat posts it.
fn pushes(now_s: i64, first_msg_id: usize) -> Vec<String> {
    let receiver = Receiver {
        appid: AppId::parse(DEMO_APPID).unwrap(),
        mode: Mode::Secure,
        tokens: vec![PushToken::parse(DEMO_PUSH_TOKEN).unwrap()],
        aes_keys: vec![EncodingAesKey::parse(DEMO_ENCODING_AES_KEY).unwrap()],
    };
    let push = |customer: usize| {
        let content = Fields::new()
            .with("ToUserName", "gh_fake00000001")
            .with("FromUserName", format!("oFake{customer:023}"))
            .with("CreateTime", now_s)
            .with("MsgType", "text")
            .with("Content", "你好，我的订单什么时候发货？")
            .with("MsgId", 23_637_352_235_060_000 + (first_msg_id + customer) as i64);
        let Delivery { query, body } = Delivery::new(&receiver, Format::Xml, &content, now_s, "415670741", [7; 16]);
        request(&format!("/wechat/push/{DEMO_APPID}?{}", query.to_query_string()), "text/xml", "", &body)
    };
    (0..CUSTOMERS).map(push).collect()
}

async fn start(directory: &Path) -> (Arc<App>, Server) {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:1\"\n[database]\nurl = \"sqlite:bench.db\"\n\
         [secrets]\nmaster_key = \"{}\"\n[wechat]\nrealm = \"simulated\"\npay_url = \"http://127.0.0.1:9\"\n\
         api_url = \"http://127.0.0.1:9\"\n[[merchant]]\nmchid = \"{DEMO_MCHID}\"\napi = \"v2\"\napi_v2_key = \"{DEMO_API_V2_KEY}\"\n\
         [[app]]\nappid = \"{DEMO_APPID}\"\nsecret = \"{DEMO_APP_SECRET}\"\nmerchant = \"{DEMO_MCHID}\"\n[app.push]\n\
         token = \"{DEMO_PUSH_TOKEN}\"\nencoding_aes_key = \"{DEMO_ENCODING_AES_KEY}\"\n",
        "00".repeat(32)
    );
    let config = Config::parse(&text, &directory.join("zhanggui.toml"), &empty_environment).unwrap();
    let (clock, url) = (system_clock(), config.database.clone());
    database::migrate(&url, Realm::Simulated, clock()).await.unwrap();
    let database = Database::open(database::Options::new(url), Realm::Simulated).await.unwrap();
    let app = App::new(config, database, clock, system_entropy()).unwrap();
    let server = Server::start(Arc::clone(&app)).await.unwrap();
    (app, server)
}

/// What Linux says of this process; 0 elsewhere.
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
