//! Message push: what WeChat posts to the server of an app (customers' messages and events), and what it is answered.
//!
//! * [`verify_url`]: the question that WeChat asks when the address is set in the console.
//! * [`Receiver`]: verifies and opens a push; only it can make a `Verified<Push>`.
//! * [`Message`]: what a push says. Kinds that we do not know are kept whole.
//! * [`Answer`]: `success`, or a message that is handed to WeChat's own agents.
//! * [`Delivery`]: the same from WeChat's side.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

mod answer;
mod delivery;
mod fields;
mod message;
mod query;
mod receive;
mod seal;

pub use answer::{Answer, AnswerError, Transfer};
pub use delivery::Delivery;
pub use fields::{DEPTH_MAX, Fields, FieldsError, NODES_MAX, Value};
pub use message::{Content, Event, Message, MessageError, SettledOrder, SubscribeChoice, SubscribeResult};
pub use query::{Query, signature, verify_url};
pub use receive::{AnswerKeys, FUTURE_S_MAX, PLAIN_AGE_S_MAX, Push, PushError, Receiver, SEALED_AGE_S_MAX};
pub use seal::{OpenError, open, seal};

/// How an app's pushes are protected, as chosen in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Clear text. The signature does not cover the body.
    Plain,
    /// Clear text and the same sealed, for going from one to the other; only the sealed one is authentic.
    Compatible,
    /// Sealed only.
    Secure,
}

impl Mode {
    /// The word for configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compatible => "compatible",
            Self::Secure => "secure",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Plain, Self::Compatible, Self::Secure].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// In which form an app's pushes and their answers are written, as chosen in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// XML, the default.
    Xml,
    /// JSON.
    Json,
}

impl Format {
    /// The form of a body: JSON begins with a brace. The `Content-Type` of pushes is not documented.
    pub fn of(body: &[u8]) -> Self {
        if body.trim_ascii_start().first() == Some(&b'{') { Self::Json } else { Self::Xml }
    }

    /// The word for configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Json => "json",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Xml, Self::Json].into_iter().find(|format| format.as_str() == word)
    }

    /// The `Content-Type` of a body in this form.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}
