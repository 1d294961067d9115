//! Messages to customers: customer service, typing, subscribe messages.
//!
//! A message has no number that would make a repetition harmless. It goes to the back-up host only if it cannot have
//! reached the main host, and whoever sends learns which of three things is true: not accepted, refused, or unknown.

use weixin::mini_program::{Again, Conclusion, Done, ErrCode, custom_send, subscribe_send, typing};

use super::{ApiError, MiniProgramClient, call::Call};
use crate::{AccessTokenKeeper, AppCredential, transport::Repeat};

impl MiniProgramClient {
    /// Sends a customer-service message.
    ///
    /// # Errors
    /// Says whether the message may be sent again.
    pub async fn custom_send(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &custom_send::Request,
    ) -> Result<(), SendError> {
        let call = Call::<Done>::post(custom_send::PATH, request.to_json(), Repeat::OnlyUnsent);
        self.send(tokens, app, &call).await.map(|Done| ())
    }

    /// Sends a subscribe message.
    ///
    /// # Errors
    /// Says whether the message may be sent again.
    pub async fn subscribe_send(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &subscribe_send::Request,
    ) -> Result<subscribe_send::Response, SendError> {
        self.send(tokens, app, &Call::post(subscribe_send::PATH, request.to_json(), Repeat::OnlyUnsent)).await
    }

    /// Shows or hides that somebody is typing. Asks at the path of public accounts, too, if WeChat seems not to know the
    /// other one.
    ///
    /// # Errors
    /// Typing is an ornament: there is nothing to be done but to go on.
    pub async fn typing(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &typing::Request,
    ) -> Result<(), ApiError> {
        let call = |path| Call::<Done>::post(path, request.to_json(), Repeat::OnlyUnsent);
        let error = match self.call(tokens, app, &call(typing::PATH)).await {
            Err(error) if error.errcode().is_some_and(typing::is_unknown_path) => error,
            other => return other.map(|Done| ()),
        };
        tracing::debug!(wechat.errcode = error.errcode().map(|code| code.0), "typing is asked for at the short path");
        self.call(tokens, app, &call(typing::SHORT_PATH)).await.map(|Done| ())
    }

    /// Makes a call whose effect must not happen twice. Whatever fails before the message itself is sent, such as the
    /// fetching of a token, leaves no doubt.
    async fn send<T>(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        call: &Call<'_, T>,
    ) -> Result<T, SendError> {
        let sending = async |token| match self.call_with(token, call).await {
            Err(error) if error.is_stale_token() => Err(error),
            other => Ok(other.map_err(SendError::of)),
        };
        let sent = tokens.with_token(app, sending).await;
        sent.unwrap_or_else(|cause| Err(SendError::NotAccepted { again: Again::Later, cause }))
    }
}

/// What became of a message that was not taken for sure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// WeChat did not take it, because of the moment and not because of the message: it may be sent again.
    #[error("WeChat did not take the message for now")]
    NotAccepted {
        /// How often.
        again: Again,
        /// Why.
        #[source]
        cause: ApiError,
    },
    /// WeChat did not take it and never will as it is.
    #[error("WeChat refused the message with {errcode} ({}): {errmsg}", errcode.meaning())]
    Refused {
        /// The code to act on.
        errcode: ErrCode,
        /// A sentence for people; ends with the request id (`rid`). It changes without notice.
        errmsg: String,
    },
    /// It may have been delivered. Sending it again may deliver it twice: a person decides.
    #[error("the message may have been delivered")]
    Unknown(#[source] ApiError),
}

impl SendError {
    /// WeChat's code, if it gave one.
    pub fn errcode(&self) -> Option<ErrCode> {
        match self {
            Self::NotAccepted { cause, .. } | Self::Unknown(cause) => cause.errcode(),
            Self::Refused { errcode, .. } => Some(*errcode),
        }
    }

    /// Whether it is sure that WeChat did not take it and may take it later.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NotAccepted { .. })
    }

    /// From the failure of the very call that sends the message.
    fn of(error: ApiError) -> Self {
        match error {
            ApiError::Refused { errcode, errmsg } => match Conclusion::from_refusal(errcode) {
                Conclusion::Refused => Self::Refused { errcode, errmsg },
                Conclusion::NotAccepted(again) => {
                    Self::NotAccepted { again, cause: ApiError::Refused { errcode, errmsg } }
                }
                Conclusion::Unknown => Self::Unknown(ApiError::Refused { errcode, errmsg }),
            },
            ApiError::NoAnswer(failure) if !failure.may_have_been_sent() => {
                Self::NotAccepted { again: Again::Later, cause: ApiError::NoAnswer(failure) }
            }
            other => Self::Unknown(other),
        }
    }
}
