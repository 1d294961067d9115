//! The states of an order and the only transitions between them. Pure: no IO, no clock.

use std::fmt;

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for money.
    Open,
    /// Is being closed at WeChat; money may still come.
    Closing {
        /// Why.
        reason: CloseReason,
    },
    /// The money is there.
    Paid {
        /// The payment that is kept.
        payment_id: String,
    },
    /// WeChat agrees that no money can come any more.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why an order is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The customer or the merchant gave it up.
    Cancelled,
    /// Nobody paid in time.
    Expired,
}

impl CloseReason {
    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Cancelled, Self::Expired].into_iter().find(|reason| reason.as_str() == word)
    }
}

impl State {
    /// The word in the database and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing { .. } => "closing",
            Self::Paid { .. } => "paid",
            Self::Closed { .. } => "closed",
        }
    }

    /// Whether money that comes for the order makes it paid.
    pub const fn waits_for_money(&self) -> bool {
        matches!(self, Self::Open | Self::Closing { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done with money for an order that is closed. Money for an order that is paid always goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateMoney {
    /// It goes back to the customer.
    Refund,
    /// The order becomes paid after all.
    Accept,
}

/// When the money came that made an order paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// While the order was open.
    InTime,
    /// While it was being closed.
    WhileClosing,
    /// After it was closed; accepted because the operator wants it so.
    AfterClosing,
}

/// What follows from a payment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnSuccess {
    /// The order becomes paid by it.
    BecomesPaid(State, Arrival),
    /// The order is paid by this very payment already.
    Unchanged,
    /// The order is paid by another payment: this money goes back.
    SecondPayment,
    /// The order was closed: this money goes back.
    LatePayment,
}

/// What follows from the wish to close an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnClose {
    /// Closing begins, and its payment closes, too.
    Begins(State),
    /// It is being closed, or is closed.
    Unchanged,
    /// It is paid: too late.
    Paid,
}

impl State {
    /// A payment of the order succeeded.
    pub fn on_success(&self, payment_id: &str, policy: LateMoney) -> OnSuccess {
        let paid = || Self::Paid { payment_id: payment_id.to_owned() };
        match (self, policy) {
            (Self::Open, _) => OnSuccess::BecomesPaid(paid(), Arrival::InTime),
            (Self::Closing { .. }, _) => OnSuccess::BecomesPaid(paid(), Arrival::WhileClosing),
            (Self::Paid { payment_id: kept }, _) if kept == payment_id => OnSuccess::Unchanged,
            (Self::Paid { .. }, _) => OnSuccess::SecondPayment,
            (Self::Closed { .. }, LateMoney::Refund) => OnSuccess::LatePayment,
            (Self::Closed { .. }, LateMoney::Accept) => OnSuccess::BecomesPaid(paid(), Arrival::AfterClosing),
        }
    }

    /// Somebody gives the order up, or its time is over.
    pub fn on_close(&self, reason: CloseReason) -> OnClose {
        match self {
            Self::Open => OnClose::Begins(Self::Closing { reason }),
            Self::Closing { .. } | Self::Closed { .. } => OnClose::Unchanged,
            Self::Paid { .. } => OnClose::Paid,
        }
    }

