//! What the benchmarks of the server share: clients that cost little, percentiles, and what the disk can do without us.
#![allow(dead_code, reason = "each benchmark uses another part")]

pub(crate) mod shop;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How many clients post at once.
pub(crate) const CLIENTS: usize = 64;

const RAW_COMMITS_FOR: Duration = Duration::from_secs(3);

/// What the disk can do without us: a connection like ours, one row for each commit.
pub(crate) fn raw_commits_per_s(directory: &Path, name: &str) -> u64 {
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

/// What was measured.
pub(crate) struct Run {
    pub(crate) duration: Duration,
    pub(crate) times: Vec<Duration>,
    pub(crate) refused: usize,
}

impl Run {
    pub(crate) fn per_s(&self) -> u64 {
        (self.times.len() as u128 * 1_000_000 / self.duration.as_micros()) as u64
    }

    /// Milliseconds with two decimals.
    pub(crate) fn percentile(&self, per_cent: usize) -> String {
        let micros = self.times[(self.times.len() - 1) * per_cent / 100].as_micros();
        format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
    }
}

/// Sends every request once, from many clients at once, each on a connection that it keeps. An answer that is not accepted
/// counts as refused.
pub(crate) async fn post_all(address: SocketAddr, requests: Arc<Vec<String>>, is_accepted: fn(&str) -> bool) -> Run {
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
                refused += usize::from(!is_accepted(&answer));
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

pub(crate) fn request(path: &str, content_type: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{header}content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// As little of a client as possible, because it shares the machine with the server.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends a request and gives the body of the answer.
    pub(crate) async fn send(&mut self, request: &str) -> String {
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
