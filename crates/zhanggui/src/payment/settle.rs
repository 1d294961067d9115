//! The one place where a payment becomes paid.
//!
//! Takes a verified statement of WeChat, compares every field with ours, asks the table of states what follows, and
//! writes evidence, payment, order, attention and jobs in the transaction of the caller.

use jiff::Timestamp;
use weixin::{Verified, pay::Transaction};

use super::{Absence, Event, Next, Payment, State, apply::apply, store};
use crate::{
    app::App,
    attention::{self, Reason},
    database::{DatabaseError, Tx},
    evidence::{self, Message, Source, Statement, Verdict, VerifiedBy, Weight},
    job,
};

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The payment is paid, now or since before.
    Paid,
    /// A query has to confirm it; the job for that is written.
    ToConfirm,
    /// Not paid (yet).
    NotPaid,
    /// WeChat closed it.
    Closed,
    /// It does not fit what we know and changed nothing.
    Quarantined,
}

impl Settled {
    /// Whether the payment can be looked at as over: paid, closed, or a case for a person.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Closed | Self::Quarantined)
    }
}

/// Settles one statement of WeChat.
pub(super) fn settle(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    transaction: &Verified<Transaction>,
) -> Result<Settled, DatabaseError> {
    let number = transaction.out_trade_no.as_str();
    let statement = Statement::from(&**transaction);
    let Some(payment) = store::find_by_number(tx, transaction.mchid.as_str(), number)? else {
        let verdict = (Verdict::Quarantined, Some(Reason::UnknownPayment.as_str()));
        evidence::keep(tx, app, now, message, &statement, None, verdict)?;
        let detail = format!("WeChat reports {} for an out_trade_no that is not ours", transaction.trade_state);
        attention::raise(tx, app, now, number, Reason::UnknownPayment, &detail)?;
        return Ok(Settled::Quarantined);
    };
    let id = payment.id.as_str();
    let event = match compare(&payment, transaction) {
        Ok(event) => event,
        Err(reason) => {
            let verdict = (Verdict::Quarantined, Some(reason.as_str()));
            evidence::keep(tx, app, now, message, &statement, Some(id), verdict)?;
            attention::raise(tx, app, now, id, reason, "a statement of WeChat does not fit the payment")?;
            if message.source == Source::Notification {
                // The answer to a query decides.
                job::schedule(tx, job::Kind::QueryPayment, id, now, now)?;
            }
            return Ok(Settled::Quarantined);
        }
    };
    let settled_before = matches!(payment.state, State::Succeeded { .. });
    if message.weight == Weight::Hint && !settled_before {
        evidence::keep(tx, app, now, message, &statement, Some(id), (Verdict::Hint, None))?;
        job::schedule(tx, job::Kind::QueryPayment, id, now, now)?;
        return Ok(Settled::ToConfirm);
    }
    let next = if is_stale(&payment, message, &event) { Next::Same } else { payment.state.on(event) };
    if transaction.trade_state.is_paid() || next != Next::Same {
        // A query that changes nothing is asked many times and not worth a row each.
        let verdict = match next {
            Next::Attention(reason) => (Verdict::Quarantined, Some(reason.as_str())),
            Next::Same | Next::To(_) => (Verdict::Believed, None),
        };
        evidence::keep(tx, app, now, message, &statement, Some(id), verdict)?;
    }
    apply(tx, app, now, &payment, next)
}

/// WeChat was asked before it said "paid", and the answer comes after that: no contradiction.
fn is_stale(payment: &Payment, message: &Message, event: &Event) -> bool {
    let succeeded = matches!(payment.state, State::Succeeded { .. });
    succeeded && matches!(event, Event::NotPaid(_)) && message.asked.is_some_and(|asked| asked <= payment.updated)
}

/// WeChat closed a payment for us.
pub(super) fn close_answered(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    payment_id: &str,
) -> Result<Settled, DatabaseError> {
    settle_end(tx, app, now, message, payment_id, "CLOSED", |_| Event::CloseAnswered)
}

/// WeChat does not know a payment.
pub(super) fn not_known(tx: &mut Tx, app: &App, now: Timestamp, payment_id: &str) -> Result<Settled, DatabaseError> {
    let message = Message {
        source: Source::Query,
        weight: Weight::Proof,
        verified_by: VerifiedBy::Absence,
        raw: bytes::Bytes::new(),
        request_id: None,
        asked: None,
    };
    settle_end(tx, app, now, &message, payment_id, "NOT_FOUND", |payment| {
        let since_last_try = now.duration_since(payment.tried.unwrap_or(payment.created));
        Event::NotKnown(Absence { was_accepted: payment.accepted.is_some(), since_last_try })
    })
}

fn settle_end(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    payment_id: &str,
    word: &str,
    event: impl FnOnce(&Payment) -> Event,
) -> Result<Settled, DatabaseError> {
    let payment = store::find(tx, payment_id)?.ok_or(DatabaseError::NotFound)?;
    let next = payment.state.on(event(&payment));
    if next != Next::Same {
        let statement = Statement {
            mchid: payment.mchid.as_str(),
            out_trade_no: payment.out_trade_no.as_str(),
            state: word,
            total: None,
            transaction_id: None,
            time: None,
            refund: None,
        };
        evidence::keep(tx, app, now, message, &statement, Some(payment_id), (Verdict::Believed, None))?;
    }
    apply(tx, app, now, &payment, next)
}

/// Compares every field with ours. Fields that WeChat leaves out where nothing was paid cannot differ.
fn compare(payment: &Payment, transaction: &Transaction) -> Result<Event, Reason> {
    if transaction.appid != payment.appid {
        return Err(Reason::AppMismatch);
    }
    if transaction.total.is_some_and(|total| total != payment.amount.fen()) {
        return Err(Reason::AmountMismatch);
    }
    if transaction.currency.as_ref().is_some_and(|currency| *currency != payment.currency) {
        return Err(Reason::CurrencyMismatch);
    }
    if transaction.openid.as_ref().is_some_and(|openid| *openid != payment.openid) {
        return Err(Reason::PayerMismatch);
    }
    if !transaction.trade_state.is_paid() {
        return Ok(Event::NotPaid(transaction.trade_state.clone()));
    }
    match (&transaction.total, &transaction.openid, &transaction.transaction_id, transaction.success_time) {
        (Some(_), Some(_), Some(transaction_id), Some(success_time)) => {
            Ok(Event::Paid { transaction_id: transaction_id.clone(), success_time })
        }
        _ => Err(Reason::Incomplete),
    }
}
