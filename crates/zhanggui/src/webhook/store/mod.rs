//! The tables of webhooks: `webhook_endpoint`, `webhook_delivery` and `webhook_attempt`.

mod endpoint;
mod history;
mod queue;

pub(super) use endpoint::{count, delete, find, insert, list, position, rotate, update};
pub(super) use history::{attempts, counts, deliveries, delivery, replay, replay_exhausted};
pub(super) use queue::{Attempted, Claim, claim, derive, finish, look};

pub use history::forget_old;
