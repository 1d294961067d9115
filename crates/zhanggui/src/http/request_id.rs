//! The outermost layer of every request: a request id, one log line, and the writing of problems.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use super::problem::{Code, Problem};
use crate::{app::App, id};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request in answer and log.
#[derive(Clone, Debug)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    /// The id.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Gives the request an id, writes problems, and logs the outcome.
pub(super) async fn layer(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = app.now();
    let id = RequestId(id::new(id::Kind::Request, started, &app.entropy).into());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    // The template, not the address: addresses carry ids, and the log shall not grow a name for each.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = id.as_str(), http.method = %method, http.route = route);
    async move {
        let response = next.run(request).await;
        let mut response = write_problem(response, &id);
        // The id has no characters that a header could not hold.
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(HEADER, value);
        }
        let duration_ms = app.now().duration_since(started).as_millis();
        tracing::info!(http.status = response.status().as_u16(), duration_ms = duration_ms as i64, "request answered");
        response
    }
    .instrument(span)
    .await
}

/// Answers that came from the framework get the application's error format, too.
fn write_problem(response: Response, id: &RequestId) -> Response {
    let own = response.extensions().get::<Arc<Problem>>().cloned();
    let Some(problem) = own.or_else(|| of_the_framework(&response).map(Arc::new)) else { return response };
    let mut written = problem.respond(id);
    // Allow, and what the layers in between say.
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH && !written.headers().contains_key(name) {
            written.headers_mut().insert(name.clone(), value.clone());
        }
    }
    written
}

fn of_the_framework(response: &Response) -> Option<Problem> {
    // Answers of our own always have a type; what has none comes from the framework.
    if response.headers().get(header::CONTENT_TYPE).is_some_and(|text| !text.as_bytes().starts_with(b"text/plain")) {
        return None;
    }
    Some(match response.status() {
        // 400 comes from an address whose percent-encoding is no text.
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
            Problem::new(Code::NotFound, "Look at the list of calls in the documentation.")
        }
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::MethodNotAllowed, "Look at the header Allow."),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::BodyTooLarge, "Send at most 1 MiB."),
        StatusCode::REQUEST_TIMEOUT => {
            Problem::new(Code::RequestTimeout, "Try again; the outcome may be known by then.")
        }
        StatusCode::SERVICE_UNAVAILABLE => Problem::new(Code::Overloaded, "Try again in a moment.").retry_after(1),
        _ => return None,
    })
}
