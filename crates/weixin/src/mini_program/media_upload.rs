//! `POST /cgi-bin/media/upload`: uploads a picture, to be sent to customers for three days.
//!
//! The body is a form with one file called `media`, with a file name and a `Content-Length`; all else is 41005.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_uploadtempmedia.html>.

use serde::Deserialize;
use serde_json::json;

use super::{
    ErrCode, MediaId,
    multipart::{self, Boundary, FileName},
    picture::{Picture, PictureError},
};
use crate::{AccessToken, FieldError};

/// The path below the host.
pub const PATH: &str = "/cgi-bin/media/upload";

/// How long uploaded media live, in seconds.
pub const MEDIA_VALID_S: i64 = 3 * 24 * 3600;

/// The largest picture that is sent, in bytes: the smaller of the two limits on the page.
pub const IMAGE_SENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The largest picture that WeChat takes, in bytes: the larger of the two limits on the page.
pub const IMAGE_TAKEN_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The name of the part.
const PART: &str = "media";

/// WeChat's word for pictures. A mini program has no use for the other three (`voice`, `video`, `thumb`).
const IMAGE: &str = "image";

/// Uploads a picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    picture: Picture,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("picture", &self.picture).field("bytes", &self.bytes.len()).finish()
    }
}

impl Request {
    /// A picture that WeChat will take.
    ///
    /// # Errors
    /// Not a picture of a kind that WeChat takes, or too large.
    pub fn image(bytes: Vec<u8>) -> Result<Self, PictureError> {
        if bytes.len() > IMAGE_SENT_BYTES_MAX {
            return Err(PictureError::TooLarge);
        }
        Ok(Self { picture: Picture::inspect(&bytes)?, bytes })
    }

    /// What the picture is.
    pub fn picture(&self) -> Picture {
        self.picture
    }

    /// The picture itself.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The query string. It contains the access token: never log it.
    pub fn to_query(access_token: &AccessToken) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("access_token", access_token.expose()).append_pair("type", IMAGE).finish()
    }

    /// The body; its `Content-Type` is [`Boundary::content_type`].
    pub fn to_body(&self, boundary: &Boundary) -> Vec<u8> {
        let kind = self.picture.kind;
        // A constant name and one of three endings.
        let name = FileName::parse(format!("picture.{}", kind.extension())).expect("letters and a dot");
        multipart::write(boundary, PART, &name, kind.content_type(), &self.bytes)
    }

    /// Reads the request as WeChat does: `type` of the query, `Content-Type` and body.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn read(media_type: Option<&str>, content_type: Option<&str>, body: &[u8]) -> Result<Self, ErrCode> {
        if media_type != Some(IMAGE) {
            return Err(ErrCode::INVALID_MEDIA_TYPE);
        }
        let missing = |_| ErrCode::MEDIA_DATA_MISSING;
        let parts = multipart::read(content_type.unwrap_or_default(), body).map_err(missing)?;
        let is_file =
            |part: &&multipart::Part<'_>| part.name == PART && part.filename.is_some_and(|name| !name.is_empty());
        let file = parts.iter().find(is_file).ok_or(ErrCode::MEDIA_DATA_MISSING)?;
        if file.bytes.is_empty() {
            return Err(ErrCode::MEDIA_DATA_MISSING);
        }
        if file.bytes.len() > IMAGE_TAKEN_BYTES_MAX {
            return Err(ErrCode::INVALID_IMAGE_SIZE);
        }
        let picture = Picture::inspect(file.bytes).map_err(|error| match error {
            PictureError::NotAPicture | PictureError::Broken => ErrCode::INVALID_FILE_TYPE,
            PictureError::TooManyPixels | PictureError::TooLarge => ErrCode::INVALID_IMAGE_SIZE,
        })?;
        Ok(Self { picture, bytes: file.bytes.to_vec() })
    }
}

/// The uploaded picture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Response {
    /// Names the picture in messages, as often as one likes.
    pub media_id: MediaId,
    /// When it was uploaded, in seconds since 1970.
    pub created_at_s: i64,
}

