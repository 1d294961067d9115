//! Closing a payment at WeChat, before anything is closed here: ask, close, and ask again if the answer is lost.
//!
//! Called when an order is given up or has expired, at once and by a job that goes on until WeChat has decided.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791901> and
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941206> (not before five minutes have passed).

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Event, Next, Payment, QueryError, State,
    poll::{self, merchant_of},
    settle::{self, Settled},
    store,
};
use crate::{
    app::App,
    attention::{self, Reason},
    crash::{self, Point},
    database::{DatabaseError, Tx},
    gateway,
    http::chain,
    job::{self, ENOUGH_TRIES, Outcome},
};

/// Whether a payment of the order can still take money.
pub(crate) fn is_any_live(tx: &mut Tx, order_id: &str) -> Result<bool, DatabaseError> {
    Ok(store::find_live(tx, order_id)?.is_some())
}

/// The order closes, and its live payment with it. The job that closes it at WeChat runs at `first_try`.
pub(crate) fn begin_closing(
    tx: &mut Tx,
    now: Timestamp,
    order_id: &str,
    first_try: Timestamp,
) -> Result<(), DatabaseError> {
    let Some(payment) = store::find_live(tx, order_id)? else { return Ok(()) };
    if let Next::To(closing) = payment.state.on(Event::OrderCloses) {
        if !store::change(tx, now, &payment.id, &payment.state, &closing)? {
            // The row was read in this very transaction.
            return Err(DatabaseError::Aborted);
        }
        job::cancel(tx, job::Kind::PollPayment, &payment.id)?;
    }
    job::schedule(tx, job::Kind::ClosePayment, &payment.id, first_try, now)
}

/// Closes the live payment of an order at WeChat, if there is one.
///
/// # Errors
/// Nothing was learned; the job tries again.
pub(crate) async fn close_of_order(app: &Arc<App>, order_id: &str) -> Result<(), QueryError> {
    let order_id = order_id.to_owned();
    match app.database.read(move |tx| store::find_live(tx, &order_id)).await? {
        Some(payment) => close(app, &payment.id).await.map(drop),
        None => Ok(()),
    }
}

/// The job that closes a payment at WeChat.
pub async fn run_close_job(app: &Arc<App>, payment_id: &str, attempts: i64) -> Outcome {
    let outcome = match close(app, payment_id).await {
        Ok(HowFar::Ended) => return Outcome::Done,
        Ok(HowFar::NotYet) => Outcome::Retry("WeChat has neither closed it nor called it paid".to_owned()),
        Err(error) => Outcome::retry(&error),
    };
    if attempts < ENOUGH_TRIES {
        return outcome;
    }
    // A person has to look. The job goes on.
    let id = payment_id.to_owned();
    let (now, raiser) = (app.now(), Arc::clone(app));
    let detail = "the order cannot be closed at WeChat, and is not paid either";
    let raise = move |tx: &mut Tx| attention::raise(tx, &raiser, now, &id, Reason::ClosingStuck, detail);
    match app.database.write(raise).await {
        Ok(()) => outcome,
        Err(error) => Outcome::retry(&error),
    }
}

/// How far closing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HowFar {
    /// The payment is closed, paid, or not closing at all.
    Ended,
    /// WeChat has not decided.
    NotYet,
}

async fn close(app: &Arc<App>, payment_id: &str) -> Result<HowFar, QueryError> {
    // A request that is under way on this node ends first.
    let _alone = app.alone_with(payment_id).await;
    let id = payment_id.to_owned();
    let found = app.database.read(move |tx| store::find(tx, &id)).await?;
    let Some(payment) = found.filter(|payment| payment.state == State::Closing) else { return Ok(HowFar::Ended) };
    if let HowFar::Ended = ask(app, &payment).await? {
        return Ok(HowFar::Ended);
    }
    let merchant = merchant_of(app, &payment).ok_or_else(|| QueryError::MerchantUnknown(payment.mchid.to_string()))?;
    crash::point(Point::PaymentCloseBeforeCall);
    match gateway::payment::close(app, merchant, &payment).await {
        Ok(message) => {
            crash::point(Point::PaymentCloseAfterAnswer);
            let (now, settling, id) = (app.now(), Arc::clone(app), payment.id.clone());
            let work = move |tx: &mut Tx| settle::close_answered(tx, &settling, now, &message, &id);
            app.database.write(work).await?;
            crash::point(Point::PaymentCloseSettled);
            Ok(HowFar::Ended)
        }
        Err(error) => {
            // It may be closed all the same, or paid meanwhile.
            tracing::info!(
                payment.id = payment.id,
                error.cause = chain(&error),
                "WeChat did not say that it closed it"
            );
            ask(app, &payment).await
        }
    }
}

/// Asks what became of the payment. What WeChat never took and will not get any more is closed.
async fn ask(app: &Arc<App>, payment: &Payment) -> Result<HowFar, QueryError> {
    let settled = match poll::query(app, payment).await {
        Err(QueryError::NotFound) => {
            let (now, settling, id) = (app.now(), Arc::clone(app), payment.id.clone());
            app.database.write(move |tx| settle::not_known(tx, &settling, now, &id)).await?
        }
        settled => settled?,
    };
    Ok(if matches!(settled, Settled::Paid | Settled::Closed) { HowFar::Ended } else { HowFar::NotYet })
}
