//! Customer service as WeChat keeps it: the chat of each customer with an app, who holds the session, and how many
//! messages the app may still send.
//!
//! [`crate::push`] tells the app's server what the customer does; [`crate::mini_program`] takes what the server sends;
//! [`agents`] is the tool of WeChat's own agents, who see nothing but what is forwarded to them.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/customer-message.html>.

pub(crate) mod agents;
mod allowance;
mod chat;
mod customer;
mod media;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use agents::{AgentError, AgentLine, Agents, Handover, SESSION_LAPSES_AFTER_S, Session, Waiting};
pub use allowance::{Allowance, ENTERING_ALLOWS, Grant, MESSAGE_ALLOWS};
pub use chat::{ChatLine, CustomerMessage, FAILURE_LINE, Said, Sent, Speaker, Way};
pub(crate) use media::{MediaStore, PICTURE_PREFIX, picture};

use crate::world::World;

/// What passed between one customer and one app.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Conversation {
    /// What the customer sees, from old to new.
    pub(crate) chat: Vec<ChatLine>,
    /// What the customer has sent.
    pub(crate) messages: Vec<CustomerMessage>,
    /// What WeChat's own agents see.
    pub(crate) agents: Vec<AgentLine>,
    /// What the app's server has sent.
    pub(crate) sent: Vec<Sent>,
    session: Session,
    pub(crate) allowance: Allowance,
    /// Until when the customer sees that somebody is typing.
    pub(crate) typing_until: Option<Timestamp>,
    /// When something was said last, by either side.
    pub(crate) said_at: Option<Timestamp>,
    /// Decides the numbers of messages and events.
    made: u64,
}

impl Conversation {
    /// Who holds the session now. One that an agent has held for too long has ended by itself.
    pub(crate) fn session(&self, now: Timestamp) -> Session {
        match &self.session {
            Session::Taken { since, .. } if now.as_second() - since.as_second() > SESSION_LAPSES_AFTER_S => {
                Session::Nobody
            }
            session => session.clone(),
        }
    }

    /// Puts a line into the chat. Whatever is said ends the typing.
    fn say(&mut self, now: Timestamp, by: Speaker, said: Said) {
        self.typing_until = None;
        self.said_at = Some(now);
        self.chat.push(ChatLine { at: now, by, said, ai: false });
    }

    /// WeChat tells the customer that the app's service has failed.
    pub(crate) fn fail(&mut self, now: Timestamp) {
        let said = Said::Text { content: FAILURE_LINE.to_owned() };
        self.chat.push(ChatLine { at: now, by: Speaker::Wechat, said, ai: false });
    }

    /// The app's server says something that was allowed.
    pub(crate) fn send(&mut self, now: Timestamp, sent: Sent) {
        self.say(now, Speaker::Server, sent.said.clone());
        if let Some(line) = self.chat.last_mut() {
            line.ai = sent.ai;
        }
        self.sent.push(sent);
    }

    /// A number that no other message or event of the conversation has.
    pub(crate) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

impl World {
    /// The conversation with a customer, by the customer's key.
    pub(crate) fn conversation(&mut self, customer: &str) -> &mut Conversation {
        self.conversations.entry(customer.to_owned()).or_default()
    }
}
