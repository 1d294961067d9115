//! Applying for a refund at WeChat: a job that sends the frozen request until WeChat has taken or refused it.
//!
//! The same number with the same bytes, always. What is unknown is sent again; a refusal for good is believed only if
//! WeChat does not know the number, and no earlier try can still arrive.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903>.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use weixin::{
    Verified,
    pay::{Refund as Told, RefundRefusal},
};

use super::{
    Event, Refund, State,
    settle::{not_taken, settle},
    store,
};
use crate::{
    app::App,
    attention::{self, Reason},
    crash::{self, Point},
    database::{DatabaseError, Tx},
    evidence::Message,
    gateway::{
        GatewayError,
        refund::{self as gateway, Question, RefundError},
    },
    http::chain,
    job::{ENOUGH_TRIES, Every, Outcome, Plan},
};

/// WeChat wants so much time between two refunds of one payment.
const PAUSE_BETWEEN: SignedDuration = SignedDuration::from_mins(1);

/// When a refund is tried again whose merchant has no money, counted from its beginning.
const BLOCKED_PLAN: Plan = Plan {
    ages_s: &[60, 600, 1800],
    then: &[Every { pause_s: 3600, until_s: 7 * 24 * 3600 }, Every { pause_s: 24 * 3600, until_s: i64::MAX }],
};

/// The job that applies for a refund.
pub async fn run_submit_job(app: &Arc<App>, refund_id: &str, attempts: i64) -> Outcome {
    let outcome = match submit(app, refund_id).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::retry(&error),
    };
    app.event_wake.notify_waiters();
    if !matches!(outcome, Outcome::Retry(_)) || attempts < ENOUGH_TRIES {
        return outcome;
    }
    // A person has to look. The job goes on.
    let (id, now, raiser) = (refund_id.to_owned(), app.now(), Arc::clone(app));
    let detail = "WeChat has neither taken nor refused the refund";
    let raise = move |tx: &mut Tx| attention::raise(tx, &raiser, now, &id, Reason::RefundStuck, detail);
    match app.database.write(raise).await {
        Ok(()) => outcome,
        Err(error) => Outcome::retry(&error),
    }
}

