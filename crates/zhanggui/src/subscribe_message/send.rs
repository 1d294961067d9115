//! Sending: at most once, as with every message to a customer.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage.html>.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use weixin::{
    OpenId,
    mini_program::{
        Again, ErrCode, PagePath,
        subscribe_send::{Request, TemplateData},
    },
};
use weixin_client::SendError;

use super::{State, SubscribeMessage, content::Facts, store, subject};
use crate::{
    app::App,
    config,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    http::chain,
    job::{self, Kind, Outcome},
    order,
    sending::SENDING_MAX,
    session,
};

/// For how long a message is tried that WeChat did not take.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Sends a message.
pub async fn run_send_job(app: &Arc<App>, subject: &str) -> Outcome {
    let Some((order_id, name)) = subject.split_once('/') else { return Outcome::Done };
    match send(app, order_id, name).await {
        Ok(None) => Outcome::Done,
        Ok(Some(why)) => Outcome::Retry(why),
        Err(error) => Outcome::retry(&error),
    }
}

/// What a message is made of.
struct Prepared {
    message: SubscribeMessage,
    order: order::Order,
    openid: OpenId,
}

/// Sends a message if it waits. Gives why it has to be tried again.
pub(super) async fn send(app: &Arc<App>, order_id: &str, name: &str) -> Result<Option<String>, DatabaseError> {
    let _alone = app.alone_with(&subject(order_id, name)).await;
    let (claiming, now) = (Arc::clone(app), app.now());
    let (id, of_name) = (order_id.to_owned(), name.to_owned());
    let prepared = app.database.write(move |tx| claim(tx, &claiming, now, &id, &of_name)).await?;
    app.event_wake.notify_waiters();
    let prepared = match prepared {
        Claim::Nothing => return Ok(None),
        Claim::SomebodyElse => return Ok(Some("another node is sending".to_owned())),
        Claim::Send(prepared) => *prepared,
    };
    crash::point(Point::SubscribeMessageBeforeCall);
    let called = call(app, &prepared).await;
    crash::point(Point::SubscribeMessageAfterAnswer);
    let again = match &called {
        Called::Again(why) => Some(why.clone()),
        _ => None,
    };
    let (recording, now) = (Arc::clone(app), app.now());
    app.database.write(move |tx| record(tx, &recording, now, &prepared.message, &called)).await?;
    app.event_wake.notify_waiters();
    Ok(again)
}

enum Claim {
    Nothing,
    SomebodyElse,
    Send(Box<Prepared>),
}

/// Takes the message: from here on it may have been sent.
fn claim(tx: &mut Tx, app: &App, now: Timestamp, order_id: &str, name: &str) -> Result<Claim, DatabaseError> {
    let Some(message) = store::find(tx, order_id, name)? else { return Ok(Claim::Nothing) };
    match message.state {
        State::Queued => {}
        State::Sending if now.duration_since(message.updated) < SENDING_MAX => return Ok(Claim::SomebodyElse),
        State::Sending => {
            settle(tx, app, now, &message, State::Unknown, None)?;
            return Ok(Claim::Nothing);
        }
        State::Sent | State::Failed { .. } | State::Unknown => return Ok(Claim::Nothing),
    }
    let order = order::find(tx, order_id)?.ok_or(DatabaseError::NotFound)?;
    let openid = session::openid_of(tx, &order.customer_id)?.ok_or(DatabaseError::NotFound)?;
    if !store::change(tx, &message, State::Sending, None, now)? {
        return Err(DatabaseError::Aborted);
    }
    let message = SubscribeMessage { state: State::Sending, attempts: message.attempts + 1, ..message };
    Ok(Claim::Send(Box::new(Prepared { message, order, openid })))
}

/// What is known after a call.
enum Called {
    Sent { msg_id: Option<String> },
    Again(String),
    Refused { errcode: Option<i64>, why: String },
    Unknown(String),
}

