//! What a person has to look at. One row for each subject and reason, however often it happens.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    app::App,
    clock::{from_ms, ms},
    database::{Database, DatabaseError, Row, Tx, params},
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
    /// A refund that was not made here, of a payment that is not ours.
    RefundElsewhere,
    /// The address of a webhook was changed.
    WebhookMoved,
    /// A webhook answered 410.
    WebhookGone,
    /// A webhook has not taken an event for long.
    WebhookBlocked,
    /// A webhook has not taken an event in three days.
    WebhookExhausted,
    /// WeChat's statement about a refund does not fit what we know.
    RefundMismatch,
    /// WeChat says that a refund ended otherwise than it had said before.
    RefundContradiction,
    /// The balance of the merchant is too low for a refund.
    RefundBlocked,
    /// WeChat cannot credit a refund.
    RefundAbnormal,
    /// WeChat closed a refund; the money did not go back.
    RefundClosed,
    /// WeChat refused a refund for good.
    RefundRejected,
    /// WeChat does not take a refund, and does not refuse it either.
    RefundStuck,
    /// WeChat does not close an order, and does not say that it is paid either.
    ClosingStuck,
}

impl Reason {
    /// All reasons.
    pub const ALL: &[Reason] = &[
        Reason::UnknownPayment,
        Reason::AmountMismatch,
        Reason::CurrencyMismatch,
        Reason::AppMismatch,
        Reason::PayerMismatch,
        Reason::Incomplete,
        Reason::SuccessAfterRejection,
        Reason::Contradiction,
        Reason::SecondPayment,
        Reason::LatePayment,
        Reason::Unconfirmed,
        Reason::RefundElsewhere,
        Reason::WebhookMoved,
        Reason::WebhookGone,
        Reason::WebhookBlocked,
        Reason::WebhookExhausted,
        Reason::RefundMismatch,
        Reason::RefundContradiction,
        Reason::RefundBlocked,
        Reason::RefundAbnormal,
        Reason::RefundClosed,
        Reason::RefundRejected,
        Reason::RefundStuck,
        Reason::ClosingStuck,
    ];

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
            Self::WebhookMoved => "webhook_moved",
            Self::WebhookGone => "webhook_gone",
            Self::WebhookBlocked => "webhook_blocked",
            Self::WebhookExhausted => "webhook_exhausted",
            Self::RefundMismatch => "refund_mismatch",
            Self::RefundContradiction => "refund_contradiction",
            Self::RefundBlocked => "refund_blocked",
            Self::RefundAbnormal => "refund_abnormal",
            Self::RefundClosed => "refund_closed",
            Self::RefundRejected => "refund_rejected",
            Self::RefundStuck => "refund_stuck",
            Self::ClosingStuck => "closing_stuck",
        }
    }
}

/// A mark that nobody has taken away.
#[derive(Debug, Serialize)]
pub struct Mark {
    /// Its id.
    pub id: String,
    /// The id of a payment, or a number of WeChat's that is not ours.
    pub subject: String,
    /// Why somebody has to look; docs/attention.md says what to do.
    pub reason: String,
    /// A sentence.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

const OPEN: &str = "
    SELECT id, subject, reason, detail, created_ms
    FROM attention
    WHERE resolved_ms IS NULL
    ORDER BY created_ms, id
    LIMIT 1000";

/// What a person has to look at, the oldest first.
///
/// # Errors
/// The database fails.
pub async fn open(database: &Database) -> Result<Vec<Mark>, DatabaseError> {
    database
        .read(|tx| {
            let mark = |row: &Row| {
                Ok(Mark {
                    id: row.text("id")?.to_owned(),
                    subject: row.text("subject")?.to_owned(),
                    reason: row.text("reason")?.to_owned(),
                    detail: row.text("detail")?.to_owned(),
                    since: from_ms(row.int("created_ms")?),
                })
            };
            tx.query(OPEN, params![])?.iter().map(mark).collect()
        })
        .await
}

const RESOLVE: &str = "UPDATE attention SET resolved_ms = $2 WHERE id = $1 AND resolved_ms IS NULL";

/// Somebody has looked; says whether the mark was there.
///
/// # Errors
/// The database fails.
pub async fn resolve(database: &Database, id: &str, now: Timestamp) -> Result<bool, DatabaseError> {
    let id = id.to_owned();
    database.write(move |tx| Ok(tx.execute(RESOLVE, params![id.as_str(), ms(now)])? == 1)).await
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
    write(tx, INSERT, app, now, (subject, reason, detail))
}

const RAISE_AGAIN: &str = "
    INSERT INTO attention (id, subject, reason, detail, created_ms)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (subject, reason) DO UPDATE SET
        detail = excluded.detail,
        created_ms = excluded.created_ms,
        resolved_ms = NULL
    WHERE attention.resolved_ms IS NOT NULL";

/// Raises attention for what can happen anew after somebody has looked; once as long as nobody has.
///
/// # Errors
/// The database fails.
pub fn raise_again(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    subject: &str,
    reason: Reason,
    detail: &str,
) -> Result<(), DatabaseError> {
    write(tx, RAISE_AGAIN, app, now, (subject, reason, detail))
}

fn write(
    tx: &mut Tx,
    sql: &str,
    app: &App,
    now: Timestamp,
    (subject, reason, detail): (&str, Reason, &str),
) -> Result<(), DatabaseError> {
    let id = id::new(id::Kind::Attention, now, &app.entropy);
    let rows = tx.execute(sql, params![id, subject, reason.as_str(), detail, ms(now)])?;
    if rows == 1 {
        tracing::warn!(attention.subject = subject, attention.reason = reason.as_str(), "attention: {detail}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let documented = include_str!("../../../docs/attention.md");
        for reason in Reason::ALL {
            assert!(documented.contains(&format!("| `{}` |", reason.as_str())), "docs/attention.md lacks {reason:?}");
        }
    }
}
