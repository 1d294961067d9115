//! Subscribe messages: one message that a customer has agreed to, for example when an order is paid or shipped.
//!
//! Names, templates and contents stand in the configuration. A message is sent by itself when an order is paid, if it is
//! configured so, or when the merchant's system asks for it; once for each order and name, whatever is repeated.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html>.

mod content;
mod describe;
mod request;
mod send;
mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use weixin::push::SubscribeResult;

use crate::{
    app::App,
    database::{DatabaseError, Tx},
    event,
    job::{self, Kind},
    order::Order,
};
pub(crate) use describe::describe;
pub use request::request;
pub use send::run_send_job;

/// A message to the customer of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeMessage {
    /// What it is about.
    pub order_id: String,
    /// Its name in the configuration.
    pub name: String,
    /// What the merchant's system gave for it.
    pub values: BTreeMap<String, String>,
    /// What became of it.
    pub state: State,
    /// How often it was begun to send.
    pub attempts: i64,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its state changed last.
    pub updated: Timestamp,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits to be sent.
    Queued,
    /// WeChat is being asked.
    Sending,
    /// WeChat took it.
    Sent,
    /// WeChat refused it, for example because the customer has not agreed (43101).
    Failed {
        /// WeChat's code, if it was WeChat.
        errcode: Option<i64>,
    },
    /// WeChat may have taken it. It is never sent again by itself.
    Unknown,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed { .. } => "failed",
            Self::Unknown => "unknown",
        }
    }

    const fn errcode(self) -> Option<i64> {
        match self {
            Self::Failed { errcode } => errcode,
            _ => None,
        }
    }

    fn from_columns(state: &str, errcode: Option<i64>) -> Option<Self> {
        match (state, errcode) {
            ("queued", None) => Some(Self::Queued),
            ("sending", None) => Some(Self::Sending),
            ("sent", None) => Some(Self::Sent),
            ("failed", errcode) => Some(Self::Failed { errcode }),
            ("unknown", None) => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// A message as the API and events show it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SubscribeMessage)]
pub struct View {
    order: String,
    name: String,
    values: BTreeMap<String, String>,
    /// `queued`, `sending`, `sent`, `failed` or `unknown`.
    state: &'static str,
    /// WeChat's code, if it refused.
    errcode: Option<i64>,
    created_at: Timestamp,
}

impl SubscribeMessage {
    /// The message as the API and events show it.
    pub fn view(&self) -> View {
        View {
            order: self.order_id.clone(),
            name: self.name.clone(),
            values: self.values.clone(),
            state: self.state.as_str(),
            errcode: self.state.errcode(),
            created_at: self.created,
        }
    }
}

/// An order was paid: what the configuration says for it is sent, in a job of this transaction.
///
/// # Errors
/// The database fails.
pub fn order_paid(tx: &mut Tx, app: &App, now: Timestamp, order: &Order) -> Result<(), DatabaseError> {
    let Some(mini_program) = app.config.app(Some(order.appid.as_str())) else { return Ok(()) };
    for configured in mini_program.subscribe_messages.iter().filter(|message| message.on_order_paid) {
        queue(tx, now, &order.id, &configured.name, &BTreeMap::new(), now)?;
    }
    Ok(())
}

/// Writes a message down, unless the order has one of this name; says whether it is new.
fn queue(
    tx: &mut Tx,
    now: Timestamp,
    order_id: &str,
    name: &str,
    values: &BTreeMap<String, String>,
    run: Timestamp,
) -> Result<bool, DatabaseError> {
    let is_new = store::insert(tx, order_id, name, values, now)?;
    if is_new {
        job::schedule(tx, Kind::SendSubscribeMessage, &subject(order_id, name), run, now)?;
    }
    Ok(is_new)
}

fn subject(order_id: &str, name: &str) -> String {
    format!("{order_id}/{name}")
}

/// WeChat reports whether a message has arrived.
///
/// # Errors
/// The database fails.
pub fn arrived(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    appid: &str,
    result: &SubscribeResult,
) -> Result<(), DatabaseError> {
    let message = store::find_by_msg_id(tx, appid, &result.msg_id)?;
    let subject = message.as_ref().map_or(appid, |message| message.order_id.as_str());
    let data = json!({
        "appid": appid,
        "template_id": result.template_id,
        "error_code": result.error_code,
        "error_status": result.error_status,
        "message": message.as_ref().map(SubscribeMessage::view),
    });
    event::append(tx, app, now, event::Type::SubscribeMessageSettled, subject, &data).map(drop)
}
