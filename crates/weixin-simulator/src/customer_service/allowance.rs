//! How many messages an app may send to a customer, and until when.
//!
//! What the customer does sets the number to the larger of what is left and its own, and the end to the later one;
//! nothing is added up.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use weixin::mini_program::ErrCode;

/// What an action of a customer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// So many messages.
    pub messages: u32,
    /// Within so many seconds.
    pub within_s: i64,
}

/// What a message allows.
pub const MESSAGE_ALLOWS: Grant = Grant { messages: 5, within_s: 48 * 3600 };

/// What entering the session by the contact button allows.
pub const ENTERING_ALLOWS: Grant = Grant { messages: 2, within_s: 60 };

/// What an app may still send to a customer. Answers of WeChat's own agents count, too; that is an assumption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// So many messages.
    pub left: u32,
    /// The last moment. Nothing: the customer never did anything.
    pub until: Option<Timestamp>,
}

impl Allowance {
    /// The customer did something that allows messages.
    pub(crate) fn grant(&mut self, now: Timestamp, grant: Grant) {
        let until = now.saturating_add(SignedDuration::from_secs(grant.within_s)).unwrap_or(now);
        if self.is_over(now) {
            *self = Self { left: grant.messages, until: Some(until) };
        } else {
            self.left = self.left.max(grant.messages);
            self.until = self.until.max(Some(until));
        }
    }

    /// Takes one message out.
    pub(crate) fn take(&mut self, now: Timestamp) -> Result<(), ErrCode> {
        if self.is_over(now) {
            return Err(ErrCode::RESPONSE_TIME);
        }
        self.left = self.left.checked_sub(1).ok_or(ErrCode::RESPONSE_COUNT)?;
        Ok(())
    }

    /// Whether the time is over. The last moment is still inside.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now > until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_063_401 + second).expect("a time")
    }

    #[test]
    fn before_the_customer_does_anything_nothing_may_be_sent() {
        assert_eq!(Allowance::default().take(at(0)), Err(ErrCode::RESPONSE_TIME));
    }

    #[test]
    fn entering_never_shortens_what_a_message_allows() {
        let mut allowance = Allowance::default();
        allowance.grant(at(0), MESSAGE_ALLOWS);
        allowance.take(at(1)).expect("one of five");
        allowance.grant(at(2), ENTERING_ALLOWS);
        assert_eq!(allowance, Allowance { left: 4, until: Some(at(48 * 3600)) });
        for _ in 0..3 {
            allowance.take(at(3)).expect("allowed");
        }
        allowance.grant(at(4), ENTERING_ALLOWS);
        assert_eq!(allowance, Allowance { left: 2, until: Some(at(48 * 3600)) });
    }

    #[test]
    fn the_last_moment_is_inside_and_the_count_is_looked_at_after_the_time() {
        let mut allowance = Allowance::default();
        allowance.grant(at(0), ENTERING_ALLOWS);
        assert_eq!(allowance.take(at(60)), Ok(()));
        assert_eq!(allowance.take(at(60)), Ok(()));
        assert_eq!(allowance.take(at(60)), Err(ErrCode::RESPONSE_COUNT));
        assert_eq!(allowance.take(at(61)), Err(ErrCode::RESPONSE_TIME));
    }
}
