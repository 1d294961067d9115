//! Customer service: what customers write to the mini program, who answers, and the answers.
//!
//! With message push switched on, WeChat sends every message of a customer here and to nobody else. `push.rs` verifies,
//! `intake.rs` writes down and decides (with `rule.rs`) who answers, and only then WeChat is answered: by default each message
//! goes on to WeChat's own agents. `send.rs` carries our replies, each at most once; `picture.rs` keeps pictures.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/customer-message.html>.

pub mod allowance;
pub mod rule;

/// Who answers a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// WeChat's own agents: every message is forwarded to them. What they answer is not seen here.
    Wechat,
    /// Our own people, by the API or the console.
    Desk,
    /// The merchant's system, which is told by an event and answers through the API.
    Bot,
}

impl Handler {
    /// The word in configuration, API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Desk => "desk",
            Self::Bot => "bot",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Wechat, Self::Desk, Self::Bot].into_iter().find(|handler| handler.as_str() == word)
    }
}
