//! The one place where a refund changes.
//!
//! Takes a verified statement of WeChat, compares every field with ours, asks the table of states what follows, and
//! writes evidence, refund, order, attention, event and jobs in the transaction of the caller.

use jiff::Timestamp;
use serde_json::{Value, json};
use weixin::{
    MchId, OrderAmount, Verified,
    pay::{Refund as Told, RefundState},
};

use super::{Cause, Event, Next, Refund, State, poll, store, view};
use crate::{
    app::App,
    attention::{self, Reason},
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    evidence::{self, Message, RefundStatement, Source, Statement, Verdict},
    id, job, order,
    payment::{self, Payment},
};

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It counts, now or since before.
    Believed,
    /// It was made elsewhere and has not ended: it has to be asked for.
    UnderWay,
    /// It does not fit what we know, and a person looks.
    Quarantined,
    /// It is about a payment that is not known to be paid: it has to be said again.
    TooEarly,
}

/// Settles one statement of WeChat.
pub(crate) fn settle(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    mchid: &MchId,
    told: &Verified<Told>,
) -> Result<Settled, DatabaseError> {
    let Some(payment) = payment::find_by_number(tx, mchid.as_str(), told.out_trade_no.as_str())? else {
        keep(tx, app, now, message, mchid, told, Known::default(), Some(Reason::RefundElsewhere))?;
        let detail = format!("WeChat reports a refund of {} for a payment that is not ours", told.refund);
        attention::raise(tx, app, now, told.out_trade_no.as_str(), Reason::RefundElsewhere, &detail)?;
        return Ok(Settled::Quarantined);
    };
    let refund = store::find_by_number(tx, mchid.as_str(), told.out_refund_no.as_str())?;
    let known = Known { payment: Some(&payment), refund: refund.as_ref() };
    if let payment::State::Succeeded { transaction_id, .. } = &payment.state {
        let fits = *transaction_id == told.transaction_id
            && told.total == payment.amount.fen()
            && refund.as_ref().is_none_or(|ours| ours.amount.fen() == told.refund && ours.payment_id == payment.id);
        if !fits {
            keep(tx, app, now, message, mchid, told, known, Some(Reason::RefundMismatch))?;
            let detail = "a statement of WeChat does not fit the refund";
            let subject = refund.as_ref().map_or(&payment.id, |refund| &refund.id);
            attention::raise(tx, app, now, subject, Reason::RefundMismatch, detail)?;
            return Ok(Settled::Quarantined);
        }
    } else {
        // What is given back was paid: WeChat is asked for the payment first.
        job::schedule(tx, job::Kind::QueryPayment, &payment.id, now, now)?;
        return Ok(Settled::TooEarly);
    }
    let Some(ours) = &refund else { return elsewhere(tx, app, now, message, &payment, told) };
    store::accept(tx, &ours.id, now, &told.refund_id)?;
    let next = ours.state.on(Event::Told { state: told.state.clone(), success_time: told.success_time });
    if next != Next::Same || told.state == RefundState::Success {
        let reason = match &next {
            Next::Attention(reason) => Some(*reason),
            Next::Same | Next::To(_) => None,
        };
        keep(tx, app, now, message, mchid, told, known, reason)?;
    }
    apply(tx, app, now, ours.clone(), next)
}

/// A statement that is not signed, as of API v2: WeChat is asked whether it is true.
pub(crate) fn hint(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    mchid: &MchId,
    told: &Told,
) -> Result<(), DatabaseError> {
    let payment = payment::find_by_number(tx, mchid.as_str(), told.out_trade_no.as_str())?;
    let refund = store::find_by_number(tx, mchid.as_str(), told.out_refund_no.as_str())?;
    let known = Known { payment: payment.as_ref(), refund: refund.as_ref() };
    evidence::keep(tx, app, now, message, &statement(mchid, told, known), known.payment_id(), (Verdict::Hint, None))?;
    confirm(tx, now, mchid, told)
}

/// WeChat is asked for a refund.
fn confirm(tx: &mut Tx, now: Timestamp, mchid: &MchId, told: &Told) -> Result<(), DatabaseError> {
    let subject = poll::subject_of(mchid, &told.out_refund_no);
    job::schedule(tx, job::Kind::ConfirmRefund, &subject, now, now)
}

