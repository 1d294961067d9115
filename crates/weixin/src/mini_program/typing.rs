//! `POST /cgi-bin/message/custom/business/typing`: shows the customer that somebody is typing.
//!
//! Shown for 15 seconds, and only within 30 seconds after a message in either direction. A message ends it.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_typing.html>.

use serde::Deserialize;
use serde_json::json;

use super::{BusinessId, ErrCode, read_body};
use crate::OpenId;

/// The path below the host.
pub const PATH: &str = "/cgi-bin/message/custom/business/typing";

/// The path of public accounts, which older pages give for mini programs, too. For the case that WeChat does not know
/// the other one ([`is_unknown_path`]).
pub const SHORT_PATH: &str = "/cgi-bin/message/custom/typing";

/// How long typing is shown, in seconds; meanwhile it cannot be asked for again.
pub const SHOWN_S: i64 = 15;

/// How long after a message it may be shown, in seconds.
pub const AFTER_MESSAGE_S: i64 = 30;

/// Shows or hides that somebody is typing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The customer.
    pub touser: OpenId,
    /// What to do.
    pub command: Command,
    /// In the conversation with which sub-merchant.
    pub business_id: Option<BusinessId>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Somebody is typing.
    Typing,
    /// Nobody is typing any more.
    CancelTyping,
}

impl Command {
    /// WeChat's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typing => "Typing",
            Self::CancelTyping => "CancelTyping",
        }
    }
}

impl Request {
    /// The body.
    pub fn to_json(&self) -> String {
        let mut body = json!({ "touser": self.touser, "command": self.command.as_str() });
        if let Some(business_id) = &self.business_id {
            body["businessid"] = json!(business_id);
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
            touser: Option<String>,
            command: Option<String>,
            businessid: Option<String>,
        }
        let wire: Wire = read_body(body)?;
        let touser = OpenId::parse(wire.touser.ok_or(ErrCode::DATA_FORMAT)?).map_err(|_| ErrCode::INVALID_OPENID)?;
        let commands = [Command::Typing, Command::CancelTyping];
        let command = commands.into_iter().find(|command| Some(command.as_str()) == wire.command.as_deref());
        Ok(Self {
            touser,
            command: command.ok_or(ErrCode::INVALID_COMMAND)?,
            business_id: wire.businessid.map(BusinessId::parse).transpose().map_err(|_| ErrCode::INVALID_ARGS)?,
        })
    }
}

/// Whether a refusal may mean that WeChat does not know the path, so that the other one is worth a try.
pub fn is_unknown_path(errcode: ErrCode) -> bool {
    matches!(errcode, ErrCode::INVALID_URL | ErrCode::API_UNAUTHORIZED)
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_URL,
    ErrCode::INVALID_ACCOUNT_TYPE,
    ErrCode::RESPONSE_TIME,
    ErrCode::INVALID_COMMAND,
    ErrCode::TYPING_WITHOUT_MESSAGE,
    ErrCode::ALREADY_TYPING,
    ErrCode::DATA_FORMAT,
    ErrCode::API_UNAUTHORIZED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_commands_are_read_as_they_were_written() {
        for command in [Command::Typing, Command::CancelTyping] {
            for business_id in [None, Some(BusinessId::parse("7").unwrap())] {
                let request = Request { touser: OpenId::parse("o1").unwrap(), command, business_id };
                assert_eq!(Request::from_json(request.to_json().as_bytes()), Ok(request));
            }
        }
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        for (body, code) in [
            (r#"{"touser":"o1"}"#, ErrCode::INVALID_COMMAND),
            (r#"{"touser":"o1","command":"typing"}"#, ErrCode::INVALID_COMMAND),
            (r#"{"command":"Typing"}"#, ErrCode::DATA_FORMAT),
            (r#"{"touser":"","command":"Typing"}"#, ErrCode::INVALID_OPENID),
            ("", ErrCode::EMPTY_POST_DATA),
        ] {
            assert_eq!(Request::from_json(body.as_bytes()), Err(code), "{body}");
        }
    }
}
