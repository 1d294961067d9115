//! Whether money of a payment may go back: pure, decided in the transaction that writes the refund down.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> (fifty refunds of a payment, within a year).

use jiff::{SignedDuration, Timestamp};
use weixin::{Fen, OrderAmount};

/// How many refunds a payment can have.
pub const REFUNDS_MAX: i64 = 50;

/// How long after the payment money can go back.
pub const REFUND_WITHIN: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What is already claimed of a payment's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Under way or gone, in fen.
    pub total: Fen,
    /// How many refunds that are.
    pub count: i64,
}

/// Why the money stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReserved {
    /// So much is not left.
    #[error("only {left} are left to give back")]
    TooMuch {
        /// What is left.
        left: Fen,
    },
    /// WeChat takes no more refunds of this payment.
    #[error("the payment has {REFUNDS_MAX} refunds, more are not possible")]
    TooMany,
    /// The payment is more than a year old.
    #[error("the payment is more than a year old")]
    TooOld,
}

/// Decides about a wish: so much, or everything that is left.
///
/// # Errors
/// The money stays.
pub fn reserve(
    paid: Fen,
    paid_at: Timestamp,
    claimed: Claimed,
    wanted: Option<OrderAmount>,
    now: Timestamp,
) -> Result<OrderAmount, NotReserved> {
    if now.duration_since(paid_at) > REFUND_WITHIN {
        return Err(NotReserved::TooOld);
    }
    if claimed.count >= REFUNDS_MAX {
        return Err(NotReserved::TooMany);
    }
    let left = paid.checked_sub(claimed.total).filter(|left| *left > Fen::ZERO).unwrap_or(Fen::ZERO);
    let too_much = NotReserved::TooMuch { left };
    let amount = wanted.map_or_else(|| OrderAmount::new(left).map_err(|_| too_much), Ok)?;
    if amount.fen() > left { Err(too_much) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn amount(fen: i64) -> OrderAmount {
        OrderAmount::new(Fen::new(fen)).unwrap()
    }

    fn wish(paid: i64, total: i64, count: i64, wanted: Option<i64>) -> Result<OrderAmount, NotReserved> {
        let now = time("2026-01-22T06:30:00Z");
        reserve(Fen::new(paid), now, Claimed { total: Fen::new(total), count }, wanted.map(amount), now)
    }

    #[test]
    fn no_more_goes_back_than_was_paid() {
        assert_eq!(wish(100, 0, 0, Some(100)), Ok(amount(100)));
        assert_eq!(wish(100, 1, 1, Some(100)), Err(NotReserved::TooMuch { left: Fen::new(99) }));
        assert_eq!(wish(100, 40, 1, None), Ok(amount(60)), "everything that is left");
        assert_eq!(wish(100, 100, 2, None), Err(NotReserved::TooMuch { left: Fen::ZERO }));
        // More came back elsewhere than we knew of.
        assert_eq!(wish(100, 101, 2, None), Err(NotReserved::TooMuch { left: Fen::ZERO }));
    }

    #[test]
    fn the_fifty_first_refund_is_refused() {
        assert_eq!(wish(100, 49, 49, Some(1)), Ok(amount(1)));
        assert_eq!(wish(100, 50, 50, Some(1)), Err(NotReserved::TooMany));
    }

    #[test]
    fn a_year_after_the_payment_the_money_stays() {
        let paid_at = time("2025-01-22T06:30:00Z");
        let none = Claimed { total: Fen::ZERO, count: 0 };
        let after = |text| reserve(Fen::new(100), paid_at, none, None, time(text));
        assert!(after("2026-01-22T06:30:00Z").is_ok());
        assert_eq!(after("2026-01-22T06:30:01Z"), Err(NotReserved::TooOld));
    }

    proptest! {
        #[test]
        fn whatever_is_wanted_the_sum_stays_within_what_was_paid(
            paid in 1..100_000_i64, wishes in prop::collection::vec(proptest::option::of(1..60_000_i64), 0..80),
        ) {
            let (mut total, mut count) = (0, 0);
            for wanted in wishes {
                if let Ok(amount) = wish(paid, total, count, wanted) {
                    total += amount.fen().get();
                    count += 1;
                }
                prop_assert!(total <= paid && count <= REFUNDS_MAX);
            }
        }
    }
}
