//! The tool of WeChat's own agents (mpkf.weixin.qq.com): who waits, what was forwarded, and who holds a session.
//!
//! With message push on, agents see nothing but what the app's server forwards, message by message, until one of them
//! takes the session: from then on messages come straight to the agent, until the session is closed or has been held for
//! more than half an hour. Without message push everything comes here.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html>.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{AppId, OpenId, mini_program::ErrCode};

use super::{Conversation, Said, Speaker};
use crate::{Shared, login::UnknownApp, world::World};

/// A session that no agent has closed ends after so many seconds. From when it is counted is not documented; here it is
/// from the moment in which it was taken.
pub const SESSION_LAPSES_AFTER_S: i64 = 30 * 60;

/// Who holds the session of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Session {
    /// Nobody: messages are pushed to the app's server.
    #[default]
    Nobody,
    /// The customer waits for an agent. Messages are still pushed, and each must be forwarded again.
    Waiting {
        /// Since when.
        since: Timestamp,
        /// Only this one may take it, because the transfer named the account.
        kf_account: Option<String>,
    },
    /// An agent holds it: messages are not pushed.
    Taken {
        /// The agent.
        agent: String,
        /// Since when.
        since: Timestamp,
    },
}

/// What agents see of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLine {
    /// When it reached the agents.
    pub at: Timestamp,
    /// The number of the message. Events have none.
    pub msg_id: Option<String>,
    /// What the customer said. An event that was forwarded is an odd entry without content.
    pub said: Option<Said>,
    /// The event that was forwarded; a server should not.
    pub event: Option<String>,
    /// How it came.
    pub by: Handover,
}

/// How something came to the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// The app's server answered a push with `transfer_customer_service`.
    Forwarded,
    /// An agent held the session.
    InSession,
    /// Message push is off.
    PushOff,
}

/// A customer who waits for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The customer.
    pub openid: OpenId,
    /// The customer's name.
    pub customer: String,
    /// Since when.
    pub since: Timestamp,
    /// Only this one may take it.
    pub kf_account: Option<String>,
}

/// Why the tool refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The app has no such customer.
    #[error("the app has no customer {0}")]
    UnknownCustomer(String),
    /// The customer does not wait for an agent.
    #[error("the customer does not wait for an agent")]
    NotWaiting,
    /// The customer waits for another one.
    #[error("the customer waits for {0} and for nobody else")]
    WaitsForAnother(String),
    /// No agent holds the session.
    #[error("no agent holds the session")]
    NotTaken,
    /// The customer has to speak first (45015, 45047).
    #[error("WeChat takes no message now: {0}")]
    NotAllowed(&'static str),
}

/// The tool of the agents of one app.
#[derive(Clone)]
pub struct Agents {
    shared: Arc<Shared>,
    appid: AppId,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").field("appid", &self.appid).finish_non_exhaustive()
    }
}

impl Agents {
    pub(crate) fn new(shared: &Arc<Shared>, appid: &AppId) -> Result<Self, UnknownApp> {
        let known = shared.world().apps.contains_key(appid.as_str());
        match known {
            true => Ok(Self { shared: Arc::clone(shared), appid: appid.clone() }),
            false => Err(UnknownApp(appid.clone())),
        }
    }

    /// Who waits, the longest first.
    pub fn waiting(&self) -> Vec<Waiting> {
        let world = self.shared.world();
        world.waiting(self.shared.time(&world), &self.appid)
    }

    /// What agents see of a conversation, in the order in which it reached them.
    ///
    /// # Errors
    /// The app has no such customer.
    pub fn lines(&self, customer: &OpenId) -> Result<Vec<AgentLine>, AgentError> {
        let mut world = self.shared.world();
        let key = world.customer_of(&self.appid, customer)?;
        Ok(world.conversation(&key).agents.clone())
    }

    /// An agent takes the session of a customer who waits.
    ///
    /// # Errors
    /// The customer does not wait, or waits for another agent.
    pub fn take(&self, customer: &OpenId, agent: &str) -> Result<(), AgentError> {
        self.change(customer, |conversation, now| conversation.take_session(now, agent))
    }

