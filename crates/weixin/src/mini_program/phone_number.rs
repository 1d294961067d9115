//! `POST /wxa/business/getuserphonenumber`: the phone number that a customer agreed to give.
//!
//! The code comes from the phone, lives five minutes and works once, and each success is billed: the call must not be
//! repeated by itself. It is another code than that of `wx.login`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-info/phone-number/api_getphonenumber.html>.

use serde::Deserialize;
use serde_json::json;

use super::{AnswerError, ErrCode, Watermark, read_answer, read_body};
use crate::{AppId, OpenId, id::checked_text};

/// The path below the host.
pub const PATH: &str = "/wxa/business/getuserphonenumber";

/// How long a code lives, in seconds.
pub const PHONE_CODE_VALID_S: i64 = 5 * 60;

checked_text! {
    /// What the button `getPhoneNumber` gave to the phone: good once, for five minutes.
    PhoneCode, "code", "must be 1 to 256 letters, digits, - or _",
    |text| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=256).contains(&text.len()) && text.bytes().all(is_known)
    }
}

/// Asks for the number behind a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the button gave.
    pub code: PhoneCode,
    /// Whose number it must be; WeChat then refuses the code of somebody else.
    pub openid: Option<OpenId>,
}

impl Request {
    /// The body.
    pub fn to_json(&self) -> String {
        let mut body = json!({ "code": self.code });
        if let Some(openid) = &self.openid {
            body["openid"] = json!(openid);
        }
        body.to_string()
    }

    /// Reads the body as WeChat does.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn from_json(body: &[u8]) -> Result<Self, ErrCode> {
        #[derive(Deserialize)]
        struct Wire {
            code: Option<String>,
            openid: Option<String>,
        }
        let wire: Wire = read_body(body)?;
        Ok(Self {
            code: PhoneCode::parse(wire.code.ok_or(ErrCode::DATA_FORMAT)?).map_err(|_| ErrCode::INVALID_CODE)?,
            openid: wire.openid.map(OpenId::parse).transpose().map_err(|_| ErrCode::INVALID_OPENID)?,
        })
    }
}

/// A phone number. Personal: not printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PhoneInfo {
    /// The number; with the prefix of the country if it is not Chinese.
    #[serde(rename = "phoneNumber")]
    pub phone_number: String,
    /// The number without a prefix.
    #[serde(rename = "purePhoneNumber")]
    pub pure_phone_number: String,
    /// The prefix of the country, for example `86`.
    #[serde(rename = "countryCode")]
    pub country_code: String,
    /// For which app it was given, and when.
    pub watermark: Watermark,
}

impl std::fmt::Debug for PhoneInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneInfo").field("watermark", &self.watermark).finish_non_exhaustive()
    }
}

/// The number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Response {
    /// The number and its watermark.
    pub phone_info: PhoneInfo,
}

impl Response {
    /// Reads the answer to a call of this app.
    ///
    /// # Errors
    /// A refusal; an answer that is not what the page describes; a number that was given to another app.
    pub fn read(body: &[u8], appid: &AppId) -> Result<Self, PhoneError> {
        read_answer::<Self>(body)?.of_app(appid)
    }

    /// The same, if it was given to this app.
    ///
    /// # Errors
    /// The number was given to another app.
    pub fn of_app(self, appid: &AppId) -> Result<Self, PhoneError> {
        if self.phone_info.watermark.appid == appid.as_str() { Ok(self) } else { Err(PhoneError::OtherApp) }
    }

    /// Writes the answer.
    pub fn to_json(&self) -> String {
        let info = &self.phone_info;
        let phone_info = json!({
            "phoneNumber": info.phone_number,
            "purePhoneNumber": info.pure_phone_number,
            "countryCode": info.country_code,
            "watermark": info.watermark,
        });
        json!({ "errcode": 0, "errmsg": "ok", "phone_info": phone_info }).to_string()
    }
}

/// Why there is no phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// WeChat refused, or its answer cannot be read.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The watermark names another app.
    #[error("the phone number was given to another app")]
    OtherApp,
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_APPID,
    ErrCode::INVALID_CODE,
    ErrCode::CODE_USED,
    ErrCode::MINUTE_QUOTA,
    ErrCode::DATA_FORMAT,
    ErrCode::API_UNAUTHORIZED,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As the page prints it.
    const SAMPLE: &str = r#"{"errcode":0,"errmsg":"ok","phone_info":{"phoneNumber":"+85251234567",
        "purePhoneNumber":"51234567","countryCode":"852",
        "watermark":{"timestamp":1637744274,"appid":"wx0a1b2c3d4e5f6071"}}}"#;

    fn read(body: &str) -> Result<Response, PhoneError> {
        Response::read(body.as_bytes(), &AppId::parse("wx0a1b2c3d4e5f6071").unwrap())
    }

    #[test]
    fn a_number_is_read_and_written_alike_and_not_printed() {
        let response = read(SAMPLE).unwrap();
        assert_eq!(response.phone_info.pure_phone_number, "51234567");
        assert_eq!(response.phone_info.watermark.timestamp_s, 1637744274);
        assert_eq!(read(&response.to_json()).as_ref(), Ok(&response));
        assert!(!format!("{response:?}").contains("51234567"));
    }

    #[test]
    fn a_number_for_another_app_is_refused() {
        assert_eq!(read(&SAMPLE.replace("wx0a1b", "wx0b1b")), Err(PhoneError::OtherApp));
    }

    #[test]
    fn a_refusal_and_an_answer_without_a_number_are_no_number() {
        let refused = read(r#"{"errcode":40029,"errmsg":"invalid code"}"#).unwrap_err();
        assert!(matches!(refused, PhoneError::Answer(AnswerError::Refused { errcode: ErrCode::INVALID_CODE, .. })));
        for body in [r#"{"errcode":0,"errmsg":"ok"}"#, &SAMPLE.replace("watermark", "mark"), "", "<html>"] {
            assert_eq!(read(body), Err(PhoneError::Answer(AnswerError::Unreadable)), "{body}");
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for openid in [None, Some(OpenId::parse("o1").unwrap())] {
            let request = Request { code: PhoneCode::parse("e31968a7f94cc5ee25fafc2a").unwrap(), openid };
            assert_eq!(Request::from_json(request.to_json().as_bytes()), Ok(request));
        }
        assert_eq!(Request::from_json(b"{}"), Err(ErrCode::DATA_FORMAT));
        assert_eq!(Request::from_json(br#"{"code":"a b"}"#), Err(ErrCode::INVALID_CODE));
    }
}
