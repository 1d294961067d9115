//! Calls to `api.weixin.qq.com`.
//!
//! Here are those that need no kept access token: log-in and the token itself. The others are in the files of their
//! subjects; they ask an [`AccessTokenKeeper`](crate::AccessTokenKeeper) for it. Secrets travel in query strings and bodies here, so nothing of a request gets into an error or a log, and
//! WeChat's sentences are searched for them before they are passed on.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/>.

mod call;
mod content_check;
mod customer;
mod media;
mod messages;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use weixin::{
    AccessToken, AppId, AppSecret, JsCode,
    mini_program::{self, AnswerError, Class, ErrCode, callback_ip, code2session, stable_token},
};

use crate::{
    host::Hosts,
    transport::{ANSWER_BYTES_MAX, Failure, Message, NoAnswer, Repeat, Statuses, Transport, Unreadable},
};

pub use messages::SendError;

/// Calls the mini program interfaces.
#[derive(Clone, Debug)]
pub struct MiniProgramClient {
    transport: Transport,
    hosts: Hosts,
}

impl MiniProgramClient {
    /// Calls these hosts through this transport.
    pub fn new(transport: Transport, hosts: Hosts) -> Self {
        Self { transport, hosts }
    }

    /// Asks who is behind a `js_code`. The code works once, so it is taken by value and sent once: the back-up host
    /// is asked only if no connection to the main host could be made. After [`ApiError::NoAnswer`] the phone has to
    /// run `wx.login` again.
    pub async fn code2session(
        &self,
        appid: &AppId,
        secret: &AppSecret,
        js_code: JsCode,
    ) -> Result<code2session::Response, ApiError> {
        let request = code2session::Request { appid: appid.clone(), secret: secret.clone(), js_code };
        let message = get(code2session::PATH, request.to_query());
        let body = self.ask(&message, Repeat::OnlyUnsent).await?;
        mini_program::read_answer(&body)
            .map_err(|error| ApiError::from_answer(error, &[request.secret.expose(), request.js_code.as_str()]))
    }

    /// Asks for the access token of an app, in normal mode: the same one as long as it is good. Everybody but an
    /// [`AccessTokenKeeper`](crate::AccessTokenKeeper) asks that one instead.
    pub async fn stable_token(&self, appid: &AppId, secret: &AppSecret) -> Result<stable_token::Response, ApiError> {
        let request = stable_token::Request { appid: appid.clone(), secret: secret.clone(), force_refresh: false };
        let message = post_json(stable_token::PATH, None, request.to_json().into());
        let body = self.ask(&message, Repeat::Harmless).await?;
        mini_program::read_answer(&body).map_err(|error| ApiError::from_answer(error, &[secret.expose()]))
    }

    /// Asks from which addresses WeChat calls us.
    pub async fn callback_ip(&self, access_token: &AccessToken) -> Result<callback_ip::Response, ApiError> {
        let message = get(callback_ip::PATH, mini_program::token_query(access_token));
        let body = self.ask(&message, Repeat::Harmless).await?;
        mini_program::read_answer(&body).map_err(|error| ApiError::from_answer(error, &[access_token.expose()]))
    }

    async fn ask(&self, message: &Message, repeat: Repeat) -> Result<Bytes, ApiError> {
        match self.transport.ask(&self.hosts, message, repeat).await {
            Ok(answer) => Ok(answer.body),
            Err(Failure::NoAnswer(failure)) => Err(ApiError::NoAnswer(failure)),
            Err(Failure::Unreadable(failure)) => Err(ApiError::Unreadable(failure)),
        }
    }
}

fn get(path: &'static str, query: String) -> Message {
    Message {
        method: Method::GET,
        path: path.into(),
        query: Some(query),
        headers: Vec::new(),
        body: None,
        statuses: Statuses::OnlyOk,
        answer_bytes_max: ANSWER_BYTES_MAX,
    }
}

fn post_json(path: &'static str, query: Option<String>, json: Bytes) -> Message {
    post(path, query, HeaderValue::from_static("application/json"), json)
}

fn post(path: &'static str, query: Option<String>, content_type: HeaderValue, body: Bytes) -> Message {
    Message {
        method: Method::POST,
        path: path.into(),
        query,
        headers: vec![(CONTENT_TYPE, content_type)],
        body: Some(body),
        statuses: Statuses::OnlyOk,
        answer_bytes_max: ANSWER_BYTES_MAX,
    }
}

/// Why a call has no success to show.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// WeChat refused.
    #[error("WeChat refused with {errcode} ({}): {errmsg}", errcode.meaning())]
    Refused {
        /// The code to act on.
        errcode: ErrCode,
        /// A sentence for people; ends with the request id (`rid`). It changes without notice.
        errmsg: String,
    },
    /// No answer from any host that could be asked.
    #[error("WeChat gave no answer")]
    NoAnswer(#[source] NoAnswer),
    /// An answer that cannot be WeChat's, as gateways and proxies give.
    #[error("WeChat's answer is not readable")]
    Unreadable(#[source] Unreadable),
}

impl ApiError {
    /// WeChat's code, if it refused.
    pub fn errcode(&self) -> Option<ErrCode> {
        match self {
            Self::Refused { errcode, .. } => Some(*errcode),
            _ => None,
        }
    }

    /// Whether a refusal says that the token is to blame. 41001 (no token) would be our own mistake.
    pub(crate) fn is_stale_token(&self) -> bool {
        matches!(
            self.errcode(),
            Some(ErrCode::INVALID_CREDENTIAL | ErrCode::INVALID_ACCESS_TOKEN | ErrCode::ACCESS_TOKEN_EXPIRED)
        )
    }

    /// Whether WeChat answered with more than it ever does.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Unreadable(Unreadable::TooLarge))
    }

    /// Whether WeChat refused what was asked, and not just the moment, the token or the address.
    pub fn is_refused_for_good(&self) -> bool {
        let class = self.errcode().map(ErrCode::class);
        matches!(class, Some(Class::Argument | Class::Permission | Class::Customer))
    }

    /// `secrets` are those of the request: should a sentence repeat one, it is blotted out.
    fn from_answer(error: AnswerError, secrets: &[&str]) -> Self {
        match error {
            AnswerError::Refused { errcode, mut errmsg } => {
                for secret in secrets {
                    errmsg = errmsg.replace(secret, "[redacted]");
                }
                Self::Refused { errcode, errmsg }
            }
            AnswerError::Unreadable => Self::Unreadable(Unreadable::Json),
        }
    }
}
