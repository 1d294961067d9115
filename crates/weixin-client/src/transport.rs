//! The connections to WeChat: bytes out, bytes in, within limits, and the one decision on asking again.
//!
//! Always HTTP/1.1 with `Content-Length` (WeChat answers chunked requests with an empty 412), no redirects, no
//! cookies, an answer of limited size. Addresses with a query carry secrets, so no error and no event contains one.
//!
//! Hosts on this machine (the simulator) are reached directly. For all others the usual environment variables for
//! proxies hold (`HTTPS_PROXY`, `NO_PROXY`); a proxy sees encrypted bytes only, since they are always `https`.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Certificate, Client, ClientBuilder, Identity, Method, Response, StatusCode,
    header::{DATE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use weixin::{
    FieldError,
    pay::v3::{self, certificates::CertificatesError},
    xml::XmlError,
};

use crate::host::{Base, Hosts};

/// The largest answer that is read, in bytes, unless a message says otherwise. Most have a few thousand.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How long an unused connection is kept. Shorter than the 60 s and more after which servers hang up, because a
/// request that meets the hanging up has no answer.
const IDLE_CONNECTION_S: u64 = 20;

/// How to connect.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// How long to wait for one host to accept the connection, TLS included.
    pub connect_timeout: Duration,
    /// How long to wait for the whole answer of one host. With a back-up host a call may take twice as long.
    pub request_timeout: Duration,
    /// Certificate authorities (PEM) that are trusted besides those of the system.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            // WeChat's own SDK reads for 8 s: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592>.
            request_timeout: Duration::from_secs(8),
            extra_ca_pem: None,
            user_agent: concat!("zhanggui/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Connections to WeChat, kept open and shared by all clones.
#[derive(Clone, Debug)]
pub struct Transport {
    /// For hosts on this machine: no proxy, and none of the system's certificate authorities.
    loopback: Client,
    outside: Client,
    has_system_roots: bool,
    /// For connections that differ in one thing.
    options: TransportOptions,
}

impl Transport {
    /// Prepares connections; connects to nobody yet.
    ///
    /// A machine without certificate authorities is not an error here, because the simulator needs none. There every
    /// `https` host is refused as not trustworthy, unless [`TransportOptions::extra_ca_pem`] vouches for it: ask
    /// [`Transport::has_system_roots`] before relying on WeChat's own hosts.
    pub fn new(options: &TransportOptions) -> Result<Self, TransportError> {
        Self::build(options, None)
    }

    /// Connections of the same kind that show a certificate to whoever asks for one.
    pub(crate) fn showing(&self, identity: Identity) -> Result<Self, TransportError> {
        Self::build(&self.options, Some(identity))
    }

    fn build(options: &TransportOptions, identity: Option<Identity>) -> Result<Self, TransportError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only if somebody else was quicker, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let extra = extra_roots(options)?;
        let builder = |options| match &identity {
            Some(identity) => builder(options).identity(identity.clone()),
            None => builder(options),
        };
        let loopback = builder(options).tls_certs_only(extra.clone()).no_proxy().build();
        let loopback = loopback.map_err(TransportError::Options)?;
        // The options are usable, so what fails now is the reading of the system's authorities.
        let outside = builder(options).tls_certs_merge(extra.clone()).build();
        let has_system_roots = if extra.is_empty() { outside.is_ok() } else { builder(options).build().is_ok() };
        let outside = outside.or_else(|_| builder(options).tls_certs_only(extra).build());
        let outside = outside.map_err(TransportError::Options)?;
        Ok(Self { loopback, outside, has_system_roots, options: options.clone() })
    }

    /// Whether the system brings certificate authorities. Without them WeChat's own hosts cannot be trusted.
    pub fn has_system_roots(&self) -> bool {
        self.has_system_roots
    }

    /// What time the main host says it is (`Date`), to the second; `None` if it does not say. Asks for nothing that
    /// exists, so any answer will do, and nobody has proved that it is WeChat's: good for finding a clock that is wrong,
    /// not for setting one.
    ///
    /// # Errors
    /// The host gives no answer.
    pub async fn time_of(&self, hosts: &Hosts) -> Result<Option<jiff::Timestamp>, NoAnswer> {
        let base = &hosts.main;
        let client = if base.loopback { &self.loopback } else { &self.outside };
        let answer = client.get(base.join("/", None)).send().await.map_err(|error| NoAnswer::new(base, error))?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        Ok(date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp()))
    }

    /// Sends the message to the main host and, if nobody answers and it is safe, once more to the back-up host. An
    /// answer of any kind is final: asking somebody else would not make it better.
    pub(crate) async fn ask(&self, hosts: &Hosts, message: &Message, repeat: Repeat) -> Result<Answer, Failure> {
        match (self.ask_one(&hosts.main, message).await, &hosts.backup) {
            (Err(Failure::NoAnswer(first)), Some(backup)) if repeat.allows(&first) => {
                self.ask_one(backup, message).await.map_err(|last| last.after(&first))
            }
            (answer, _) => answer,
        }
    }

    async fn ask_one(&self, base: &Base, message: &Message) -> Result<Answer, Failure> {
        let started = Instant::now();
        let answer = self.exchange(base, message).await;
        let status = match &answer {
            Ok(answer) => Some(answer.status.as_u16()),
            Err(Failure::Unreadable(Unreadable::Status(status))) => Some(*status),
            Err(_) => None,
        };
        tracing::debug!(
            wechat.host = base.name(),
            wechat.path = &*message.path,
            http.status = status,
            duration_ms = started.elapsed().as_millis() as u64,
            answered = answer.is_ok(),
            "asked WeChat"
        );
        answer
    }

    async fn exchange(&self, base: &Base, message: &Message) -> Result<Answer, Failure> {
        let no_answer = |error| Failure::NoAnswer(NoAnswer::new(base, error));
        let client = if base.loopback { &self.loopback } else { &self.outside };
        let url = base.join(&message.path, message.query.as_deref());
        let mut request = client.request(message.method.clone(), url);
        for (name, value) in &message.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &message.body {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        if message.statuses == Statuses::OnlyOk && status != StatusCode::OK {
            return Err(Failure::Unreadable(Unreadable::Status(status.as_u16())));
        }
        let headers = response.headers().clone();
        let body = match read_body(response, message.answer_bytes_max).await.map_err(no_answer)? {
            Some(body) => body,
            // What a refusal says is in its status; the body only explains.
            None if status.is_client_error() || status.is_server_error() => Bytes::new(),
            None => return Err(Failure::Unreadable(Unreadable::TooLarge)),
        };
        Ok(Answer { status, headers, body })
    }
}

fn builder(options: &TransportOptions) -> ClientBuilder {
    Client::builder()
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .user_agent(&options.user_agent)
        .pool_idle_timeout(Duration::from_secs(IDLE_CONNECTION_S))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
}

fn extra_roots(options: &TransportOptions) -> Result<Vec<Certificate>, TransportError> {
    let Some(pem) = &options.extra_ca_pem else { return Ok(Vec::new()) };
    match Certificate::from_pem_bundle(pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(TransportError::ExtraCa),
    }
}

/// Reads the body piece by piece; `None` if it is too large.
async fn read_body(mut response: Response, bytes_max: usize) -> Result<Option<Bytes>, reqwest::Error> {
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body.freeze()))
}

