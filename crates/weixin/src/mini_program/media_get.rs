//! `GET /cgi-bin/media/get`: downloads a picture that a customer sent or that was uploaded, within three days.
//!
//! The answer is the file, or JSON if there is none; HTTP status and `Content-Type` do not tell, the first byte does.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_getmedia.html>.

use super::{AnswerError, ErrCode, MediaId, read_answer};
use crate::AccessToken;

/// The path below the host.
pub const PATH: &str = "/cgi-bin/media/get";

/// The largest file that is downloaded, in bytes: the limit of uploads.
pub const FILE_BYTES_MAX: usize = super::media_upload::IMAGE_TAKEN_BYTES_MAX;

/// The query string. It contains the access token: never log it.
pub fn to_query(access_token: &AccessToken, media_id: &MediaId) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("access_token", access_token.expose())
        .append_pair("media_id", media_id.as_str())
        .finish()
}

/// The file in the answer. What it is, is for [`Picture::inspect`](super::picture::Picture::inspect) to say.
///
/// # Errors
/// A refusal, or no file: a video is answered with an address, but a mini program's customers cannot send one.
pub fn read(body: &[u8]) -> Result<&[u8], AnswerError> {
    match body.trim_ascii_start().first() {
        None => Err(AnswerError::Unreadable),
        Some(b'{') => Err(read_answer::<serde::de::IgnoredAny>(body).err().unwrap_or(AnswerError::Unreadable)),
        Some(_) => Ok(body),
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] =
    &[ErrCode::BUSY, ErrCode::INVALID_MEDIA_ID, ErrCode::MEDIA_ID_MISSING, ErrCode::REQUIRE_GET, ErrCode::DAILY_QUOTA];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_file_and_json_is_a_refusal() {
        assert_eq!(read(b"\xff\xd8\xff\xe0"), Ok(b"\xff\xd8\xff\xe0".as_slice()));
        let refused = read(br#" {"errcode":40007,"errmsg":"invalid media_id"}"#).unwrap_err();
        assert!(matches!(refused, AnswerError::Refused { errcode: ErrCode::INVALID_MEDIA_ID, .. }));
        for body in ["", " \n", "{", "{}", r#"{"errcode":0}"#, r#"{"video_url":"http://127.0.0.1/"}"#] {
            assert_eq!(read(body.as_bytes()), Err(AnswerError::Unreadable), "{body}");
        }
    }

    #[test]
    fn a_media_id_cannot_add_to_the_query() {
        let query = to_query(&AccessToken::parse("t").unwrap(), &MediaId::parse("a&b=c").unwrap());
        assert_eq!(query, "access_token=t&media_id=a%26b%3Dc");
    }
}
