//! The client of the actors: each request on a connection of its own, so that a restart of the server disturbs nobody.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use weixin::{pay::v2::notification::REPLY_SUCCESS, xml::Fields};

/// Calls one server.
#[derive(Clone)]
pub(crate) struct Http {
    base: String,
    client: reqwest::Client,
    answers: Arc<Mutex<Vec<String>>>,
}

impl Http {
    pub(crate) fn new(base: String) -> Self {
        // Plain HTTP on loopback: neither certificates nor proxies.
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().pool_max_idle_per_host(0);
        Self { base, client: client.build().unwrap(), answers: Arc::default() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.send(self.request(Method::GET, path), token).await
    }

    pub(crate) async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body), token).await
    }

    async fn send(&self, request: RequestBuilder, token: Option<&str>) -> Reply {
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
        let reply = Reply::of(request).await;
        self.answers.lock().unwrap().push(format!("{:?} {}", reply.headers, reply.text()));
        reply
    }

    /// Every answer that [`Http::get`] and [`Http::post`] got, head and body.
    #[allow(dead_code, reason = "for the binary that looks for secrets")]
    pub(crate) fn answers(&self) -> Vec<String> {
        self.answers.lock().unwrap().clone()
    }
}

/// What the server answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("the answer is whole") }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// An error in the one format of errors, with this code; gives its body.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text());
        let body = self.json(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("urn:zhanggui:error:{code}"), "{body}");
        assert!(self.header("x-request-id").starts_with("req_"));
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
        body
    }

    /// WeChat is told that the notification is durable: exactly the bytes that it understands.
    #[track_caller]
    pub(crate) fn accepted(&self) {
        assert_eq!((self.status, self.text().as_str()), (200, REPLY_SUCCESS));
        assert_eq!(self.header("content-type"), "text/xml; charset=utf-8");
    }

    /// The same in API v3: 204 and nothing else.
    #[track_caller]
    pub(crate) fn accepted_v3(&self) {
        assert_eq!((self.status, self.text().as_str()), (204, ""));
    }

    /// WeChat (or somebody else) is told to come again, in the form of v2 or v3: FAIL, and never status 2xx.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert!(status >= 400);
        if self.header("content-type").starts_with("application/json") {
            assert_eq!(self.json(status)["code"], "FAIL");
            return;
        }
        assert_eq!(self.header("content-type"), "text/xml; charset=utf-8");
        let fields = Fields::parse(&self.body).unwrap();
        assert_eq!(fields.get("return_code"), Some("FAIL"));
        assert!(fields.get("return_msg").is_some());
    }
}
