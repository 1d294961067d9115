//! The simulator from outside: HTTP on one side, the phone on the other, and a clock that only the test moves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod codes;
mod control;
mod envelope;
mod fault;
mod login;
mod magic;
mod mini_program;
mod notification;
mod order;
mod phone;
mod push;
mod refund_v2;
mod repeatable;
mod rules;
mod scenario;
mod support;
mod tls;
mod token;
mod v3;
