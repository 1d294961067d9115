//! The states of an order and the only transitions between them. Pure: no IO, no clock.

use std::fmt;

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What follows from a payment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnSuccess {
    /// The order becomes paid by it.
    BecomesPaid(State),
    /// The order is paid by this very payment already.
    Unchanged,
    /// The order is paid by another payment: this money has to go back.
    SecondPayment,
    /// The order was closed: the money came too late.
    LatePayment,
}

impl State {
    /// A payment of the order succeeded.
    pub fn on_success(&self, payment_id: &str) -> OnSuccess {
        match self {
            Self::Open | Self::Closing { .. } => {
                OnSuccess::BecomesPaid(Self::Paid { payment_id: payment_id.to_owned() })
            }
            Self::Paid { payment_id: kept } if kept == payment_id => OnSuccess::Unchanged,
            Self::Paid { .. } => OnSuccess::SecondPayment,
            Self::Closed { .. } => OnSuccess::LatePayment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_paid_once_and_never_unpaid() {
        let OnSuccess::BecomesPaid(paid) = State::Open.on_success("pay_1") else { panic!() };
        assert_eq!(paid.on_success("pay_1"), OnSuccess::Unchanged);
        assert_eq!(paid.on_success("pay_2"), OnSuccess::SecondPayment);
    }

    #[test]
    fn money_that_comes_while_closing_wins_and_after_closing_is_late() {
        let reason = CloseReason::Expired;
        assert!(matches!(State::Closing { reason }.on_success("pay_1"), OnSuccess::BecomesPaid(_)));
        assert_eq!(State::Closed { reason }.on_success("pay_1"), OnSuccess::LatePayment);
    }
}
