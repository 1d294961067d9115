//! Runs the jobs of this node: at once when woken, and every second for what became due.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::task::JoinSet;

use super::{Kind, Outcome, pause, store};
use crate::{
    app::App, background::Background, clock::ms, crash, crash::Point, customer_service, database::DatabaseError,
    http::chain, order, payment, refund, subscribe_message,
};

/// How long a claim holds. Longer than the longest call to WeChat with its back-up host.
const LEASE: SignedDuration = SignedDuration::from_mins(2);

/// How many jobs run at once on a node.
const AT_ONCE: i64 = 16;

/// How often the table is looked at when nobody wakes the runner.
const TICK: Duration = Duration::from_secs(1);

/// Runs jobs in the background.
pub fn start(app: Arc<App>) -> Background {
    Background::start(|stop| async move {
        loop {
            tokio::select! {
                () = app.job_wake.notified() => {}
                () = tokio::time::sleep(TICK) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = run_due(&app).await {
                tracing::error!(error.cause = chain(&error), "jobs could not be claimed");
            }
        }
    })
}

/// Runs everything that is due now and gives the number of runs.
///
/// # Errors
/// The database fails.
pub async fn run_due(app: &Arc<App>) -> Result<usize, DatabaseError> {
    let mut runs = 0;
    loop {
        let now_ms = ms(app.now());
        if !app.database.read(move |tx| store::is_any_due(tx, now_ms)).await? {
            return Ok(runs);
        }
        let claims = app.database.write(move |tx| store::claim(tx, now_ms, LEASE.as_millis() as i64, AT_ONCE)).await?;
        if claims.is_empty() {
            return Ok(runs);
        }
        crash::point(Point::JobClaimed);
        runs += claims.len();
        let mut tasks = JoinSet::new();
        for claim in claims {
            let app = Arc::clone(app);
            tasks.spawn(async move { run(&app, claim).await });
        }
        // All of them end before an error is told: leaving early would break off the others.
        let mut failed = None;
        while let Some(finished) = tasks.join_next().await {
            match finished {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed = Some(error),
                // The lease ends, and the job is tried again.
                Err(panic) => tracing::error!(error.cause = %panic, "a job panicked"),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

async fn run(app: &Arc<App>, claim: store::Claim) -> Result<(), DatabaseError> {
    let (subject, attempts) = (claim.subject.as_str(), claim.attempts);
    let outcome = match Kind::from_word(&claim.kind) {
        Some(Kind::QueryPayment) => payment::run_query_job(app, subject, attempts).await,
        Some(Kind::PollPayment) => payment::run_poll_job(app, subject).await,
        Some(Kind::ClosePayment) => payment::run_close_job(app, subject, attempts).await,
        Some(Kind::ExpireOrder) => order::run_expire_job(app, subject).await,
        Some(Kind::SubmitRefund) => refund::run_submit_job(app, subject, attempts).await,
        Some(Kind::PollRefund) => refund::run_poll_job(app, subject).await,
        Some(Kind::ConfirmRefund) => refund::run_confirm_job(app, subject, attempts).await,
        Some(Kind::SendMessages) => customer_service::run_send_job(app, subject).await,
        Some(Kind::FetchPicture) => customer_service::run_fetch_job(app, subject, attempts).await,
        Some(Kind::CheckUnanswered) => customer_service::run_unanswered_job(app, subject).await,
        Some(Kind::SendSubscribeMessage) => subscribe_message::run_send_job(app, subject).await,
        // A newer version of this program wrote it; a newer node will run it.
        None => Outcome::Retry("this version does not know the kind of job".to_owned()),
    };
    crash::point(Point::JobBeforeEnd);
    let now = app.now();
    match outcome {
        Outcome::Done => app.database.write(move |tx| store::finish(tx, &claim)).await,
        Outcome::At(time) => app.database.write(move |tx| store::again(tx, &claim, ms(time))).await,
        Outcome::Retry(error) => {
            tracing::warn!(
                job.kind = claim.kind,
                job.subject = claim.subject,
                error.cause = error,
                "a job will be run again"
            );
            let run_ms = ms(now + pause(claim.attempts));
            app.database.write(move |tx| store::retry(tx, &claim, run_ms, &error)).await
        }
    }
}
