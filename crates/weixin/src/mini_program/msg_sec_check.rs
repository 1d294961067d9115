//! `POST /wxa/msg_sec_check` (version 2): what WeChat thinks of a text that a customer wrote for others.
//!
//! The customer must have opened the app within the last two hours (61010), so check when the text comes, not later.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/sec-center/sec-check/api_msgseccheck.html>.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ErrCode, read_body};
use crate::{OpenId, id::checked_text};

/// The path below the host.
pub const PATH: &str = "/wxa/msg_sec_check";

/// The version of the interface. Version 1 ended in 2021.
pub const VERSION: i64 = 2;

/// The longest text, in characters.
pub const CONTENT_CHARACTERS_MAX: usize = 2500;

checked_text! {
    /// A text to be checked. Control characters besides line breaks and tabs would be written as `\uXXXX`, which blinds
    /// the check.
    CheckedContent, "content", "must be 1 to 2500 characters without control characters other than line breaks and tabs",
    |text| {
        let is_allowed = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
        !text.is_empty() && text.chars().count() <= CONTENT_CHARACTERS_MAX && text.chars().all(is_allowed)
    }
}

/// Where a text or picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A profile.
    Profile,
    /// A comment.
    Comment,
    /// A forum.
    Forum,
    /// A social log.
    SocialLog,
}

impl Scene {
    /// WeChat's number.
    pub const fn number(self) -> i64 {
        match self {
            Self::Profile => 1,
            Self::Comment => 2,
            Self::Forum => 3,
            Self::SocialLog => 4,
        }
    }

    pub(super) fn from_number(number: i64) -> Result<Self, ErrCode> {
        let all = [Self::Profile, Self::Comment, Self::Forum, Self::SocialLog];
        all.into_iter().find(|scene| scene.number() == number).ok_or(ErrCode::INVALID_SCENE)
    }
}

/// Asks about a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The text.
    pub content: CheckedContent,
    /// Where it is shown.
    pub scene: Scene,
    /// Who wrote it.
    pub openid: OpenId,
    /// Its title.
    pub title: Option<CheckedContent>,
    /// What its author is called.
    pub nickname: Option<CheckedContent>,
}

impl Request {
    /// The body: JSON with the characters as they are.
    pub fn to_json(&self) -> String {
        let mut body = json!({
            "content": self.content,
            "version": VERSION,
            "scene": self.scene.number(),
            "openid": self.openid,
        });
        for (name, text) in [("title", &self.title), ("nickname", &self.nickname)] {
            if let Some(text) = text {
                body[name] = json!(text);
            }
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
            content: CheckedContent,
            version: i64,
            scene: i64,
            openid: String,
            title: Option<CheckedContent>,
            nickname: Option<CheckedContent>,
        }
        let wire: Wire = read_body(body)?;
        if wire.version != VERSION {
            return Err(ErrCode::INVALID_ARGS);
        }
        Ok(Self {
            content: wire.content,
            scene: Scene::from_number(wire.scene)?,
            openid: OpenId::parse(wire.openid).map_err(|_| ErrCode::INVALID_OPENID)?,
            title: wire.title,
            nickname: wire.nickname,
        })
    }
}

/// What WeChat advises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Suggest {
    /// Nothing was found.
    Pass,
    /// A person should look at it.
    Review,
    /// It should not be shown.
    Risky,
    /// A word that the page does not list.
    Other(String),
}

impl From<String> for Suggest {
    fn from(word: String) -> Self {
        match word.as_str() {
            "pass" => Self::Pass,
            "review" => Self::Review,
            "risky" => Self::Risky,
            _ => Self::Other(word),
        }
    }
}

impl From<Suggest> for String {
    fn from(suggest: Suggest) -> Self {
        match suggest {
            Suggest::Pass => "pass".to_owned(),
            Suggest::Review => "review".to_owned(),
            Suggest::Risky => "risky".to_owned(),
            Suggest::Other(word) => word,
        }
    }
}

/// What was found in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The advice.
    pub suggest: Suggest,
    /// What was found: 100 nothing, 10001 advertisement, 20001 politics, 20002 sex, 20003 abuse, 20006 crime, 20008 fraud,
    /// 20012 vulgarity, 20013 copyright, 21000 something else.
    pub label: i64,
}