/// What is sent. The same value gives the same bytes each time. It may contain secrets and is not printable.
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) path: Cow<'static, str>,
    pub(crate) query: Option<String>,
    /// Besides those that every request has.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) statuses: Statuses,
    /// The largest answer that is read, in bytes.
    pub(crate) answer_bytes_max: usize,
}

/// With which HTTP status the other side answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statuses {
    /// 200, whatever it has to say. All else comes from somebody in between and is not read.
    OnlyOk,
    /// The status is part of the answer.
    Meaningful,
}

/// An answer with one of the expected statuses.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header that is plain text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// WeChat's number of the exchange.
    pub(crate) fn request_id(&self) -> Option<String> {
        self.header("Request-ID").map(str::to_owned)
    }
}

/// Whether a message may go to the back-up host after the main host gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The same bytes twice have the same effect as once.
    Harmless,
    /// The message works once: only if it cannot have reached anybody.
    OnlyUnsent,
}

impl Repeat {
    fn allows(self, failure: &NoAnswer) -> bool {
        match self {
            Self::Harmless => true,
            Self::OnlyUnsent => !failure.may_have_been_sent(),
        }
    }
}

/// Why there is no answer with one of the expected statuses.
#[derive(Debug)]
pub(crate) enum Failure {
    NoAnswer(NoAnswer),
    Unreadable(Unreadable),
}

