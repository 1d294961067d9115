//! Closing an order: first at WeChat, then here. `POST /v1/orders/{id}/close`, and the job at the order's expiry.
//!
//! While an order is closing, money still makes it paid: the customer was faster. Whatever WeChat cannot be asked now is
//! asked by the payment's own job later.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    CloseReason, OnClose, Order, State as OrderState, View, happened,
    read::{load, not_found},
    store, view,
};
use crate::{
    api_key::Scope,
    app::App,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    http::{Caller, Code, Problem, chain},
    job::{self, Outcome},
    payment,
};

/// How long the call itself closes at WeChat before the job does. Longer than a call with its back-up host.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(30);

/// Gives an order up.
///
/// # Errors
/// There is no such order for this caller, or it is paid.
pub async fn close(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(order_id): Path<String>,
) -> Result<Json<View>, Problem> {
    caller.allow(Scope::Orders)?;
    let order = load(&app, &caller, &order_id).await?;
    let now = app.now();
    let id = order.id.clone();
    let writing = Arc::clone(&app);
    let begin = move |tx: &mut Tx| {
        let Some(order) = store::find(tx, &id)? else { return Ok(None) };
        begin(tx, &writing, now, order, CloseReason::Cancelled, now + AT_ONCE).map(Some)
    };
    let Some(begun) = app.database.write(begin).await? else { return Err(not_found()) };
    crash::point(Point::OrderCloseWritten);
    if begun != OnClose::Paid
        && let Err(error) = payment::close_of_order(&app, &order.id).await
    {
        tracing::warn!(order.id = order.id, error.cause = chain(&error), "the order could not be closed at WeChat yet");
    }
    app.event_wake.notify_waiters();
    let order = load(&app, &caller, &order_id).await?;
    if let OrderState::Paid { .. } = order.state {
        return Err(Problem::new(Code::OrderPaid, "The customer has paid. Give the money back instead."));
    }
    crash::point(Point::OrderCloseBeforeReply);
    Ok(Json(view(&order)))
}

/// The job at the end of the time to pay.
pub async fn run_expire_job(app: &Arc<App>, order_id: &str) -> Outcome {
    let (id, now, writing) = (order_id.to_owned(), app.now(), Arc::clone(app));
    let expire = move |tx: &mut Tx| {
        let Some(order) = store::find(tx, &id)?.filter(|order| order.state == OrderState::Open) else {
            return Ok(None);
        };
        if order.expires > now {
            return Ok(Some(order.expires));
        }
        begin(tx, &writing, now, order, CloseReason::Expired, now)?;
        Ok::<_, DatabaseError>(None)
    };
    match app.database.write(expire).await {
        Ok(Some(expires)) => Outcome::At(expires),
        Ok(None) => {
            crash::point(Point::OrderExpireWritten);
            app.job_wake.notify_one();
            Outcome::Done
        }
        Err(error) => Outcome::retry(&error),
    }
}

/// From now on nobody can begin to pay the order. What may still be paid is closed at WeChat.
fn begin(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    order: Order,
    reason: CloseReason,
    first_try: Timestamp,
) -> Result<OnClose, DatabaseError> {
    let next = order.state.on_close(reason);
    if let OnClose::Begins(closing) = &next {
        let order = store::mark_closed(tx, now, order, closing.clone())?;
        crash::point(Point::OrderCloseBeforeJob);
        tracing::info!(order.id = order.id, order.close_reason = reason.as_str(), "order closes");
        job::cancel(tx, job::Kind::ExpireOrder, &order.id)?;
        payment::begin_closing(tx, now, &order.id, first_try)?;
        close_if_nothing_is_payable(tx, app, now, &order.id)?;
    }
    Ok(next)
}

/// A payment of the order has ended without money: if it was the last one, a closing order is closed.
pub(crate) fn close_if_nothing_is_payable(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    order_id: &str,
) -> Result<(), DatabaseError> {
    if payment::is_any_live(tx, order_id)? {
        return Ok(());
    }
    let order = store::find(tx, order_id)?.ok_or(DatabaseError::NotFound)?;
    if let Some(closed) = order.state.on_nothing_payable() {
        let order = store::mark_closed(tx, now, order, closed)?;
        happened(tx, app, now, event::Type::OrderClosed, &order, [])?;
        tracing::info!(order.id = order.id, "order closed");
    }
    Ok(())
}
