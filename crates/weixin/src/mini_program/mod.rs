//! `api.weixin.qq.com`: log-in and access tokens of a mini program.
//!
//! Answers are JSON with HTTP 200, whatever their `Content-Type` says; success is `errcode` 0 or no `errcode`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/>.

pub mod callback_ip;
pub mod code2session;
mod err_code;
pub mod stable_token;

use serde::{Deserialize, de::DeserializeOwned};

pub use err_code::{Class, ErrCode};

/// The nearest access point.
pub const HOST: &str = "https://api.weixin.qq.com";

/// The disaster recovery host with the same interfaces.
pub const BACKUP_HOST: &str = "https://api2.weixin.qq.com";

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
