//! The states of a refund and the only transitions between them. Pure: no IO, no clock.
//!
//! One refund has one `out_refund_no`, for ever. What is unknown stays as it is and is sent again with the same bytes;
//! "not found" is not "failed". A success is never taken back, and what was released is never reserved again.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> (apply) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> (query, `status`).

use jiff::{SignedDuration, Timestamp};
use weixin::pay::RefundState;

use crate::attention::Reason;

/// How long after a try whose outcome is unknown a refusal of a later one proves nothing: the first may still arrive.
pub const STILL_ARRIVES: SignedDuration = SignedDuration::from_mins(10);

/// Where a refund stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Written down; WeChat may or may not know it.
    Submitting {
        /// Whether the merchant's balance was too low at the last try.
        blocked: bool,
    },
    /// WeChat took it; the money is on its way.
    Processing,
    /// The money arrived.
    Succeeded {
        /// When, by WeChat's clock.
        success_time: Timestamp,
    },
    /// WeChat cannot credit the money; a person has to act. Not final.
    Abnormal,
    /// WeChat closed it; the money stays with the merchant.
    Closed,
    /// WeChat refused it for good.
    Rejected {
        /// WeChat's code.
        code: String,
    },
    /// It was made elsewhere, for example on the merchant platform, and the money arrived.
    External {
        /// When, by WeChat's clock.
        success_time: Timestamp,
    },
}

/// What happened to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// WeChat says how far it is, in an authentic answer or notification, and every field is equal to ours.
    Told {
        /// WeChat's word.
        state: RefundState,
        /// When the money arrived.
        success_time: Option<Timestamp>,
    },
    /// WeChat did not take it because the balance is too low.
    BalanceTooLow,
    /// WeChat refused it for good, and does not know the number either.
    Refused {
        /// WeChat's code.
        code: String,
        /// How long ago the last try was made whose outcome is not known; `None` if there is none.
        doubt: Option<SignedDuration>,
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing changes.
    Same,
    /// The refund goes into this state.
    To(State),
    /// Nothing changes, but a person has to look.
    Attention(Reason),
}

/// What a refund does to the money of its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may still go back: nobody else can have it.
    Reserved,
    /// It has gone back.
    Given,
    /// It stays.
    Released,
}

impl State {
    /// A new refund.
    pub const NEW: Self = Self::Submitting { blocked: false };

