//! The HTTP side: one listener for both API hosts and the control API, faults, and the log of the wire.
//!
//! It speaks to hyper directly, because a simulator must be able to do what a web framework forbids: to close a
//! connection without an answer, or in the middle of one.

use std::{net::SocketAddr, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Response,
    body::{Body, Frame, Incoming},
    header::{self, HeaderMap, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use weixin::mini_program::ErrCode;

use crate::{
    Shared, control,
    fault::FaultKind,
    login, pay,
    random::Seed,
    token,
    wire::{Direction, Exchange},
    world::World,
};

/// The largest request body that is read.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Headers that are kept in the log of the wire.
const HEADERS_OF_INTEREST: [&str; 5] = ["host", "content-type", "content-length", "transfer-encoding", "user-agent"];

/// A request that has arrived whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
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
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A message of WeChat Pay.
    pub(crate) fn xml(body: String) -> Self {
        Self { status: 200, content_type: "text/plain", body: body.into_bytes() }
    }

    /// JSON as `api.weixin.qq.com` sends it.
    pub(crate) fn json(body: String) -> Self {
        Self { status: 200, content_type: "application/json; encoding=utf-8", body: body.into_bytes() }
    }

    /// JSON that says it is text.
    pub(crate) fn text_plain(body: String) -> Self {
        Self { status: 200, content_type: "text/plain", body: body.into_bytes() }
    }

    /// An error of `api.weixin.qq.com`: status 200, the request id at the end of the text.
    pub(crate) fn errcode(seed: Seed, now: Timestamp, request: &Request, code: ErrCode) -> Self {
        let rid = seed.rid(&request.path_and_query, now);
        let errmsg = format!("{}, rid: {rid}", code.meaning());
        Self::json(serde_json::json!({ "errcode": code.0, "errmsg": errmsg }).to_string())
    }

    fn page(status: u16) -> Self {
        let title = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self { status, content_type: "text/html", body: body.into_bytes() }
    }
}

/// The endpoints of WeChat that are played.
pub(crate) const ENDPOINTS: [&str; 7] = [
    "/pay/unifiedorder",
    "/pay/orderquery",
    "/pay/closeorder",
    "/sns/jscode2session",
    "/cgi-bin/stable_token",
    "/cgi-bin/token",
    "/cgi-bin/getcallbackip",
];

/// Accepts connections until the simulator is shut down.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                shared.tasks.clone().spawn(async move { serve(shared, stream, peer).await });
            }
            // Out of file descriptors, for example: the others may end meanwhile.
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let service = service_fn(|request| handle(Arc::clone(&shared), peer, request));
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

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulator was told to close the connection")]
pub(crate) struct Cut;

async fn handle(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response<AnswerBody>, Cut> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
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
        peer,
    };
    if request.path.starts_with(control::PREFIX) {
        return Ok(respond(control::handle(&shared, &request).await, None));
    }
    handle_wechat(&shared, &request).await
}

/// A request to WeChat: the fault that is due, the answer, the log.
async fn handle_wechat(shared: &Arc<Shared>, request: &Request) -> Result<Response<AnswerBody>, Cut> {
    let (now, fault, answer) = {
        let mut world = shared.world();
        let now = shared.time(&world);
        let fault = world.faults.take_request(&request.path);
        let answer = answer_with_fault(shared, &mut world, now, request, fault.as_ref());
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
        Some(FaultKind::Empty) => Answer { body: Vec::new(), ..Answer::xml(String::new()) },
        Some(FaultKind::NoAnswerBefore) => Answer::page(200),
        Some(FaultKind::Errcode(code)) => Answer::errcode(world.seed(), now, request, ErrCode(*code)),
        fault => route(shared, world, now, request, fault),
    }
}

fn route(shared: &Shared, world: &mut World, now: Timestamp, request: &Request, fault: Option<&FaultKind>) -> Answer {
    let unmeasured = request.method == "POST" && request.header("content-length").is_none();
    if unmeasured && shared.strictness.content_length && request.path.starts_with("/cgi-bin/") {
        // Undocumented, but met by many whose HTTP client began to stream its bodies.
        return Answer { status: 412, content_type: "text/plain", body: Vec::new() };
    }
    match request.path.as_str() {
        "/sns/jscode2session" => login::jscode2session(world, now, request),
        "/cgi-bin/stable_token" => token::stable_token(world, now, request),
        "/cgi-bin/token" => token::classic_token(world, now, request),
        "/cgi-bin/getcallbackip" => token::callback_ip(world, now, request),
        path if pay::is_path(path) => pay::answer(&shared.strictness, world, now, request, fault),
        path if path.starts_with("/cgi-bin/") || path.starts_with("/wxa/") || path.starts_with("/sns/") => {
            Answer::errcode(world.seed(), now, request, ErrCode(40066))
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
        request: String::from_utf8_lossy(&request.body).into_owned(),
        status: answer.map(|answer| answer.status),
        answer: answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()).unwrap_or_default(),
        note: fault.map(|fault| format!("fault: {fault:?}")),
    }
}

fn respond(answer: Answer, fault: Option<&FaultKind>) -> Response<AnswerBody> {
    let length = answer.body.len();
    let body = match fault {
        Some(FaultKind::HalfAnswer) => AnswerBody::broken(answer.body),
        _ => AnswerBody::whole(answer.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A body that comes whole, or breaks after its first half.
pub(crate) struct AnswerBody {
    left: Option<Bytes>,
    breaks: Break,
}

enum Break {
    Never,
    /// After the data were handed to the connection: first they must be flushed.
    AfterFlush,
    Now,
}

impl AnswerBody {
    fn whole(body: Vec<u8>) -> Self {
        Self { left: Some(body.into()), breaks: Break::Never }
    }

    fn broken(mut body: Vec<u8>) -> Self {
        body.truncate(body.len() / 2);
        Self { left: Some(body.into()), breaks: Break::AfterFlush }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(data) = self.left.take() {
            return Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))));
        }
        match self.breaks {
            Break::Never => Poll::Ready(None),
            Break::AfterFlush => {
                self.breaks = Break::Now;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Break::Now => Poll::Ready(Some(Err(Cut))),
        }
    }
}
