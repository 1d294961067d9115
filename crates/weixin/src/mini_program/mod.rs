//! `api.weixin.qq.com`: log-in, access tokens, messages to customers and their pictures, personal data, checks.
//!
//! Answers are JSON with HTTP 200, whatever their `Content-Type` says; success is `errcode` 0 or no `errcode`. The access
//! token is a part of the query, also of a POST ([`token_query`]).
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/>.

pub mod callback_ip;
pub mod check_session_key;
pub mod code2session;
mod conclusion;
pub mod custom_send;
mod err_code;
mod field;
pub mod media_check_async;
pub mod media_get;
pub mod media_upload;
pub mod message_text;
pub mod msg_sec_check;
pub mod multipart;
pub mod open_data;
pub mod phone_number;
pub mod picture;
pub mod reset_session_key;
pub mod stable_token;
pub mod subscribe_send;
mod template_value;
pub mod typing;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::AccessToken;

pub use conclusion::{Again, Conclusion};
pub use err_code::{Class, ErrCode};
pub use field::{BusinessId, KfAccount, MediaId, PagePath, WebUrl};

/// The nearest access point.
pub const HOST: &str = "https://api.weixin.qq.com";

/// The disaster recovery host with the same interfaces.
pub const BACKUP_HOST: &str = "https://api2.weixin.qq.com";

/// The query string of a call with an access token: never log it.
pub fn token_query(access_token: &AccessToken) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("access_token", access_token.expose()).finish()
}

/// Reads the JSON body of a request as WeChat does.
fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrCode> {
    if body.is_empty() {
        return Err(ErrCode::EMPTY_POST_DATA);
    }
    serde_json::from_slice(body).map_err(|_| ErrCode::DATA_FORMAT)
}

/// For which app WeChat made something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The app, as WeChat says it. Compare it with the own one.
    pub appid: String,
    /// When, in seconds since 1970.
    #[serde(rename = "timestamp")]
    pub timestamp_s: i64,
}

/// The answer of a call that gives nothing back. It must say `errcode`: an empty object is nobody's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ErrCodeField")]
pub struct Done;

#[derive(Deserialize)]
struct ErrCodeField {
    errcode: i64,
}

impl TryFrom<ErrCodeField> for Done {
    type Error = crate::FieldError;
    fn try_from(field: ErrCodeField) -> Result<Self, crate::FieldError> {
        if field.errcode == 0 { Ok(Self) } else { Err(crate::FieldError::new("errcode", "must be 0")) }
    }
}

impl Done {
    /// Writes the answer.
    pub fn to_json(self) -> String {
        r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()
    }
}

/// Reads an answer: the error if it carries one, else the value.
pub fn read_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, AnswerError> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        errcode: i64,
        #[serde(default)]
        errmsg: String,
    }
    let status: Status = serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    if status.errcode != 0 {
        return Err(AnswerError::Refused { errcode: ErrCode(status.errcode), errmsg: status.errmsg });
    }
    serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)
}

/// Why an answer is not a success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// WeChat refused.
    #[error("WeChat refused with {errcode} ({}): {errmsg}", errcode.meaning())]
    Refused {
        /// The code to act on.
        errcode: ErrCode,
        /// A sentence for people; ends with the request id (`rid`). It changes without notice.
        errmsg: String,
    },
    /// Not the JSON that the page describes. The body is not repeated: it may hold secrets.
    #[error("the answer is not the JSON that was expected")]
    Unreadable,
}
