//! `POST /cgi-bin/message/subscribe/send`: a message that the customer asked for, with the values of a template.
//!
//! One consent is one message. There is no number that would make a repetition harmless: after a time-out the message may
//! be on its way. What a refusal means is told by [`Conclusion`](super::Conclusion); the final result comes as the event
//! `subscribe_msg_sent_event`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage.html>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ErrCode, PagePath, read_body};
use crate::{FieldError, OpenId, id::checked_text};

pub use super::template_value::check_value;

/// The path below the host.
pub const PATH: &str = "/cgi-bin/message/subscribe/send";

/// More values than any template has.
const VALUES_MAX: usize = 32;

checked_text! {
    /// A template of the app (`priTmplId`).
    TemplateId, "template_id", "must be 1 to 128 letters, digits, - or _",
    |text| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=128).contains(&text.len()) && text.bytes().all(is_known)
    }
}

/// The values of a template, each checked by the type that its key begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateData(BTreeMap<String, String>);

impl TemplateData {
    /// Sets a value. The key is that of the template, for example `thing1`.
    ///
    /// # Errors
    /// The key is none, or the value breaks the rule of its type ([`check_value`]).
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<(), FieldError> {
        let (key, value) = (key.into(), value.into());
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=64).contains(&key.len()) || !key.bytes().all(is_known) {
            return Err(FieldError::new("data", "must have keys as in the template, such as thing1"));
        }
        check_value(&key, &value)?;
        if self.0.len() >= VALUES_MAX && !self.0.contains_key(&key) {
            return Err(FieldError::new("data", "must have at most 32 values"));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The values in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Declares words of WeChat, the first one being the default.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident = $first_word:literal, $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// WeChat's word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                }
            }

            /// Reads the word.
            pub fn from_word(word: &str) -> Option<Self> {
                [Self::$first, $(Self::$variant,)*].into_iter().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// Which version of the mini program a tap opens (`miniprogram_state`).
    MiniprogramState {
        /// The published one.
        Formal = "formal",
        /// The one for testers.
        Trial = "trial",
        /// The one in development.
        Developer = "developer",
    }
}

words! {
    /// In which language the frame of the message is written (`lang`).
    Lang {
        /// Simplified Chinese.
        ZhCn = "zh_CN",
        /// English.
        EnUs = "en_US",
        /// Traditional Chinese of Hong Kong.
        ZhHk = "zh_HK",
        /// Traditional Chinese of Taiwan.
        ZhTw = "zh_TW",
    }
}

/// Sends a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The customer.
    pub touser: OpenId,
    /// The template.
    pub template_id: TemplateId,
    /// The page that a tap opens; without it nothing opens.
    pub page: Option<PagePath>,
    /// The values.
    pub data: TemplateData,
    /// Which version a tap opens.
    pub miniprogram_state: MiniprogramState,
    /// The language of the frame.
    pub lang: Lang,
}

impl Request {
    /// The body: JSON with the characters as they are.
    pub fn to_json(&self) -> String {
        let data: Map<String, Value> =
            self.data.iter().map(|(key, value)| (key.to_owned(), json!({ "value": value }))).collect();
        let mut body = json!({
            "touser": self.touser,
            "template_id": self.template_id,
            "data": data,
            "miniprogram_state": self.miniprogram_state.as_str(),
            "lang": self.lang.as_str(),
        });
        if let Some(page) = &self.page {
            body["page"] = json!(page);
        }
        body.to_string()
    }

    /// Reads the body as WeChat does.
    ///
    /// # Errors
    /// What WeChat answers.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let wire: Wire = read_body(body)?;
        let mut data = TemplateData::default();
        for (key, value) in wire.data {
            let value = value.text().ok_or_else(|| Refusal::of_key(&key))?;
            data.set(key.as_str(), value).map_err(|_| Refusal::of_key(&key))?;
        }
        let page = wire.page.filter(|page| !page.is_empty());
        Ok(Self {
            touser: OpenId::parse(wire.touser).map_err(|_| ErrCode::INVALID_OPENID)?,
            template_id: TemplateId::parse(wire.template_id).map_err(|_| ErrCode::INVALID_TEMPLATE_ID)?,
            page: page.map(PagePath::parse).transpose().map_err(|_| ErrCode::INVALID_PAGE)?,
            data,
            miniprogram_state: word(wire.miniprogram_state, MiniprogramState::from_word)?,
            lang: word(wire.lang, Lang::from_word)?,
        })
    }
}

#[derive(Deserialize)]
struct Wire {
    touser: String,
    template_id: String,
    page: Option<String>,
    data: BTreeMap<String, WireValue>,
    miniprogram_state: Option<String>,
    lang: Option<String>,
}

#[derive(Deserialize)]
struct WireValue {
    value: Option<Value>,
}