    /// None of its payments can succeed any more: the next state, if that changes anything.
    pub fn on_nothing_payable(&self) -> Option<Self> {
        match self {
            Self::Closing { reason } => Some(Self::Closed { reason: *reason }),
            Self::Open | Self::Paid { .. } | Self::Closed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    const REASON: CloseReason = CloseReason::Expired;

    #[test]
    fn an_order_is_paid_once_and_never_unpaid() {
        let OnSuccess::BecomesPaid(paid, Arrival::InTime) = State::Open.on_success("pay_1", LateMoney::Refund) else {
            panic!()
        };
        for policy in [LateMoney::Refund, LateMoney::Accept] {
            assert_eq!(paid.on_success("pay_1", policy), OnSuccess::Unchanged);
            assert_eq!(paid.on_success("pay_2", policy), OnSuccess::SecondPayment, "never kept twice");
        }
        assert_eq!(paid.on_close(REASON), OnClose::Paid);
        assert_eq!(paid.on_nothing_payable(), None);
    }

    #[test]
    fn money_that_comes_while_closing_wins_and_after_closing_is_late() {
        let (closing, closed) = (State::Closing { reason: REASON }, State::Closed { reason: REASON });
        for policy in [LateMoney::Refund, LateMoney::Accept] {
            let next = closing.on_success("pay_1", policy);
            assert!(matches!(next, OnSuccess::BecomesPaid(_, Arrival::WhileClosing)));
        }
        assert_eq!(closed.on_success("pay_1", LateMoney::Refund), OnSuccess::LatePayment);
        let accepted = closed.on_success("pay_1", LateMoney::Accept);
        assert!(matches!(accepted, OnSuccess::BecomesPaid(_, Arrival::AfterClosing)));
    }

    #[test]
    fn an_order_is_closed_by_way_of_closing_only() {
        assert_eq!(State::Open.on_nothing_payable(), None);
        let OnClose::Begins(closing) = State::Open.on_close(REASON) else { panic!() };
        assert_eq!(closing.on_close(CloseReason::Cancelled), OnClose::Unchanged, "the first reason stays");
        assert_eq!(closing.on_nothing_payable(), Some(State::Closed { reason: REASON }));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Pays(&'static str),
        Close(CloseReason),
        NothingPayable,
    }

    fn steps() -> Vec<Step> {
        let closes = [CloseReason::Cancelled, CloseReason::Expired].map(Step::Close);
        [Step::Pays("pay_1"), Step::Pays("pay_2"), Step::NothingPayable].into_iter().chain(closes).collect()
    }

    /// The order at the end and the payments whose money goes back.
    fn fold(steps: &[Step], policy: LateMoney) -> (State, Vec<&'static str>) {
        let mut state = State::Open;
        let mut back = Vec::new();
        for step in steps {
            match *step {
                Step::Pays(id) => match state.on_success(id, policy) {
                    OnSuccess::BecomesPaid(next, _) => state = next,
                    OnSuccess::SecondPayment | OnSuccess::LatePayment => back.push(id),
                    OnSuccess::Unchanged => {}
                },
                Step::Close(reason) => {
                    if let OnClose::Begins(next) = state.on_close(reason) {
                        state = next;
                    }
                }
                Step::NothingPayable => state = state.on_nothing_payable().unwrap_or(state),
            }
        }
        (state, back)
    }

    proptest! {
        #[test]
        fn every_payment_is_kept_or_goes_back_and_at_most_one_is_kept(
            steps in prop::collection::vec(select(steps()), 0..16),
            policy in select(vec![LateMoney::Refund, LateMoney::Accept]),
        ) {
            let (state, back) = fold(&steps, policy);
            for id in ["pay_1", "pay_2"] {
                let came = steps.iter().any(|step| matches!(step, Step::Pays(paid) if *paid == id));
                let kept = state == State::Paid { payment_id: id.to_owned() };
                prop_assert_eq!(came, kept || back.contains(&id), "{} {}", id, state);
                prop_assert!(!(kept && back.contains(&id)), "{} is kept and goes back", id);
            }
        }

        #[test]
        fn an_order_ends_only_once(steps in prop::collection::vec(select(steps()), 0..16)) {
            let mut state = State::Open;
            for step in &steps {
                let before = state.clone();
                state = match step {
                    Step::Pays(id) => match state.on_success(id, LateMoney::Refund) {
                        OnSuccess::BecomesPaid(next, _) => next,
                        _ => state,
                    },
                    Step::Close(reason) => match state.on_close(*reason) {
                        OnClose::Begins(next) => next,
                        _ => state,
                    },
                    Step::NothingPayable => state.on_nothing_payable().unwrap_or(state),
                };
                if !before.waits_for_money() {
                    prop_assert_eq!(before, state.clone());
                }
            }
        }
    }
}
