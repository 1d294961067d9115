//! Notifications of payments: what is said, when it is due, when it is repeated, and who is never told.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941607> (payment notification).

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use weixin::{
    ApiV2Key, Fen, NonceStr, beijing_time,
    pay::v2::{
        self, SignType,
        notification::RETRY_PAUSES_S,
        refund_notification::{RefundNotification, RequestSource},
    },
    xml::Fields,
};

use super::{
    Api, Order, OrderState, Refund, RefundSource, falsify_signature,
    v3::notify::{OTHER_MERCHANT, Occasion},
};
use crate::{
    fault::{self, FaultKind},
    merchant::Merchant,
    world::World,
};

/// What is told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A payment, by the key of the order.
    Payment(String),
    /// The end of a refund, by its key.
    Refund(String),
    /// A self-test, by its key.
    Echo(String),
}

impl Subject {
    /// The key of what is told of.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Payment(key) | Self::Refund(key) | Self::Echo(key) => key,
        }
    }
}

/// How long a notification waits for another one to go first, in simulated seconds.
const HELD_BACK_S: u32 = 3600;

/// The duty to tell the merchant of a payment or a refund.
#[derive(Serialize, Deserialize)]
pub(crate) struct Notification {
    url: String,
    pub(crate) state: NotificationState,
    pub(crate) attempts: Vec<Attempt>,
    /// Unsuccessful attempts that count for the schedule.
    failures: usize,
    /// Decides the nonce of the next body.
    bodies: u64,
}

/// How far the notifications of a payment or a refund are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum NotificationState {
    /// An attempt is due at this time, or under way.
    Pending {
        /// When.
        due_at: Timestamp,
    },
    /// The merchant's server has said that it knows.
    Accepted,
    /// Fifteen repeats were of no use.
    GivenUp,
    /// `notify_url` is not on this machine: the simulator never calls the outside world.
    NotLoopback,
    /// The merchant has set no APIv3 key: WeChat Pay sends no notifications of API v3.
    NoApiV3Key,
    /// The merchant has no API v2 key: refunds cannot be told in API v2.
    NoApiV2Key,
}

/// One attempt to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Simulated time.
    pub at: Timestamp,
    /// The HTTP status of the reply, if there was one.
    pub http_status: Option<u16>,
    /// Whether WeChat takes the reply for "received".
    pub accepted: bool,
    /// Why there was no reply.
    pub error: Option<String>,
}

impl Notification {
    pub(super) fn new(url: String, now: Timestamp) -> Self {
        let state = match is_loopback(&url) {
            true => NotificationState::Pending { due_at: now },
            false => NotificationState::NotLoopback,
        };
        Self { url, state, attempts: Vec::new(), failures: 0, bodies: 0 }
    }

    /// There is something new to tell.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.failures = 0;
        if self.state != NotificationState::NotLoopback {
            self.state = NotificationState::Pending { due_at: now };
        }
    }

    /// When the next attempt is due, if one is.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            NotificationState::Pending { due_at } => Some(due_at),
            NotificationState::Accepted
            | NotificationState::GivenUp
            | NotificationState::NotLoopback
            | NotificationState::NoApiV3Key
            | NotificationState::NoApiV2Key => None,
        }
    }
}

/// Whether an address is on this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// One body on its way.
pub(crate) struct Letter {
    /// Nothing of a forgery: the books do not know of it.
    pub(super) subject: Option<Subject>,
    pub(super) api: Api,
    pub(super) url: String,
    pub(super) body: String,
    /// The signature, where it stands beside the body.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) at: Timestamp,
    pub(super) fault: Option<FaultKind>,
}

impl World {
    /// Takes out what is due. It comes back with [`World::attempted`].
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Letter> {
        let mut letters = std::mem::take(&mut self.forgeries);
        while let Some((due_at, subject)) = self.due.first().cloned().filter(|(due_at, _)| *due_at <= now) {
            self.due.remove(&(due_at, subject.clone()));
            let fault = self.notification_fault(&subject, now);
            match fault {
                Some(FaultKind::Delay(delay_s)) => self.set_due(&subject, after(now, delay_s)),
                Some(FaultKind::Reordered) => {
                    self.set_due(&subject, after(now, HELD_BACK_S));
                    self.held_back.push(subject);
                }
                fault => letters.extend(self.letter(subject, now, fault)),
            }
        }
        letters
    }

    /// What goes wrong with this attempt: what was ordered, or by chance a probe, which never strikes a repeat.
    fn notification_fault(&mut self, subject: &Subject, now: Timestamp) -> Option<FaultKind> {
        let repeat = self.notification(subject).is_some_and(|notification| !notification.attempts.is_empty());
        let attempt = if repeat { fault::Attempt::Repeat } else { fault::Attempt::First };
        let api = self.api(subject);
        if let Some(fault) = fault::strike_notification(self, now, api, attempt, subject.key()) {
            return Some(fault);
        }
        let counter = now.as_millisecond().unsigned_abs();
        let chance = self.seed().per_mille("probe a notification", &format!("{subject:?}"), counter);
        let probe = api == Api::V3 && !repeat && chance < self.switches.probe_per_mille;
        probe.then_some(FaultKind::Probe)
    }