/// WeChat did not take the refund.
pub(super) fn not_taken(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    refund_id: &str,
    event: Event,
) -> Result<State, DatabaseError> {
    let refund = store::find(tx, refund_id)?.ok_or(DatabaseError::NotFound)?;
    let next = refund.state.on(event);
    apply(tx, app, now, refund, next)?;
    Ok(store::find(tx, refund_id)?.ok_or(DatabaseError::NotFound)?.state)
}

/// A refund that was made elsewhere counts when the money is gone.
fn elsewhere(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    payment: &Payment,
    told: &Verified<Told>,
) -> Result<Settled, DatabaseError> {
    let known = Known { payment: Some(payment), refund: None };
    let quarantine = |tx: &mut Tx, detail| {
        keep(tx, app, now, message, &payment.mchid, told, known, Some(Reason::RefundMismatch))?;
        attention::raise(tx, app, now, &payment.id, Reason::RefundMismatch, detail)?;
        Ok(Settled::Quarantined)
    };
    let success_time = match (&told.state, told.success_time) {
        (RefundState::Success, Some(success_time)) => success_time,
        (RefundState::Success, None) => return quarantine(tx, "WeChat does not say when the refund arrived"),
        (RefundState::Closed, _) => {
            keep(tx, app, now, message, &payment.mchid, told, known, None)?;
            return Ok(Settled::Believed);
        }
        (RefundState::Processing | RefundState::Abnormal | RefundState::Unknown(_), _) => {
            // The answer to a query comes from the job that asks until the refund has ended.
            if message.source == Source::Notification {
                keep(tx, app, now, message, &payment.mchid, told, known, None)?;
                confirm(tx, now, &payment.mchid, told)?;
            }
            if told.state == RefundState::Abnormal {
                let detail = "WeChat cannot credit a refund that was made elsewhere";
                attention::raise(tx, app, now, &payment.id, Reason::RefundAbnormal, detail)?;
            }
            return Ok(Settled::UnderWay);
        }
    };
    let given = store::given(tx, &payment.id)?.checked_add(told.refund);
    let amount =
        OrderAmount::new(told.refund).ok().filter(|_| given.is_some_and(|given| given <= payment.amount.fen()));
    let Some(amount) = amount else { return quarantine(tx, "WeChat reports that more has gone back than was paid") };
    let refund = Refund {
        id: id::new(id::Kind::Refund, now, &app.entropy),
        order_id: payment.order_id.clone(),
        payment_id: payment.id.clone(),
        appid: payment.appid.clone(),
        mchid: payment.mchid.clone(),
        api: message.verified_by.api().unwrap_or(payment.api),
        out_refund_no: told.out_refund_no.clone(),
        amount,
        cause: Cause::Elsewhere,
        reason: None,
        reference: None,
        frozen_request: None,
        state: State::External { success_time },
        tried: None,
        doubt: None,
        accepted: None,
        created: now,
    };
    store::insert(tx, &refund)?;
    store::accept(tx, &refund.id, now, &told.refund_id)?;
    keep(tx, app, now, message, &payment.mchid, told, Known { refund: Some(&refund), ..known }, None)?;
    tracing::info!(refund.id = refund.id, "a refund was made elsewhere");
    fold(tx, &refund)?;
    happened(tx, app, now, event::Type::RefundSucceeded, &refund)?;
    Ok(Settled::Believed)
}

fn apply(tx: &mut Tx, app: &App, now: Timestamp, refund: Refund, next: Next) -> Result<Settled, DatabaseError> {
    let state = match next {
        Next::Same => return Ok(Settled::Believed),
        Next::Attention(reason) => {
            attention::raise(tx, app, now, &refund.id, reason, "WeChat contradicts what it said before")?;
            return Ok(Settled::Quarantined);
        }
        Next::To(state) => state,
    };
    if !store::change(tx, now, &refund, &state)? {
        // The row was read in this very transaction.
        return Err(DatabaseError::Aborted);
    }
    crash::point(Point::RefundSettleBeforeJobs);
    let refund = Refund { state, ..refund };
    tracing::info!(refund.id = refund.id, refund.state = refund.state.as_str(), "refund changed");
    follow(tx, app, now, &refund)?;
    Ok(Settled::Believed)
}

