//! What is answered, and how it gets on the wire: whole, broken, or not at all.

use std::{pin::Pin, task::Poll};

use bytes::Bytes;
use hyper::{
    Response,
    body::{Body, Frame},
    header::{self, HeaderName, HeaderValue},
};
use jiff::Timestamp;
use weixin::mini_program::ErrCode;

use crate::{fault::FaultKind, random::Seed, server::Request};

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Empty: none.
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// What is remarkable, for the log of the wire.
    pub(crate) note: Option<&'static str>,
}

impl Answer {
    /// An answer without special headers.
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into(), note: None }
    }

    /// A message of WeChat Pay, API v2.
    pub(crate) fn xml(body: String) -> Self {
        Self::new(200, "text/plain", body)
    }

    /// JSON as `api.weixin.qq.com` sends it.
    pub(crate) fn json(body: String) -> Self {
        Self::new(200, "application/json; encoding=utf-8", body)
    }

    /// JSON that says it is text.
    pub(crate) fn text_plain(body: String) -> Self {
        Self::new(200, "text/plain", body)
    }

    /// An error of `api.weixin.qq.com`: status 200, the request id at the end of the text.
    pub(crate) fn errcode(seed: Seed, now: Timestamp, request: &Request, code: ErrCode) -> Self {
        Self::errcode_saying(seed, now, request, code, code.meaning())
    }

    /// The same with another text.
    pub(crate) fn errcode_saying(seed: Seed, now: Timestamp, request: &Request, code: ErrCode, text: &str) -> Self {
        let rid = seed.rid(request.path_and_query(), now);
        let errmsg = format!("{text}, rid: {rid}");
        Self::json(serde_json::json!({ "errcode": code.0, "errmsg": errmsg }).to_string())
    }

    /// What the log of the wire keeps of the headers.
    pub(crate) fn headers_of_interest(&self) -> Vec<(String, String)> {
        self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// A page of the gateway.
    pub(crate) fn page(status: u16) -> Self {
        let title = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
        Self::titled_page(status, title)
    }

    /// A page of the gateway that says something.
    pub(crate) fn titled_page(status: u16, title: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::new(status, "text/html", body)
    }
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulator was told to close the connection")]
pub(crate) struct Cut;

/// Puts an answer on the wire.
pub(crate) fn respond(answer: Answer, fault: Option<&FaultKind>) -> Response<AnswerBody> {
    let mut answer = answer;
    if fault == Some(&FaultKind::Broken) {
        // Cut where it is, so that the length fits.
        answer.body.truncate(answer.body.len() / 2);
    }
    let length = answer.body.len();
    let body = match fault {
        Some(FaultKind::HalfAnswer) => AnswerBody::broken(answer.body),
        _ => AnswerBody::whole(answer.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    if !answer.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    // RFC 9110, 8.6: never with 204.
    if answer.status != 204 {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    for (name, value) in answer.headers {
        // Names and values are made of visible ASCII here; one that is not would be left out.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
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
