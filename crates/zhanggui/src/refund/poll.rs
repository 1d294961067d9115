//! Asking WeChat what became of a refund: from time to time, and whether an unsigned notification is true.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791904>.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use weixin::{AppId, MchId, OutRefundNo, pay::RefundRefusal};

use super::{
    Claim,
    settle::{Settled, settle},
    store,
};
use crate::{
    app::App,
    config::Api,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    gateway::refund::{self as gateway, Question, RefundError},
    http::chain,
    job::{self, ENOUGH_TRIES, Every, Outcome, Plan},
};

/// When a refund is asked for, counted from the moment when WeChat had it. The bill tells the rest.
const PLAN: Plan = Plan {
    ages_s: &[10, 30, 60, 300, 900, 3600],
    then: &[Every { pause_s: 3600, until_s: 7 * 24 * 3600 }, Every { pause_s: 24 * 3600, until_s: i64::MAX }],
};

/// How often WeChat is asked how a refund ends that was made elsewhere: until it has ended, for there is no bill yet.
const ELSEWHERE_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// WeChat has the refund: polling begins.
pub(super) fn schedule(tx: &mut Tx, refund_id: &str, now: Timestamp) -> Result<(), DatabaseError> {
    job::schedule(tx, job::Kind::PollRefund, refund_id, PLAN.next(now, now), now)
}

/// The subject of the job that confirms an unsigned notification. The refund may not be ours.
pub(super) fn subject_of(mchid: &MchId, out_refund_no: &OutRefundNo) -> String {
    format!("{mchid}/{out_refund_no}")
}

/// The job that asks from time to time.
pub async fn run_poll_job(app: &Arc<App>, refund_id: &str) -> Outcome {
    let id = refund_id.to_owned();
    let refund = match app.database.read(move |tx| store::find(tx, &id)).await {
        Ok(Some(refund)) if refund.state.claim() == Claim::Reserved => refund,
        Ok(_) => return Outcome::Done,
        Err(error) => return Outcome::retry(&error),
    };
    let question = Question { api: refund.api, appid: &refund.appid, out_refund_no: &refund.out_refund_no };
    crash::point(Point::RefundPollBeforeCall);
    if let Err(error) = ask(app, &refund.mchid, question).await {
        tracing::warn!(refund.id = refund.id, error.cause = chain(&error), "WeChat could not be asked for a refund");
    }
    // If it has ended, this job was taken away with it.
    Outcome::At(PLAN.next(refund.accepted.unwrap_or(refund.created), app.now()))
}

/// The job that finds out whether an unsigned notification is true, and how a refund ends that was made elsewhere.
pub async fn run_confirm_job(app: &Arc<App>, subject: &str, attempts: i64) -> Outcome {
    let parsed = subject
        .split_once('/')
        .and_then(|(mchid, number)| Some((MchId::parse(mchid).ok()?, OutRefundNo::parse(number).ok()?)));
    let Some((mchid, out_refund_no)) = parsed else { return Outcome::Done };
    let (api, appid) = match ours(app, &mchid, &out_refund_no).await {
        Ok(Some(known)) => known,
        // The merchant is not configured any more: nobody can ask.
        Ok(None) => return Outcome::Done,
        Err(error) => return Outcome::retry(&error),
    };
    crash::point(Point::RefundConfirmBeforeCall);
    match ask(app, &mchid, Question { api, appid: &appid, out_refund_no: &out_refund_no }).await {
        Ok(Settled::Believed | Settled::Quarantined) => Outcome::Done,
        Ok(Settled::UnderWay) => Outcome::At(app.now() + ELSEWHERE_EVERY),
        Ok(Settled::TooEarly) => Outcome::Retry("its payment is not known to be paid".to_owned()),
        // Answers lag behind notifications. Or somebody else has the key of API v2.
        Err(AskError::Wechat(error)) if error.refusal == RefundRefusal::NotFound && attempts >= ENOUGH_TRIES => {
            Outcome::Done
        }
        Err(error) => Outcome::retry(&error),
    }
}

/// How the refund was made, if we made it; otherwise how the merchant makes them.
async fn ours(app: &App, mchid: &MchId, out_refund_no: &OutRefundNo) -> Result<Option<(Api, AppId)>, DatabaseError> {
    let (merchant, number) = (mchid.clone(), out_refund_no.clone());
    let refund = app.database.read(move |tx| store::find_by_number(tx, merchant.as_str(), number.as_str())).await?;
    Ok(refund.map(|refund| (refund.api, refund.appid)).or_else(|| {
        let merchant = app.config.merchant(mchid.as_str())?;
        let mini_program = app.config.apps.iter().find(|mini_program| mini_program.mchid == *mchid)?;
        Some((merchant.api, mini_program.appid.clone()))
    }))
}

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the merchant {0} is not configured")]
    MerchantUnknown(String),
    #[error("the refund query failed")]
    Wechat(#[source] RefundError),
    #[error("the answer could not be written down")]
    Database(#[from] DatabaseError),
}

/// Asks and settles.
async fn ask(app: &Arc<App>, mchid: &MchId, question: Question<'_>) -> Result<Settled, AskError> {
    let merchant = app.config.merchant(mchid.as_str());
    let merchant = merchant.ok_or_else(|| AskError::MerchantUnknown(mchid.to_string()))?;
    let (message, told) = gateway::query(app, merchant, question).await.map_err(AskError::Wechat)?;
    crash::point(Point::RefundQueryAfterAnswer);
    let (now, settling, mchid) = (app.now(), Arc::clone(app), mchid.clone());
    let settled = app.database.write(move |tx| settle(tx, &settling, now, &message, &mchid, &told)).await?;
    app.event_wake.notify_waiters();
    Ok(settled)
}
