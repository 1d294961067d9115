//! How long it takes from a notification of WeChat to the webhook that tells the merchant, with nothing else to do and at 200
//! payments a second; how many deliveries a second leave for one endpoint and for a hundred; and what a repeated request
//! costs beside the first one.
//!
//! `cargo bench -p zhanggui --bench webhook`. SQLite with synchronous=FULL in the target directory; server, simulated WeChat
//! and the merchant's endpoint share the machine. An event that does not arrive is a failure.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has failed")]

mod load;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use load::{
    CLIENTS, Client, Run, post_all, request,
    shop::{Notifications, letters, prepare_payments, start},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use weixin_simulator::{Options, Simulator};
use zhanggui::{
    api_key::{self, NewKey, Scope},
    app::App,
    clock::{system_clock, system_entropy},
    database::{DatabaseError, Realm},
    event::{self, Type},
    webhook,
};

const IDLE: usize = 100;
const BUSY: usize = 1_000;
const PAYMENTS_PER_S: u64 = 200;
const EVENTS: usize = 2_000;
const ENDPOINTS: usize = 100;
const ORDERS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let measured = runtime.block_on(measure(directory.path()));
    println!("{CLIENTS} clients, SQLite WAL synchronous=FULL, {}", directory.path().display());
    println!();
    println!("{:<56} {:>10} {:>9} {:>9}", "", "per second", "p50 ms", "p99 ms");
    for (name, run) in &measured {
        let (rate, p50, p99) = (run.per_s(), run.percentile(50), run.percentile(99));
        println!("{name:<56} {rate:>10} {p50:>9} {p99:>9}");
    }
    println!();
    let ratio = |a: &Run, b: &Run| {
        let per_cent = a.duration.as_micros() * 100 / b.duration.as_micros();
        format!("{}.{:02}", per_cent / 100, per_cent % 100)
    };
    println!("a repeated request costs {} of a first one", ratio(&measured[5].1, &measured[4].1));
    if measured.iter().any(|(_, run)| run.refused > 0) {
        println!("FAILED: something was refused or did not arrive");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn measure(directory: &Path) -> Vec<(&'static str, Run)> {
    let wechat = Simulator::start(Options::for_tests(1, system_clock())).await.unwrap();
    let (app, server) = start(directory, &wechat.base_url(), Notifications::Believed).await;
    let address = server.address();
    prepare_payments(&app, &wechat, address, IDLE + BUSY).await;
    let letters = letters(&app, &wechat).await;
    assert_eq!(letters.len(), IDLE + BUSY);
    let new = NewKey { name: "bench".to_owned(), scopes: Scope::ALL.to_vec(), ..NewKey::default() };
    let key = api_key::create(&app.database, Realm::Simulated, new, app.now(), &system_entropy()).await.unwrap();
    let inbox = Inbox::start().await;
    add_endpoint(address, &key, &inbox).await;
    let runner = webhook::start(Arc::clone(&app));

    let (idle, busy) = letters.split_at(IDLE);
    let idle = one_by_one(address, idle, &inbox).await;
    let busy = at_a_rate(address, busy, &inbox).await;
    let one = deliver(&app, &inbox, EVENTS, 1).await;
    for _ in 1..ENDPOINTS {
        add_endpoint(address, &key, &inbox).await;
    }
    let hundred = deliver(&app, &inbox, EVENTS / ENDPOINTS, ENDPOINTS).await;
    runner.stop().await;

    let first = orders(address, &key).await;
    let again = orders(address, &key).await;
    server.stop().await;
    vec![
        ("from notification to webhook, one after the other", idle),
        ("from notification to webhook, 200 payments a second", busy),
        ("deliveries to 1 endpoint", one),
        ("deliveries to 100 endpoints", hundred),
        ("orders with an Idempotency-Key", first),
        ("the same orders once more", again),
    ]
}

async fn add_endpoint(address: SocketAddr, key: &str, inbox: &Inbox) {
    let bearer = format!("authorization: Bearer {key}\r\n");
    let body = json!({ "url": inbox.url, "types": ["order.paid", "push.received"] }).to_string();
    let answer =
        Client::connect(address).await.send(&request("/v1/webhooks", "application/json", &bearer, &body)).await;
    assert!(answer.contains("whsec_"), "{answer}");
}

/// Waits for each webhook before the next notification.
async fn one_by_one(address: SocketAddr, letters: &[(String, String)], inbox: &Inbox) -> Run {
    let mut client = Client::connect(address).await;
    let (started, mut times) = (Instant::now(), Vec::new());
    for (order, letter) in letters {
        let (sent, before) = (Instant::now(), inbox.count());
        client.send(letter).await;
        inbox.wait_for(before + 1).await;
        times.push(inbox.arrival(order).duration_since(sent));
    }
    finished(started, times, 0)
}

/// Posts on time, whether the answers have come or not.
async fn at_a_rate(address: SocketAddr, letters: &[(String, String)], inbox: &Inbox) -> Run {
    let before = inbox.count();
    let mut tick = interval(Duration::from_micros(1_000_000 / PAYMENTS_PER_S));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (started, mut sending, mut sent) = (Instant::now(), tokio::task::JoinSet::new(), HashMap::new());
    for (order, letter) in letters {
        tick.tick().await;
        sent.insert(order, Instant::now());
        let letter = letter.clone();
        sending.spawn(async move { Client::connect(address).await.send(&letter).await });
    }
    sending.join_all().await;
    inbox.wait_for(before + letters.len()).await;
    let times = sent.into_iter().map(|(order, sent)| inbox.arrival(order).duration_since(sent)).collect();
    finished(started, times, 0)
}

/// Events that are there at once, each of a subject of its own.
async fn deliver(app: &Arc<App>, inbox: &Inbox, events: usize, endpoints: usize) -> Run {
    let before = inbox.count();
    let writing = Arc::clone(app);
    let write = move |tx: &mut zhanggui::database::Tx| {
        for n in 0..events {
            let subject = format!("subject-{endpoints}-{n}");
            event::append(
                tx,
                &writing,
                writing.now(),
                Type::PushReceived,
                &subject,
                &json!({ "text": "x".repeat(500) }),
            )?;
        }
        Ok::<_, DatabaseError>(())
    };
    app.database.write(write).await.unwrap();
    let started = Instant::now();
    app.event_wake.notify_waiters();
    inbox.wait_for(before + events * endpoints).await;
    let times = inbox.since(before).into_iter().map(|arrived| arrived.duration_since(started)).collect();
    finished(started, times, 0)
}

async fn orders(address: SocketAddr, key: &str) -> Run {
    let body = json!({ "amount": 1990, "description": "茶", "openid": "oBench" }).to_string();
    let order = |n| {
        let headers = format!("authorization: Bearer {key}\r\nidempotency-key: order-{n}\r\n");
        request("/v1/orders", "application/json", &headers, &body)
    };
    post_all(address, Arc::new((0..ORDERS).map(order).collect()), |answer| answer.contains("\"id\":\"ord_")).await
}

fn finished(started: Instant, mut times: Vec<Duration>, refused: usize) -> Run {
    times.sort_unstable();
    Run { duration: started.elapsed(), times, refused }
}

/// The merchant's endpoint: takes everything and remembers when.
struct Inbox {
    url: String,
    arrived: Arc<Mutex<Vec<(String, Instant)>>>,
    count: watch::Sender<usize>,
}

impl Inbox {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let inbox = Self { url, arrived: Arc::default(), count: watch::Sender::new(0) };
        let (arrived, count) = (Arc::clone(&inbox.arrived), inbox.count.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(take_all(stream, Arc::clone(&arrived), count.clone()));
            }
        });
        inbox
    }

    fn count(&self) -> usize {
        *self.count.borrow()
    }

    async fn wait_for(&self, count: usize) {
        let mut seen = self.count.subscribe();
        let arrived = timeout(PATIENCE, seen.wait_for(|seen| *seen >= count)).await;
        arrived.expect("every event arrives").unwrap();
    }

    /// When the event of this subject came.
    fn arrival(&self, subject: &str) -> Instant {
        self.arrived.lock().unwrap().iter().find(|(arrived, _)| arrived == subject).unwrap().1
    }

    fn since(&self, before: usize) -> Vec<Instant> {
        self.arrived.lock().unwrap()[before..].iter().map(|(_, at)| *at).collect()
    }
}

async fn take_all(mut stream: TcpStream, arrived: Arc<Mutex<Vec<(String, Instant)>>>, count: watch::Sender<usize>) {
    let mut read = Vec::with_capacity(4096);
    while stream.read_buf(&mut read).await.unwrap_or_default() > 0 {
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if Some(body.len()) != length {
            continue;
        }
        let event: Value = serde_json::from_str(body).unwrap();
        arrived.lock().unwrap().push((event["subject"].as_str().unwrap().to_owned(), Instant::now()));
        count.send_modify(|count| *count += 1);
        read.clear();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }
}