    /// The version that a notification has. Self-tests are those of API v3.
    fn api(&self, subject: &Subject) -> Api {
        match subject {
            Subject::Payment(key) => self.orders.get(key).map_or(Api::V2, |order| order.api),
            Subject::Refund(key) => self.refunds.get(key).map_or(Api::V3, |refund| refund.told_in),
            Subject::Echo(_) => Api::V3,
        }
    }

    fn notification(&mut self, subject: &Subject) -> Option<&mut Notification> {
        match subject {
            Subject::Payment(key) => self.orders.get_mut(key)?.notification.as_mut(),
            Subject::Refund(key) => self.refunds.get_mut(key)?.notification.as_mut(),
            Subject::Echo(key) => self.echoes.get_mut(key)?.notification.as_mut(),
        }
    }

    fn set_due(&mut self, subject: &Subject, due_at: Timestamp) {
        if let Some(notification) = self.notification(subject) {
            notification.state = NotificationState::Pending { due_at };
            self.due.insert((due_at, subject.clone()));
        }
    }

    fn letter(&mut self, subject: Subject, now: Timestamp, fault: Option<FaultKind>) -> Option<Letter> {
        let (seed, api, switches) = (self.seed(), self.api(&subject), self.switches);
        let notification = self.notification(&subject)?;
        let (url, counter) = (notification.url.clone(), notification.bodies);
        notification.bodies += 1;
        let occasion = |key| Occasion { seed, now, key, counter, switches: &switches, fault: fault.as_ref() };
        let written = match &subject {
            Subject::Payment(key) => {
                let order = self.orders.get(key)?;
                match api {
                    Api::V2 => {
                        let merchant = self.merchants.get(order.mchid.as_str())?;
                        let nonce_str = seed.nonce(key, counter);
                        Some((letter_v2(merchant, order, nonce_str.as_str(), fault.as_ref())?, Vec::new()))
                    }
                    Api::V3 => {
                        let merchant = self.merchants_v3.get_mut(order.mchid.as_str())?;
                        occasion(key).payment(merchant, order).map(|written| (written.body, written.headers))
                    }
                }
            }
            Subject::Refund(key) => {
                let refund = self.refunds.get(key)?;
                if api == Api::V2 {
                    let order = self.orders.get(&refund.order)?;
                    let merchant = self.merchants.get(refund.mchid.as_str());
                    let Some(merchant) = merchant else {
                        self.notification(&subject)?.state = NotificationState::NoApiV2Key;
                        return None;
                    };
                    let nonce_str = seed.nonce(&format!("refund/{key}"), counter);
                    let told = refund.told(order, now);
                    let body = refund_letter_v2(merchant, told, &nonce_str, fault.as_ref());
                    return Some(Letter {
                        subject: Some(subject),
                        api,
                        url,
                        body,
                        headers: Vec::new(),
                        at: now,
                        fault,
                    });
                }
                let merchant = self.merchants_v3.get_mut(refund.mchid.as_str())?;
                occasion(key).refund(merchant, refund).map(|written| (written.body, written.headers))
            }
            Subject::Echo(key) => {
                let echo = self.echoes.get(key)?;
                let merchant = self.merchants_v3.get_mut(echo.mchid.as_str())?;
                occasion(key).echo(merchant, echo).map(|written| (written.body, written.headers))
            }
        };
        let Some((body, headers)) = written else {
            self.notification(&subject)?.state = NotificationState::NoApiV3Key;
            return None;
        };
        Some(Letter { subject: Some(subject), api, url, body, headers, at: now, fault })
    }

    /// Writes an attempt down. One that was not accepted is repeated after the pause of the schedule.
    pub(super) fn attempted(&mut self, subject: &Subject, attempts: Vec<Attempt>, again_s: Option<u32>) {
        let Some(at) = attempts.first().map(|attempt| attempt.at) else { return };
        for held_back in std::mem::take(&mut self.held_back).into_iter().filter(|waiting| waiting != subject) {
            self.due.retain(|(_, waiting)| *waiting != held_back);
            self.set_due(&held_back, at);
        }
        let Some(notification) = self.notification(subject) else { return };
        let accepted = attempts.iter().any(|attempt| attempt.accepted);
        notification.attempts.extend(attempts);
        if accepted {
            notification.state = NotificationState::Accepted;
            if let Some(again_s) = again_s {
                self.set_due(subject, after(at, again_s));
            }
            return;
        }
        let pause = RETRY_PAUSES_S.get(notification.failures).copied();
        notification.failures += 1;
        match pause {
            Some(pause_s) => self.set_due(subject, after(at, pause_s)),
            None => notification.state = NotificationState::GivenUp,
        }
    }
}

impl Order {
    fn notification_sign_type(&self) -> Option<SignType> {
        let OrderState::Paid { sign_type, .. } = &self.state else { return None };
        sign_type.as_deref().map_or(Some(SignType::Md5), |word| SignType::from_wire(word).ok())
    }
}

