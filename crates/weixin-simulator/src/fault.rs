//! What the simulator can be told to do wrong: by path, so many times, in the order of the telling.
//!
//! The first fault of the queue that fits a request strikes it and counts down. One request is struck by one fault.

use serde::{Deserialize, Serialize};

use crate::pay::{self, Api};

/// The `path` that stands for the notifications that WeChat sends.
pub const NOTIFICATION: &str = "notification";

/// The `path` that stands for the pushes that WeChat sends: messages of customers and events.
pub const PUSH: &str = "push";

/// Something to do wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path of the endpoint (`/pay/unifiedorder`; of API v3 as WeChat's pages write it, for example
    /// `/v3/pay/transactions/out-trade-no/{out_trade_no}`, or with a number), [`NOTIFICATION`], [`PUSH`], or nothing for every
    /// endpoint of WeChat.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// Strikes the next request to any endpoint.
    pub fn new(kind: FaultKind) -> Self {
        Self { path: None, times: 1, kind }
    }

    /// Strikes the next request to one endpoint.
    pub fn on(path: &str, kind: FaultKind) -> Self {
        Self { path: Some(path.to_owned()), times: 1, kind }
    }

    /// Strikes so many requests.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No effect; the gateway answers with this HTTP status and a page of HTML.
    Status(u16),
    /// No effect; the gateway answers with status 200 and a page of HTML.
    Html,
    /// No effect; status 200 and no body.
    Empty,
    /// No effect; the connection is closed without an answer.
    NoAnswerBefore,
    /// The request takes effect; the connection is closed without an answer.
    NoAnswerAfter,
    /// The request takes effect; the connection breaks in the middle of the answer.
    HalfAnswer,
    /// The request takes effect; the answer comes so many real milliseconds later.
    Hang(u64),
    /// The request takes effect; the answer has no signature. Also for notifications.
    Unsigned,
    /// The request takes effect; the answer has a wrong signature. Also for notifications.
    WrongSignature,
    /// API v3. The request takes effect; the signature is good, but ten minutes old. Also for notifications.
    Stale,
    /// API v3. The request takes effect; a key signs that was never published, under its own name. Also for
    /// notifications.
    UnknownSerial,
    /// API v3. The request takes effect; the signature is a probe (`WECHATPAY/SIGNTEST/…`), by which WeChat Pay tests
    /// whether anybody verifies. Half of them are not base64. Also for notifications. Never strikes a repeat.
    Probe,
    /// API v2. No effect; WeChat Pay refuses on the business level, signed, with this `err_code`.
    ErrCode(String),
    /// API v2. The request takes effect; WeChat Pay refuses all the same, signed, with this `err_code` (as
    /// `SYSTEMERROR` may).
    ErrCodeAfter(String),
    /// API v2. No effect; WeChat Pay refuses on the communication level, unsigned, with this `return_msg`.
    Fail(String),
    /// API v3. No effect; WeChat Pay refuses with this HTTP status and code, after it found the signature good.
    V3Error {
        /// The HTTP status.
        status: u16,
        /// For example `FREQUENCY_LIMITED`.
        code: String,
    },
    /// API v3. The request takes effect; WeChat Pay refuses all the same (as 500 `SYSTEM_ERROR` may).
    V3ErrorAfter {
        /// The HTTP status.
        status: u16,
        /// For example `SYSTEM_ERROR`.
        code: String,
    },
    /// No effect; `api.weixin.qq.com` answers with this `errcode`.
    Errcode(i64),
    /// Notifications only: the attempt is lost on its way and counts as unsuccessful.
    Lost,
    /// Notifications only: the same notification is posted twice at the same time.
    Twice,
    /// Notifications only: `total_fee` is one fen more than was signed. In API v3 nobody can do that to a sealed
    /// amount; there it is the same as [`FaultKind::TamperedBody`].
    TamperedAmount,
    /// Notifications only: the body is not the one that was signed.
    TamperedBody,
    /// Notifications only: the amount is one fen more, properly sealed and signed.
    WrongAmount,
    /// Notifications only: the payment is another merchant's, properly sealed and signed for this one.
    OtherMerchant,
    /// Notifications only: an element that nobody knows, signed like the others.
    UnknownField,
    /// Notifications only: the attempt is made so many simulated seconds later.
    Delay(u32),
    /// Pushes only: sealed for another app.
    OtherApp,
    /// Pushes only: in clear text, whatever the app has agreed on.
    ClearText,
}

/// What a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A request to this path.
    Request(&'a str),
    /// A notification.
    Notification,
    /// A push.
    Push,
}

impl<'a> Target<'a> {
    /// What a fault's `path` stands for.
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            NOTIFICATION => Self::Notification,
            PUSH => Self::Push,
            path => Self::Request(path),
        }
    }
}

impl FaultKind {
    /// Whether the kind makes sense there. One that does not would be used up without being seen.
    pub(crate) fn fits(&self, target: Target<'_>) -> bool {
        use FaultKind as Kind;
        match (self, target) {
            (kind, Target::Notification) => kind.is_for_notifications() || kind.is_of_signatures(),
            (kind, Target::Request(_)) if kind.is_for_notifications() => false,
            (kind, Target::Push) => kind.is_for_pushes(),
            (Kind::OtherApp | Kind::ClearText, Target::Request(_)) => false,
            (Kind::Unsigned | Kind::WrongSignature, Target::Request(path)) => {
                pay::is_path(path) || path.starts_with("/v3/")
            }
            (Kind::ErrCode(_) | Kind::ErrCodeAfter(_) | Kind::Fail(_), Target::Request(path)) => pay::is_path(path),
            (
                Kind::Stale | Kind::UnknownSerial | Kind::Probe | Kind::V3Error { .. } | Kind::V3ErrorAfter { .. },
                Target::Request(path),
            ) => path.starts_with("/v3/"),
            (Kind::Errcode(_), Target::Request(path)) => !pay::is_path(path) && !path.starts_with("/v3/"),
            (_, Target::Request(_)) => true,
        }
    }

