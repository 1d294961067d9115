//! Extractors whose refusals have the application's error format.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};

/// A JSON body. Unknown fields are refused where the type says so.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        JsonBytes::from_request(request, state).await?.parse().map(JsonBody)
    }
}

/// The bytes of a JSON body.
pub struct JsonBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(content_type_wrong());
        }
        read_bytes(request, state).await.map(Self)
    }
}

fn content_type_wrong() -> Problem {
    Problem::new(Code::ContentTypeWrong, "Send the header Content-Type: application/json.")
}

impl JsonBytes {
    /// As the extractor, but a request without body and content type says as much as an empty object.
    ///
    /// # Errors
    /// The body is of another type, too large, or breaks off.
    pub async fn or_empty<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return Self::from_request(request, state).await;
        }
        let bytes = read_bytes(request, state).await?;
        if bytes.is_empty() { Ok(Self(Bytes::from_static(b"{}"))) } else { Err(content_type_wrong()) }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // A list would be taken for the fields of an object in their order.
        if self.0.trim_ascii_start().first() == Some(&b'[') {
            return Err(Problem::new(Code::BodyInvalid, "Send a JSON object, not a list."));
        }
        serde_json::from_slice(&self.0).map_err(|error| {
            let code = if error.is_data() { Code::BodyInvalid } else { Code::BodyNotJson };
            Problem::new(code, format!("{error}."))
        })
    }
}

/// The body as it came, for callbacks: signatures are verified over raw bytes.
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read_bytes(request, state).await.map(RawBody)
    }
}

async fn read_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let too_large = matches!(&rejection, BytesRejection::FailedToBufferBody(failed) if failed.to_string().contains("length limit"));
        if too_large || rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(Code::BodyTooLarge, "Send a smaller body.")
        } else {
            Problem::new(Code::BodyNotJson, "The body did not arrive whole; send it again.")
        }
    })
}

/// A query string. Databases cannot hold the character NUL, so it is refused here, for all calls.
pub struct QueryString<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryString<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::new(Code::QueryInvalid, "No value may contain the character %00."));
        }
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection| Problem::new(Code::QueryInvalid, rejection.body_text()))
    }
}