    /// The word in the database and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Submitting { .. } => "submitting",
            Self::Processing => "processing",
            Self::Succeeded { .. } => "succeeded",
            Self::Abnormal => "abnormal",
            Self::Closed => "closed",
            Self::Rejected { .. } => "rejected",
            Self::External { .. } => "external",
        }
    }

    /// What it does to the money of its payment.
    pub const fn claim(&self) -> Claim {
        match self {
            Self::Submitting { .. } | Self::Processing | Self::Abnormal => Claim::Reserved,
            Self::Succeeded { .. } | Self::External { .. } => Claim::Given,
            Self::Closed | Self::Rejected { .. } => Claim::Released,
        }
    }

    /// The one table of transitions.
    pub fn on(&self, event: Event) -> Next {
        match event {
            Event::Told { state, success_time } => self.on_told(&state, success_time),
            Event::BalanceTooLow => match self {
                Self::Submitting { blocked: false } => Next::To(Self::Submitting { blocked: true }),
                _ => Next::Same,
            },
            Event::Refused { code, doubt } => match self {
                Self::Submitting { .. } if doubt.is_none_or(|age| age > STILL_ARRIVES) => {
                    Next::To(Self::Rejected { code })
                }
                _ => Next::Same,
            },
        }
    }

    /// What is told of a refund whose first answer was lost is told of one that was taken: `Submitting` goes where
    /// `Processing` would. Messages come late and in any order, so only two different ends contradict each other.
    fn on_told(&self, told: &RefundState, success_time: Option<Timestamp>) -> Next {
        match (self, told) {
            (Self::Submitting { .. }, RefundState::Processing) => Next::To(Self::Processing),
            (Self::Submitting { .. } | Self::Processing, RefundState::Abnormal) => Next::To(Self::Abnormal),
            (Self::Submitting { .. } | Self::Processing | Self::Abnormal, RefundState::Closed) => {
                Next::To(Self::Closed)
            }
            (Self::Submitting { .. } | Self::Processing | Self::Abnormal, RefundState::Success) => {
                let succeeded = |success_time| Next::To(Self::Succeeded { success_time });
                success_time.map_or(Next::Attention(Reason::RefundMismatch), succeeded)
            }
            (Self::Succeeded { .. } | Self::External { .. }, RefundState::Closed)
            | (Self::Closed, RefundState::Success)
            | (Self::Rejected { .. }, _) => Next::Attention(Reason::RefundContradiction),
            (_, _) => Next::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn time() -> Timestamp {
        "2026-01-22T07:00:09Z".parse().unwrap()
    }

    fn told(word: &str) -> Event {
        let success_time = (word == "SUCCESS").then(time);
        Event::Told { state: RefundState::from_wire(word), success_time }
    }

    fn refused(doubt_min: Option<i64>) -> Event {
        Event::Refused { code: "PARAM_ERROR".to_owned(), doubt: doubt_min.map(SignedDuration::from_mins) }
    }

    fn events() -> Vec<Event> {
        let words = ["PROCESSING", "SUCCESS", "ABNORMAL", "CLOSED", "A_NEW_WORD"];
        let own = [Event::BalanceTooLow, refused(None), refused(Some(1)), refused(Some(11))];
        words.map(told).into_iter().chain(own).collect()
    }

    fn fold(events: &[Event]) -> (State, Vec<Reason>) {
        let (mut state, mut reasons) = (State::NEW, Vec::new());
        for event in events {
            match state.on(event.clone()) {
                Next::Same => {}
                Next::To(next) => state = next,
                Next::Attention(reason) => reasons.push(reason),
            }
        }
        (state, reasons)
    }

    fn is_over(state: &State) -> bool {
        state.claim() == Claim::Given || state.claim() == Claim::Released
    }

    proptest! {
        #[test]
        fn an_end_is_an_end(before in prop::collection::vec(select(events()), 0..12),
                            after in prop::collection::vec(select(events()), 0..12)) {
            let (state, _) = fold(&before);
            if is_over(&state) {
                prop_assert_eq!(fold(&[before, after].concat()).0, state);
            }
        }

        #[test]
        fn a_success_is_counted_or_somebody_looks(events in prop::collection::vec(select(events()), 0..12)) {
            let (state, reasons) = fold(&events);
            let succeeded = matches!(state, State::Succeeded { .. });
            if events.contains(&told("SUCCESS")) {
                prop_assert!(succeeded || reasons.contains(&Reason::RefundContradiction));
            } else {
                prop_assert!(!succeeded);
            }
        }

        #[test]
        fn copies_of_an_event_change_nothing(events in prop::collection::vec(select(events()), 0..12)) {
            let doubled: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
            prop_assert_eq!(fold(&events).0, fold(&doubled).0);
        }

        /// What WeChat says of one refund, in the order in which it happened, ends the same in every order of arrival.
        #[test]
        fn the_order_of_true_messages_does_not_matter(
            story in select(vec![
                vec!["PROCESSING"], vec!["PROCESSING", "SUCCESS"], vec!["PROCESSING", "CLOSED"],
                vec!["PROCESSING", "ABNORMAL"], vec!["PROCESSING", "ABNORMAL", "SUCCESS"],
                vec!["PROCESSING", "ABNORMAL", "CLOSED"],
            ]),
            arrivals in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            // Each message at least once, others doubled, in any order.
            let mut arrived: Vec<_> = arrivals.iter().map(|index| story[index.index(story.len())]).collect();
            for word in &story {
                let at = arrivals.first().map_or(0, |index| index.index(arrived.len() + 1));
                arrived.insert(at, word);
            }
            let events: Vec<_> = arrived.into_iter().map(told).collect();
            let (state, reasons) = fold(&events);
            let in_order: Vec<_> = story.iter().copied().map(told).collect();
            prop_assert_eq!(state, fold(&in_order).0);
            prop_assert_eq!(reasons, vec![]);
        }
    }

    #[test]
    fn lesson_22_what_is_unknown_never_fails() {
        assert_eq!(State::NEW.on(refused(Some(10))), Next::Same, "an earlier try may still arrive");
        assert!(matches!(State::NEW.on(refused(Some(11))), Next::To(State::Rejected { .. })));
        assert_eq!(State::NEW.on(told("A_NEW_WORD")), Next::Same);
        assert_eq!(State::Processing.on(refused(None)), Next::Same, "WeChat has taken it");
    }

    #[test]
    fn a_balance_that_is_too_low_blocks_and_does_not_fail() {
        let Next::To(blocked) = State::NEW.on(Event::BalanceTooLow) else { panic!() };
        assert_eq!((&blocked, blocked.claim()), (&State::Submitting { blocked: true }, Claim::Reserved));
        assert_eq!(blocked.on(Event::BalanceTooLow), Next::Same);
        assert_eq!(blocked.on(told("PROCESSING")), Next::To(State::Processing));
    }

    #[test]
    fn an_abnormal_refund_keeps_its_money_reserved_until_it_arrives_or_is_closed() {
        assert_eq!(State::Abnormal.claim(), Claim::Reserved);
        assert!(matches!(State::Abnormal.on(told("SUCCESS")), Next::To(State::Succeeded { .. })));
        assert_eq!(State::Abnormal.on(told("CLOSED")), Next::To(State::Closed));
        assert_eq!(State::Abnormal.on(told("PROCESSING")), Next::Same);
    }

    #[test]
    fn two_different_ends_are_for_a_person() {
        let succeeded = State::Succeeded { success_time: time() };
        let contradiction = Next::Attention(Reason::RefundContradiction);
        assert_eq!(succeeded.on(told("CLOSED")), contradiction);
        assert_eq!(State::Closed.on(told("SUCCESS")), contradiction);
        assert_eq!(State::Rejected { code: "NO_AUTH".into() }.on(told("PROCESSING")), contradiction);
        assert_eq!(succeeded.on(told("ABNORMAL")), Next::Same, "an old message that comes late");
    }

    #[test]
    fn a_success_without_its_time_is_for_a_person() {
        let event = Event::Told { state: RefundState::Success, success_time: None };
        assert_eq!(State::Processing.on(event), Next::Attention(Reason::RefundMismatch));
    }
}
