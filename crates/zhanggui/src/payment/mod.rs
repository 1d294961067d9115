//! Payments: one attempt to pay an order is one `out_trade_no` at WeChat.
//!
//! `prepay.rs` asks WeChat for an order and signs what the phone needs; `notify.rs` is told by WeChat; `poll.rs` asks
//! WeChat; `close.rs` closes there. They hand what they learn to `settle.rs`, the only place where a payment becomes paid
//! or closed.

mod apply;
mod close;
mod describe;
mod keys;
mod notify;
mod poll;
mod prepay;
mod settle;
mod state;
mod store;

use jiff::Timestamp;
use weixin::{AppId, MchId, OpenId, OrderAmount, OutTradeNo};

use crate::{
    config::Api,
    database::{DatabaseError, Tx},
};
pub use close::run_close_job;
pub(crate) use close::{begin_closing, close_of_order, is_any_live};
pub(crate) use describe::describe;
pub use keys::keep_keys_fresh;
pub use notify::notify;
pub(crate) use poll::wake;
pub use poll::{QueryError, refresh, run_poll_job, run_query_job};
pub use prepay::pay;
pub use state::{Absence, Event, Next, STILL_ARRIVES, State};
pub(crate) use store::{find, find_by_number};

/// The order that a number of WeChat Pay belongs to.
///
/// # Errors
/// The database fails.
pub fn order_of(tx: &mut Tx, mchid: &str, out_trade_no: &str) -> Result<Option<String>, DatabaseError> {
    Ok(find_by_number(tx, mchid, out_trade_no)?.map(|payment| payment.order_id))
}

/// One attempt to pay an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Our id; its digits are the `out_trade_no`.
    pub id: String,
    /// What is paid.
    pub order_id: String,
    /// The app.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// Who has to pay.
    pub openid: OpenId,
    /// The version that it was made with.
    pub api: Api,
    /// The number at WeChat.
    pub out_trade_no: OutTradeNo,
    /// How much.
    pub amount: OrderAmount,
    /// `CNY`.
    pub currency: String,
    /// The request to WeChat without its signature; never changes.
    pub frozen_request: String,
    /// How often it was sent.
    pub attempts: i64,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created: Timestamp,
    /// When WeChat took it with an authentic answer for the first time.
    pub accepted: Option<Timestamp>,
    /// When it was sent for the last time.
    pub tried: Option<Timestamp>,
    /// When the customer last pressed "pay"; polling counts from there.
    pub pressed: Timestamp,
    /// When a reader last made WeChat be asked earlier.
    pub woken: Option<Timestamp>,
    /// When its state changed.
    pub updated: Timestamp,
}
