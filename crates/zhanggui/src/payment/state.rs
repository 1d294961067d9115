//! The states of a payment and the only transitions between them. Pure: no IO, no clock.
//!
//! Two rules settle the paradoxes. Verified success is never taken back: what contradicts it raises attention. And
//! absence is not failure: what proves nothing changes nothing.

use jiff::{SignedDuration, Timestamp};
use weixin::{PrepayId, TransactionId, pay::TradeState};

use crate::attention::Reason;

/// How long after the last try an order that WeChat never took may still arrive there. A `prepay_id` lives as long.
pub const STILL_ARRIVES: SignedDuration = SignedDuration::from_hours(2);

/// Where a payment stands. Each state carries exactly what exists in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Written down; WeChat may or may not know it.
    Submitting,
    /// WeChat waits for the customer.
    Awaiting {
        /// What the phone needs.
        prepay_id: PrepayId,
        /// Until when the `prepay_id` is good.
        until: Timestamp,
    },
    /// The money has moved.
    Succeeded {
        /// WeChat's number.
        transaction_id: TransactionId,
        /// When, by WeChat's clock.
        success_time: Timestamp,
    },
    /// Is being closed at WeChat.
    Closing,
    /// WeChat says that nothing can be paid any more.
    Closed,
    /// WeChat refused it for good.
    Rejected {
        /// WeChat's code.
        code: String,
    },
}

/// What happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// WeChat took the order; the answer was authentic.
    PrepayIssued {
        /// What the phone needs.
        prepay_id: PrepayId,
        /// Until when it is good.
        until: Timestamp,
    },
    /// The `prepay_id` is too old for another press of "pay".
    PrepayExpired,
    /// WeChat refused the order for good.
    Refused {
        /// WeChat's code.
        code: String,
        /// How often the order was sent. Only the refusal of the only try ends a payment: after an earlier one somebody
        /// may hold a `prepay_id`, and a new number would be a second payable one.
        attempts: i64,
    },
    /// WeChat says "paid", and every field is equal to ours.
    Paid {
        /// WeChat's number.
        transaction_id: TransactionId,
        /// When, by WeChat's clock.
        success_time: Timestamp,
    },
    /// WeChat says something else than "paid" in a signed answer to a query.
    NotPaid(TradeState),
    /// The order is given up or has expired: nobody may pay any more.
    OrderCloses,
    /// WeChat closed it for us; the answer was authentic.
    CloseAnswered,
    /// WeChat does not know the number.
    NotKnown(Absence),
}

/// What we know when WeChat does not know a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Whether WeChat ever took the order with an authentic answer.
    pub was_accepted: bool,
    /// How long ago it was sent for the last time.
    pub since_last_try: SignedDuration,
}

