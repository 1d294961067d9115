//! Events that WeChat itself causes: sent when a test or a person says so, with content of one's own or with a sample.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/order-shipping/order-shipping.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html>.

use std::sync::Arc;

use jiff::Timestamp;
use weixin::{
    AppId, OpenId,
    mini_program::msg_sec_check::Suggest,
    push::{Fields, Format, Value},
};

use super::{NewPush, outbox::PushAttempt, sample::SAMPLES, sender::send_copies};
use crate::{
    Consent, Shared,
    login::UnknownApp,
    mini_program::{content_check::media_check_fields, subscribe::choice},
};

/// How many copies of a push may be sent at once.
pub const PUSH_COPIES_MAX: usize = 1_000;

/// An event to push.
#[derive(Clone, Debug)]
pub struct PushEvent {
    /// Who sends it; an id of WeChat's own if nobody.
    from: Option<OpenId>,
    event: String,
    fields: Fields,
}

impl PushEvent {
    /// An event of that name without content.
    pub fn new(event: &str) -> Self {
        Self { from: None, event: event.to_owned(), fields: Fields::new() }
    }

    /// An event with the content of a sample, if there is one. All events of the documentation have one.
    pub fn sample(event: &str) -> Option<Self> {
        let (_, json) = SAMPLES.iter().find(|(known, _)| *known == event)?;
        // The samples are well formed; a test holds them to it.
        Some(Self { fields: Fields::read(json, Format::Json).ok()?, ..Self::new(event) })
    }

    /// The events that have a sample.
    pub fn samples() -> impl Iterator<Item = &'static str> {
        SAMPLES.iter().map(|(event, _)| *event)
    }

    /// The event comes from this customer.
    #[must_use]
    pub fn from_customer(self, openid: &OpenId) -> Self {
        Self { from: Some(openid.clone()), ..self }
    }

    /// One more value; a name may stand several times.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Self { fields: self.fields.with(name, value), ..self }
    }

    /// This content instead.
    #[must_use]
    pub fn content(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// A customer answered the pop-up for subscribe messages; rights do not change.
    pub fn subscribe_popup(openid: &OpenId, answers: &[(&str, Consent)]) -> Self {
        let entries = answers.iter().map(|(id, consent)| choice(id, *consent).with("PopupScene", "0"));
        Self::list("subscribe_msg_popup_event", openid, entries)
    }

    /// A customer switched templates off; rights do not change.
    pub fn subscribe_change(openid: &OpenId, template_ids: &[&str]) -> Self {
        let entries = template_ids.iter().map(|id| choice(id, Consent::Reject));
        Self::list("subscribe_msg_change_event", openid, entries)
    }

    /// What became of subscribe messages: template, number, code and word of each.
    pub fn subscribe_sent(openid: &OpenId, results: &[(&str, &str, i64, &str)]) -> Self {
        let entries = results.iter().map(|(template_id, msg_id, error_code, error_status)| {
            let entry = Fields::new().with("TemplateId", *template_id).with("MsgID", *msg_id);
            entry.with("ErrorCode", error_code.to_string()).with("ErrorStatus", *error_status)
        });
        Self::list("subscribe_msg_sent_event", openid, entries)
    }

    fn list(event: &str, openid: &OpenId, entries: impl Iterator<Item = Fields>) -> Self {
        entries.fold(Self::new(event).from_customer(openid), |event, entry| event.with("List", entry))
    }

    /// The verdict on a picture or sound.
    pub fn media_check(appid: &AppId, trace_id: &str, suggest: &Suggest) -> Self {
        Self::new("wxa_media_check").content(media_check_fields(appid.as_str(), trace_id, suggest))
    }

    /// An order is older than 48 hours and not shipped.
    pub fn remind_shipping(order: &ShippedOrder, pay_time_s: i64) -> Self {
        let event = Self::new("trade_manage_remind_shipping").content(order.fields());
        event.with("pay_time", pay_time_s).with("msg", "请尽快发货")
    }

    /// An order was shipped whole.
    pub fn order_shipped(order: &ShippedOrder, shipped_time_s: i64, estimated_settlement_time_s: i64) -> Self {
        let event = Self::new(SETTLEMENT).content(order.fields()).with("shipped_time", shipped_time_s);
        event.with("estimated_settlement_time", estimated_settlement_time_s)
    }

    /// The money of an order was released, because the customer confirmed (`by_hand`) or the time was over.
    pub fn order_settled(
        order: &ShippedOrder,
        by_hand: bool,
        confirm_receive_time_s: i64,
        settlement_time_s: i64,
    ) -> Self {
        Self::new(SETTLEMENT)
            .content(order.fields())
            .with("confirm_receive_method", if by_hand { 1 } else { 2 })
            .with("confirm_receive_time", confirm_receive_time_s)
            .with("settlement_time", settlement_time_s)
    }
}

