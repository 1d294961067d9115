//! The tables of customer service: `push`, `conversation`, `message`, `picture`, `rule` and `rule_use`.

pub(super) mod conversation;
pub(super) mod message;
pub(super) mod picture;
pub(super) mod push;
pub(super) mod rule;