    fn is_for_notifications(&self) -> bool {
        use FaultKind as Kind;
        matches!(
            self,
            Kind::Lost
                | Kind::Twice
                | Kind::TamperedAmount
                | Kind::TamperedBody
                | Kind::WrongAmount
                | Kind::OtherMerchant
                | Kind::UnknownField
                | Kind::Delay(_)
        )
    }

    /// [`FaultKind::Stale`] makes a push eight days old.
    fn is_for_pushes(&self) -> bool {
        use FaultKind as Kind;
        matches!(
            self,
            Kind::Lost
                | Kind::Twice
                | Kind::Delay(_)
                | Kind::Unsigned
                | Kind::WrongSignature
                | Kind::TamperedBody
                | Kind::Stale
                | Kind::OtherApp
                | Kind::ClearText
        )
    }

    fn is_of_signatures(&self) -> bool {
        matches!(self, Self::Unsigned | Self::WrongSignature) || self.is_of_v3_signatures()
    }

    fn is_of_v3_signatures(&self) -> bool {
        matches!(self, Self::Stale | Self::UnknownSerial | Self::Probe)
    }
}

/// Whether a message is a repeat. Repeats are never probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is not.
    First,
    /// It is.
    Repeat,
}

/// The faults that are still to strike.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.0.push(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The fault that strikes this request, if any. `pattern` is the path with the names of its numbers in braces.
    pub(crate) fn take_request(&mut self, path: &str, pattern: &str, attempt: Attempt) -> Option<FaultKind> {
        let here = |wanted: &str| wanted == path || wanted == pattern;
        self.take(|fault| {
            fault.path.as_deref().is_none_or(here)
                && fault.kind.fits(Target::Request(path))
                && (fault.kind != FaultKind::Probe || attempt == Attempt::First)
        })
    }

    /// The fault that strikes this notification, if any. Without a path only the kinds that are for notifications do.
    pub(crate) fn take_notification(&mut self, api: Api, attempt: Attempt) -> Option<FaultKind> {
        self.take(|fault| {
            let here = match fault.path.as_deref() {
                Some(path) => path == NOTIFICATION && fault.kind.fits(Target::Notification),
                None => fault.kind.is_for_notifications(),
            };
            here && (api == Api::V3 || !fault.kind.is_of_v3_signatures())
                && (fault.kind != FaultKind::Probe || attempt == Attempt::First)
        })
    }

    /// The fault that strikes this push, if any. One without a path never does, unless it is for pushes only.
    pub(crate) fn take_push(&mut self) -> Option<FaultKind> {
        self.take(|fault| match fault.path.as_deref() {
            Some(path) => path == PUSH && fault.kind.fits(Target::Push),
            None => matches!(fault.kind, FaultKind::OtherApp | FaultKind::ClearText),
        })
    }

    fn take(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<FaultKind> {
        let index = self.0.iter().position(fits)?;
        self.0[index].times -= 1;
        let kind = self.0[index].kind.clone();
        if self.0[index].times == 0 {
            self.0.remove(index);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_path_so_many_times_and_is_gone() {
        let mut faults = Faults::default();
        faults.add(Fault::on("/pay/closeorder", FaultKind::Html).times(2));
        assert_eq!(faults.take_request("/pay/orderquery", "/pay/orderquery", Attempt::First), None);
        assert_eq!(faults.take_request("/pay/closeorder", "/pay/closeorder", Attempt::First), Some(FaultKind::Html));
        assert_eq!(faults.take_request("/pay/closeorder", "/pay/closeorder", Attempt::First), Some(FaultKind::Html));
        assert_eq!(faults.take_request("/pay/closeorder", "/pay/closeorder", Attempt::First), None);
    }

    #[test]
    fn a_fault_waits_for_a_request_that_it_can_strike() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Errcode(-1)));
        assert_eq!(faults.take_request("/pay/orderquery", "/pay/orderquery", Attempt::First), None);
        assert_eq!(
            faults.take_request("/sns/jscode2session", "/sns/jscode2session", Attempt::First),
            Some(FaultKind::Errcode(-1))
        );
    }

    #[test]
    fn faults_of_requests_leave_notifications_alone() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Unsigned));
        assert_eq!(faults.take_notification(Api::V2, Attempt::First), None);
        faults.add(Fault::on(NOTIFICATION, FaultKind::Unsigned));
        assert_eq!(faults.take_notification(Api::V2, Attempt::First), Some(FaultKind::Unsigned));
    }

    #[test]
    fn a_probe_waits_for_a_first_attempt_of_api_v3() {
        let mut faults = Faults::default();
        faults.add(Fault::on(NOTIFICATION, FaultKind::Probe));
        assert_eq!(faults.take_notification(Api::V2, Attempt::First), None);
        assert_eq!(faults.take_notification(Api::V3, Attempt::Repeat), None);
        assert_eq!(faults.take_notification(Api::V3, Attempt::First), Some(FaultKind::Probe));
    }
}
