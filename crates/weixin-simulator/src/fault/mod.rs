//! What the simulator can be told to do wrong: by rule (path, number, times, chance), by magic amount, by a header of the
//! request, or by an outage.
//!
//! One message is struck by one fault: an outage strikes everything, then the header speaks, then the first rule of the
//! queue that fits, then the amount.

mod kind;
mod magic;
mod place;
mod queue;
mod strike;
mod text;

use serde::{Deserialize, Serialize};

pub use kind::FaultKind;
pub(crate) use magic::ending_of_refund;
pub use magic::{MAGIC_AMOUNTS, MagicAmount, MagicMoment};
pub(crate) use place::{check, check_place, is_here};
pub(crate) use queue::Faults;
pub(crate) use strike::{Struck, strike_notification, strike_push, strike_request};
pub use text::HEADER;

/// The `path` that stands for the notifications that WeChat sends.
pub const NOTIFICATION: &str = "notification";

/// The `path` that stands for the pushes that WeChat sends: messages of customers and events.
pub const PUSH: &str = "push";

/// Something to do wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path of the endpoint (`/pay/unifiedorder`; of API v3 as WeChat's pages write it, for example
    /// `/v3/pay/transactions/out-trade-no/{out_trade_no}`, or with a number), `order`, `query`, `close`, `refund` or
    /// `refund_query` for the call in both versions, [`NOTIFICATION`], [`PUSH`], or nothing for every
    /// endpoint of WeChat.
    #[serde(default)]
    pub path: Option<String>,
    /// How many messages it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// How many messages that it could strike it lets pass first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u32,
    /// How many of a thousand messages it strikes, of those that it could. Which ones, the seed decides.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub per_mille: u16,
    /// Only messages in which this text stands: a number of an order or a refund, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
}

const fn once() -> u32 {
    1
}

const fn always() -> u16 {
    1000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_always(per_mille: &u16) -> bool {
    *per_mille == always()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Fault {
    /// Strikes the next request to any endpoint.
    pub fn new(kind: FaultKind) -> Self {
        Self { path: None, times: 1, after: 0, per_mille: always(), about: None, kind }
    }

    /// Strikes the next request to one endpoint.
    pub fn on(path: &str, kind: FaultKind) -> Self {
        Self { path: Some(path.to_owned()), ..Self::new(kind) }
    }

    /// Lets so many pass first.
    #[must_use]
    pub fn after(self, after: u32) -> Self {
        Self { after, ..self }
    }

    /// Strikes so many of a thousand.
    #[must_use]
    pub fn per_mille(self, per_mille: u16) -> Self {
        Self { per_mille, ..self }
    }

    /// Strikes only where this text stands.
    #[must_use]
    pub fn about(self, text: &str) -> Self {
        Self { about: Some(text.to_owned()), ..self }
    }

    /// Strikes so many requests.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// What a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A request to this path.
    Request(&'a str),
    /// A notification.
    Notification,
    /// A push.
    Push,
}

impl<'a> Target<'a> {
    /// What a fault's `path` stands for.
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            NOTIFICATION => Self::Notification,
            PUSH => Self::Push,
            path => Self::Request(path),
        }
    }
}

/// Whether a message is a repeat. Repeats are never probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is not.
    First,
    /// It is.
    Repeat,
}