impl Failure {
    /// The last failure counts, but what was sent before stays sent.
    fn after(self, first: &NoAnswer) -> Self {
        match self {
            Self::NoAnswer(last) => {
                Self::NoAnswer(NoAnswer { maybe_sent: last.maybe_sent || first.maybe_sent, ..last })
            }
            Self::Unreadable(last) => Self::Unreadable(last),
        }
    }
}

/// Nobody answered, or the answer broke off. What became of the request is unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host} {kind}")]
pub struct NoAnswer {
    kind: NoAnswerKind,
    host: String,
    maybe_sent: bool,
    /// Without its URL.
    source: Arc<reqwest::Error>,
}

impl NoAnswer {
    fn new(base: &Base, error: reqwest::Error) -> Self {
        let kind = match &error {
            error if error.is_connect() => NoAnswerKind::NotConnected,
            error if error.is_timeout() => NoAnswerKind::TimedOut,
            _ => NoAnswerKind::BrokenOff,
        };
        let maybe_sent = kind != NoAnswerKind::NotConnected;
        Self { kind, host: base.name(), maybe_sent, source: Arc::new(error.without_url()) }
    }

    /// What went wrong at the host that was asked last.
    pub fn kind(&self) -> NoAnswerKind {
        self.kind
    }

    /// Whether any host may have received the request. If not, not even a connection was made.
    pub fn may_have_been_sent(&self) -> bool {
        self.maybe_sent
    }
}

/// How an answer failed to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswerKind {
    /// No connection: name, network, TLS. Nothing was sent.
    NotConnected,
    /// The time was up.
    TimedOut,
    /// The connection broke before the answer was complete.
    BrokenOff,
}

impl std::fmt::Display for NoAnswerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "could not be reached",
            Self::TimedOut => "did not answer in time",
            Self::BrokenOff => "broke off before the answer was complete",
        })
    }
}

/// An answer came, but not one that WeChat's pages describe. The body is not repeated: it may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// An HTTP status that WeChat does not use there, as gateways give.
    #[error("the answer has HTTP status {0}")]
    Status(u16),
    /// Larger than any answer that WeChat gives to such a question.
    #[error("the answer is larger than WeChat's ever are")]
    TooLarge,
    /// Not XML of API v2.
    #[error("the answer is not XML as WeChat writes it")]
    Xml(#[source] XmlError),
    /// Not the JSON that was expected.
    #[error("the answer is not the JSON that was expected")]
    Json,
    /// A field is missing or has an impossible value.
    #[error("the answer has a field that cannot be")]
    Field(#[source] FieldError),
    /// Authentic, but not the JSON of API v3 that was expected.
    #[error("the answer is not what API v3 describes")]
    V3(#[source] v3::Unreadable),
    /// Platform certificates that cannot be opened or read. Often the APIv3 key is not the one that WeChat knows.
    #[error("the platform certificates in the answer cannot be used")]
    Certificates(#[source] CertificatesError),
    /// No platform certificate in the answer is good today.
    #[error("the answer has no platform certificate that is good today")]
    NoCertificate,
}

/// Why connections cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No certificate in the PEM.
    #[error("the extra certificate authority must be one or more PEM certificates")]
    ExtraCa,
    /// A certificate or the user agent is not usable.
    #[error("the options of the connection are not usable")]
    Options(#[source] reqwest::Error),
}
