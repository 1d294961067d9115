//! `/wechat/push/{appid}`: WeChat asks whether the address is ours, and then posts what customers write and what happens.
//!
//! Nothing is believed before the signature and the seal were checked, nothing is answered before it is durable, and
//! nothing slow happens before the answer: WeChat waits five seconds and then tells the customer that the service has failed.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::SignedDuration;
use tokio::time::error::Elapsed;
use weixin::{
    Verified,
    push::{self, Push, PushError, Query, SEALED_AGE_S_MAX},
};

use super::{
    Handler,
    intake::Intake,
    store::{self, push::StoredAnswer},
};
use crate::{
    app::App,
    background::Background,
    config,
    crash::{self, Point},
    database::DatabaseError,
    http::{Problem, RawBody, chain},
};

/// How long writing down may take. WeChat waits five seconds; what cannot be written in time is handed to WeChat's agents
/// while there is still somebody to tell.
const WRITE_TIMEOUT: Duration = Duration::from_millis(3_500);

/// How long it is known which pushes were taken: longer than the oldest one that is still believed.
const PUSHES_KEPT: SignedDuration = SignedDuration::from_secs(SEALED_AGE_S_MAX + 24 * 3600);

/// How often old pushes are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// Answers the question that WeChat asks when the address is set in the console.
pub async fn verify_url(State(app): State<Arc<App>>, Path(appid): Path<String>, RawQuery(query): RawQuery) -> Response {
    let Some((_, agreed)) = agreed_with(&app, &appid) else { return refused(StatusCode::NOT_FOUND) };
    let query = Query::parse(query.as_deref().unwrap_or_default());
    match push::verify_url(&query, &agreed.receiver.tokens) {
        Ok(echostr) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], echostr.to_owned()).into_response(),
        Err(error) => {
            // Strangers can ask, too.
            if app.may_explain() {
                tracing::warn!(wechat.appid = appid, error.cause = %error, "the question for the push address was not believed");
            }
            refused(StatusCode::FORBIDDEN)
        }
    }
}

/// Takes a push.
pub async fn take(
    State(app): State<Arc<App>>,
    Path(appid): Path<String>,
    RawQuery(query): RawQuery,
    body: Result<RawBody, Problem>,
) -> Response {
    let Some((mini_program, agreed)) = agreed_with(&app, &appid) else {
        tracing::info!("a push came for an app without message push");
        return refused(StatusCode::NOT_FOUND);
    };
    let Ok(RawBody(raw)) = body else { return refused(StatusCode::BAD_REQUEST) };
    let query = Query::parse(query.as_deref().unwrap_or_default());
    match agreed.receiver.receive(&query, &raw, app.now().as_second()) {
        Ok(push) => answer(&app, mini_program, agreed, push).await,
        Err(error) => {
            log_refusal(&app, &appid, &error);
            refused(StatusCode::FORBIDDEN)
        }
    }
}

/// The app of an address, if it has message push.
fn agreed_with<'a>(app: &'a App, appid: &str) -> Option<(&'a config::App, &'a config::Push)> {
    let mini_program = app.config.app(Some(appid))?;
    Some((mini_program, mini_program.push.as_ref()?))
}

/// Writes the push down and answers. If that fails, a message goes to WeChat's agents, so that no customer is lost, and
/// WeChat comes again with an event.
async fn answer(app: &Arc<App>, mini_program: &config::App, agreed: &config::Push, push: Verified<Push>) -> Response {
    let push = Arc::new(push);
    let written = tokio::time::timeout(WRITE_TIMEOUT, write(app, mini_program, Arc::clone(&push))).await;
    let failure = match written {
        Ok(Ok(answer)) => {
            crash::point(Point::PushDurable);
            app.job_wake.notify_one();
            app.event_wake.notify_waiters();
            return respond(answer);
        }
        Ok(Err(error)) => Failure::Database(error),
        Err(elapsed) => Failure::TooSlow(elapsed),
    };
    tracing::error!(
        wechat.appid = mini_program.appid.as_str(),
        error.cause = chain(&failure),
        "a push was not written down"
    );
    if !push.message.is_from_customer() {
        return refused(StatusCode::SERVICE_UNAVAILABLE);
    }
    let intake = Intake { app, mini_program, agreed, now: app.now() };
    respond(intake.answer(&push, Some(Handler::Wechat)))
}

async fn write(
    app: &Arc<App>,
    mini_program: &config::App,
    push: Arc<Verified<Push>>,
) -> Result<StoredAnswer, DatabaseError> {
    let (writing, appid, now) = (Arc::clone(app), mini_program.appid.clone(), app.now());
    app.database
        .write(move |tx| {
            // The configuration has it; the reference cannot go into the closure.
            let (mini_program, agreed) = agreed_with(&writing, appid.as_str()).ok_or(DatabaseError::NotFound)?;
            Intake { app: &writing, mini_program, agreed, now }.take(tx, &push)
        })
        .await
}

fn respond(answer: StoredAnswer) -> Response {
    ([(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
}

/// The same for every reason, and nothing about it: the sender may be anybody.
fn refused(status: StatusCode) -> Response {
    // A type of its own keeps the application's error format away.
    (status, [(header::CONTENT_TYPE, "application/octet-stream")], "").into_response()
}

fn log_refusal(app: &App, appid: &str, error: &PushError) {
    let cause = error.to_string();
    if !error.is_about_authenticity() {
        tracing::error!(wechat.appid = appid, error.cause = cause, "a genuine push could not be read");
    } else if app.may_explain() {
        // Strangers can send these: one in a second is told.
        tracing::warn!(wechat.appid = appid, error.cause = cause, "a push was not believed");
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the database fails")]
    Database(#[source] DatabaseError),
    #[error("the database is too slow for WeChat")]
    TooSlow(#[source] Elapsed),
}

/// Forgets old pushes in the background. A push as old as that is not believed any more.
pub fn forget_old_pushes(app: Arc<App>) -> Background {
    Background::start(|stop| async move {
        loop {
            if let Err(error) = forget(&app).await {
                tracing::warn!(error.cause = chain(&error), "old pushes could not be forgotten");
            }
            tokio::select! {
                () = tokio::time::sleep(FORGET_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    })
}

async fn forget(app: &App) -> Result<(), DatabaseError> {
    let before = app.now() - PUSHES_KEPT;
    while app.database.write(move |tx| store::push::forget(tx, before)).await? > 0 {}
    Ok(())
}
