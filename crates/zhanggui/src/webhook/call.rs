//! One call to an endpoint: no redirects, no proxies, a limit on time and on what is read of the answer.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Client, ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};

use super::reach::Reach;
use crate::config;

/// How long to wait for the connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// So much of an answer is read and kept, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 1024;

/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Gives the addresses of a name.
type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Calls endpoints.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    reach: Arc<Reach>,
}

/// What is sent.
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) timestamp_s: i64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// What the endpoint answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<SignedDuration>,
    /// The first bytes of the body.
    pub(super) start: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The name leads to no address that may be called.
    #[error("the address is not public")]
    InsideAddress,
    /// Nobody took the connection, or not in a way that can be trusted.
    #[error("no connection")]
    NotConnected,
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended before the answer.
    #[error("the connection broke")]
    BrokenOff,
    /// What happened cannot be read any more, so there is nothing to send.
    #[error("the event cannot be read")]
    EventUnreadable,
}

impl Failure {
    /// The word in the database and the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InsideAddress => "inside_address",
            Self::NotConnected => "not_connected",
            Self::TimedOut => "timed_out",
            Self::BrokenOff => "broken_off",
            Self::EventUnreadable => "event_unreadable",
        }
    }
}

impl Sender {
    /// Prepares connections; connects to nobody yet.
    ///
    /// # Errors
    /// The extra certificates cannot be used.
    pub fn new(config: &config::Webhook) -> Result<Self, reqwest::Error> {
        Self::with_lookup(config, Arc::new(|name| Box::pin(look_up(name))))
    }

    fn with_lookup(config: &config::Webhook, lookup: Lookup) -> Result<Self, reqwest::Error> {
        let config::Webhook { reach, timeout, extra_ca } = config.clone();
        let reach = Arc::new(reach);
        let resolver = Arc::new(PublicOnly { reach: Arc::clone(&reach), lookup });
        let builder = || builder(timeout, Arc::clone(&resolver));
        // A machine without certificate authorities can still call endpoints without TLS, or with the extra ones.
        let client = builder().tls_certs_merge(extra_ca.clone()).build();
        let client = client.or_else(|_| builder().tls_certs_only(extra_ca).build())?;
        Ok(Self { client, reach })
    }

    /// Whom it may call.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Posts a letter. Once the endpoint has said its status, what follows cannot change it.
    pub(super) async fn post(&self, url: &str, letter: Letter, now: Timestamp) -> Result<Answer, Failure> {
        let url = Url::parse(url).map_err(|_| Failure::NotConnected)?;
        // An address instead of a name is not resolved, so the resolver does not see it.
        if !self.reach.allows_literal(&url) {
            return Err(Failure::InsideAddress);
        }
        // Ids and signatures are made of visible characters.
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| Failure::EventUnreadable);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ID, value(letter.id)?)
            .header(TIMESTAMP, HeaderValue::from(letter.timestamp_s))
            .header(SIGNATURE, value(letter.signature)?)
            .body(letter.body);
        let response = request.send().await.map_err(|error| failure_of(&error))?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers(), now));
        Ok(Answer { status, retry_after, start: start_of(response).await })
    }
}

fn builder(timeout: Duration, resolver: Arc<PublicOnly>) -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .user_agent(concat!("zhanggui/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // A proxy would resolve the name itself.
        .no_proxy()
        .http1_only()
        .dns_resolver(resolver)
}

/// The rest of the answer is not fetched: the connection is closed.
async fn start_of(mut response: Response) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() < ANSWER_BYTES_MAX {
        let Ok(Some(piece)) = response.chunk().await else { break };
        start.extend_from_slice(&piece);
    }
    start.truncate(ANSWER_BYTES_MAX);
    start
}

/// Seconds, or a date: <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(date.timestamp().duration_since(now))
}

fn failure_of(error: &reqwest::Error) -> Failure {
    let mut causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    if causes.any(|cause| cause.is::<Inside>()) {
        return Failure::InsideAddress;
    }
    match error {
        error if error.is_timeout() => Failure::TimedOut,
        error if error.is_connect() => Failure::NotConnected,
        _ => Failure::BrokenOff,
    }
}

/// Resolves names to those of their addresses that may be called. The connection goes to just these.
struct PublicOnly {
    reach: Arc<Reach>,
    lookup: Lookup,
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be called")]
struct Inside;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (Arc::clone(&self.reach), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let allowed: Vec<_> = found.await?.into_iter().filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Inside.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::database::Realm;

    fn letter() -> Letter {
        Letter { id: "evt_1".into(), timestamp_s: 1, signature: "v1,x".into(), body: Bytes::from_static(b"{}") }
    }

    fn sender(realm: Realm, addresses: &'static [&'static str]) -> Sender {
        // The first transport installs the ciphers of the process.
        weixin_client::Transport::new(&weixin_client::TransportOptions::default()).unwrap();
        let found = || addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
        let lookup: Lookup = Arc::new(move |_| {
            let found = found();
            Box::pin(async move { Ok(found) })
        });
        let (reach, timeout) = (Reach::new(realm, Vec::new()), Duration::from_secs(2));
        Sender::with_lookup(&config::Webhook { reach, timeout, extra_ca: Vec::new() }, lookup).unwrap()
    }

    async fn post(sender: &Sender, url: &str) -> Result<Answer, Failure> {
        sender.post(url, letter(), Timestamp::UNIX_EPOCH).await
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_called() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://shop.example.com:{}/", listener.local_addr().unwrap().port());
        for inside in [&["127.0.0.1"] as &[_], &["10.0.0.1", "::1"], &["::ffff:127.0.0.1"], &[]] {
            assert_eq!(post(&sender(Realm::Live, inside), &url).await.unwrap_err(), Failure::InsideAddress);
        }
        let https = url.replace("http:", "https:");
        assert_eq!(post(&sender(Realm::Live, &["127.0.0.1"]), &https).await.unwrap_err(), Failure::InsideAddress);
        // Nobody has knocked.
        assert!(tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_err());
        // Where no money is real the same name is called.
        let simulated = sender(Realm::Simulated, &["127.0.0.1"]);
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (called, ()) = tokio::join!(post(&simulated, &url), hang_up);
        assert_eq!(called.unwrap_err(), Failure::BrokenOff);
    }

    #[tokio::test]
    async fn an_address_that_was_allowed_once_is_judged_again_with_every_call() {
        let sender = sender(Realm::Live, &["8.8.8.8"]);
        for url in ["http://127.0.0.1:1/", "https://[::1]:1/", "http://10.0.0.1/", "http://0x7f000001/"] {
            assert_eq!(post(&sender, url).await.unwrap_err(), Failure::InsideAddress, "{url}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-01-22T06:30:00Z".parse().unwrap();
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Thu, 22 Jan 2026 06:31:00 GMT"), Some(60));
        assert_eq!(read("Thu, 22 Jan 2026 06:29:00 GMT"), Some(-60));
        for bad in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
