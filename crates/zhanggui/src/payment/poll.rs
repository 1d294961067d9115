//! Asking WeChat what became of a payment.
//!
//! Called by the job that confirms a notification, by the job that asks from time to time whether a notification was
//! lost, by `?refresh=true`, and when a refusal says that the number is known already.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012075249> (when to ask).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    Payment, State,
    settle::{Settled, settle},
    store,
};
use crate::{
    app::App,
    attention::{self, Reason},
    config::Merchant,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    gateway::{self, GatewayError},
    http::chain,
    job::{self, ENOUGH_TRIES, Every, Outcome, Plan},
    order,
};

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The merchant of the payment is not in the configuration any more.
    #[error("the merchant {0} is not configured")]
    MerchantUnknown(String),
    /// WeChat does not know the number. Absence is not failure: nothing changes.
    #[error("WeChat does not know the payment")]
    NotFound,
    /// WeChat did not answer, or not in a way that can be believed.
    #[error("the order query failed")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database fails.
    #[error("the answer could not be written down")]
    Database(#[from] DatabaseError),
}

/// After so many tries (more than a week) WeChat has closed what was not paid and has nothing new to say: asking ends.
const ATTEMPTS_MAX: i64 = 400;

/// When an unpaid payment is asked for, counted from the customer's last press of "pay".
const PLAN: Plan =
    Plan { ages_s: &[5, 30, 60, 180, 300, 600, 1800], then: &[Every { pause_s: 1800, until_s: i64::MAX }] };

/// Readers make WeChat be asked at most once in this time.
const WAKE_PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// The customer has pressed "pay": polling begins (anew).
pub(super) fn schedule(tx: &mut Tx, payment: &Payment, now: Timestamp) -> Result<(), DatabaseError> {
    match payment.state {
        State::Submitting | State::Awaiting { .. } => {
            job::schedule(tx, job::Kind::PollPayment, &payment.id, PLAN.next(now, now), now)
        }
        _ => Ok(()),
    }
}

/// The job that asks from time to time. When the order expires, closing takes over.
pub async fn run_poll_job(app: &Arc<App>, payment_id: &str) -> Outcome {
    match poll(app, payment_id).await {
        Ok(Some(next)) => Outcome::At(next),
        Ok(None) => Outcome::Done,
        Err(error) => Outcome::retry(&error),
    }
}

/// Asks once and gives the next time, if there is one.
async fn poll(app: &Arc<App>, payment_id: &str) -> Result<Option<Timestamp>, DatabaseError> {
    let _alone = app.alone_with(payment_id).await;
    let id = payment_id.to_owned();
    let found = app
        .database
        .read(move |tx| {
            let Some(payment) = store::find(tx, &id)? else { return Ok::<_, DatabaseError>(None) };
            Ok(order::find(tx, &payment.order_id)?.map(|order| (payment, order.expires)))
        })
        .await?;
    let Some((payment, expires)) = found else { return Ok(None) };
    if !matches!(payment.state, State::Submitting | State::Awaiting { .. }) {
        return Ok(None);
    }
    crash::point(Point::PaymentPollBeforeCall);
    match query(app, &payment).await {
        Ok(Settled::Paid | Settled::Closed) => return Ok(None),
        Ok(_) | Err(QueryError::NotFound) => {}
        Err(error) => {
            tracing::warn!(payment.id = payment.id, error.cause = chain(&error), "WeChat could not be asked");
        }
    }
    Ok(Some(PLAN.next(payment.pressed, app.now())).filter(|next| *next < expires))
}

/// Somebody reads an order that is not paid: WeChat is asked soon, unless it was a moment ago.
pub(crate) async fn wake(app: &Arc<App>, order_id: &str) -> Result<(), DatabaseError> {
    let (order_id, now) = (order_id.to_owned(), app.now());
    let since = now - WAKE_PAUSE;
    let found = app.database.read(move |tx| store::find_live(tx, &order_id)).await?;
    let is_due = |payment: &Payment| {
        let asked = payment.woken.map_or(payment.pressed, |woken| woken.max(payment.pressed));
        payment.state != State::Closing && asked <= since
    };
    let Some(payment) = found.filter(is_due) else { return Ok(()) };
    app.database
        .write(move |tx| {
            if store::wake(tx, &payment.id, now, since)? {
                job::schedule(tx, job::Kind::PollPayment, &payment.id, now, now)?;
            }
            Ok::<_, DatabaseError>(())
        })
        .await?;
    app.job_wake.notify_one();
    Ok(())
}

