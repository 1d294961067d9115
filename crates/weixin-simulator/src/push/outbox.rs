//! Which pushes there are, when the next attempt is due, and what became of the earlier ones.
//!
//! WeChat closes the connection after five seconds and sends again, "three times in all"; whether that counts the first
//! attempt is not said. Here it does: the first attempt and [`PUSH_REPEATS`] repeats. The pause between them is an
//! assumption. Events of virtual payment and of wholesale have schedules of their own.
//!
//! Source: <https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_standard_messages.html>.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weixin::{
    AppId, OpenId,
    push::{Fields, Format},
};

use crate::{
    customer_service::{AgentLine, Handover, Said},
    pay::after,
    world::World,
};

/// How often a push is repeated that was not answered well.
pub const PUSH_REPEATS: usize = 2;

/// The pause before a repeat, in seconds.
pub const PUSH_REPEAT_AFTER_S: u32 = 5;

/// Pauses of messages and most events, in seconds.
const PAUSES_S: [u32; PUSH_REPEATS] = [PUSH_REPEAT_AFTER_S; PUSH_REPEATS];

/// Pauses of the events of virtual payment, in seconds: up to fifteen attempts, each pause twice the one before.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html>.
const XPAY_PAUSES_S: [u32; 14] = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

/// Pauses of the events of the wholesale assistant, in seconds.
const RETAIL_PAUSES_S: [u32; 10] = [10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600];

/// All pushes, by number, and when which one is due.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    pushes: BTreeMap<u64, Push>,
    #[serde(skip)]
    due: BTreeSet<(Timestamp, u64)>,
}

/// One thing that is told to a server.
#[derive(Serialize, Deserialize)]
pub(crate) struct Push {
    pub(super) appid: AppId,
    from: OpenId,
    /// The key of the customer who sees in the chat when it fails.
    chat: Option<String>,
    /// Decides the nonces.
    pub(super) subject: String,
    #[serde(serialize_with = "write_fields", deserialize_with = "read_fields")]
    pub(super) fields: Fields,
    created_at: Timestamp,
    state: PushState,
    attempts: Vec<PushAttempt>,
    /// Attempts that count for the schedule.
    failures: usize,
    /// How many times it was written.
    pub(super) letters: u64,
}

/// What is to be pushed.
pub(crate) struct NewPush {
    pub(crate) appid: AppId,
    /// Who sends: a customer, or WeChat's own id.
    pub(crate) from: OpenId,
    /// The key of the customer who sees in the chat when it fails.
    pub(crate) chat: Option<String>,
    /// Decides the nonces.
    pub(crate) subject: String,
    /// Everything but receiver, sender and time.
    pub(crate) fields: Fields,
}

/// How far a push is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PushState {
    /// An attempt is due at this time, or under way.
    Pending {
        /// When.
        due_at: Timestamp,
    },
    /// The server has said that it knows.
    Accepted,
    /// The server has handed it to WeChat's own agents.
    Forwarded,
    /// No attempt was answered well.
    GivenUp,
    /// Message push was switched off meanwhile.
    SwitchedOff,
}

/// One attempt to push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAttempt {
    /// Simulated time.
    pub at: Timestamp,
    /// The HTTP status of the answer, if there was one.
    pub http_status: Option<u16>,
    /// The body of the answer.
    pub answer: String,
    /// How WeChat takes it.
    pub verdict: Verdict,
}

/// How WeChat takes the answer to a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Verdict {
    /// `success`, or nothing.
    Success,
    /// The message goes to WeChat's own agents.
    Transfer {
        /// To this one in particular.
        kf_account: Option<String>,
    },
    /// Neither: the customer sees that the service has failed, and the push is repeated.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A push in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushEntry {
    /// Counts from 1 in the simulator.
    pub number: u64,
    /// The app.
    pub appid: AppId,
    /// Who sends: a customer, or an id of WeChat's own.
    pub openid: OpenId,
    /// `MsgType`, or `Event` if it is one.
    pub kind: String,
    /// The number of the message. Events have none.
    pub msg_id: Option<String>,
    /// When it happened.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: PushState,
    /// Every attempt.
    pub attempts: Vec<PushAttempt>,
}

impl Push {
    /// The name of the event, if it is one.
    pub(super) fn event(&self) -> Option<String> {
        self.fields.text("Event")
    }

    fn pauses_s(&self) -> &'static [u32] {
        match self.event().as_deref() {
            Some(event) if event.starts_with("xpay_") => &XPAY_PAUSES_S,
            Some(event) if event.starts_with("retail_") => &RETAIL_PAUSES_S,
            _ => &PAUSES_S,
        }
    }

    fn is_pending(&self) -> bool {
        matches!(self.state, PushState::Pending { .. })
    }

    fn entry(&self, number: u64) -> PushEntry {
        PushEntry {
            number,
            appid: self.appid.clone(),
            openid: self.from.clone(),
            kind: self.event().or_else(|| self.fields.text("MsgType")).unwrap_or_default(),
            msg_id: self.fields.text("MsgId"),
            created_at: self.created_at,
            state: self.state.clone(),
            attempts: self.attempts.clone(),
        }
    }
}

impl Outbox {
    /// Puts together what is not in the file.
    pub(crate) fn after_loading(&mut self) {
        let pending = self.pushes.iter().filter_map(|(number, push)| match push.state {
            PushState::Pending { due_at } => Some((due_at, *number)),
            _ => None,
        });
        self.due = pending.collect();
    }

