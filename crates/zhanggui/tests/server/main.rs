//! The whole server in one process, against the simulator, on SQLite and on PostgreSQL. The names of the tests are
//! the specification; each module is a domain.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod api;
mod check;
mod close;
mod customer_service;
mod explore;
mod flow;
mod idempotency;
mod impostor;
mod key;
mod late;
mod limit;
mod login;
mod mutation;
mod notify;
mod order;
mod picture;
mod poll;
mod prepay;
mod product;
mod push;
mod race;
mod refund;
mod settle;
mod start;
mod subscribe_message;
#[path = "../support/mod.rs"]
mod support;
mod v3;
mod v3_notify;
mod webhook;
mod webhook_calls;
