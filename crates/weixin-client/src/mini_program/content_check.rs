//! What WeChat thinks of texts and pictures that customers made for others.

use weixin::mini_program::{media_check_async, msg_sec_check};

use super::{ApiError, MiniProgramClient, call::Call};
use crate::{AccessTokenKeeper, AppCredential, transport::Repeat};

impl MiniProgramClient {
    /// Asks for a verdict on a text.
    ///
    /// # Errors
    /// There is no verdict, which is not a good one.
    pub async fn msg_sec_check(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &msg_sec_check::Request,
    ) -> Result<msg_sec_check::Response, ApiError> {
        self.call(tokens, app, &Call::post(msg_sec_check::PATH, request.to_json(), Repeat::Harmless)).await
    }

    /// Asks for a verdict on a picture or sound, which comes later as an event with the same `trace_id`. Sent once, because
    /// the verdict on a second check would have a number that nobody knows.
    ///
    /// # Errors
    /// There will be no verdict, or one with an unknown number.
    pub async fn media_check_async(
        &self,
        tokens: &AccessTokenKeeper,
        app: &AppCredential,
        request: &media_check_async::Request,
    ) -> Result<media_check_async::Response, ApiError> {
        self.call(tokens, app, &Call::post(media_check_async::PATH, request.to_json(), Repeat::OnlyUnsent)).await
    }
}
