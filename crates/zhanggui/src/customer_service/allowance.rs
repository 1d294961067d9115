//! How many replies WeChat still takes for a customer, folded from what happened and corrected by what WeChat says. Pure.
//!
//! What a customer does sets the allowance to the larger of what is left and of its own number, and its end to the later
//! one; nothing is added up. The numbers are settings, because WeChat has changed them more than once.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use jiff::{SignedDuration, Timestamp};

use crate::clock::{from_ms, ms};

/// What is left, and until when. Everything may be zero: nothing was said yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many replies.
    pub left: i64,
    /// The last moment.
    pub until: Timestamp,
}

/// WeChat's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After a message.
    pub message: Grant,
    /// After entering the chat by the contact button.
    pub enter: Grant,
}

/// So many replies within so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How many replies.
    pub replies: i64,
    /// Within this time.
    pub within: SignedDuration,
}

impl Default for Limits {
    /// The numbers of 2026: 5 within 48 hours, 2 within a minute.
    fn default() -> Self {
        Self {
            message: Grant { replies: 5, within: SignedDuration::from_hours(48) },
            enter: Grant { replies: 2, within: SignedDuration::from_mins(1) },
        }
    }
}

/// Why no reply may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The customer has said nothing for too long (45015 at WeChat).
    WindowClosed,
    /// The customer has to speak first (45047 at WeChat).
    UsedUp,
}

impl Allowance {
    /// Before anything was said.
    pub const NONE: Self = Self { left: 0, until: Timestamp::UNIX_EPOCH };

    /// Reads the columns.
    pub(super) fn from_columns(left: i64, until_ms: i64) -> Self {
        Self { left, until: from_ms(until_ms) }
    }

    /// The end as a column.
    pub(super) fn until_ms(&self) -> i64 {
        ms(self.until)
    }

    /// The customer did something that grants replies.
    #[must_use]
    pub fn granted(self, grant: Grant, at: Timestamp) -> Self {
        let until = at.saturating_add(grant.within).unwrap_or(at);
        if at > self.until {
            return Self { left: grant.replies, until };
        }
        Self { left: self.left.max(grant.replies), until: self.until.max(until) }
    }

    /// Takes one reply out.
    ///
    /// # Errors
    /// There is none left.
    pub fn taken(self, now: Timestamp) -> Result<Self, Exhausted> {
        if now > self.until {
            return Err(Exhausted::WindowClosed);
        }
        if self.left <= 0 {
            return Err(Exhausted::UsedUp);
        }
        Ok(Self { left: self.left - 1, ..self })
    }

    /// A reply that was taken out when the allowance was `asked` has certainly not been sent. Nothing is added up: what was
    /// granted meanwhile has replaced it.
    #[must_use]
    pub fn given_back(self, asked: Self, limits: Limits) -> Self {
        if self.until != asked.until {
            return self;
        }
        let most = limits.message.replies.max(limits.enter.replies).max(self.left);
        Self { left: most.min(self.left + 1), ..self }
    }

    /// WeChat says that there was none left when it was `asked`. What the customer has granted meanwhile stays.
    #[must_use]
    pub fn corrected(self, asked: Self, exhausted: Exhausted, now: Timestamp) -> Self {
        if self.until > asked.until || self.left > asked.left {
            return self;
        }
        match exhausted {
            Exhausted::WindowClosed => Self { left: 0, until: self.until.min(now) },
            Exhausted::UsedUp => Self { left: 0, ..self },
        }
    }

