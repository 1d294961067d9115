//! The extractor of creating requests: who calls, the body, and the right to act once.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use axum::{
    RequestExt as _,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, Method},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Keyed, Once};
use crate::{
    app::App,
    http::{Caller, Code, JsonBytes, Problem, RawBody},
};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// A request that creates something.
pub struct Creating<T, const MAY_LACK_BODY: bool = false> {
    /// Who calls.
    pub caller: Caller,
    /// What the caller sends.
    pub body: T,
    /// Runs the effect.
    pub once: Once,
}

/// The same for calls in which nothing has to be said: they take a request without a body, too.
pub type CreatingBare<T> = Creating<T, true>;

impl<T: DeserializeOwned, const MAY_LACK_BODY: bool> FromRequest<Arc<App>> for Creating<T, MAY_LACK_BODY> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let caller: Caller = request.extract_parts_with_state(app).await?;
        let named = Named::read(&request)?;
        let bytes = match MAY_LACK_BODY {
            true => JsonBytes::or_empty(request, app).await?,
            false => JsonBytes::from_request(request, app).await?,
        };
        let body = bytes.parse()?;
        let once = named.once(&caller, &bytes.0);
        Ok(Self { caller, body, once })
    }
}

/// A request that creates something out of bytes as they are.
pub struct CreatingOfBytes {
    /// Who calls.
    pub caller: Caller,
    /// What the caller sends.
    pub bytes: Bytes,
    /// Runs the effect.
    pub once: Once,
}

impl FromRequest<Arc<App>> for CreatingOfBytes {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let caller: Caller = request.extract_parts_with_state(app).await?;
        let named = Named::read(&request)?;
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        let once = named.once(&caller, &bytes);
        Ok(Self { caller, bytes, once })
    }
}

/// What names a request beside its body.
struct Named {
    key: Option<String>,
    method: Method,
    /// With the query.
    path: String,
}

impl Named {
    fn read(request: &Request) -> Result<Self, Problem> {
        let (method, uri) = (request.method().clone(), request.uri());
        let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str()).to_owned();
        Ok(Self { key: key(request.headers())?, method, path })
    }

    fn once(self, caller: &Caller, body: &[u8]) -> Once {
        let Self { key, method, path } = self;
        let keyed =
            |key| Keyed { caller_id: caller.id().to_owned(), key, fingerprint: fingerprint(&method, &path, body) };
        Once(key.map(keyed))
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(key) = given.next() else { return Ok(None) };
    let is_visible = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    match key.to_str() {
        Ok(key) if is_visible && given.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(
            Code::IdempotencyKeyInvalid,
            format!("Send one Idempotency-Key of 1 to {KEY_BYTES_MAX} visible ASCII characters, such as a UUID."),
        )),
    }
}

/// Bodies that differ in white space or in the order of their fields say the same, so they have the same fingerprint.
fn fingerprint(method: &Method, path: &str, body: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(format!("{method}\n{path}\n").as_bytes());
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => hash.update(value.to_string().as_bytes()),
        Err(_) => hash.update(body),
    }
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(body: &str) -> String {
        fingerprint(&Method::POST, "/v1/orders", body.as_bytes())
    }

    #[test]
    fn bodies_that_say_the_same_have_the_same_fingerprint() {
        let body = of(r#"{"amount":1990,"description":"a  b"}"#);
        assert_eq!(of("{ \"amount\" : 1990,\n\t\"description\": \"a  b\" }\n"), body);
        assert_eq!(of(r#"{"description":"a  b","amount":1990}"#), body);
        assert_eq!(of(r#"{"description":"\u0061  b","amount":1990}"#), body);
        for other in [
            r#"{"amount":1991,"description":"a  b"}"#,
            r#"{"amount":1990,"description":"a b"}"#,
            r#"{"amount":1990.0,"description":"a  b"}"#,
            r#"{"amount":"1990","description":"a  b"}"#,
            r#"{"amount":1990,"description":"a  b","attach":null}"#,
        ] {
            assert_ne!(of(other), body, "{other}");
        }
        assert_ne!(fingerprint(&Method::POST, "/v1/keys", b"{}"), fingerprint(&Method::POST, "/v1/orders", b"{}"));
        assert_ne!(fingerprint(&Method::PUT, "/v1/keys", b"{}"), fingerprint(&Method::POST, "/v1/keys", b"{}"));
    }

    #[test]
    fn a_key_is_one_visible_word() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            key(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"9f0b-1"]), Ok(Some("9f0b-1".to_owned())));
        let long = [b'x'; 256];
        let bad: [&[&[u8]]; 5] = [&[b""], &[b"a b"], &[b"\xe8\x8c\xb6"], &[&long], &[b"a", b"a"]];
        for values in bad {
            assert_eq!(read(values), Err(Code::IdempotencyKeyInvalid));
        }
        assert!(read(&[&long[..255]]).is_ok());
    }
}
