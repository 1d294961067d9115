//! What all calls with an access token have in common: the token comes from the keeper, and a call that is refused for
//! its token is made once more with another one.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use weixin::{
    AccessToken,
    mini_program::{self, AnswerError},
};

use super::{ApiError, MiniProgramClient, post_json};
use crate::{
    AccessTokenKeeper, AppCredential,
    transport::{Message, Repeat},
};

/// What is asked, and how the answer is read.
pub(super) struct Call<'a, T> {
    /// With a token it becomes what is sent.
    pub(super) message: Box<dyn Fn(&AccessToken) -> Message + Send + Sync + 'a>,
    pub(super) repeat: Repeat,
    pub(super) read: fn(Bytes) -> Result<T, AnswerError>,
    /// Those of the request. The token is not among them.
    pub(super) secrets: Vec<&'a str>,
}

impl<T: DeserializeOwned> Call<'_, T> {
    /// JSON for JSON.
    pub(super) fn post(path: &'static str, json: String, repeat: Repeat) -> Self {
        let json = Bytes::from(json);
        Self {
            message: Box::new(move |token| post_json(path, Some(mini_program::token_query(token)), json.clone())),
            repeat,
            read: |body| mini_program::read_answer(&body),
            secrets: Vec::new(),
        }
    }
}

impl MiniProgramClient {
    /// Makes a call, twice if the first token is refused.
    pub(super) async fn call<T>(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        call: &Call<'_, T>,
    ) -> Result<T, ApiError> {
        tokens.with_token(app, |token| self.call_with(token, call)).await
    }

    /// Makes a call with this token.
    pub(super) async fn call_with<T>(&self, token: AccessToken, call: &Call<'_, T>) -> Result<T, ApiError> {
        let body = self.ask(&(call.message)(&token), call.repeat).await?;
        (call.read)(body).map_err(|error| {
            let mut secrets = call.secrets.clone();
            secrets.push(token.expose());
            ApiError::from_answer(error, &secrets)
        })
    }
}
