//! `GET /wxa/resetusersessionkey`: replaces the session key of a customer, for example after it may have leaked.
//!
//! The old key dies at once; the new one lives no longer than the old one would have. The query is that of
//! [`check_session_key`](super::check_session_key). Not to be repeated by itself: after a time-out the old key may be dead.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_resetusersessionkey.html>.

use super::ErrCode;

pub use super::{
    check_session_key::{Claim, Request},
    code2session::Response,
};

/// The path below the host.
pub const PATH: &str = "/wxa/resetusersessionkey";

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_ARGS,
    ErrCode::MINUTE_QUOTA,
    ErrCode::SESSION_KEY_EXPIRED,
    ErrCode::INVALID_SIG_METHOD,
    ErrCode::INVALID_SIGNATURE,
];
