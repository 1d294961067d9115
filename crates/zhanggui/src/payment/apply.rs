//! What follows from the next state of a payment: the row, the order, the jobs, and money that has to go back.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Next, Payment, State, close, settle::Settled, store};
use crate::{
    app::App,
    attention::{self, Reason},
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event, job,
    order::{self, Arrival, OnSuccess, Order},
    refund::{self, Cause},
    subscribe_message,
};

/// Writes the next state down, with everything that follows.
pub(super) fn apply(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    payment: &Payment,
    next: Next,
) -> Result<Settled, DatabaseError> {
    let state = match next {
        Next::Same if matches!(payment.state, State::Succeeded { .. }) => return Ok(Settled::Paid),
        Next::Same if payment.state == State::Closed => return Ok(Settled::Closed),
        Next::Same => return Ok(Settled::NotPaid),
        Next::Attention(reason) => {
            attention::raise(tx, app, now, &payment.id, reason, "WeChat contradicts what it said before")?;
            return Ok(Settled::Quarantined);
        }
        Next::To(state) => state,
    };
    if !store::change(tx, now, &payment.id, &payment.state, &state)? {
        // The row was read in this very transaction.
        return Err(DatabaseError::Aborted);
    }
    crash::point(Point::PaymentSettleBeforeJobs);
    let payment = Payment { state, ..payment.clone() };
    tracing::info!(
        payment.id = payment.id,
        payment.out_trade_no = payment.out_trade_no.as_str(),
        payment.state = payment.state.as_str(),
        "payment changed"
    );
    match payment.state {
        State::Succeeded { success_time, .. } => {
            job::cancel(tx, job::Kind::QueryPayment, &payment.id)?;
            end_jobs(tx, &payment.id)?;
            pay_order(tx, app, now, &payment, success_time)?;
            Ok(Settled::Paid)
        }
        State::Closed => {
            end_jobs(tx, &payment.id)?;
            order::close_if_nothing_is_payable(tx, app, now, &payment.order_id)?;
            Ok(Settled::Closed)
        }
        _ => Ok(Settled::NotPaid),
    }
}

/// It has ended. What confirms a notification that said "paid" goes on after a close.
fn end_jobs(tx: &mut Tx, payment_id: &str) -> Result<(), DatabaseError> {
    for kind in [job::Kind::PollPayment, job::Kind::ClosePayment] {
        job::cancel(tx, kind, payment_id)?;
    }
    Ok(())
}

fn pay_order(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    payment: &Payment,
    success_time: Timestamp,
) -> Result<(), DatabaseError> {
    let order = order::find(tx, &payment.order_id)?.ok_or(DatabaseError::NotFound)?;
    match order.state.on_success(&payment.id, app.config.order.late_money) {
        OnSuccess::Unchanged => Ok(()),
        OnSuccess::BecomesPaid(state, arrival) => {
            let order = order::mark_paid(tx, order, state, success_time)?;
            job::cancel(tx, job::Kind::ExpireOrder, &order.id)?;
            // Another payment of the order must not take money, too.
            close::begin_closing(tx, now, &order.id, now)?;
            let late = Value::from(arrival != Arrival::InTime);
            let more = [("payment", numbers(payment)), ("late", late)];
            order::happened(tx, app, now, event::Type::OrderPaid, &order, more)?;
            tracing::info!(order.id = order.id, payment.id = payment.id, order.arrival = ?arrival, "order paid");
            subscribe_message::order_paid(tx, app, now, &order)?;
            if arrival == Arrival::AfterClosing { accept(tx, app, now, payment, &order) } else { Ok(()) }
        }
        OnSuccess::SecondPayment => give_back(tx, app, now, payment, &order, Cause::SecondPayment),
        OnSuccess::LatePayment => give_back(tx, app, now, payment, &order, Cause::LatePayment),
    }
}

/// The order was closed; the operator wants it to be paid all the same.
fn accept(tx: &mut Tx, app: &App, now: Timestamp, payment: &Payment, order: &Order) -> Result<(), DatabaseError> {
    let more = [("payment", numbers(payment)), ("outcome", json!("accepted"))];
    order::happened(tx, app, now, event::Type::PaymentLate, order, more)?;
    let detail = "the order was closed; by the setting late_money it is paid now and has to be delivered";
    attention::raise(tx, app, now, &payment.id, Reason::LatePayment, detail)
}

/// Nothing is delivered for this money.
fn give_back(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    payment: &Payment,
    order: &Order,
    cause: Cause,
) -> Result<(), DatabaseError> {
    let refund = refund::owe(tx, app, now, payment, cause)?;
    crash::point(Point::PaymentSettleOwed);
    let more = [("payment", numbers(payment)), ("outcome", json!("refunded")), ("refund", refund::snapshot(&refund))];
    order::happened(tx, app, now, event::Type::PaymentLate, order, more)?;
    let (reason, detail) = match cause {
        Cause::SecondPayment => (Reason::SecondPayment, "the order was paid already; the money goes back by itself"),
        _ => (Reason::LatePayment, "the order was closed; the money goes back by itself"),
    };
    attention::raise(tx, app, now, &payment.id, reason, detail)
}

/// What a payment is called here and at WeChat, for events.
fn numbers(payment: &Payment) -> Value {
    let transaction_id = match &payment.state {
        State::Succeeded { transaction_id, .. } => Some(transaction_id),
        _ => None,
    };
    json!({ "id": payment.id, "out_trade_no": payment.out_trade_no, "transaction_id": transaction_id })
}
