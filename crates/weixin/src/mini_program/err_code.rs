//! The error codes of `api.weixin.qq.com` (`errcode`) and what a caller does about them.
//!
//! Source: <https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html> and the pages of the
//! endpoints.

use std::fmt;

/// A code of WeChat; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrCode(pub i64);

/// What a caller does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// WeChat is busy: the same call may work a moment later, where it may be repeated at all.
    Busy,
    /// The access token is not good any more: fetch one and repeat the call once.
    TokenStale,
    /// AppSecret or appid is wrong: somebody has to repair the configuration.
    Configuration,
    /// The address of the server is not on the app's list.
    Address,
    /// Called too often: wait for the next second, minute or day.
    Rate,
    /// The app may not do this.
    Permission,
    /// The arguments are wrong, for example a spent `js_code`: repeating is useless.
    Argument,
}

impl ErrCode {
    /// The system is busy.
    pub const BUSY: ErrCode = ErrCode(-1);
    /// `grant_type` is wrong.
    pub const INVALID_GRANT_TYPE: ErrCode = ErrCode(40002);
    /// The access token is invalid or not the latest; at the token endpoint: the AppSecret is wrong.
    pub const INVALID_CREDENTIAL: ErrCode = ErrCode(40001);
    /// No such app.
    pub const INVALID_APPID: ErrCode = ErrCode(40013);
    /// The access token has not the form of one.
    pub const INVALID_ACCESS_TOKEN: ErrCode = ErrCode(40014);
    /// The `js_code` is wrong, of another app or too old.
    pub const INVALID_CODE: ErrCode = ErrCode(40029);
    /// The AppSecret is wrong.
    pub const INVALID_APPSECRET: ErrCode = ErrCode(40125);
    /// The `js_code` was used before.
    pub const CODE_USED: ErrCode = ErrCode(40163);
    /// The customer is blocked as high risk.
    pub const CODE_BLOCKED: ErrCode = ErrCode(40226);
    /// `access_token` is missing.
    pub const ACCESS_TOKEN_MISSING: ErrCode = ErrCode(41001);
    /// `appid` is missing.
    pub const APPID_MISSING: ErrCode = ErrCode(41002);
    /// `secret` is missing.
    pub const APPSECRET_MISSING: ErrCode = ErrCode(41004);
    /// `js_code` is missing.
    pub const CODE_MISSING: ErrCode = ErrCode(41008);
    /// The access token ran out.
    pub const ACCESS_TOKEN_EXPIRED: ErrCode = ErrCode(42001);
    /// The method must be GET.
    pub const REQUIRE_GET: ErrCode = ErrCode(43001);
    /// The method must be POST.
    pub const REQUIRE_POST: ErrCode = ErrCode(43002);
    /// The body is empty.
    pub const EMPTY_POST_DATA: ErrCode = ErrCode(44002);
    /// The quota of the day is used up.
    pub const DAILY_QUOTA: ErrCode = ErrCode(45009);
    /// The quota of the minute is used up.
    pub const MINUTE_QUOTA: ErrCode = ErrCode(45011);
    /// The JSON is broken or lacks a field.
    pub const DATA_FORMAT: ErrCode = ErrCode(47001);

    /// Sorts the code. Codes that we do not know count as wrong arguments: they are reported, not repeated.
    pub fn class(self) -> Class {
        match self.0 {
            -1 => Class::Busy,
            40001 | 40014 | 41001 | 42001 => Class::TokenStale,
            40013 | 40125 | 41002 | 41004 | 40243 => Class::Configuration,
            40164 | 61004 | 89503 | 89506 | 89507 => Class::Address,
            44990 | 44991 | 44993 | 45009 | 45011 => Class::Rate,
            48001 | 48004 | 50001 | 50002 | 50004 | 50007 | 61007 | 43104 => Class::Permission,
            _ => Class::Argument,
        }
    }

    /// WeChat's own words for the code, in English.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            -1 => "system error",
            40001 => "invalid credential, access_token is invalid or not latest",
            40002 => "invalid grant_type",
            40013 => "invalid appid",
            40014 => "invalid access_token",
            40029 => "invalid code",
            40125 => "invalid appsecret",
            40163 => "code been used",
            40164 => "invalid ip, not in whitelist",
            40226 => "code blocked",
            40243 => "appsecret frozen",
            41001 => "access_token missing",
            41002 => "appid missing",
            41004 => "appsecret missing",
            41008 => "missing code",
            42001 => "access_token expired",
            43001 => "require GET method",
            43002 => "require POST method",
            44002 => "empty post data",
            45009 => "reach max api daily quota limit",
            45011 => "api minute-quota reach limit, must slower, retry next minute",
            47001 => "data format error",
            48001 => "api unauthorized",
            50004 => "token api forbidden",
            50007 => "account frozen",
            89503 => "the address waits for the administrator's consent",
            89506 | 89507 => "the administrator refused the address",
            _ => "see WeChat's table of error codes",
        }
    }
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
