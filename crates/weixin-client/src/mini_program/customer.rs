//! What WeChat knows of a customer: the phone number, whether a session key is current.

use weixin::{
    FieldError, OpenId, SessionKey,
    mini_program::{
        self, Done, ErrCode, check_session_key, open_data::user_state_signature, phone_number, reset_session_key,
    },
};

use super::{ApiError, MiniProgramClient, call::Call, get};
use crate::{
    AccessTokenKeeper, AppCredential,
    transport::{Repeat, Unreadable},
};

impl MiniProgramClient {
    /// Asks for the phone number that the customer agreed to give. The code works once and each success is billed, so it
    /// is sent once: the back-up host is asked only if no connection to the main host could be made. After
    /// [`ApiError::NoAnswer`] the customer has to press the button again.
    ///
    /// # Errors
    /// A refusal, no readable answer, or the number of another app's customer.
    pub async fn phone_number(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &phone_number::Request,
    ) -> Result<phone_number::Response, ApiError> {
        let mut call = Call::post(phone_number::PATH, request.to_json(), Repeat::OnlyUnsent);
        call.secrets.push(request.code.as_str());
        let answer: phone_number::Response = self.call(tokens, app, &call).await?;
        answer.of_app(&app.appid).map_err(|_| impossible("watermark.appid", "must be the app that asks"))
    }

    /// Whether a session key is the customer's current one.
    ///
    /// # Errors
    /// A refusal for another reason than the key, or no readable answer.
    pub async fn is_current_session_key(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &check_session_key::Request,
    ) -> Result<bool, ApiError> {
        let signature = user_state_signature(&request.session_key, "");
        let call = Call {
            message: Box::new(|token| get(check_session_key::PATH, request.to_query(token))),
            repeat: Repeat::Harmless,
            read: |body| mini_program::read_answer::<Done>(&body),
            secrets: vec![&signature],
        };
        match self.call(tokens, app, &call).await {
            Ok(Done) => Ok(true),
            Err(error) => match error.errcode() {
                Some(ErrCode::INVALID_SIGNATURE | ErrCode::SESSION_KEY_EXPIRED) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Replaces the customer's session key; the old one dies at once. Sent once: after [`ApiError::NoAnswer`] the old key may
    /// be dead and the new one unknown, and the phone has to run `wx.login` again.
    ///
    /// # Errors
    /// A refusal, or no readable answer.
    pub async fn reset_session_key(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &reset_session_key::Request,
    ) -> Result<SessionKey, ApiError> {
        let signature = user_state_signature(&request.session_key, "");
        let call = Call {
            message: Box::new(|token| get(reset_session_key::PATH, request.to_query(token))),
            repeat: Repeat::OnlyUnsent,
            read: |body| mini_program::read_answer::<reset_session_key::Response>(&body),
            secrets: vec![&signature],
        };
        let answer = self.call(tokens, app, &call).await?;
        same_customer(&answer.openid, &request.openid).map(|()| answer.session_key)
    }
}

fn same_customer(answered: &OpenId, asked: &OpenId) -> Result<(), ApiError> {
    if answered == asked { Ok(()) } else { Err(impossible("openid", "must be the customer who was asked about")) }
}

fn impossible(field: &'static str, rule: &'static str) -> ApiError {
    ApiError::Unreadable(Unreadable::Field(FieldError { field, rule }))
}