/// A notification of API v2, spoilt as a fault says.
fn letter_v2(merchant: &Merchant, order: &Order, nonce_str: &str, fault: Option<&FaultKind>) -> Option<String> {
    let mut fields = write(order, nonce_str)?;
    let total_and_one = (order.total.get() + 1).to_string();
    match fault {
        Some(FaultKind::UnknownField) => drop(fields.set("zz_unknown_field", "1")),
        Some(FaultKind::WrongAmount) => drop(fields.set("total_fee", total_and_one.as_str())),
        Some(FaultKind::OtherMerchant) => drop(fields.set("mch_id", OTHER_MERCHANT)),
        _ => {}
    }
    let mut fields = v2::signed(fields, &merchant.api_v2_key, order.notification_sign_type()?);
    match fault {
        Some(FaultKind::Unsigned) => drop(fields.remove("sign")),
        Some(FaultKind::WrongSignature) => falsify_signature(&mut fields),
        Some(FaultKind::TamperedAmount | FaultKind::TamperedBody) => drop(fields.set("total_fee", total_and_one)),
        _ => {}
    }
    Some(fields.to_xml())
}

impl Refund {
    fn told(&self, order: &Order, now: Timestamp) -> RefundNotification {
        RefundNotification {
            appid: order.appid.clone(),
            mchid: self.mchid.clone(),
            refund: self.describe(now),
            request_source: match self.source {
                RefundSource::ApiV2 | RefundSource::ApiV3 => RequestSource::Api,
                RefundSource::Platform => RequestSource::VendorPlatform,
            },
        }
    }
}

/// A refund notification of API v2, spoilt as a fault says. It has no signature: a forger is somebody with another key.
fn refund_letter_v2(
    merchant: &Merchant,
    mut told: RefundNotification,
    nonce_str: &NonceStr,
    fault: Option<&FaultKind>,
) -> String {
    if fault == Some(&FaultKind::WrongAmount) {
        told.refund.refund = Fen::new(told.refund.refund.get() + 1);
    }
    let key = match fault {
        Some(FaultKind::WrongSignature) => ApiV2Key::parse(OTHER_KEY).unwrap_or_else(|_| merchant.api_v2_key.clone()),
        _ => merchant.api_v2_key.clone(),
    };
    let mut fields = told.write(nonce_str, &key);
    match fault {
        Some(FaultKind::UnknownField) => drop(fields.set("zz_unknown_field", "1")),
        Some(FaultKind::OtherMerchant) => drop(fields.set("mch_id", OTHER_MERCHANT)),
        Some(FaultKind::Unsigned) => drop(fields.remove("req_info")),
        Some(FaultKind::TamperedAmount | FaultKind::TamperedBody) => {
            // The last block is changed, so that the padding is broken.
            let sealed = fields.get("req_info").unwrap_or_default();
            let cut = sealed.len().saturating_sub(24);
            let tampered = format!("{}{}", &sealed[..cut], "A".repeat(22) + "==");
            fields.set("req_info", tampered);
        }
        _ => {}
    }
    fields.to_xml()
}

/// The API v2 key of nobody.
pub(super) const OTHER_KEY: &str = "strangerStrangerStranger00000000";

/// The notification without its signature, in alphabetical order as in reality. `sign_type` is there if the order
/// had it.
fn write(order: &Order, nonce_str: &str) -> Option<Fields> {
    let OrderState::Paid { transaction_id, paid_at, sign_type } = &order.state else { return None };
    let total_fee = order.total.get().to_string();
    let mut fields = Fields::new();
    fields
        .set("appid", order.appid.as_str())
        .set_some("attach", order.parameter("attach"))
        .set("bank_type", "OTHERS")
        .set("cash_fee", total_fee.as_str())
        .set_some("device_info", order.device())
        .set("fee_type", "CNY")
        .set("is_subscribe", "N")
        .set("mch_id", order.mchid.as_str())
        .set("nonce_str", nonce_str)
        .set("openid", order.openid.as_str())
        .set("out_trade_no", order.out_trade_no.as_str())
        .set("result_code", "SUCCESS")
        .set("return_code", "SUCCESS")
        .set("sign", "")
        .set_some("sign_type", sign_type.as_deref())
        .set("time_end", beijing_time::compact(*paid_at))
        .set("total_fee", total_fee.as_str())
        .set("trade_type", "JSAPI")
        .set("transaction_id", transaction_id.as_str());
    Some(fields)
}

/// So many seconds later.
pub(crate) fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_notified() {
        for here in [
            "http://127.0.0.1:8080/a",
            "http://127.9.9.9/",
            "http://[::1]:1/a",
            "http://localhost/a",
            "http://shop.localhost/a",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for there in [
            "https://shop.example.com/a",
            "http://10.0.0.1/a",
            "http://localhost.example.com/",
            "http://0.0.0.0/",
            "http://[::]/",
            "nonsense",
        ] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