async fn call(app: &App, prepared: &Prepared) -> Called {
    let refused = |why: String| Called::Refused { errcode: None, why };
    let Prepared { message, order, openid } = prepared;
    let credential = app.app_credential(&order.appid);
    let mini_program = app.config.app(Some(order.appid.as_str()));
    let configured =
        mini_program.and_then(|app| app.subscribe_messages.iter().find(|known| known.name == message.name));
    let (Some(credential), Some(configured)) = (credential, configured) else {
        return refused("the app or the message is not in the configuration any more".to_owned());
    };
    let facts = Facts { order, values: &message.values };
    let request = match wire_request(configured, &facts, openid.clone()) {
        Ok(request) => request,
        Err(why) => return refused(why),
    };
    let error = match app.mini_program.subscribe_send(&app.access_tokens, &credential, &request).await {
        Ok(answer) => return Called::Sent { msg_id: answer.msg_id },
        Err(error) => error,
    };
    let (errcode, why) = (error.errcode().map(|code| code.0), chain(&error));
    let waited = app.now().duration_since(message.created);
    match error {
        SendError::NotAccepted { again: Again::Once, .. } if message.attempts == 1 => Called::Again(why),
        SendError::NotAccepted { again: Again::Later, .. } if waited < TRIED_FOR => Called::Again(why),
        SendError::NotAccepted { .. } | SendError::Refused { .. } => Called::Refused { errcode, why },
        SendError::Unknown(_) => Called::Unknown(why),
    }
}

fn wire_request(configured: &config::SubscribeMessage, facts: &Facts<'_>, openid: OpenId) -> Result<Request, String> {
    let page = configured.page.as_deref().map(|page| facts.fill_in(page)).transpose().map_err(|name| missing(&name))?;
    Ok(Request {
        touser: openid,
        template_id: configured.template_id.clone(),
        page: page.map(PagePath::parse).transpose().map_err(|error| format!("{error}."))?,
        data: data(configured, facts)?,
        miniprogram_state: configured.miniprogram_state,
        lang: configured.lang,
    })
}

/// The content by the keys of the template, checked as WeChat checks it.
pub(super) fn data(configured: &config::SubscribeMessage, facts: &Facts<'_>) -> Result<TemplateData, String> {
    let mut data = TemplateData::default();
    for (key, text) in &configured.data {
        let value = facts.fill(key, text).map_err(|name| missing(&name))?;
        data.set(key.as_str(), value).map_err(|error| format!("{key}: {error}."))?;
    }
    Ok(data)
}

fn missing(name: &str) -> String {
    format!("The message needs {name}: send it in values.")
}

fn record(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &SubscribeMessage,
    called: &Called,
) -> Result<(), DatabaseError> {
    let (state, msg_id) = match called {
        Called::Sent { msg_id } => (State::Sent, msg_id.as_deref()),
        Called::Again(why) => {
            tracing::info!(
                order.id = message.order_id,
                error.cause = why,
                "a subscribe message was not taken and is tried again"
            );
            store::change(tx, message, State::Queued, None, now)?;
            return Ok(());
        }
        Called::Refused { errcode, why } => {
            // No right left is what happens when a customer has not agreed: nothing is wrong.
            if *errcode == Some(ErrCode::NOT_SUBSCRIBED.0) {
                tracing::info!(
                    order.id = message.order_id,
                    message.name = message.name,
                    "the customer has not subscribed"
                );
            } else {
                tracing::warn!(order.id = message.order_id, error.cause = why, "a subscribe message was refused");
            }
            (State::Failed { errcode: *errcode }, None)
        }
        Called::Unknown(why) => {
            tracing::warn!(
                order.id = message.order_id,
                error.cause = why,
                "nobody knows whether a subscribe message was taken"
            );
            (State::Unknown, None)
        }
    };
    settle(tx, app, now, message, state, msg_id)
}

fn settle(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &SubscribeMessage,
    state: State,
    msg_id: Option<&str>,
) -> Result<(), DatabaseError> {
    if !store::change(tx, message, state, msg_id, now)? {
        return Ok(());
    }
    job::cancel(tx, Kind::SendSubscribeMessage, &subject(&message.order_id, &message.name))?;
    let data = json!({ "message": SubscribeMessage { state, ..message.clone() }.view() });
    event::append(tx, app, now, event::Type::SubscribeMessageSettled, &message.order_id, &data).map(drop)
}