/// What one way of looking found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// `content_model`, `keyword`, …
    pub strategy: String,
    /// Only with 0 the rest means something.
    #[serde(default)]
    pub errcode: i64,
    /// The advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggest: Option<Suggest>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<i64>,
    /// How sure it is, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prob: Option<i64>,
    /// The word that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Response {
    /// Names the check.
    pub trace_id: String,
    /// In all.
    pub result: Verdict,
    /// One by one.
    #[serde(default)]
    pub detail: Vec<Detail>,
}

impl Response {
    /// Writes the answer.
    pub fn to_json(&self) -> String {
        json!({
            "errcode": 0,
            "errmsg": "ok",
            "result": self.result,
            "detail": self.detail,
            "trace_id": self.trace_id,
        })
        .to_string()
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_SCENE,
    ErrCode::REQUIRE_POST,
    ErrCode::OPENID_OF_OTHER_APP,
    ErrCode::EMPTY_POST_DATA,
    ErrCode::MINUTE_FREQUENCE,
    ErrCode::DAILY_QUOTA,
    ErrCode::DATA_FORMAT,
    ErrCode::NO_RECENT_VISIT,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mini_program::read_answer;

    /// As the page prints it, shortened.
    const SAMPLE: &str = r#"{"errcode":0,"errmsg":"ok","result":{"suggest":"risky","label":20001},"detail":[
        {"strategy":"content_model","errcode":0,"suggest":"risky","label":20006,"prob":90},
        {"strategy":"keyword","errcode":0,"suggest":"pass","label":20006,"level":20,"keyword":"一"},
        {"strategy":"picture","errcode":-1}],"trace_id":"60ae120f-371d5872-7941a05b"}"#;

    #[test]
    fn a_verdict_is_read_and_written_alike() {
        let response: Response = read_answer(SAMPLE.as_bytes()).unwrap();
        assert_eq!((&response.result.suggest, response.result.label), (&Suggest::Risky, 20001));
        assert_eq!(response.detail.len(), 3);
        assert_eq!(read_answer(response.to_json().as_bytes()), Ok(response));
    }

    #[test]
    fn an_answer_without_a_verdict_is_not_a_pass() {
        for body in
            [r#"{"errcode":0,"errmsg":"ok"}"#, "{}", &SAMPLE.replace("\"suggest\":\"risky\",\"label\":20001", "")]
        {
            assert!(read_answer::<Response>(body.as_bytes()).is_err(), "{body}");
        }
        let response: Response = read_answer(SAMPLE.replace("risky", "later").as_bytes()).unwrap();
        assert_eq!(response.result.suggest, Suggest::Other("later".into()));
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for title in [None, Some(CheckedContent::parse("题").unwrap())] {
            let request = Request {
                content: CheckedContent::parse("字".repeat(CONTENT_CHARACTERS_MAX)).unwrap(),
                scene: Scene::Comment,
                openid: OpenId::parse("o1").unwrap(),
                nickname: title.clone(),
                title,
            };
            assert!(!request.to_json().contains("\\u"));
            assert_eq!(Request::from_json(request.to_json().as_bytes()), Ok(request));
        }
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        let body = |content: &str, version: i64, scene: i64, openid: &str| {
            json!({ "content": content, "version": version, "scene": scene, "openid": openid }).to_string()
        };
        for (body, code) in [
            (String::new(), ErrCode::EMPTY_POST_DATA),
            (r#"{"content":"a"}"#.to_owned(), ErrCode::DATA_FORMAT),
            (body("", 2, 1, "o1"), ErrCode::DATA_FORMAT),
            (body(&"字".repeat(2501), 2, 1, "o1"), ErrCode::DATA_FORMAT),
            (body("a", 1, 1, "o1"), ErrCode::INVALID_ARGS),
            (body("a", 2, 5, "o1"), ErrCode::INVALID_SCENE),
            (body("a", 2, 1, ""), ErrCode::INVALID_OPENID),
        ] {
            assert_eq!(Request::from_json(body.as_bytes()), Err(code), "{body}");
        }
    }
}
