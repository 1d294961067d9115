//! Webhooks: events are posted to the merchant's own systems, signed as <https://www.standardwebhooks.com> has it.
//!
//! Deliveries are made from the table of events by position, so nothing is lost between an event and its delivery.
//! At least once; in order for each endpoint and subject; what fails is tried again over three days, and whoever is slow
//! or away holds up nobody else. `/v1/webhooks` manages endpoints for a key with the scope `admin`.

mod call;
mod change;
mod deliveries;
mod describe;
mod endpoint;
#[cfg(feature = "simulator")]
mod forward;
mod reach;
mod replay;
mod run;
mod signature;
mod state;
mod store;

pub use call::Sender;
pub use change::{Change, Rotate, Test, change, rotate, test};
pub use deliveries::{Asked, list_deliveries, read_delivery};
pub(crate) use describe::describe;
pub use endpoint::{Create, create, delete, list, read};
#[cfg(feature = "simulator")]
pub use forward::{Forwarder, ForwarderError, new_secret};
pub use reach::Reach;
pub use replay::{Replay, replay};
pub use run::{run_due, start};
pub use store::forget_old;
