//! Customer service: what customers write to the mini program, who answers, and the answers.
//!
//! With message push switched on, WeChat sends every message of a customer here and to nobody else. `push.rs` verifies,
//! `intake.rs` writes down and decides (with `rule.rs`) who answers, and only then WeChat is answered: by default each message
//! goes on to WeChat's own agents. `send.rs` carries our replies, each at most once; `picture.rs` keeps pictures.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/customer-message.html>.

pub mod allowance;
mod conversation;
mod describe;
mod intake;
mod message;
mod picture;
mod post;
mod push;
pub mod rule;
mod rules;
mod send;
mod store;
mod unanswered;

use jiff::Timestamp;
use serde::Serialize;
use weixin::{AppId, OpenId, mini_program::BusinessId};

use self::allowance::Allowance;
pub use conversation::{hand_over, list, mark_read, messages, read, typing};
pub(crate) use describe::describe;
pub use message::{Content, Direction, Message, State};
pub use picture::{PICTURE_BYTES_MAX, download as picture, run_fetch_job, upload as upload_picture};
pub use post::post;
pub use push::{forget_old_pushes, take as push, verify_url};
pub use rules::{read as rules, replace as replace_rules};
pub use send::run_send_job;
pub use unanswered::run_unanswered_job;

/// Who answers a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// WeChat's own agents: every message is forwarded to them. What they answer is not seen here.
    Wechat,
    /// Our own people, through the API.
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

/// The chat of one customer with one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Our id.
    pub id: String,
    /// The app.
    pub appid: AppId,
    /// Our id of the customer.
    pub customer_id: String,
    /// The customer at the app.
    pub openid: OpenId,
    /// The sub-merchant that the customer talks to, if the app has some.
    pub business_id: Option<BusinessId>,
    /// Who answers the next message.
    pub handler: Handler,
    /// Where the customer last entered from; the page chooses it, so anybody can.
    pub session_from: Option<String>,
    /// How many messages nobody of us has read.
    pub unread: i64,
    /// Since when the customer waits for an answer of ours.
    pub waiting_since: Option<Timestamp>,
    /// When a message was last forwarded to WeChat's agents. While they have the session, WeChat sends us nothing.
    pub forwarded: Option<Timestamp>,
    /// How many replies WeChat still takes.
    pub allowance: Allowance,
    /// When somebody last said something.
    pub last_message: Timestamp,
    /// When it began.
    pub created: Timestamp,
}

/// A conversation as the API and events show it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Conversation)]
pub struct View {
    id: String,
    appid: String,
    /// Our id of the customer.
    customer: String,
    /// The sub-merchant that the customer talks to, if the app has some.
    business_id: Option<String>,
    /// Who answers the next message: `wechat`, `desk` or `bot`.
    handler: &'static str,
    /// Where the customer last entered from; the page chooses it, so anybody can.
    session_from: Option<String>,
    /// How many messages nobody of us has read.
    unread: i64,
    /// Since when the customer waits for an answer of ours.
    waiting_since: Option<Timestamp>,
    /// When a message was last forwarded to WeChat's agents. While they have the session, WeChat sends us nothing.
    forwarded_at: Option<Timestamp>,
    reply_allowance: AllowanceView,
    last_message_at: Timestamp,
    created_at: Timestamp,
}

/// How many replies WeChat still takes, and until when.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ReplyAllowance)]
struct AllowanceView {
    left: i64,
    until: Option<Timestamp>,
}

impl Conversation {
    /// The conversation as the API and events show it.
    pub fn view(&self, now: Timestamp) -> View {
        View {
            id: self.id.clone(),
            appid: self.appid.to_string(),
            customer: self.customer_id.clone(),
            business_id: self.business_id.as_ref().map(|id| id.as_str().to_owned()),
            handler: self.handler.as_str(),
            session_from: self.session_from.clone(),
            unread: self.unread,
            waiting_since: self.waiting_since,
            forwarded_at: self.forwarded,
            reply_allowance: AllowanceView {
                left: self.allowance.left_at(now),
                until: (self.allowance != Allowance::NONE).then_some(self.allowance.until),
            },
            last_message_at: self.last_message,
            created_at: self.created,
        }
    }
}
