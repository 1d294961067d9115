//! What is said in a chat, in both directions, and the states of a reply. Pure.
//!
//! A reply is sent at most once: WeChat's call has no key that would make a second one harmless, so when the answer is
//! lost, nobody knows, and it is shown as unknown.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Handler;

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Our id.
    pub id: String,
    /// Where it was said.
    pub conversation_id: String,
    /// By whom.
    pub direction: Direction,
    /// What.
    pub content: Content,
    /// What became of it.
    pub state: State,
    /// Of a customer's message: who answers it.
    pub handler: Option<Handler>,
    /// Of a reply: the id of the API key, or `rule:` and the name of the rule.
    pub author: Option<String>,
    /// Of a reply: the name that its author gave it; a second one of that name is the same.
    pub client_id: Option<String>,
    /// How often it was begun to send.
    pub attempts: i64,
    /// When it was said: by WeChat's clock for customers.
    pub said: Timestamp,
    /// When it was written down.
    pub created: Timestamp,
    /// When its state changed last.
    pub updated: Timestamp,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The customer.
    In,
    /// We.
    Out,
}

impl Direction {
    /// The word in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::In, Self::Out].into_iter().find(|direction| direction.as_str() == word)
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = MessageContent)]
pub enum Content {
    /// A text.
    Text {
        /// The text. Whoever shows it treats it as text and nothing else.
        text: String,
    },
    /// A picture.
    Image {
        /// The id of the picture.
        picture: String,
    },
    /// A card that leads to a page of the mini program.
    MiniProgramPage {
        /// Its title.
        title: String,
        /// The page with its query.
        page_path: String,
        /// The id of its picture.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<String>,
    },
    /// A link to a page of the web; replies only.
    Link {
        /// Its title.
        title: String,
        /// A few words.
        description: String,
        /// Where it leads.
        url: String,
        /// The address of its picture.
        thumb_url: String,
    },
    /// A kind of message that cannot be shown; customers only.
    Unsupported {
        /// WeChat's word for it.
        msg_type: String,
    },
}

impl Content {
    /// The word in API and database.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::MiniProgramPage { .. } => "miniprogrampage",
            Self::Link { .. } => "link",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// The id of the picture that belongs to it.
    pub fn picture(&self) -> Option<&str> {
        match self {
            Self::Image { picture } => Some(picture),
            Self::MiniProgramPage { picture, .. } => picture.as_deref(),
            Self::Text { .. } | Self::Link { .. } | Self::Unsupported { .. } => None,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A customer's: it is here.
    Received,
    /// It waits to be sent.
    Queued,
    /// WeChat is being asked. Whoever finds it so after a crash does not know.
    Sending,
    /// WeChat took it.
    Sent,
    /// WeChat refused it for good, or it was not sent in time.
    Failed {
        /// WeChat's code, if it was WeChat.
        errcode: Option<i64>,
    },
    /// WeChat may have taken it. It is never sent again by itself.
    Unknown,
}

impl State {
    /// The word in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed { .. } => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// WeChat's code for a refusal.
    pub const fn errcode(self) -> Option<i64> {
        match self {
            Self::Failed { errcode } => errcode,
            _ => None,
        }
    }

    /// Reads the columns, all at once.
    pub(super) fn from_columns(state: &str, errcode: Option<i64>) -> Option<Self> {
        match (state, errcode) {
            ("received", None) => Some(Self::Received),
            ("queued", None) => Some(Self::Queued),
            ("sending", None) => Some(Self::Sending),
            ("sent", None) => Some(Self::Sent),
            ("failed", errcode) => Some(Self::Failed { errcode }),
            ("unknown", None) => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// A message as the API and events show it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Message)]
pub struct View {
    id: String,
    conversation: String,
    /// `in` from the customer, `out` from us.
    direction: &'static str,
    #[serde(flatten)]
    content: Content,
    /// `received`; of a reply `queued`, `sending`, `sent`, `failed` or `unknown`.
    state: &'static str,
    /// WeChat's code, if it refused a reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    /// Of a customer's message: who answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'static str>,
    /// Of a reply: the id of the API key, or `rule:` and the name of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    /// Of a reply: the name that its author gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// When it was said: by WeChat's clock for customers.
    said_at: Timestamp,
    created_at: Timestamp,
}

impl Message {
    /// The message as the API and events show it.
    pub fn view(&self) -> View {
        View {
            id: self.id.clone(),
            conversation: self.conversation_id.clone(),
            direction: self.direction.as_str(),
            content: self.content.clone(),
            state: self.state.as_str(),
            errcode: self.state.errcode(),
            handler: self.handler.map(Handler::as_str),
            author: self.author.clone(),
            client_id: self.client_id.clone(),
            said_at: self.said,
            created_at: self.created,
        }
    }
}
