//! What follows from a try: pure. A failure is tried again over more than three days; then the delivery is a dead letter.

use jiff::{SignedDuration, Timestamp};

/// The pauses between the tries of one delivery, in seconds: nearly 80 hours, so an endpoint may be away for three days.
const PAUSES_S: [i64; 13] =
    [5, 30, 120, 600, 1800, 3600, 7200, 4 * 3600, 8 * 3600, 12 * 3600, 20 * 3600, 24 * 3600, 8 * 3600];

/// A pause grows by up to a tenth at random, so that not everything comes back at the same moment.
const JITTER_TENTHS_OF_PER_CENT: i64 = 100;

/// An endpoint that asks for a longer pause gets this one.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A delivery that has waited so long is shown to a person.
pub(super) const BLOCKED_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Taken,
    /// 410: the endpoint wants nothing any more.
    Gone,
    /// Everything else, also no answer at all.
    Failed {
        /// How long the endpoint wants to be left alone.
        retry_after: Option<SignedDuration>,
    },
}

/// What becomes of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is left to do.
    Delivered,
    /// It stays as it is, for the endpoint as it is or for the day when it is enabled again.
    Kept,
    /// Again, not before this time.
    Again(Timestamp),
    /// Only a person can send it again.
    Exhausted,
}

/// What becomes of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Nothing is sent until a person enables it.
    Disable,
    /// Nothing is sent before this time.
    PauseUntil(Timestamp),
}

/// What follows from a try, after so many failures before it.
pub(super) fn after(failures: i64, outcome: Outcome, now: Timestamp, random: u64) -> (Next, Effect) {
    let retry_after = match outcome {
        Outcome::Taken => return (Next::Delivered, Effect::None),
        Outcome::Gone => return (Next::Kept, Effect::Disable),
        Outcome::Failed { retry_after } => retry_after.map(|pause| pause.clamp(SignedDuration::ZERO, RETRY_AFTER_MAX)),
    };
    let wanted = retry_after.map(|pause| now + pause);
    let effect = wanted.map_or(Effect::None, Effect::PauseUntil);
    let pause_s = usize::try_from(failures).ok().and_then(|index| PAUSES_S.get(index));
    let next = pause_s.map_or(Next::Exhausted, |pause_s| {
        let due = now + jittered(pause_s * 1000, random);
        Next::Again(wanted.map_or(due, |wanted| wanted.max(due)))
    });
    (next, effect)
}

fn jittered(pause_ms: i64, random: u64) -> SignedDuration {
    let share = i64::try_from(random % (JITTER_TENTHS_OF_PER_CENT.unsigned_abs() + 1)).unwrap_or_default();
    SignedDuration::from_millis(pause_ms + pause_ms * share / 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-22T06:30:00Z".parse().unwrap()
    }

    const FAILED: Outcome = Outcome::Failed { retry_after: None };

    /// The times of all tries of an endpoint that never answers, from the first one on.
    fn tries(random: u64) -> Vec<SignedDuration> {
        let mut times = vec![SignedDuration::ZERO];
        while let (Next::Again(due), Effect::None) =
            after(times.len() as i64 - 1, FAILED, now() + times[times.len() - 1], random)
        {
            times.push(due.duration_since(now()));
        }
        times
    }

    #[test]
    fn an_endpoint_that_is_away_for_three_days_still_gets_its_events() {
        for random in [0, 7, 100, u64::MAX] {
            let tries = tries(random);
            assert_eq!(tries.len(), 14);
            let last = tries[13].as_hours();
            assert!((78..90).contains(&last), "{last}");
        }
    }

    #[test]
    fn an_endpoint_decides_when_it_is_called_again_within_a_day() {
        let ask =
            |pause_s| after(0, Outcome::Failed { retry_after: Some(SignedDuration::from_secs(pause_s)) }, now(), 0);
        let in_s = |seconds| now() + SignedDuration::from_secs(seconds);
        assert_eq!(ask(60), (Next::Again(in_s(60)), Effect::PauseUntil(in_s(60))));
        assert_eq!(ask(1), (Next::Again(in_s(5)), Effect::PauseUntil(in_s(1))));
        assert_eq!(ask(-7), (Next::Again(in_s(5)), Effect::PauseUntil(now())));
        assert_eq!(ask(i64::MAX / 1000), (Next::Again(in_s(86_400)), Effect::PauseUntil(in_s(86_400))));
    }

    #[test]
    fn gone_ends_the_endpoint_and_keeps_the_delivery() {
        assert_eq!(after(13, Outcome::Gone, now(), 0), (Next::Kept, Effect::Disable));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_the_schedule_and_at_most_a_tenth_longer(failures in 0..13_i64, random: u64) {
            let (Next::Again(due), Effect::None) = after(failures, FAILED, now(), random) else { panic!("it goes on") };
            let (pause, planned) = (due.duration_since(now()).as_millis(), i128::from(PAUSES_S[failures as usize]) * 1000);
            prop_assert!((planned..=planned + planned / 10).contains(&pause));
        }

        #[test]
        fn any_number_of_failures_has_an_answer(failures: i64, random: u64) {
            let (next, _) = after(failures, FAILED, now(), random);
            prop_assert_eq!(next == Next::Exhausted, !(0..13).contains(&failures));
        }
    }
}
