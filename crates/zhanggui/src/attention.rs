//! What a person has to look at. One row for each subject and reason, however often it happens.

use jiff::Timestamp;

use crate::{
    app::App,
    clock::ms,
    database::{DatabaseError, Tx, params},
    id,
};

/// Why somebody has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// WeChat reports a payment that we do not know.
    UnknownPayment,
    /// WeChat's amount is not ours.
    AmountMismatch,
    /// WeChat's currency is not ours.
    CurrencyMismatch,
    /// WeChat's app is not ours.
    AppMismatch,
    /// Somebody else paid than the customer of the order.
    PayerMismatch,
    /// WeChat reports a success without its number.
    Incomplete,
    /// A payment succeeded although WeChat had refused it for good.
    SuccessAfterRejection,
    /// WeChat says "not paid" after it had said "paid".
    Contradiction,
    /// A second payment of a paid order succeeded.
    SecondPayment,
    /// A payment of a closed order succeeded.
    LatePayment,
    /// A notification said "paid", and no query confirmed it.
    Unconfirmed,
    /// A refund that was not made here, for example on the merchant platform.
    RefundElsewhere,
}

impl Reason {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPayment => "unknown_payment",
            Self::AmountMismatch => "amount_mismatch",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::AppMismatch => "app_mismatch",
            Self::PayerMismatch => "payer_mismatch",
            Self::Incomplete => "incomplete",
            Self::SuccessAfterRejection => "success_after_rejection",
            Self::Contradiction => "contradiction",
            Self::SecondPayment => "second_payment",
            Self::LatePayment => "late_payment",
            Self::Unconfirmed => "unconfirmed",
            Self::RefundElsewhere => "refund_elsewhere",
        }
    }
}

const INSERT: &str = "
    INSERT INTO attention (id, subject, reason, detail, created_ms)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (subject, reason) DO NOTHING";

/// Raises attention, once for each subject and reason.
///
/// # Errors
/// The database fails.
pub fn raise(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    subject: &str,
    reason: Reason,
    detail: &str,
) -> Result<(), DatabaseError> {
    let id = id::new(id::Kind::Attention, now, &app.entropy);
    let rows = tx.execute(INSERT, params![id, subject, reason.as_str(), detail, ms(now)])?;
    if rows == 1 {
        tracing::warn!(attention.subject = subject, attention.reason = reason.as_str(), "attention: {detail}");
    }
    Ok(())
}