#[derive(Deserialize)]
struct Wire {
    media_id: MediaId,
    created_at: i64,
}

impl TryFrom<Wire> for Response {
    type Error = FieldError;
    fn try_from(wire: Wire) -> Result<Self, FieldError> {
        Ok(Self { media_id: wire.media_id, created_at_s: wire.created_at })
    }
}

impl Response {
    /// Writes the answer.
    pub fn to_json(&self) -> String {
        json!({ "type": IMAGE, "media_id": self.media_id, "created_at": self.created_at_s }).to_string()
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_MEDIA_TYPE,
    ErrCode::INVALID_FILE_TYPE,
    ErrCode::INVALID_FILE_SIZE,
    ErrCode::INVALID_IMAGE_SIZE,
    ErrCode::MEDIA_DATA_MISSING,
    ErrCode::REQUIRE_POST,
    ErrCode::MEDIA_SIZE,
    ErrCode::DAILY_QUOTA,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mini_program::read_answer;

    const GIF: &[u8] = b"GIF89a\x10\0\x20\0\0\0\0;";

    fn boundary() -> Boundary {
        Boundary::from_nonce(&crate::NonceStr::from_random([7; 16]))
    }

    fn read(body: &[u8]) -> Result<Request, ErrCode> {
        Request::read(Some("image"), Some(&boundary().content_type()), body)
    }

    fn body(part: &'static str, bytes: &[u8]) -> Vec<u8> {
        multipart::write(&boundary(), part, &FileName::parse("a.gif").unwrap(), "image/gif", bytes)
    }

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let request = Request::image(GIF.to_vec()).unwrap();
        assert_eq!((request.picture().width_px, request.picture().height_px), (16, 32));
        assert_eq!(read(&request.to_body(&boundary())), Ok(request));
    }

    #[test]
    fn a_file_that_is_not_a_picture_is_not_even_sent() {
        assert_eq!(Request::image(b"<html>".to_vec()), Err(PictureError::NotAPicture));
        let large = [GIF, &vec![0; IMAGE_SENT_BYTES_MAX]].concat();
        assert_eq!(Request::image(large), Err(PictureError::TooLarge));
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        for media_type in [None, Some(""), Some("picture"), Some("voice")] {
            assert_eq!(Request::read(media_type, None, b""), Err(ErrCode::INVALID_MEDIA_TYPE));
        }
        assert_eq!(Request::read(Some("image"), Some("application/json"), b"{}"), Err(ErrCode::MEDIA_DATA_MISSING));
        assert_eq!(Request::read(Some("image"), None, GIF), Err(ErrCode::MEDIA_DATA_MISSING));
        assert_eq!(read(&body("file", GIF)), Err(ErrCode::MEDIA_DATA_MISSING));
        assert_eq!(read(&body("media", b"")), Err(ErrCode::MEDIA_DATA_MISSING));
        let nameless = String::from_utf8_lossy(&body("media", GIF)).replace("; filename=\"a.gif\"", "");
        assert_eq!(read(nameless.as_bytes()), Err(ErrCode::MEDIA_DATA_MISSING));
        assert_eq!(read(&body("media", b"<html>")), Err(ErrCode::INVALID_FILE_TYPE));
        let large = [GIF, &vec![0; IMAGE_TAKEN_BYTES_MAX]].concat();
        assert_eq!(read(&body("media", &large)), Err(ErrCode::INVALID_IMAGE_SIZE));
        assert!(read(&body("media", &large[..IMAGE_SENT_BYTES_MAX + 1])).is_ok(), "WeChat takes more than we send");
    }

    #[test]
    fn an_answer_is_read_with_and_without_errcode() {
        let sample = br#"{"errcode":0,"errmsg":"ok","type":"image","media_id":"MEDIA_ID","created_at":1672500000}"#;
        let response: Response = read_answer(sample).unwrap();
        assert_eq!((response.media_id.as_str(), response.created_at_s), ("MEDIA_ID", 1672500000));
        assert_eq!(read_answer(response.to_json().as_bytes()), Ok(response));
        assert!(read_answer::<Response>(b"{}").is_err());
    }
}
