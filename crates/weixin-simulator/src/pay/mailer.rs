//! Sending: posts what is due, to this machine only, and writes down what came back.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::header;
use tokio::sync::Semaphore;
use weixin::{
    MchId,
    pay::v2::notification::{REPLY_TIMEOUT_S, is_accepted},
};

use super::{
    Api, ForgeError, Forger,
    notify::{Attempt, Letter},
};
use crate::{
    Shared,
    fault::{FaultKind, NOTIFICATION},
    wire::{Direction, Exchange},
};

/// So many bytes of a reply are read; more is no reply that WeChat takes.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// So many notifications are on their way at once.
const POSTS_AT_ONCE_MAX: usize = 64;

/// The headers of real notifications. None of them proves anything.
static HEADERS: [(header::HeaderName, &str); 3] =
    [(header::USER_AGENT, "Mozilla/4.0"), (header::ACCEPT, "*/*"), (header::PRAGMA, "no-cache")];

/// How often the delivering task looks at the clock when nobody wakes it, because the base clock may jump.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Sends every attempt that is due, waits for the replies, and gives the number of attempts.
pub(crate) async fn deliver_due(shared: &Arc<Shared>) -> usize {
    let letters = due(shared);
    let count = letters.len();
    let mut under_way = tokio::task::JoinSet::new();
    for letter in letters {
        let shared = Arc::clone(shared);
        under_way.spawn(async move { shared.mailer.deliver(&shared, letter).await });
    }
    under_way.join_all().await;
    count
}

/// Posts a forged notification now, and gives the reply.
pub(crate) async fn forge_notification(
    shared: &Arc<Shared>,
    mchid: &MchId,
    out_trade_no: &str,
    forger: Forger,
) -> Result<Attempt, ForgeError> {
    let letter = {
        let world = shared.world();
        let now = shared.time(&world);
        world.forge(now, mchid, out_trade_no, forger)?
    };
    let (attempt, exchange) = shared.mailer.post(&letter).await;
    shared.wire.record(exchange);
    Ok(attempt)
}

/// Sends what is due as soon as it is due, until the simulator is shut down.
pub(crate) async fn run_automatically(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        for letter in due(&shared) {
            let shared = Arc::clone(&shared);
            // Each on its own: a slow receiver does not hold up the others.
            shared.tasks.clone().spawn(async move { shared.mailer.deliver(&shared, letter).await });
        }
        tokio::select! {
            () = shared.work.notified() => {}
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

/// What is due, after what the scenario has to say.
fn due(shared: &Shared) -> Vec<Letter> {
    let mut world = shared.world();
    shared.play_scenario(&mut world);
    let now = shared.time(&world);
    world.take_due(now)
}

/// Posts notifications, to this machine only.
pub(crate) struct Mailer {
    client: reqwest::Client,
    at_once: Semaphore,
}

impl Mailer {
    /// No redirects (they are failed deliveries), no proxy, and names lead nowhere but to this machine.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|error| unreachable!("the provider has the default protocol versions: {error}"))
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // A kept connection that the server has closed meanwhile would cost an attempt.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(OnlyThisMachine))
            .timeout(Duration::from_secs(REPLY_TIMEOUT_S))
            .build()?;
        Ok(Self { client, at_once: Semaphore::new(POSTS_AT_ONCE_MAX) })
    }

    async fn deliver(&self, shared: &Shared, letter: Letter) {
        let (attempts, exchanges): (Vec<_>, Vec<_>) = match letter.fault {
            Some(FaultKind::Lost) => {
                let error = Some("lost on the way, as the simulator was told".to_owned());
                (vec![Attempt { at: letter.at, http_status: None, accepted: false, error }], Vec::new())
            }
            Some(FaultKind::Twice) => {
                let (first, second) = tokio::join!(self.post(&letter), self.post(&letter));
                [first, second].into_iter().unzip()
            }
            _ => [self.post(&letter).await].into_iter().unzip(),
        };
        let again_s = if let Some(FaultKind::Again(again_s)) = letter.fault { Some(again_s) } else { None };
        if let Some(subject) = &letter.subject {
            let mut world = shared.world();
            world.attempted(subject, attempts, again_s);
            let text = |text: &str| subject.key().contains(text);
            shared.tell_scenario(&mut world, NOTIFICATION, NOTIFICATION, text);
        }
        shared.changed();
        // Last, so that whoever follows the log finds the attempt in the ledger.
        for exchange in exchanges {
            shared.wire.record(exchange);
        }
    }

    async fn post(&self, letter: &Letter) -> (Attempt, Exchange) {
        let (status, answer, error) = match self.exchange(letter).await {
            Ok((status, body)) => (Some(status), body, None),
            Err(error) => (None, Vec::new(), Some(reason(&error))),
        };
        let accepted = status.is_some_and(|status| match letter.api {
            Api::V2 => is_accepted(status, &answer),
            // Whatever the body says. Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791902>.
            Api::V3 => (200..300).contains(&status),
        });
        let exchange = Exchange {
            sequence: 0,
            at: letter.at,
            direction: Direction::FromWechat,
            method: "POST".to_owned(),
            path: letter.url.clone(),
            headers: letter.all_headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            request: letter.body.clone(),
            status,
            answer: String::from_utf8_lossy(&answer).into_owned(),
            answer_headers: Vec::new(),
            note: match (&letter.subject, &letter.fault, &error) {
                (None, _, None) => Some("forged".to_owned()),
                (None, _, Some(error)) => Some(format!("forged: {error}")),
                (Some(_), Some(fault), None) => Some(format!("fault: {fault:?}")),
                (Some(_), _, error) => error.clone(),
            },
        };
        (Attempt { at: letter.at, http_status: status, accepted, error }, exchange)
    }

    async fn exchange(&self, letter: &Letter) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let request = self.client.post(&letter.url).body(letter.body.clone());
        self.send(letter.all_headers().fold(request, |request, (name, value)| request.header(name, value))).await
    }

    /// What makes requests.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a request when there is room for it, and reads the reply.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), reqwest::Error> {
        // Only a closed semaphore gives an error, and this one is never closed.
        let _permit = self.at_once.acquire().await.ok();
        let mut response = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > REPLY_BYTES_MAX {
                break;
            }
        }
        Ok((response.status().as_u16(), body))
    }
}

impl Letter {
    fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let content_type = match self.api {
            Api::V2 => "text/xml",
            Api::V3 => "application/json",
        };
        let common = HEADERS.iter().map(|(name, value)| (name.as_str(), *value));
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        std::iter::once((header::CONTENT_TYPE.as_str(), content_type)).chain(common).chain(own)
    }
}

/// What went wrong, with its cause.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no reply within {REPLY_TIMEOUT_S} s");
    }
    let cause = std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Every name is this machine. Which names are asked for was checked before.
struct OnlyThisMachine;

impl reqwest::dns::Resolve for OnlyThisMachine {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let addresses = addresses.map(|address| SocketAddr::new(address, 0));
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs) })
    }
}