    /// The agent who holds the session says something.
    ///
    /// # Errors
    /// No agent holds the session, or the customer has to speak first.
    pub fn answer(&self, customer: &OpenId, text: &str) -> Result<(), AgentError> {
        self.change(customer, |conversation, now| conversation.answer(now, text))
    }

    /// The session ends: messages are pushed again. Also for a customer who waits.
    ///
    /// # Errors
    /// The customer neither waits nor is held by an agent.
    pub fn close(&self, customer: &OpenId) -> Result<(), AgentError> {
        self.change(customer, Conversation::close_session)
    }

    fn change(
        &self,
        customer: &OpenId,
        change: impl FnOnce(&mut Conversation, Timestamp) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        let mut world = self.shared.world();
        let now = self.shared.time(&world);
        let key = world.customer_of(&self.appid, customer)?;
        let result = change(world.conversation(&key), now);
        drop(world);
        self.shared.changed();
        result
    }
}

impl Conversation {
    /// Something of the customer reaches the agents.
    pub(crate) fn reach_agents(&mut self, now: Timestamp, line: AgentLine, kf_account: Option<String>) {
        self.agents.push(line);
        match self.session(now) {
            Session::Nobody => self.session = Session::Waiting { since: now, kf_account },
            // The place in the queue stays; a transfer to an account changes for whom the customer waits.
            Session::Waiting { since, kf_account: earlier } => {
                self.session = Session::Waiting { since, kf_account: kf_account.or(earlier) };
            }
            Session::Taken { .. } => {}
        }
    }

    fn take_session(&mut self, now: Timestamp, agent: &str) -> Result<(), AgentError> {
        match self.session(now) {
            Session::Waiting { kf_account: Some(account), .. } if account != agent => {
                Err(AgentError::WaitsForAnother(account))
            }
            Session::Waiting { .. } => {
                self.session = Session::Taken { agent: agent.to_owned(), since: now };
                Ok(())
            }
            Session::Nobody | Session::Taken { .. } => Err(AgentError::NotWaiting),
        }
    }

    fn answer(&mut self, now: Timestamp, text: &str) -> Result<(), AgentError> {
        let Session::Taken { agent, .. } = self.session(now) else { return Err(AgentError::NotTaken) };
        self.allowance.take(now).map_err(|code: ErrCode| AgentError::NotAllowed(code.meaning()))?;
        self.say(now, Speaker::Agent(agent), Said::Text { content: text.to_owned() });
        Ok(())
    }

    fn close_session(&mut self, now: Timestamp) -> Result<(), AgentError> {
        match self.session(now) {
            Session::Nobody => Err(AgentError::NotTaken),
            Session::Waiting { .. } | Session::Taken { .. } => {
                self.session = Session::Nobody;
                Ok(())
            }
        }
    }
}

impl World {
    /// The key of the customer, who must be one of the app.
    fn customer_of(&self, appid: &AppId, openid: &OpenId) -> Result<String, AgentError> {
        let key = self.openids.get(openid.as_str());
        let key = key.filter(|key| self.customers.get(*key).is_some_and(|customer| customer.appid == *appid));
        key.cloned().ok_or_else(|| AgentError::UnknownCustomer(openid.to_string()))
    }

    fn waiting(&self, now: Timestamp, appid: &AppId) -> Vec<Waiting> {
        let conversations = self.conversations.iter().filter_map(|(key, conversation)| {
            let customer = self.customers.get(key).filter(|customer| customer.appid == *appid)?;
            let Session::Waiting { since, kf_account } = conversation.session(now) else { return None };
            Some(Waiting { openid: customer.openid.clone(), customer: customer.name.clone(), since, kf_account })
        });
        let mut waiting: Vec<_> = conversations.collect();
        waiting.sort_by_key(|waiting| waiting.since);
        waiting
    }
}
