//! The HTTP side: one listener for both API hosts and the control API, faults, and the log of the wire.
//!
//! It speaks to hyper directly, because a simulator must be able to do what a web framework forbids: to close a
//! connection without an answer, or in the middle of one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Response, body::Incoming, header::HeaderMap, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use weixin::mini_program::{ErrCode, media_upload::PATH as UPLOAD};

use crate::{
    Shared,
    answer::{Answer, AnswerBody, Cut, respond},
    browser, control,
    customer_service::{PICTURE_PREFIX, picture},
    fault::{FaultKind, HEADER, Struck, strike_request},
    login, mini_program, pay, token,
    wire::{Direction, Exchange},
    world::World,
};

/// The largest request body that is read.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The largest one with a picture: a little more than WeChat takes, so that it can say so; as base64 in the control API.
const PICTURE_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long somebody may take over a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that are kept in the log of the wire.
const HEADERS_OF_INTEREST: [&str; 9] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "user-agent",
    "accept",
    // API v3. A signature is no secret.
    "authorization",
    "wechatpay-serial",
    HEADER,
];

/// A request that has arrived whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
    /// What the other side has shown over TLS.
    pub(crate) certificate: Option<Bytes>,
}

impl Request {
    /// A parameter of the query. An empty one is as good as none.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the text stands in the path, the query or the body.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let in_body = || self.body.windows(text.len()).any(|window| window == text.as_bytes());
        text.is_empty() || self.path_and_query().contains(text) || in_body()
    }

    /// Path and query exactly as they came.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }
}

/// The endpoints of WeChat that are played, apart from those of WeChat Pay and [`mini_program`].
pub(crate) const ENDPOINTS: [&str; 4] =
    ["/sns/jscode2session", "/cgi-bin/stable_token", "/cgi-bin/token", "/cgi-bin/getcallbackip"];

/// Accepts connections until the simulator is shut down.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                shared.tasks.clone().spawn(async move {
                    match tls {
                        None => serve(shared, stream, Peer { address: peer, certificate: None }).await,
                        Some(tls) => serve_tls(shared, tls, stream, peer).await,
                    }
                });
            }
            // Out of file descriptors, for example: the others may end meanwhile.
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Who asks.
#[derive(Clone)]
struct Peer {
    address: SocketAddr,
    certificate: Option<Bytes>,
}

async fn serve_tls(shared: Arc<Shared>, tls: TlsAcceptor, stream: TcpStream, address: SocketAddr) {
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => handshake,
        () = shared.stop.cancelled() => return,
    };
    // Whoever does not trust the fake authority, or speaks no TLS, learns it by the alert.
    let Ok(Ok(stream)) = handshake else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|certificate| Bytes::copy_from_slice(certificate));
    serve(shared, stream, Peer { address, certificate }).await;
}

async fn serve(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
    let service = service_fn(|request| handle(Arc::clone(&shared), peer.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A broken connection is the business of the other side, or a fault that was asked for.
        _ = connection.as_mut() => {}
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // An answer that is being written is finished; a fault that hangs is not waited for.
            let _ = tokio::time::timeout(Duration::from_millis(500), connection).await;
        }
    }
}

async fn handle(
    shared: Arc<Shared>,
    peer: Peer,
    request: hyper::Request<Incoming>,
) -> Result<Response<AnswerBody>, Cut> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, body_bytes_max(parts.uri.path())).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(respond(Answer::page(413), None)),
        Err(_) => return Err(Cut),
    };
    let query = parts.uri.query().unwrap_or_default();
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        path_and_query: parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string),
        headers: parts.headers,
        body,
        peer: peer.address,
        certificate: peer.certificate,
    };
    if browser::is_path(&request.path) {
        return Ok(respond(browser::answer(&shared, &request).await, None));
    }
    if request.path.starts_with(control::PREFIX) {
        return Ok(respond(control::handle(&shared, &request).await, None));
    }
    handle_wechat(&shared, &request).await
}

fn body_bytes_max(path: &str) -> usize {
    let picture = path == UPLOAD || path.starts_with(control::PREFIX);
    if picture { PICTURE_BODY_BYTES_MAX } else { BODY_BYTES_MAX }
}