    /// When the next attempt is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due_at, _)| *due_at)
    }

    /// Takes the first one out that is due. It comes back with [`World::pushed`].
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<u64> {
        let (due_at, number) = *self.due.first().filter(|(due_at, _)| *due_at <= now)?;
        self.due.remove(&(due_at, number));
        Some(number)
    }

    pub(super) fn push(&mut self, number: u64) -> Option<&mut Push> {
        self.pushes.get_mut(&number)
    }

    pub(super) fn set_due(&mut self, number: u64, due_at: Timestamp) {
        if let Some(push) = self.pushes.get_mut(&number) {
            push.state = PushState::Pending { due_at };
            self.due.insert((due_at, number));
        }
    }

    /// All pushes, for the ledger.
    pub(crate) fn entries(&self) -> Vec<PushEntry> {
        self.pushes.iter().map(|(number, push)| push.entry(*number)).collect()
    }
}

impl World {
    /// Has something pushed now, if message push of the app is on, and gives its number.
    pub(crate) fn push(&mut self, now: Timestamp, push: NewPush) -> Option<u64> {
        self.push_at(now, now, push)
    }

    /// Has something pushed at that time.
    pub(crate) fn push_at(&mut self, now: Timestamp, due_at: Timestamp, push: NewPush) -> Option<u64> {
        let app = self.apps.get(push.appid.as_str())?;
        app.push.as_ref().filter(|setup| setup.enabled)?;
        let mut fields = Fields::new()
            .with("ToUserName", app.original_id.as_str())
            .with("FromUserName", push.from.as_str())
            .with("CreateTime", due_at.as_second());
        for (name, value) in push.fields.iter() {
            fields = fields.with(name, value.clone());
        }
        let number = self.outbox.pushes.last_key_value().map_or(1, |(last, _)| last + 1);
        let push = Push {
            appid: push.appid,
            from: push.from,
            chat: push.chat,
            subject: push.subject,
            fields,
            created_at: now,
            state: PushState::Pending { due_at },
            attempts: Vec::new(),
            failures: 0,
            letters: 0,
        };
        self.outbox.pushes.insert(number, push);
        self.outbox.due.insert((due_at, number));
        Some(number)
    }

    /// Writes attempts down that were made at the same time. If none was answered well, the customer sees it, and the
    /// push is repeated after the pause of its schedule.
    pub(super) fn pushed(&mut self, number: u64, attempts: Vec<PushAttempt>) {
        let Some(push) = self.outbox.pushes.get_mut(&number) else { return };
        let Some(at) = attempts.first().map(|attempt| attempt.at) else { return };
        let good = attempts.iter().find(|attempt| !matches!(attempt.verdict, Verdict::Refused { .. }));
        let verdict = good.map(|attempt| attempt.verdict.clone());
        push.attempts.extend(attempts);
        if !push.is_pending() {
            return;
        }
        match verdict {
            Some(Verdict::Transfer { kf_account }) => {
                push.state = PushState::Forwarded;
                self.forward(number, at, kf_account);
            }
            Some(_) => push.state = PushState::Accepted,
            None => self.repeat_or_give_up(number, at),
        }
    }

    fn repeat_or_give_up(&mut self, number: u64, at: Timestamp) {
        let Some(push) = self.outbox.pushes.get_mut(&number) else { return };
        let pause_s = push.pauses_s().get(push.failures).copied();
        push.failures += 1;
        let (first, chat) = (push.failures == 1, push.chat.clone());
        match pause_s {
            Some(pause_s) => self.outbox.set_due(number, after(at, pause_s)),
            None => push.state = PushState::GivenUp,
        }
        // Once for each push; whether repeats show it again is not documented.
        if let Some(chat) = chat.filter(|_| first) {
            self.conversation(&chat).fail(at);
        }
    }

    /// The agents get what was pushed.
    fn forward(&mut self, number: u64, at: Timestamp, kf_account: Option<String>) {
        let Some(push) = self.outbox.pushes.get(&number) else { return };
        let (msg_id, event) = (push.fields.text("MsgId"), push.event());
        let Some(chat) = push.chat.clone() else { return };
        let conversation = self.conversation(&chat);
        let said = conversation.messages.iter().find(|message| Some(&message.msg_id) == msg_id.as_ref());
        let said: Option<Said> = said.map(|message| message.said.clone());
        let line = AgentLine { at, msg_id, said, event, by: Handover::Forwarded };
        conversation.reach_agents(at, line, kf_account);
    }

    /// Pushes of apps whose message push is off now are not attempted any more.
    pub(super) fn give_up_pushes_without_address(&mut self) {
        let Self { apps, outbox, .. } = self;
        let is_on = |appid: &AppId| {
            let setup = apps.get(appid.as_str()).and_then(|app| app.push.as_ref());
            setup.is_some_and(|setup| setup.enabled)
        };
        for push in outbox.pushes.values_mut().filter(|push| push.is_pending() && !is_on(&push.appid)) {
            push.state = PushState::SwitchedOff;
        }
        outbox.due.retain(|(_, number)| outbox.pushes.get(number).is_some_and(Push::is_pending));
    }
}

/// JSON keeps the difference between numbers and texts; the order of names is not kept, and WeChat promises none.
fn write_fields<S: Serializer>(fields: &Fields, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fields.write(Format::Json))
}

fn read_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
    Fields::read(&String::deserialize(deserializer)?, Format::Json).map_err(serde::de::Error::custom)
}
