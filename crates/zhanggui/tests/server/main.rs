//! The whole server in one process, against the simulator, on SQLite and on PostgreSQL. The names of the tests are
//! the specification; each module is a domain.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod flow;
#[path = "../support/mod.rs"]
mod support;
