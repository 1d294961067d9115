//! What the simulator can be told to do wrong: by path, so many times, in the order of the telling.
//!
//! The first fault of the queue that fits a request strikes it and counts down. One request is struck by one fault.

use serde::{Deserialize, Serialize};

/// The `path` that stands for the notifications that WeChat sends.
pub const NOTIFICATION: &str = "notification";

/// Something to do wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path of the endpoint (`/pay/unifiedorder`), [`NOTIFICATION`], or nothing for every endpoint of WeChat.
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
    /// No effect; WeChat Pay refuses on the business level, signed, with this `err_code`.
    ErrCode(String),
    /// The request takes effect; WeChat Pay refuses all the same, signed, with this `err_code` (as `SYSTEMERROR` may).
    ErrCodeAfter(String),
    /// No effect; WeChat Pay refuses on the communication level, unsigned, with this `return_msg`.
    Fail(String),
    /// No effect; `api.weixin.qq.com` answers with this `errcode`.
    Errcode(i64),
    /// Notifications only: the attempt is lost on its way and counts as unsuccessful.
    Lost,
    /// Notifications only: the same notification is posted twice at the same time.
    Twice,
    /// Notifications only: `total_fee` is one fen more than was signed.
    TamperedAmount,
    /// Notifications only: an element that nobody knows, signed like the others.
    UnknownField,
    /// Notifications only: the attempt is made so many simulated seconds later.
    Delay(u32),
}

/// What a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A request to this path.
    Request(&'a str),
    /// A notification.
    Notification,
}

impl<'a> Target<'a> {
    /// What a fault's `path` stands for.
    pub(crate) fn of(path: &'a str) -> Self {
        if path == NOTIFICATION { Self::Notification } else { Self::Request(path) }
    }
}

impl FaultKind {
    /// Whether the kind makes sense there. One that does not would be used up without being seen.
    pub(crate) fn fits(&self, target: Target<'_>) -> bool {
        use FaultKind as Kind;
        match (self, target) {
            (Kind::Lost | Kind::Twice | Kind::TamperedAmount | Kind::UnknownField | Kind::Delay(_), target) => {
                target == Target::Notification
            }
            (Kind::Unsigned | Kind::WrongSignature, Target::Notification) => true,
            (_, Target::Notification) => false,
            (
                Kind::Unsigned | Kind::WrongSignature | Kind::ErrCode(_) | Kind::ErrCodeAfter(_) | Kind::Fail(_),
                Target::Request(path),
            ) => path.starts_with("/pay/"),
            (Kind::Errcode(_), Target::Request(path)) => !path.starts_with("/pay/"),
            (_, Target::Request(_)) => true,
        }
    }
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

    /// The fault that strikes this request, if any.
    pub(crate) fn take_request(&mut self, path: &str) -> Option<FaultKind> {
        let here = |fault: &Fault| fault.path.as_deref().is_none_or(|wanted| wanted == path);
        self.take(|fault| here(fault) && fault.kind.fits(Target::Request(path)))
    }

    /// The fault that strikes this notification, if any. Without a path only the kinds that are for notifications do.
    pub(crate) fn take_notification(&mut self) -> Option<FaultKind> {
        self.take(|fault| match fault.path.as_deref() {
            Some(path) => path == NOTIFICATION && fault.kind.fits(Target::Notification),
            None => fault.kind.fits(Target::Notification) && !fault.kind.fits(Target::Request("/pay/unifiedorder")),
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
        assert_eq!(faults.take_request("/pay/orderquery"), None);
        assert_eq!(faults.take_request("/pay/closeorder"), Some(FaultKind::Html));
        assert_eq!(faults.take_request("/pay/closeorder"), Some(FaultKind::Html));
        assert_eq!(faults.take_request("/pay/closeorder"), None);
    }

    #[test]
    fn a_fault_waits_for_a_request_that_it_can_strike() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Errcode(-1)));
        assert_eq!(faults.take_request("/pay/orderquery"), None);
        assert_eq!(faults.take_request("/sns/jscode2session"), Some(FaultKind::Errcode(-1)));
    }

    #[test]
    fn faults_of_requests_leave_notifications_alone() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Unsigned));
        assert_eq!(faults.take_notification(), None);
        faults.add(Fault::on(NOTIFICATION, FaultKind::Unsigned));
        assert_eq!(faults.take_notification(), Some(FaultKind::Unsigned));
    }
}
