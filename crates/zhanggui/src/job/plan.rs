//! When something is asked for again and again: first at certain ages, then regularly. Pure.

use jiff::{SignedDuration, Timestamp};

/// Ages at which to ask, counted from a beginning.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first ages, in seconds, ascending.
    pub ages_s: &'static [i64],
    /// What follows, one after the other; the last one goes on for ever.
    pub then: &'static [Every],
}

/// A regular pause.
#[derive(Clone, Copy, Debug)]
pub struct Every {
    /// The pause, in seconds.
    pub pause_s: i64,
    /// Up to this age, in seconds.
    pub until_s: i64,
}

impl Plan {
    /// The first time of the plan that is still to come.
    pub fn next(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let age_s = now.duration_since(since).as_secs().max(0);
        since + SignedDuration::from_secs(self.age_after_s(age_s))
    }

    fn age_after_s(&self, age_s: i64) -> i64 {
        if let Some(next_s) = self.ages_s.iter().find(|at_s| **at_s > age_s) {
            return *next_s;
        }
        let mut begin_s = self.ages_s.last().copied().unwrap_or(0);
        let mut pause_s = 1;
        for every in self.then {
            pause_s = every.pause_s;
            if age_s < every.until_s {
                break;
            }
            begin_s = begin_s.max(every.until_s);
        }
        let pauses = (age_s - begin_s).max(0) / pause_s + 1;
        begin_s + pauses * pause_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        ages_s: &[5, 30],
        then: &[Every { pause_s: 60, until_s: 150 }, Every { pause_s: 1000, until_s: i64::MAX }],
    };

    #[test]
    fn a_plan_asks_at_its_ages_and_then_regularly() {
        let since: Timestamp = "2026-01-22T06:30:00Z".parse().unwrap();
        let mut now = since;
        let mut ages_s = Vec::new();
        for _ in 0..7 {
            now = PLAN.next(since, now);
            ages_s.push(now.duration_since(since).as_secs());
        }
        assert_eq!(ages_s, [5, 30, 90, 150, 1150, 2150, 3150]);
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let since: Timestamp = "2026-01-22T06:30:00Z".parse().unwrap();
        let late = since + SignedDuration::from_secs(2151);
        assert_eq!(PLAN.next(since, late).duration_since(since).as_secs(), 3150);
        assert_eq!(PLAN.next(since, since - SignedDuration::from_secs(9)).duration_since(since).as_secs(), 5);
    }
}
