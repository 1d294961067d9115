//! Pictures: uploads for messages, downloads of what customers sent.
//!
//! Both may be asked for twice. Customers' pictures are fetched by their `MediaId` from WeChat's host, never from an
//! address that stands in a message.

use bytes::Bytes;
use reqwest::header::HeaderValue;
use weixin::{
    NonceStr,
    mini_program::{self, MediaId, media_get, media_upload, multipart::Boundary},
};

use super::{ApiError, MiniProgramClient, call::Call, get, post};
use crate::{
    AccessTokenKeeper, AppCredential,
    transport::{Message, Repeat},
};

impl MiniProgramClient {
    /// Uploads a picture. The nonce keeps the end of the file from being mistaken.
    ///
    /// # Errors
    /// A refusal, or no readable answer: then it may be uploaded again.
    pub async fn media_upload(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &media_upload::Request,
        nonce: &NonceStr,
    ) -> Result<media_upload::Response, ApiError> {
        let boundary = Boundary::from_nonce(nonce);
        let body = Bytes::from(request.to_body(&boundary));
        // A boundary has visible ASCII characters only.
        let content_type = HeaderValue::try_from(boundary.content_type()).expect("a boundary fits into a header");
        let message = move |token: &_| {
            let query = media_upload::Request::to_query(token);
            post(media_upload::PATH, Some(query), content_type.clone(), body.clone())
        };
        let read = |body: Bytes| mini_program::read_answer(&body);
        self.call(
            tokens,
            app,
            &Call { message: Box::new(message), repeat: Repeat::Harmless, read, secrets: Vec::new() },
        )
        .await
    }

    /// Downloads a file of at most [`media_get::FILE_BYTES_MAX`] bytes. What it is, is for
    /// [`Picture::inspect`](weixin::mini_program::picture::Picture::inspect) to say.
    ///
    /// # Errors
    /// 40007: it is gone after three days. No readable answer: it may be asked for again.
    pub async fn media_get(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        media_id: &MediaId,
    ) -> Result<Bytes, ApiError> {
        let message = |token: &_| {
            let message = get(media_get::PATH, media_get::to_query(token, media_id));
            Message { answer_bytes_max: media_get::FILE_BYTES_MAX, ..message }
        };
        let read = |body: Bytes| media_get::read(&body).map(|_| ()).map(|()| body);
        self.call(
            tokens,
            app,
            &Call { message: Box::new(message), repeat: Repeat::Harmless, read, secrets: Vec::new() },
        )
        .await
    }
}
