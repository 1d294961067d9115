//! Refunds: money that goes back. One refund is one `out_refund_no` at WeChat, for ever.
//!
//! `request.rs` writes a refund down (somebody wants it, or the money came too late); `submit.rs` applies for it at WeChat
//! and `poll.rs` asks what became of it; both, and the notifications, hand what they learn to `settle.rs`, the only place
//! where a refund changes. `state.rs` and `reserve.rs` are pure.

mod describe;
mod poll;
mod read;
mod request;
mod reserve;
mod settle;
mod state;
mod store;
mod submit;

use jiff::Timestamp;
use weixin::{AppId, MchId, OrderAmount, OutRefundNo, RefundReason};

use crate::config::Api;
pub(crate) use describe::describe;
pub use poll::{run_confirm_job, run_poll_job};
pub use read::{View, read, view};
pub(crate) use request::owe;
pub use request::request;
pub use reserve::{Claimed, NotReserved, REFUND_WITHIN, REFUNDS_MAX, reserve};
pub(crate) use settle::{Settled, hint, settle, snapshot};
pub use state::{Claim, Event, Next, STILL_ARRIVES, State};
pub use submit::run_submit_job;

/// Money that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Our id; its digits are the `out_refund_no`. That of money that came too late has the digits of its payment.
    pub id: String,
    /// The order whose money it is.
    pub order_id: String,
    /// The payment whose money it is.
    pub payment_id: String,
    /// The app in which it was paid.
    pub appid: AppId,
    /// The merchant who gives it back.
    pub mchid: MchId,
    /// The version that it was made with.
    pub api: Api,
    /// The number at WeChat.
    pub out_refund_no: OutRefundNo,
    /// How much.
    pub amount: OrderAmount,
    /// Why it was made.
    pub cause: Cause,
    /// Shown to the customer.
    pub reason: Option<RefundReason>,
    /// The merchant's own number, if there is one.
    pub reference: Option<String>,
    /// The request to WeChat without its signature; never changes. One that was made elsewhere has none.
    pub frozen_request: Option<String>,
    /// Where it stands.
    pub state: State,
    /// When it was sent for the last time.
    pub tried: Option<Timestamp>,
    /// When the last try was made whose outcome is not known.
    pub doubt: Option<Timestamp>,
    /// When WeChat was known to have it.
    pub accepted: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

/// Why a refund was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A system of the merchant asked for it.
    Requested,
    /// The order was closed when the money came.
    LatePayment,
    /// The order was paid already when the money came.
    SecondPayment,
    /// It was made elsewhere, for example on the merchant platform.
    Elsewhere,
}

impl Cause {
    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::LatePayment => "late_payment",
            Self::SecondPayment => "second_payment",
            Self::Elsewhere => "elsewhere",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Requested, Self::LatePayment, Self::SecondPayment, Self::Elsewhere];
        all.into_iter().find(|cause| cause.as_str() == word)
    }
}