/// Asks WeChat for the live payment of an order, if there is one.
///
/// # Errors
/// Nothing was learned.
pub async fn refresh(app: &Arc<App>, order_id: &str) -> Result<(), QueryError> {
    let order_id = order_id.to_owned();
    match app.database.read(move |tx| store::find_live(tx, &order_id)).await? {
        // One question at a time for each payment: a waiting crowd shares what the first one learns.
        Some(payment) => {
            let _alone = app.alone_with(&payment.id).await;
            let id = payment.id.clone();
            let now = app.database.read(move |tx| store::find(tx, &id)).await?;
            match now {
                Some(payment) if payment.state.is_live() => match query(app, &payment).await {
                    // An answer, too: nobody can have paid what WeChat does not know.
                    Ok(_) | Err(QueryError::NotFound) => Ok(()),
                    Err(error) => Err(error),
                },
                _ => Ok(()),
            }
        }
        None => Ok(()),
    }
}

/// The job that finds out whether a payment was paid, as a notification said.
pub async fn run_query_job(app: &Arc<App>, payment_id: &str, attempts: i64) -> Outcome {
    let outcome = confirm(app, payment_id).await;
    if matches!(outcome, Outcome::Done) || attempts < ENOUGH_TRIES {
        return outcome;
    }
    // A person has to look. Asking goes on.
    let id = payment_id.to_owned();
    let (now, raiser) = (app.now(), Arc::clone(app));
    let detail = "WeChat did not confirm a notification in answer to queries";
    let raised =
        app.database.write(move |tx| attention::raise(tx, &raiser, now, &id, Reason::Unconfirmed, detail)).await;
    match raised {
        Ok(()) if attempts >= ATTEMPTS_MAX => Outcome::Done,
        Ok(()) => outcome,
        Err(error) => Outcome::retry(&error),
    }
}

async fn confirm(app: &Arc<App>, payment_id: &str) -> Outcome {
    let id = payment_id.to_owned();
    let payment = match app.database.read(move |tx| store::find(tx, &id)).await {
        Ok(Some(payment)) => payment,
        Ok(None) => return Outcome::Done,
        Err(error) => return Outcome::retry(&error),
    };
    if matches!(payment.state, State::Succeeded { .. }) {
        return Outcome::Done;
    }
    crash::point(Point::PaymentConfirmBeforeCall);
    let settled = query(app, &payment).await;
    crash::point(Point::PaymentConfirmSettled);
    match settled {
        Ok(Settled::Paid | Settled::Quarantined) => Outcome::Done,
        // A notification said "paid". Closed is no answer to that, whoever found it out first.
        Ok(Settled::NotPaid | Settled::Closed | Settled::ToConfirm) => {
            Outcome::Retry("WeChat says that it is not paid".to_owned())
        }
        Err(error) => Outcome::retry(&error),
    }
}

/// Asks and settles.
pub(super) async fn query(app: &Arc<App>, payment: &Payment) -> Result<Settled, QueryError> {
    let merchant = merchant_of(app, payment).ok_or_else(|| QueryError::MerchantUnknown(payment.mchid.to_string()))?;
    let (message, transaction) =
        gateway::payment::query(app, merchant, payment).await.map_err(|error| match error {
            GatewayError::NotFound => QueryError::NotFound,
            error => QueryError::Call(Box::new(error)),
        })?;
    crash::point(Point::PaymentQueryAfterAnswer);
    let (now, settling) = (app.now(), Arc::clone(app));
    let settled = app.database.write(move |tx| settle(tx, &settling, now, &message, &transaction)).await?;
    app.event_wake.notify_waiters();
    app.job_wake.notify_one();
    Ok(settled)
}

pub(super) fn merchant_of<'a>(app: &'a App, payment: &Payment) -> Option<&'a Merchant> {
    app.config.merchant(payment.mchid.as_str())
}