/// What follows from the state that a refund has reached.
fn follow(tx: &mut Tx, app: &App, now: Timestamp, refund: &Refund) -> Result<(), DatabaseError> {
    let id = refund.id.as_str();
    if !matches!(refund.state, State::Submitting { .. }) {
        job::cancel(tx, job::Kind::SubmitRefund, id)?;
    }
    let (kind, attention) = match &refund.state {
        State::Submitting { .. } => {
            let detail = "the balance of the merchant is too low; the refund is tried again by itself";
            return attention::raise(tx, app, now, id, Reason::RefundBlocked, detail);
        }
        State::Processing => return poll::schedule(tx, id, now),
        State::Abnormal => {
            poll::schedule(tx, id, now)?;
            (event::Type::RefundAbnormal, Some((Reason::RefundAbnormal, "WeChat cannot credit the money".to_owned())))
        }
        State::Succeeded { .. } | State::External { .. } => {
            job::cancel(tx, job::Kind::PollRefund, id)?;
            fold(tx, refund)?;
            (event::Type::RefundSucceeded, None)
        }
        State::Closed => {
            job::cancel(tx, job::Kind::PollRefund, id)?;
            let detail = "WeChat closed the refund; the money did not go back".to_owned();
            (event::Type::RefundFailed, Some((Reason::RefundClosed, detail)))
        }
        State::Rejected { code } => {
            let detail = format!("WeChat refused the refund for good with {code}");
            (event::Type::RefundFailed, Some((Reason::RefundRejected, detail)))
        }
    };
    if let Some((reason, detail)) = attention {
        attention::raise(tx, app, now, id, reason, &detail)?;
    }
    happened(tx, app, now, kind, refund)
}

/// The order tells how much of its money went back.
fn fold(tx: &mut Tx, refund: &Refund) -> Result<(), DatabaseError> {
    let given = store::given(tx, &refund.payment_id)?;
    order::set_refunded(tx, &refund.order_id, &refund.payment_id, given)
}

/// Tells the merchant's own systems, with a snapshot of refund and order.
pub(super) fn happened(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    kind: event::Type,
    refund: &Refund,
) -> Result<(), DatabaseError> {
    let order = order::find(tx, &refund.order_id)?.ok_or(DatabaseError::NotFound)?;
    order::happened(tx, app, now, kind, &order, [("refund", snapshot(refund))])
}

/// The refund as the API shows it, for events.
pub(crate) fn snapshot(refund: &Refund) -> Value {
    json!(view(refund))
}

/// What we know of the things that a statement is about.
#[derive(Clone, Copy, Default)]
struct Known<'a> {
    payment: Option<&'a Payment>,
    refund: Option<&'a Refund>,
}

impl<'a> Known<'a> {
    fn payment_id(&self) -> Option<&'a str> {
        self.payment.map(|payment| payment.id.as_str())
    }
}

fn statement<'a>(mchid: &'a MchId, told: &'a Told, known: Known<'a>) -> Statement<'a> {
    Statement {
        mchid: mchid.as_str(),
        out_trade_no: told.out_trade_no.as_str(),
        state: told.state.as_str(),
        total: Some(told.total),
        transaction_id: Some(told.transaction_id.as_str()),
        time: told.success_time,
        refund: Some(RefundStatement {
            id: known.refund.map(|refund| refund.id.as_str()),
            out_refund_no: told.out_refund_no.as_str(),
            amount: Some(told.refund),
        }),
    }
}

#[expect(clippy::too_many_arguments, reason = "the context of the caller and three things of the statement")]
fn keep(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    mchid: &MchId,
    told: &Told,
    known: Known<'_>,
    reason: Option<Reason>,
) -> Result<(), DatabaseError> {
    let verdict = if reason.is_some() { Verdict::Quarantined } else { Verdict::Believed };
    let statement = statement(mchid, told, known);
    let verdict = (verdict, reason.map(Reason::as_str));
    evidence::keep(tx, app, now, message, &statement, known.payment_id(), verdict)
}