/// A request to WeChat: the fault that is due, the answer, the log.
async fn handle_wechat(shared: &Arc<Shared>, request: &Request) -> Result<Response<AnswerBody>, Cut> {
    let (now, fault, answer) = {
        let mut world = shared.world();
        shared.play_scenario(&mut world);
        let now = shared.time(&world);
        let fault = match strike_request(&mut world, now, request) {
            Struck::No => None,
            Struck::By(fault) => Some(fault),
            Struck::HeaderUnreadable(sentence) => return Ok(respond(Answer::new(400, "text/plain", sentence), None)),
        };
        let answer = answer_with_fault(shared, &mut world, now, request, fault.as_ref());
        let pattern = pay::v3::pattern(&request.path).unwrap_or(&request.path);
        shared.tell_scenario(&mut world, &request.path, pattern, |text| request.contains(text));
        (now, fault, answer)
    };
    shared.changed();
    let no_answer = matches!(fault, Some(FaultKind::NoAnswerBefore | FaultKind::NoAnswerAfter));
    shared.wire.record(exchange(now, request, (!no_answer).then_some(&answer), fault.as_ref()));
    if let Some(FaultKind::Hang(hang_ms)) = fault {
        tokio::time::sleep(Duration::from_millis(hang_ms)).await;
    }
    if no_answer { Err(Cut) } else { Ok(respond(answer, fault.as_ref())) }
}

/// The answer. A fault without effect stands in for it; a fault with effect spoils it afterwards.
fn answer_with_fault(
    shared: &Shared,
    world: &mut World,
    now: Timestamp,
    request: &Request,
    fault: Option<&FaultKind>,
) -> Answer {
    match fault {
        Some(FaultKind::Status(status)) => Answer::page(*status),
        Some(FaultKind::Html) => Answer::page(200),
        Some(FaultKind::Empty) => Answer::xml(String::new()),
        Some(FaultKind::NoAnswerBefore) => Answer::page(200),
        Some(FaultKind::Errcode(code)) => Answer::errcode(world.seed(), now, request, ErrCode(*code)),
        fault => route(shared, world, now, request, fault),
    }
}

fn route(shared: &Shared, world: &mut World, now: Timestamp, request: &Request, fault: Option<&FaultKind>) -> Answer {
    let unmeasured = request.method == "POST" && request.header("content-length").is_none();
    if unmeasured && shared.strictness.content_length && request.path.starts_with("/cgi-bin/") {
        // Undocumented, but met by many whose HTTP client began to stream its bodies.
        return Answer::new(412, "text/plain", "");
    }
    if let Some(answer) = mini_program::answer(world, now, request) {
        return answer;
    }
    match request.path.as_str() {
        "/sns/jscode2session" => login::jscode2session(world, now, request),
        "/cgi-bin/stable_token" => token::stable_token(world, now, request),
        "/cgi-bin/token" => token::classic_token(world, now, request),
        "/cgi-bin/getcallbackip" => token::callback_ip(world, now, request),
        path if path.starts_with(PICTURE_PREFIX) => picture(world, now, request),
        path if pay::is_path(path) => pay::answer(&shared.strictness, world, now, request, fault),
        path if path.starts_with("/v3/") => pay::v3::answer(&shared.strictness, world, now, request, fault),
        path if path.starts_with("/cgi-bin/") || path.starts_with("/wxa/") || path.starts_with("/sns/") => {
            Answer::errcode(world.seed(), now, request, ErrCode::INVALID_URL)
        }
        _ => Answer::page(404),
    }
}

fn exchange(now: Timestamp, request: &Request, answer: Option<&Answer>, fault: Option<&FaultKind>) -> Exchange {
    let header = |name: &&str| request.header(name).map(|value| ((*name).to_owned(), value.to_owned()));
    Exchange {
        sequence: 0,
        at: now,
        direction: Direction::ToWechat,
        method: request.method.clone(),
        path: request.path_and_query.clone(),
        headers: HEADERS_OF_INTEREST.iter().filter_map(header).collect(),
        request: shown(request.header("content-type").unwrap_or_default(), &request.body),
        status: answer.map(|answer| answer.status),
        answer: answer.map(|answer| shown(answer.content_type, &answer.body)).unwrap_or_default(),
        answer_headers: answer.map(Answer::headers_of_interest).unwrap_or_default(),
        note: fault
            .map(|fault| format!("fault: {fault:?}"))
            .or_else(|| answer.and_then(|answer| answer.note.map(str::to_owned))),
    }
}

/// A body in the log of the wire. Of pictures only the size is kept.
fn shown(content_type: &str, body: &[u8]) -> String {
    match content_type.starts_with("multipart/") || content_type.starts_with("image/") {
        true => format!("[{} bytes of {content_type}]", body.len()),
        false => String::from_utf8_lossy(body).into_owned(),
    }
}
