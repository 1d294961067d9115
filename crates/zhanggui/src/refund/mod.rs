//! Refunds: money that goes back. One refund is one `out_refund_no` at WeChat, for ever.

mod reserve;
mod state;

pub use reserve::{Claimed, NotReserved, REFUND_WITHIN, REFUNDS_MAX, reserve};
pub use state::{Claim, Event, Next, STILL_ARRIVES, State};
