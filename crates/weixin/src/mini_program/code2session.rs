//! `GET /sns/jscode2session`: who the customer is that ran `wx.login`.
//!
//! A code lives five minutes and works once. The call must not be repeated by itself: after a time-out the code
//! may be spent, and the phone has to run `wx.login` again.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_code2session.html>.

use serde::Deserialize;

use super::ErrCode;
use crate::{AppId, AppSecret, JsCode, OpenId, SessionKey, UnionId};

/// The path below the host.
pub const PATH: &str = "/sns/jscode2session";

/// How long a `js_code` lives, in seconds.
pub const JS_CODE_VALID_S: i64 = 5 * 60;

/// Asks who is behind a `js_code`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The app that ran `wx.login`.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// What `wx.login` gave.
    pub js_code: JsCode,
}

impl Request {
    /// The query string. It contains the AppSecret: never log it.
    pub fn to_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("appid", self.appid.as_str())
            .append_pair("secret", self.secret.expose())
            .append_pair("js_code", self.js_code.as_str())
            .append_pair("grant_type", "authorization_code")
            .finish()
    }
}

/// The customer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Response {
    /// The customer at this app.
    pub openid: OpenId,
    /// The key of this log-in. Never leaves the server.
    pub session_key: SessionKey,
    /// The customer at the Open Platform account, if the app is bound to one.
    pub unionid: Option<UnionId>,
}

#[derive(Deserialize)]
struct Wire {
    openid: OpenId,
    session_key: String,
    unionid: Option<UnionId>,
}

impl TryFrom<Wire> for Response {
    type Error = crate::FieldError;
    fn try_from(wire: Wire) -> Result<Self, crate::FieldError> {
        let session_key = SessionKey::parse(wire.session_key)?;
        Ok(Self { openid: wire.openid, session_key, unionid: wire.unionid })
    }
}

impl Response {
    /// Writes the answer. It contains the session key: for the simulator only.
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("session_key".into(), self.session_key.expose().into());
        object.insert("openid".into(), self.openid.as_str().into());
        if let Some(unionid) = &self.unionid {
            object.insert("unionid".into(), unionid.as_str().into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// The codes that are documented or known for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_GRANT_TYPE,
    ErrCode::INVALID_APPID,
    ErrCode::INVALID_CODE,
    ErrCode::INVALID_APPSECRET,
    ErrCode::CODE_USED,
    ErrCode::CODE_BLOCKED,
    ErrCode::APPID_MISSING,
    ErrCode::APPSECRET_MISSING,
    ErrCode::CODE_MISSING,
    ErrCode::MINUTE_QUOTA,
];
