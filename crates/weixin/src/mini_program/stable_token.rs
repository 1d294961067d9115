//! `POST /cgi-bin/stable_token`: the access token of an app.
//!
//! In normal mode the same token comes back as long as it is valid, so several nodes may ask without taking it
//! from each other. In the last five minutes of a token a new one is given, and both work.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>.

use serde::Deserialize;
use serde_json::json;

use super::ErrCode;
use crate::{AccessToken, AppId, AppSecret};

/// The path below the host.
pub const PATH: &str = "/cgi-bin/stable_token";

/// How long a token lives, in seconds.
pub const TOKEN_VALID_S: i64 = 7200;

/// How long before its end a token may be replaced, in seconds; so long both are good.
pub const OVERLAP_S: i64 = 300;

/// Asks for the access token.
#[derive(Clone, Debug)]
pub struct Request {
    /// The app.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// Replaces the token at once; for leaks only, 20 times a day.
    pub force_refresh: bool,
}

impl Request {
    /// The body. It contains the AppSecret: never log it.
    pub fn to_json(&self) -> String {
        json!({
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret.expose(),
            "force_refresh": self.force_refresh,
        })
        .to_string()
    }
}

/// The token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Response {
    /// The token.
    pub access_token: AccessToken,
    /// How long it will still be good, in seconds: 300 to 7200.
    pub expires_in_s: i64,
}

#[derive(Deserialize)]
struct Wire {
    access_token: String,
    expires_in: i64,
}

impl TryFrom<Wire> for Response {
    type Error = crate::FieldError;
    fn try_from(wire: Wire) -> Result<Self, crate::FieldError> {
        Ok(Self { access_token: AccessToken::parse(wire.access_token)?, expires_in_s: wire.expires_in })
    }
}

impl Response {
    /// Writes the answer. It contains the token: for the simulator only.
    pub fn to_json(&self) -> String {
        json!({ "access_token": self.access_token.expose(), "expires_in": self.expires_in_s }).to_string()
    }
}

/// The codes that the page documents for this endpoint (subset that a mini program meets).
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_GRANT_TYPE,
    ErrCode::INVALID_APPID,
    ErrCode::INVALID_APPSECRET,
    ErrCode::APPID_MISSING,
    ErrCode::APPSECRET_MISSING,
    ErrCode::REQUIRE_POST,
    ErrCode::DAILY_QUOTA,
    ErrCode::MINUTE_QUOTA,
];