    /// What a person should see: what is left now.
    pub fn left_at(&self, now: Timestamp) -> i64 {
        if now > self.until { 0 } else { self.left.max(0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + s).unwrap()
    }

    const LIMITS: fn() -> Limits = Limits::default;

    #[test]
    fn a_message_allows_five_replies_within_two_days() {
        let mut allowance = Allowance::NONE.granted(LIMITS().message, at(0));
        for left in [4, 3, 2, 1, 0] {
            allowance = allowance.taken(at(48 * 3600)).unwrap();
            assert_eq!(allowance.left, left);
        }
        assert_eq!(allowance.taken(at(1)), Err(Exhausted::UsedUp));
        assert_eq!(allowance.given_back(allowance, LIMITS()).taken(at(48 * 3600 + 1)), Err(Exhausted::WindowClosed));
    }

    #[test]
    fn entering_adds_nothing_to_what_a_message_allows() {
        let message = Allowance::NONE.granted(LIMITS().message, at(0));
        assert_eq!(message.granted(LIMITS().enter, at(10)), message);
        let entered = Allowance::NONE.granted(LIMITS().enter, at(0));
        assert_eq!(entered.left, 2);
        assert_eq!(entered.taken(at(61)), Err(Exhausted::WindowClosed));
        assert_eq!(entered.granted(LIMITS().message, at(10)).left, 5);
    }

    #[test]
    fn what_wechat_says_counts() {
        let allowance = Allowance::NONE.granted(LIMITS().message, at(0));
        assert_eq!(allowance.corrected(allowance, Exhausted::UsedUp, at(5)).taken(at(6)), Err(Exhausted::UsedUp));
        assert_eq!(
            allowance.corrected(allowance, Exhausted::WindowClosed, at(5)).taken(at(6)),
            Err(Exhausted::WindowClosed)
        );
        // The customer wrote again before WeChat's word came.
        let granted = allowance.granted(LIMITS().message, at(4));
        for exhausted in [Exhausted::UsedUp, Exhausted::WindowClosed] {
            assert_eq!(granted.corrected(allowance, exhausted, at(5)), granted);
        }
        // The customer entered again, when the end of the last message's grant was still far away.
        let used_up = Allowance { left: 0, ..allowance };
        let entered = used_up.granted(LIMITS().enter, at(4));
        assert_eq!(entered.until, used_up.until);
        assert_eq!(entered.corrected(used_up, Exhausted::UsedUp, at(5)), entered);
    }

    #[test]
    fn what_is_given_back_late_is_not_added_to_a_new_grant() {
        let message = Allowance::NONE.granted(LIMITS().message, at(0)).taken(at(1)).unwrap();
        assert_eq!(message.given_back(message, LIMITS()).left, 5);
        let entered = message.granted(LIMITS().enter, at(48 * 3600 + 1));
        assert_eq!(entered.given_back(message, LIMITS()), entered);
    }

    #[test]
    fn before_anything_was_said_nothing_may_be_sent() {
        assert_eq!(Allowance::NONE.taken(at(0)), Err(Exhausted::WindowClosed));
    }

    proptest! {
        /// Whatever customers and agents do: never more replies than the largest grant since the last one that counted.
        #[test]
        fn never_more_replies_than_were_granted(steps in prop::collection::vec((0..6_u8, 0..200_000_i64), 1..60)) {
            let (mut allowance, mut now, mut sent_since_grant) = (Allowance::NONE, 0, 0);
            for (step, later_s) in steps {
                now += later_s;
                match step {
                    0 => (allowance, sent_since_grant) = (allowance.granted(LIMITS().message, at(now)), 0),
                    1 => {
                        let before = allowance;
                        allowance = allowance.granted(LIMITS().enter, at(now));
                        prop_assert!(allowance.left <= before.left.max(2));
                    }
                    2 => {
                        let before = allowance;
                        allowance = allowance.given_back(allowance, LIMITS());
                        sent_since_grant -= allowance.left - before.left;
                    }
                    3 => allowance = allowance.corrected(allowance, Exhausted::UsedUp, at(now)),
                    4 => {
                        allowance = allowance.corrected(allowance, Exhausted::WindowClosed, at(now));
                        prop_assert_eq!(allowance.left_at(at(now)), 0);
                    }
                    _ => if let Ok(next) = allowance.taken(at(now)) {
                        prop_assert!(next.left >= 0 && at(now) <= next.until);
                        allowance = next;
                        sent_since_grant += 1;
                    }
                }
                prop_assert!(allowance.left <= 5);
                prop_assert!(sent_since_grant <= 7);
            }
        }
    }
}