impl Absence {
    /// Nobody can have a `prepay_id`, and nothing is on its way any more.
    fn is_final(self) -> bool {
        !self.was_accepted && self.since_last_try > STILL_ARRIVES
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing changes.
    Same,
    /// The payment goes into this state.
    To(State),
    /// Nothing changes, but a person has to look.
    Attention(Reason),
}

impl State {
    /// The word in the database and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Awaiting { .. } => "awaiting",
            Self::Succeeded { .. } => "succeeded",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Whether the payment can still take money as far as we know.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Submitting | Self::Awaiting { .. } | Self::Closing)
    }

    /// The one table of transitions.
    pub fn on(&self, event: Event) -> Next {
        match (self, event) {
            (Self::Submitting | Self::Awaiting { .. }, Event::PrepayIssued { prepay_id, until }) => {
                Next::To(Self::Awaiting { prepay_id, until })
            }
            (Self::Awaiting { .. }, Event::PrepayExpired) => Next::To(Self::Submitting),
            (Self::Submitting, Event::Refused { code, attempts: ..=1 }) => Next::To(Self::Rejected { code }),

            (Self::Rejected { .. }, Event::Paid { .. }) => Next::Attention(Reason::SuccessAfterRejection),
            (Self::Succeeded { transaction_id: kept, .. }, Event::Paid { transaction_id, .. }) => {
                if *kept == transaction_id { Next::Same } else { Next::Attention(Reason::Contradiction) }
            }
            (_, Event::Paid { transaction_id, success_time }) => {
                Next::To(Self::Succeeded { transaction_id, success_time })
            }

            (Self::Succeeded { .. }, Event::NotPaid(_)) => Next::Attention(Reason::Contradiction),
            (
                Self::Submitting | Self::Awaiting { .. } | Self::Closing,
                Event::NotPaid(TradeState::Closed | TradeState::Revoked),
            ) => Next::To(Self::Closed),

            (Self::Submitting | Self::Awaiting { .. }, Event::OrderCloses) => Next::To(Self::Closing),
            (Self::Closing, Event::CloseAnswered) => Next::To(Self::Closed),
            (Self::Closing, Event::NotKnown(absence)) if absence.is_final() => Next::To(Self::Closed),
            (_, _) => Next::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn time() -> Timestamp {
        "2026-01-22T06:31:22Z".parse().unwrap()
    }

    fn paid() -> Event {
        Event::Paid { transaction_id: TransactionId::parse("4200001234").unwrap(), success_time: time() }
    }

    fn issued() -> Event {
        Event::PrepayIssued { prepay_id: PrepayId::parse("wx22").unwrap(), until: time() }
    }

    fn succeeded(state: &State) -> bool {
        matches!(state, State::Succeeded { .. })
    }

    fn events() -> Vec<Event> {
        let not_paid = ["NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "ACCEPT", "NEWWORD"];
        let mut events: Vec<_> = not_paid.iter().map(|word| Event::NotPaid(TradeState::from_wire(word))).collect();
        events.extend([paid(), issued(), Event::PrepayExpired]);
        events.extend([1, 2].map(|attempts| Event::Refused { code: "NOAUTH".into(), attempts }));
        events.extend([Event::OrderCloses, Event::CloseAnswered]);
        for (was_accepted, hours) in [(false, 1), (false, 3), (true, 3)] {
            let since_last_try = SignedDuration::from_hours(hours);
            events.push(Event::NotKnown(Absence { was_accepted, since_last_try }));
        }
        events
    }

    fn fold(events: &[Event]) -> (State, Vec<Reason>) {
        let mut state = State::Submitting;
        let mut reasons = Vec::new();
        for event in events {
            match state.on(event.clone()) {
                Next::Same => {}
                Next::To(next) => state = next,
                Next::Attention(reason) => reasons.push(reason),
            }
        }
        (state, reasons)
    }

    proptest! {
        #[test]
        fn success_is_never_taken_back(before in prop::collection::vec(select(events()), 0..12),
                                       after in prop::collection::vec(select(events()), 0..12)) {
            let (state, _) = fold(&before);
            prop_assume!(!matches!(state, State::Rejected { .. }));
            let all = [before, vec![paid()], after].concat();
            prop_assert!(succeeded(&fold(&all).0));
        }

        #[test]
        fn money_is_either_taken_or_somebody_looks(events in prop::collection::vec(select(events()), 0..12)) {
            let (state, reasons) = fold(&events);
            if events.contains(&paid()) {
                prop_assert!(succeeded(&state) || reasons.contains(&Reason::SuccessAfterRejection));
            } else {
                prop_assert!(!succeeded(&state));
            }
        }

        #[test]
        fn copies_of_an_event_change_nothing(events in prop::collection::vec(select(events()), 0..12)) {
            let doubled: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
            prop_assert_eq!(fold(&events).0, fold(&doubled).0);
        }
    }

    #[test]
    fn a_payment_is_closed_only_if_wechat_agrees_or_never_knew_it() {
        let unknown = |was_accepted, minutes| {
            Event::NotKnown(Absence { was_accepted, since_last_try: SignedDuration::from_mins(minutes) })
        };
        assert_eq!(State::Closing.on(Event::CloseAnswered), Next::To(State::Closed));
        assert_eq!(State::Closing.on(unknown(false, 121)), Next::To(State::Closed));
        assert_eq!(State::Closing.on(unknown(false, 120)), Next::Same, "it may still arrive");
        assert_eq!(State::Closing.on(unknown(true, 100_000)), Next::Same, "somebody may have a prepay_id");
        assert_eq!(State::Submitting.on(unknown(false, 100_000)), Next::Same, "the order is still wanted");
        assert_eq!(State::Closing.on(Event::NotPaid(TradeState::NotPay)), Next::Same);
        assert_eq!(State::Closing.on(issued()), Next::Same, "nobody gets the prepay_id");
    }

    #[test]
    fn an_order_that_closes_takes_its_payment_with_it_unless_that_has_ended() {
        let awaiting = State::Awaiting { prepay_id: PrepayId::parse("wx22").unwrap(), until: time() };
        for live in [State::Submitting, awaiting] {
            assert_eq!(live.on(Event::OrderCloses), Next::To(State::Closing));
        }
        for over in [State::Closed, State::Rejected { code: "NOAUTH".into() }] {
            assert_eq!(over.on(Event::OrderCloses), Next::Same);
        }
    }

    #[test]
    fn what_proves_nothing_changes_nothing() {
        for word in ["NOTPAY", "USERPAYING", "PAYERROR", "ACCEPT", "NEWWORD"] {
            assert_eq!(State::Submitting.on(Event::NotPaid(TradeState::from_wire(word))), Next::Same, "{word}");
        }
    }

    #[test]
    fn only_the_refusal_of_the_only_try_ends_a_payment() {
        let refused = |attempts| Event::Refused { code: "NOAUTH".into(), attempts };
        assert!(matches!(State::Submitting.on(refused(1)), Next::To(State::Rejected { .. })));
        assert_eq!(State::Submitting.on(refused(2)), Next::Same, "somebody may hold the prepay_id of the first try");
        let awaiting = State::Awaiting { prepay_id: PrepayId::parse("wx22").unwrap(), until: time() };
        assert_eq!(awaiting.on(refused(1)), Next::Same);
        assert_eq!(State::Closed.on(refused(1)), Next::Same);
    }

    #[test]
    fn one_payment_with_two_numbers_of_wechat_is_for_a_person() {
        let Next::To(succeeded) = State::Submitting.on(paid()) else { panic!() };
        let other = Event::Paid { transaction_id: TransactionId::parse("4200009999").unwrap(), success_time: time() };
        assert_eq!(succeeded.on(other), Next::Attention(Reason::Contradiction));
    }

    #[test]
    fn a_closed_payment_that_succeeds_has_succeeded() {
        assert!(matches!(State::Closed.on(paid()), Next::To(State::Succeeded { .. })));
    }
}