impl WireValue {
    /// Other people's software sends numbers as numbers.
    fn text(self) -> Option<String> {
        match self.value {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// A word, or the default if there is none.
fn word<T: Default>(word: Option<String>, read: fn(&str) -> Option<T>) -> Result<T, ErrCode> {
    match word.as_deref() {
        None | Some("") => Ok(T::default()),
        Some(word) => read(word).ok_or(ErrCode::INVALID_ARGS),
    }
}

/// What WeChat answers to a request that it does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub errcode: ErrCode,
    /// The sentence; 47003 names the key of the value.
    pub errmsg: String,
}

impl From<ErrCode> for Refusal {
    fn from(errcode: ErrCode) -> Self {
        Self { errcode, errmsg: errcode.meaning().to_owned() }
    }
}

impl Refusal {
    fn of_key(key: &str) -> Self {
        Self { errcode: ErrCode::INVALID_ARGUMENT, errmsg: format!("argument invalid! data.{key}.value invalid") }
    }
}

/// The message was taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WireResponse")]
pub struct Response {
    /// Its number, if WeChat tells it; 64 bits, kept as text.
    pub msg_id: Option<String>,
}

#[derive(Deserialize)]
struct WireResponse {
    errcode: i64,
    msgid: Option<Value>,
}

impl TryFrom<WireResponse> for Response {
    type Error = FieldError;
    fn try_from(wire: WireResponse) -> Result<Self, FieldError> {
        if wire.errcode != 0 {
            return Err(FieldError::new("errcode", "must be 0"));
        }
        Ok(Self { msg_id: wire.msgid.and_then(|value| WireValue { value: Some(value) }.text()) })
    }
}

impl Response {
    /// Writes the answer, the number as a number.
    pub fn to_json(&self) -> String {
        let mut answer = json!({ "errcode": 0, "errmsg": "ok" });
        if let Some(msg_id) = &self.msg_id {
            answer["msgid"] = msg_id.parse::<u64>().map_or_else(|_| json!(msg_id), |number| json!(number));
        }
        answer.to_string()
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_TEMPLATE_ID,
    ErrCode::INVALID_PAGE,
    ErrCode::NOT_SUBSCRIBED,
    ErrCode::SUBSCRIBE_BANNED,
    ErrCode::CONCURRENT_SEND,
    ErrCode::DAILY_QUOTA,
    ErrCode::SENSITIVE_WORD,
    ErrCode::DATA_FORMAT,
    ErrCode::INVALID_ARGUMENT,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mini_program::read_answer;

    fn refusal(body: &Value) -> Refusal {
        Request::from_json(body.to_string().as_bytes()).unwrap_err()
    }

    fn body(data: Value) -> Value {
        json!({ "touser": "o1", "template_id": "t1", "data": data })
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let mut data = TemplateData::default();
        data.set("thing1", "蓝色杯子 “大”").unwrap();
        data.set("amount02", "￥19.90").unwrap();
        for page in [None, Some(PagePath::parse("pages/order/order?id=1").unwrap())] {
            let request = Request {
                touser: OpenId::parse("o1").unwrap(),
                template_id: TemplateId::parse("TEMPLATE_ID").unwrap(),
                page,
                data: data.clone(),
                miniprogram_state: MiniprogramState::Trial,
                lang: Lang::ZhTw,
            };
            let body = request.to_json();
            assert!(!body.contains("\\u") && !body.contains("null"), "{body}");
            assert_eq!(Request::from_json(body.as_bytes()), Ok(request));
        }
    }

    #[test]
    fn what_the_page_prints_is_read_with_its_defaults() {
        let data =
            json!({ "name01": { "value": "某某" }, "amount01": { "value": "￥100" }, "number1": { "value": 15 } });
        let request = Request::from_json(body(data).to_string().as_bytes()).unwrap();
        assert_eq!((request.miniprogram_state, request.lang), (MiniprogramState::Formal, Lang::ZhCn));
        assert!(request.data.iter().eq([("amount01", "￥100"), ("name01", "某某"), ("number1", "15")]));
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        let with = |name: &str, value: Value| {
            let mut body = body(json!({ "thing1": { "value": "a" } }));
            body[name] = value;
            body
        };
        for (body, code) in [
            (json!({}), ErrCode::DATA_FORMAT),
            (body(json!([])), ErrCode::DATA_FORMAT),
            (body(json!({ "thing1": "a" })), ErrCode::DATA_FORMAT),
            (body(json!({ "thing1": {} })), ErrCode::INVALID_ARGUMENT),
            (with("touser", json!("")), ErrCode::INVALID_OPENID),
            (with("template_id", json!("")), ErrCode::INVALID_TEMPLATE_ID),
            (with("page", json!("/pages/a")), ErrCode::INVALID_PAGE),
            (with("lang", json!("de_DE")), ErrCode::INVALID_ARGS),
            (with("miniprogram_state", json!("beta")), ErrCode::INVALID_ARGS),
        ] {
            assert_eq!(refusal(&body).errcode, code, "{body}");
        }
        let long = refusal(&body(json!({ "phrase3": { "value": "审核通过了吗" } })));
        assert_eq!((long.errcode, long.errmsg.contains("data.phrase3.value")), (ErrCode::INVALID_ARGUMENT, true));
    }

    #[test]
    fn a_key_that_is_none_and_too_many_values_are_refused() {
        let mut data = TemplateData::default();
        for key in ["", "thing1.DATA", "Thing1", "a b", "一"] {
            assert!(data.set(key, "a").is_err(), "{key}");
        }
        for number in 0..VALUES_MAX {
            data.set(format!("thing{number}"), "a").unwrap();
        }
        assert!(data.set("thing99", "a").is_err());
        assert!(data.set("thing0", "b").is_ok());
    }

    #[test]
    fn the_number_of_a_message_keeps_all_its_digits() {
        let answer = br#"{"errcode":0,"errmsg":"ok","msgid":3404917237361352714}"#;
        let response: Response = read_answer(answer).unwrap();
        assert_eq!(response.msg_id.as_deref(), Some("3404917237361352714"));
        assert_eq!(read_answer(response.to_json().as_bytes()), Ok(response));
        assert_eq!(read_answer(br#"{"errcode":0,"errmsg":"ok"}"#), Ok(Response { msg_id: None }));
        assert!(read_answer::<Response>(b"{}").is_err(), "an empty object is nobody's consent");
    }
}
