//! Money: whole fen, checked arithmetic, never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in fen (1/100 yuan). May be negative where WeChat's bills are (fees of refunds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Fen = Fen(0);

    /// An amount of so many fen.
    pub const fn new(fen: i64) -> Self {
        Self(fen)
    }

    /// The number of fen.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, or `None` beyond 64 bits.
    pub fn checked_add(self, other: Fen) -> Option<Fen> {
        self.0.checked_add(other.0).map(Fen)
    }

    /// The difference, or `None` beyond 64 bits.
    pub fn checked_sub(self, other: Fen) -> Option<Fen> {
        self.0.checked_sub(other.0).map(Fen)
    }

    /// So many times the amount, or `None` beyond 64 bits.
    pub fn checked_mul(self, times: i64) -> Option<Fen> {
        self.0.checked_mul(times).map(Fen)
    }

    /// Reads an amount as the interfaces write it: decimal digits only, no sign, point or leading zero.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941162> (parameter rules, amounts).
    pub fn from_wire(text: &str) -> Result<Fen, AmountError> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || (text.len() > 1 && text.starts_with('0')) {
            return Err(AmountError::NotWholeFen);
        }
        text.parse().map(Fen).map_err(|_| AmountError::TooLarge)
    }

    /// Reads an amount as the bills write it: yuan with any number of decimals, of which only two may differ from
    /// zero. Digits are moved, nothing is multiplied.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941399> (bill of a mini program).
    pub fn from_yuan(text: &str) -> Result<Fen, AmountError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (yuan, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(yuan) || !all_digits(decimals) {
            return Err(AmountError::NotYuan);
        }
        let (fen, rest) = decimals.split_at(decimals.len().min(2));
        if rest.bytes().any(|byte| byte != b'0') {
            return Err(AmountError::NotWholeFen);
        }
        let amount: i64 = format!("{yuan}{fen:0<2}").parse().map_err(|_| AmountError::TooLarge)?;
        Ok(Fen(sign * amount))
    }
}

/// Shows the amount in yuan, for people: `¥30.00`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}¥{}.{:02}", fen / 100, fen % 100)
    }
}

/// An amount that an order can have: at least one fen, at most [`OrderAmount::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OrderAmount(Fen);

impl OrderAmount {
    /// The largest amount: what a signed 32-bit integer of fen holds (about 21 million yuan). WeChat writes "int"
    /// without a bound; this one keeps every reader of the field safe.
    pub const MAX: Fen = Fen(i32::MAX as i64);

    /// Checks the bounds.
    pub fn new(amount: Fen) -> Result<Self, AmountError> {
        match amount {
            Fen(..1) => Err(AmountError::NotPositive),
            amount if amount > Self::MAX => Err(AmountError::TooLarge),
            amount => Ok(Self(amount)),
        }
    }

    /// Reads `total_fee` as it stands in a message.
    pub fn from_wire(text: &str) -> Result<Self, AmountError> {
        Self::new(Fen::from_wire(text)?)
    }

    /// The amount.
    pub const fn fen(self) -> Fen {
        self.0
    }
}

impl<'de> Deserialize<'de> for OrderAmount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OrderAmount::new(Fen::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Why a text or number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Zero or less where something has to be paid.
    #[error("the amount must be at least 1 fen")]
    NotPositive,
    /// More than an order can have.
    #[error("the amount is beyond what an order can have")]
    TooLarge,
    /// A fraction of a fen, a sign, a leading zero or no number at all.
    #[error("the amount is not a whole number of fen")]
    NotWholeFen,
    /// Not a decimal number of yuan.
    #[error("the amount is not a number of yuan")]
    NotYuan,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_yuan_ninety_is_1990_fen() {
        // Lesson 24: 19.9 * 100 is 1989.99… in floating point.
        assert_eq!(Fen::from_yuan("19.9"), Ok(Fen(1990)));
        assert_eq!(Fen(1990).to_string(), "¥19.90");
    }

    #[test]
    fn an_amount_on_the_wire_has_digits_only() {
        for bad in ["", "-1", "+1", "1.0", "01", "1e2", " 1", "1 ", "１", "0x10"] {
            assert_eq!(Fen::from_wire(bad), Err(AmountError::NotWholeFen), "{bad:?}");
        }
        assert_eq!(Fen::from_wire("99999999999999999999"), Err(AmountError::TooLarge));
    }

    #[test]
    fn an_order_is_at_least_one_fen_and_bounded() {
        assert_eq!(OrderAmount::new(Fen(0)), Err(AmountError::NotPositive));
        assert_eq!(OrderAmount::new(Fen(-1)), Err(AmountError::NotPositive));
        assert!(OrderAmount::new(Fen(1)).is_ok());
        assert!(OrderAmount::new(OrderAmount::MAX).is_ok());
        assert_eq!(OrderAmount::new(Fen(OrderAmount::MAX.get() + 1)), Err(AmountError::TooLarge));
    }
}