const SETTLEMENT: &str = "trade_manage_order_settlement";

/// Which order an event about shipping is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippedOrder {
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// The merchant.
    pub merchant_id: String,
    /// The merchant's number of the payment.
    pub merchant_trade_no: String,
}

impl ShippedOrder {
    fn fields(&self) -> Fields {
        Fields::new()
            .with("transaction_id", self.transaction_id.as_str())
            .with("merchant_id", self.merchant_id.as_str())
            .with("sub_merchant_id", "")
            .with("merchant_trade_no", self.merchant_trade_no.as_str())
    }
}

/// Why nothing is pushed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    /// There is no such app.
    #[error(transparent)]
    UnknownApp(#[from] UnknownApp),
    /// Message push of the app is off.
    #[error("message push of the app is off; switch it on with set_push or POST /_sim/push")]
    SwitchedOff,
    /// There was no such push.
    #[error("there was no push of the number {0}")]
    UnknownPush(u64),
    /// Too many copies.
    #[error("at most {PUSH_COPIES_MAX} copies can be sent at once")]
    TooManyCopies,
}

/// Has an event pushed, and gives its number.
pub(crate) fn push_event(shared: &Shared, appid: &AppId, event: PushEvent) -> Result<u64, PushRefusal> {
    let mut world = shared.world();
    let now = shared.time(&world);
    if !world.apps.contains_key(appid.as_str()) {
        return Err(UnknownApp(appid.clone()).into());
    }
    let seed = world.seed();
    let from = event.from.unwrap_or_else(|| seed.openid(appid.as_str(), "WeChat itself"));
    let mut fields = Fields::new().with("MsgType", "event").with("Event", event.event.as_str());
    for (name, value) in event.fields.iter().filter(|(name, _)| !["MsgType", "Event"].contains(name)) {
        fields = fields.with(name, value.clone());
    }
    let subject = subject(&event.event, from.as_str(), now, &fields);
    let push = NewPush { appid: appid.clone(), from, chat: None, subject, fields };
    let number = world.push(now, push).ok_or(PushRefusal::SwitchedOff);
    drop(world);
    shared.changed();
    shared.push_work.notify_one();
    number
}

/// What two events that are not the same differ in.
fn subject(event: &str, from: &str, now: Timestamp, fields: &Fields) -> String {
    format!("{event}/{from}/{now}/{}", fields.write(Format::Json))
}

/// Sends copies of a push at the same moment, each signed afresh, whatever became of it.
pub(crate) async fn repeat_push(
    shared: &Arc<Shared>,
    number: u64,
    copies: usize,
) -> Result<Vec<PushAttempt>, PushRefusal> {
    if copies > PUSH_COPIES_MAX {
        return Err(PushRefusal::TooManyCopies);
    }
    let letters = {
        let mut world = shared.world();
        let now = shared.time(&world);
        let appid = world.outbox.push(number).map(|push| push.appid.clone()).ok_or(PushRefusal::UnknownPush(number))?;
        let setup = world.apps.get(appid.as_str()).and_then(|app| app.push.as_ref());
        setup.filter(|setup| setup.enabled).ok_or(PushRefusal::SwitchedOff)?;
        (0..copies).filter_map(|_| world.push_letter(number, now, None)).collect()
    };
    Ok(send_copies(shared, number, letters).await)
}
