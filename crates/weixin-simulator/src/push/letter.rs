//! One attempt of a push as it goes over the wire: signed afresh each time, and spoilt if a fault says so.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use jiff::Timestamp;
use weixin::{
    AppId,
    push::{Delivery, Fields, Format, Mode, Query, Receiver, Value},
};

use super::{PushSetup, outbox::Push, setup::address};
use crate::{
    fault::{FaultKind, strike_push},
    options::constant,
    random::Seed,
    world::World,
};

/// How old a push is with [`FaultKind::Stale`], in seconds: older than any repeat of WeChat.
const STALE_S: i64 = 8 * 24 * 3600;

/// The app for which [`FaultKind::OtherApp`] seals.
const OTHER_APPID: &str = "wxfakeother0000001";

/// The lists of subscribe events: in XML they stand below an element of this name, in JSON they do not.
const WRAPPERS: [(&str, &str); 3] = [
    ("subscribe_msg_popup_event", "SubscribeMsgPopupEvent"),
    ("subscribe_msg_change_event", "SubscribeMsgChangeEvent"),
    ("subscribe_msg_sent_event", "SubscribeMsgSentEvent"),
];

/// One attempt on its way.
pub(crate) struct Letter {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) url: String,
    pub(super) body: String,
    pub(super) format: Format,
    /// Whether the body holds sealed text, so that the answer must, too.
    pub(super) sealed: bool,
    /// What the answer is read with.
    pub(super) receiver: Receiver,
    /// The original id of the app.
    pub(super) to_user_name: String,
    pub(super) from_user_name: String,
    /// The name of the event, if it is one.
    pub(super) event: Option<String>,
    pub(super) fault: Option<FaultKind>,
}

impl World {
    /// Takes out what is due.
    pub(super) fn take_due_pushes(&mut self, now: Timestamp) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Some(number) = self.outbox.take_due(now) {
            let fault = strike_push(self, now);
            if let Some(FaultKind::Delay(delay_s)) = fault {
                self.outbox.set_due(number, crate::pay::after(now, delay_s));
                continue;
            }
            letters.extend(self.push_letter(number, now, fault));
        }
        letters
    }

    /// Writes the next attempt of a push, with the setting of this moment.
    pub(super) fn push_letter(&mut self, number: u64, now: Timestamp, fault: Option<FaultKind>) -> Option<Letter> {
        let seed = self.seed();
        let push = self.outbox.push(number)?;
        let setup = self.apps.get(push.appid.as_str())?.push.as_ref()?;
        push.letters += 1;
        let delivery = deliver(push, setup, seed, now, fault.as_ref());
        Some(Letter {
            number,
            at: now,
            url: address(&setup.url, &delivery.query),
            sealed: delivery.query.encrypt_type.is_some(),
            body: delivery.body,
            format: setup.format,
            receiver: setup.receiver(&push.appid),
            to_user_name: push.fields.text("ToUserName").unwrap_or_default(),
            from_user_name: push.fields.text("FromUserName").unwrap_or_default(),
            event: push.event(),
            fault,
        })
    }
}

fn deliver(push: &Push, setup: &PushSetup, seed: Seed, now: Timestamp, fault: Option<&FaultKind>) -> Delivery {
    let mut receiver = setup.receiver(&push.appid);
    let mut content = shaped(&push.fields, setup.format, push.letters);
    let mut now_s = now.as_second();
    match fault {
        Some(FaultKind::Stale) => now_s -= STALE_S,
        Some(FaultKind::ClearText) => receiver.mode = Mode::Plain,
        Some(FaultKind::OtherApp) => {
            receiver.appid = constant(AppId::parse(OTHER_APPID));
            content = replaced(&content, "ToUserName", "gh_fakeother01");
        }
        // The signature does not cover clear text: nobody can see this.
        Some(FaultKind::TamperedBody) if receiver.mode == Mode::Plain => {
            content = replaced(&content, "Content", "tampered");
        }
        _ => {}
    }
    let nonce = seed.digits("push nonce", &push.subject, push.letters, 9);
    let random = seed.sixteen("push random", &push.subject, push.letters);
    let mut delivery = Delivery::new(&receiver, setup.format, &content, now_s, &nonce, random);
    match fault {
        Some(FaultKind::Unsigned) => {
            delivery.query = Query { signature: None, msg_signature: None, ..delivery.query };
        }
        Some(FaultKind::WrongSignature) => {
            let Query { signature, msg_signature, .. } = delivery.query.clone();
            let falsified = |signature: Option<String>| signature.map(|text| other_digit(&text, text.len() - 1));
            delivery.query.signature = falsified(signature);
            delivery.query.msg_signature = falsified(msg_signature);
        }
        Some(FaultKind::TamperedBody) if receiver.mode != Mode::Plain => {
            // Somewhere in the middle of the sealed text, which stands last.
            let at = delivery.body.len() - SEALED_TAIL_BYTES;
            delivery.body = other_digit(&delivery.body, at);
        }
        _ => {}
    }
    delivery
}

/// The place that is changed in a sealed body, counted from its end. The shortest sealed text has 44 characters.
const SEALED_TAIL_BYTES: usize = 50;

/// The text with another character at that place, which must be ASCII; any other text is left as it is.
fn other_digit(text: &str, at: usize) -> String {
    let (Some(head), Some(tail)) = (text.get(..at), text.get(at + 1..)) else { return text.to_owned() };
    let other = if text[at..].starts_with('0') { '1' } else { '0' };
    format!("{head}{other}{tail}")
}

/// The content as the format wants it, with the count of the repeats where an event has one.
fn shaped(fields: &Fields, format: Format, letter: u64) -> Fields {
    let event = fields.text("Event").unwrap_or_default();
    let wrapper = WRAPPERS.iter().find(|(name, _)| format == Format::Xml && *name == event);
    let (mut shaped, mut list) = (Fields::new(), Fields::new());
    for (name, value) in fields.iter() {
        match name {
            "List" if wrapper.is_some() => list = list.with(name, value.clone()),
            "RetryTimes" => shaped = shaped.with(name, i64::try_from(letter - 1).unwrap_or(i64::MAX)),
            _ => shaped = shaped.with(name, value.clone()),
        }
    }
    match wrapper {
        Some((_, wrapper)) if !list.is_empty() => shaped.with(wrapper, list),
        _ => shaped,
    }
}

/// The fields with another text of that name; if there is none, with one more.
fn replaced(fields: &Fields, name: &str, text: &str) -> Fields {
    let mut found = false;
    let mut copy = Fields::new();
    for (known, value) in fields.iter() {
        let here = known == name;
        found |= here;
        copy = copy.with(known, if here { Value::from(text) } else { value.clone() });
    }
    if found { copy } else { copy.with(name, text) }
}
