//! What follows from the refusal of a message to a customer: whether it may be sent again.
//!
//! Messages have no number that would make a repetition harmless, so only what proves that nothing was accepted allows
//! one. Used for [`custom_send`](super::custom_send) and [`subscribe_send`](super::subscribe_send).
//!
//! Source: <https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html>.

use super::{Class, ErrCode};

/// What may be concluded from WeChat's refusal of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// WeChat did not take it, because of the moment and not because of the message: it may be sent again.
    NotAccepted(Again),
    /// WeChat did not take it and never will as it is.
    Refused,
    /// An inner failure of WeChat that no page explains: it may have been delivered.
    Unknown,
}

/// How a message that was not accepted may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// At most once: WeChat says "busy" of some messages that it will never take, too.
    Once,
    /// When the reason is gone: another token, the next minute, an address that was let in.
    Later,
}

impl Conclusion {
    /// From the code of an answer. No answer, or one that cannot be read, is always unknown.
    pub fn from_refusal(errcode: ErrCode) -> Self {
        match errcode.class() {
            Class::Busy => Self::NotAccepted(Again::Once),
            Class::TokenStale | Class::Rate | Class::Address => Self::NotAccepted(Again::Later),
            // Documented refusals are positive numbers.
            _ if errcode.0 < 0 => Self::Unknown,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_proves_that_nothing_was_accepted_may_be_sent_again() {
        let conclusion = |code| Conclusion::from_refusal(ErrCode(code));
        assert_eq!(conclusion(-1), Conclusion::NotAccepted(Again::Once));
        for later in [40001, 40014, 42001, 45009, 45011, 44990, 40164] {
            assert_eq!(conclusion(later), Conclusion::NotAccepted(Again::Later), "{later}");
        }
        for refused in
            [40003, 40007, 40008, 40013, 44004, 45002, 45015, 45047, 45162, 47001, 48001, 50002, 70000, 99999]
        {
            assert_eq!(conclusion(refused), Conclusion::Refused, "{refused}");
        }
        assert_eq!(conclusion(-217), Conclusion::Unknown);
    }
}