/// Why a refund was not sent, or its answer not written down.
#[derive(Debug, thiserror::Error)]
enum SubmitError {
    #[error("the merchant {0} is not configured")]
    MerchantUnknown(String),
    #[error("the refund cannot be sent")]
    NotSendable(#[source] GatewayError),
    #[error("the refund could not be read or written")]
    Database(#[from] DatabaseError),
}

/// What the transaction before a call found.
enum Begun {
    /// There is nothing to send.
    Over,
    /// Another refund of the payment was sent a moment ago.
    NotBefore(Timestamp),
    /// It is to be sent. What was in doubt before stands in the refund.
    Send(Box<Refund>),
}

fn begin(tx: &mut Tx, refund_id: &str, now: Timestamp) -> Result<Begun, DatabaseError> {
    let found = store::find(tx, refund_id)?;
    let Some(refund) = found.filter(|refund| matches!(refund.state, State::Submitting { .. })) else {
        return Ok(Begun::Over);
    };
    let last = store::last_try_of_others(tx, &refund.payment_id, refund_id)?;
    let not_before = last.map(|last| last + PAUSE_BETWEEN).filter(|time| refund.tried.is_none() && *time > now);
    if let Some(not_before) = not_before {
        return Ok(Begun::NotBefore(not_before));
    }
    store::begin_try(tx, refund_id, now)?;
    Ok(Begun::Send(Box::new(refund)))
}

async fn submit(app: &Arc<App>, refund_id: &str) -> Result<Outcome, SubmitError> {
    let _alone = app.alone_with(refund_id).await;
    let (id, now) = (refund_id.to_owned(), app.now());
    let refund = match app.database.write(move |tx| begin(tx, &id, now)).await? {
        Begun::Over => return Ok(Outcome::Done),
        Begun::NotBefore(time) => return Ok(Outcome::At(time)),
        Begun::Send(refund) => *refund,
    };
    let merchant = app.config.merchant(refund.mchid.as_str());
    let merchant = merchant.ok_or_else(|| SubmitError::MerchantUnknown(refund.mchid.to_string()))?;
    let frozen = refund.frozen_request.as_deref().ok_or(SubmitError::NotSendable(GatewayError::FrozenBroken))?;
    crash::point(Point::RefundSubmitBeforeCall);
    let refused = match gateway::apply(app, merchant, &refund, frozen).await {
        Ok((message, told)) => {
            crash::point(Point::RefundSubmitAfterAnswer);
            let outcome = believe(app, &refund, message, told).await;
            crash::point(Point::RefundSubmitSettled);
            return outcome;
        }
        Err(error) => error,
    };
    let tried = Try { app, refund: &refund, at: now };
    match refused.refusal {
        RefundRefusal::NotEnough => tried.blocked().await,
        RefundRefusal::Definitive | RefundRefusal::Query => tried.refused(refused).await,
        RefundRefusal::NotFound => {
            tried.was_not_taken().await?;
            Ok(Outcome::retry(&refused))
        }
        // Nobody knows what came of it.
        RefundRefusal::TryAgain => Ok(Outcome::retry(&refused)),
    }
}

/// Settles what WeChat says of the refund. An answer that leaves open whether WeChat has taken it ends nothing.
async fn believe(
    app: &Arc<App>,
    refund: &Refund,
    message: Message,
    told: Verified<Told>,
) -> Result<Outcome, SubmitError> {
    let (now, settling, id, mchid) = (app.now(), Arc::clone(app), refund.id.clone(), refund.mchid.clone());
    let settle = move |tx: &mut Tx| {
        settle(tx, &settling, now, &message, &mchid, &told)?;
        Ok::<_, DatabaseError>(store::find(tx, &id)?.ok_or(DatabaseError::NotFound)?.state)
    };
    match app.database.write(settle).await? {
        State::Submitting { .. } => Ok(Outcome::Retry("WeChat's answer does not say how far the refund is".to_owned())),
        _ => Ok(Outcome::Done),
    }
}

/// One try that WeChat did not take.
struct Try<'a> {
    app: &'a Arc<App>,
    /// As it was before the try.
    refund: &'a Refund,
    at: Timestamp,
}

impl Try<'_> {
    /// The balance is too low: later again.
    async fn blocked(&self) -> Result<Outcome, SubmitError> {
        let (now, app, id) = (self.app.now(), Arc::clone(self.app), self.refund.id.clone());
        let (tried, before) = (self.at, self.refund.doubt);
        let block = move |tx: &mut Tx| {
            store::end_try(tx, &id, tried, before)?;
            not_taken(tx, &app, now, &id, Event::BalanceTooLow)
        };
        self.app.database.write(block).await?;
        Ok(Outcome::At(BLOCKED_PLAN.next(self.refund.created, now)))
    }

    /// WeChat says no. It is asked whether it knows the number all the same.
    async fn refused(&self, refused: RefundError) -> Result<Outcome, SubmitError> {
        let Refund { api, appid, out_refund_no, mchid, id, doubt: before, .. } = self.refund.clone();
        let merchant = self.app.config.merchant(mchid.as_str());
        let merchant = merchant.ok_or_else(|| SubmitError::MerchantUnknown(mchid.to_string()))?;
        let question = Question { api, appid: &appid, out_refund_no: &out_refund_no };
        let (now, app, tried) = (self.app.now(), Arc::clone(self.app), self.at);
        match gateway::query(self.app, merchant, question).await {
            Ok((message, told)) => believe(self.app, self.refund, message, told).await,
            Err(error) if error.refusal == RefundRefusal::NotFound => {
                let code = refused.code().unwrap_or("REFUSED").to_owned();
                let doubt = before.map(|before| now.duration_since(before));
                let reject = move |tx: &mut Tx| {
                    store::end_try(tx, &id, tried, before)?;
                    not_taken(tx, &app, now, &id, Event::Refused { code: code.clone(), doubt })
                };
                match self.app.database.write(reject).await? {
                    State::Submitting { .. } => Ok(Outcome::retry(&refused)),
                    _ => Ok(Outcome::Done),
                }
            }
            Err(error) => {
                tracing::info!(refund.id = id, error.cause = chain(&error), "a refused refund could not be asked for");
                Ok(Outcome::retry(&refused))
            }
        }
    }

    async fn was_not_taken(&self) -> Result<(), SubmitError> {
        let (id, tried, before) = (self.refund.id.clone(), self.at, self.refund.doubt);
        self.app.database.write(move |tx| store::end_try(tx, &id, tried, before)).await?;
        Ok(())
    }
}
