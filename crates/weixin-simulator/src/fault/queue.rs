//! The rules that are still to strike, in the order in which they were told.

use super::{Attempt, Fault, FaultKind, NOTIFICATION, PUSH, Target, is_here};
use crate::{pay::Api, random::Seed};

/// The faults that are still to strike.
#[derive(Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    /// How many were ever told; gives each its own chance.
    told: u64,
    seed: u64,
}

struct Armed {
    fault: Fault,
    number: u64,
    /// How many messages it could have struck.
    seen: u32,
}

impl Faults {
    /// Decides by chance as this seed says.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        self.told += 1;
        if fault.times > 0 {
            self.armed.push(Armed { fault, number: self.told, seen: 0 });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Forgets the newest rule that is this one, however often it has struck.
    pub(crate) fn remove(&mut self, fault: &Fault) {
        let is_it = |armed: &Armed| Fault { times: fault.times, ..armed.fault.clone() } == *fault;
        if let Some(index) = self.armed.iter().rposition(is_it) {
            self.armed.remove(index);
        }
    }

    pub(crate) fn list(&self) -> Vec<&Fault> {
        self.armed.iter().map(|armed| &armed.fault).collect()
    }

    /// The fault that strikes this request, if any. `pattern` is the path with the names of its numbers in braces,
    /// `text` whatever stands in the request.
    pub(super) fn take_request(
        &mut self,
        path: &str,
        pattern: &str,
        attempt: Attempt,
        text: impl Fn(&str) -> bool,
    ) -> Option<FaultKind> {
        let here = |wanted: &str| is_here(wanted, path, pattern);
        self.take(|fault| {
            fault.path.as_deref().is_none_or(here)
                && fault.kind.fits(Target::Request(path))
                && fault.about.as_deref().is_none_or(&text)
                && (fault.kind != FaultKind::Probe || attempt == Attempt::First)
        })
    }

    /// The fault that strikes this notification, if any. Without a path only the kinds that are for notifications do.
    pub(super) fn take_notification(&mut self, api: Api, attempt: Attempt, subject: &str) -> Option<FaultKind> {
        self.take(|fault| {
            let here = match fault.path.as_deref() {
                Some(path) => path == NOTIFICATION && fault.kind.fits(Target::Notification),
                None => fault.kind.is_for_notifications(),
            };
            here && (api == Api::V3 || !fault.kind.is_of_v3_signatures())
                && fault.about.as_deref().is_none_or(|about| subject.contains(about))
                && (fault.kind != FaultKind::Probe || attempt == Attempt::First)
        })
    }

    /// The fault that strikes this push, if any. One without a path never does, unless it is for pushes only.
    pub(super) fn take_push(&mut self) -> Option<FaultKind> {
        self.take(|fault| match fault.path.as_deref() {
            Some(path) => path == PUSH && fault.kind.fits(Target::Push),
            None => matches!(fault.kind, FaultKind::OtherApp | FaultKind::ClearText),
        })
    }

    fn take(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<FaultKind> {
        let seed = Seed(self.seed);
        let index = self.armed.iter_mut().position(|armed| fits(&armed.fault) && armed.strikes(seed))?;
        let armed = &mut self.armed[index];
        armed.fault.times -= 1;
        let kind = armed.fault.kind.clone();
        if armed.fault.times == 0 {
            self.armed.remove(index);
        }
        Some(kind)
    }
}

impl Armed {
    /// Whether it strikes the next message that it can strike.
    fn strikes(&mut self, seed: Seed) -> bool {
        self.seen = self.seen.saturating_add(1);
        let due = self.seen > self.fault.after;
        // Everything is below 1000.
        due && seed.per_mille("fault", &self.number.to_string(), u64::from(self.seen)) < self.fault.per_mille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(faults: &mut Faults, path: &str) -> Option<FaultKind> {
        faults.take_request(path, path, Attempt::First, |text| text == "ORD1")
    }

    #[test]
    fn a_fault_strikes_its_path_so_many_times_and_is_gone() {
        let mut faults = Faults::default();
        faults.add(Fault::on("/pay/closeorder", FaultKind::Html).times(2));
        assert_eq!(take(&mut faults, "/pay/orderquery"), None);
        assert_eq!(take(&mut faults, "/pay/closeorder"), Some(FaultKind::Html));
        assert_eq!(take(&mut faults, "/pay/closeorder"), Some(FaultKind::Html));
        assert_eq!(take(&mut faults, "/pay/closeorder"), None);
    }

    #[test]
    fn a_fault_waits_for_a_request_that_it_can_strike() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Errcode(-1)));
        assert_eq!(take(&mut faults, "/pay/orderquery"), None);
        assert_eq!(take(&mut faults, "/sns/jscode2session"), Some(FaultKind::Errcode(-1)));
    }

    #[test]
    fn a_fault_lets_pass_what_it_was_told_to_and_what_is_about_something_else() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Html).after(2).about("ORD1"));
        faults.add(Fault::new(FaultKind::Empty).about("ORD2"));
        let taken: Vec<_> = (0..4).map(|_| take(&mut faults, "/pay/orderquery")).collect();
        assert_eq!(taken, [None, None, Some(FaultKind::Html), None]);
        assert_eq!(faults.list().len(), 1);
    }

    #[test]
    fn chance_comes_from_the_seed_and_counts_only_what_could_be_struck() {
        let struck = |seed: u64| {
            let mut faults = Faults::seeded(seed);
            faults.add(Fault::on("/pay/orderquery", FaultKind::Html).times(1000).per_mille(250));
            let taken = (0..1000).map(|_| {
                let _ = take(&mut faults, "/pay/closeorder");
                take(&mut faults, "/pay/orderquery").is_some()
            });
            taken.collect::<Vec<_>>()
        };
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        let count = struck(7).into_iter().filter(|struck| *struck).count();
        assert!((200..300).contains(&count), "{count} of 1000");
        let mut never = Faults::default();
        never.add(Fault::new(FaultKind::Html).per_mille(0));
        assert!((0..100).all(|_| take(&mut never, "/pay/orderquery").is_none()));
    }

    #[test]
    fn faults_of_requests_leave_notifications_alone() {
        let mut faults = Faults::default();
        let take = |faults: &mut Faults| faults.take_notification(Api::V2, Attempt::First, "1/ORD1");
        faults.add(Fault::new(FaultKind::Unsigned));
        assert_eq!(take(&mut faults), None);
        faults.add(Fault::on(NOTIFICATION, FaultKind::Html));
        faults.add(Fault::on(NOTIFICATION, FaultKind::Unsigned).about("ORD2"));
        assert_eq!(take(&mut faults), None);
        faults.add(Fault::on(NOTIFICATION, FaultKind::Unsigned).about("ORD1"));
        assert_eq!(take(&mut faults), Some(FaultKind::Unsigned));
    }

    #[test]
    fn a_probe_waits_for_a_first_attempt_of_api_v3() {
        let mut faults = Faults::default();
        let take = |faults: &mut Faults, api, attempt| faults.take_notification(api, attempt, "");
        faults.add(Fault::on(NOTIFICATION, FaultKind::Probe));
        assert_eq!(take(&mut faults, Api::V2, Attempt::First), None);
        assert_eq!(take(&mut faults, Api::V3, Attempt::Repeat), None);
        assert_eq!(take(&mut faults, Api::V3, Attempt::First), Some(FaultKind::Probe));
    }
}
