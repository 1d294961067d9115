//! What is said in a chat, and what the customer sees of it.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a customer sees when the app's server does not take a push as WeChat wants it.
pub const FAILURE_LINE: &str = "该小程序提供的服务出现故障，请稍后再试";

/// A line of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatLine {
    /// Simulated time.
    pub at: Timestamp,
    /// Who says it.
    pub by: Speaker,
    /// What is said.
    pub said: Said,
    /// Below it stands that an artificial intelligence wrote it.
    pub ai: bool,
}

impl ChatLine {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.said {
            Said::Text { content } => Some(content),
            _ => None,
        }
    }

    /// Whether WeChat says here that the app's service has failed.
    pub fn is_failure(&self) -> bool {
        self.by == Speaker::Wechat && self.text() == Some(FAILURE_LINE)
    }
}

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The app's server, by `custom/send`.
    Server,
    /// One of WeChat's own agents.
    Agent(String),
    /// WeChat itself.
    Wechat,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Said {
    /// A text.
    Text {
        /// The text.
        content: String,
    },
    /// A picture, which is kept for three days.
    Image {
        /// Its id.
        media_id: String,
    },
    /// A card that opens a page of a mini program.
    Card {
        /// The title.
        title: String,
        /// The app.
        appid: String,
        /// The page with its query.
        page_path: String,
        /// The picture's id.
        thumb_media_id: String,
    },
    /// A link to a web page.
    Link {
        /// The title.
        title: String,
        /// What stands below it.
        description: String,
        /// The page.
        url: String,
        /// Where the picture is.
        thumb_url: String,
    },
}

impl Said {
    /// WeChat's word for the kind.
    pub fn msg_type(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Card { .. } => "miniprogrampage",
            Self::Link { .. } => "link",
        }
    }
}

/// A message of the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerMessage {
    /// Simulated time.
    pub at: Timestamp,
    /// WeChat's number of it.
    pub msg_id: String,
    /// What is said.
    pub said: Said,
    /// Where it went.
    pub way: Way,
}

/// Where a message of a customer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the app's server, by the push of that number.
    Push(u64),
    /// Straight to WeChat's own agents.
    Agents,
}

/// A message of the app's server that WeChat accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Simulated time.
    pub at: Timestamp,
    /// What is said.
    pub said: Said,
    /// In whose name.
    pub kf_account: Option<String>,
    /// Whether it says that an artificial intelligence wrote it.
    pub ai: bool,
}
