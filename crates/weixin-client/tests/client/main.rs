//! The client against broken peers, and against the simulator.
//!
//! The peers are written by hand (`peer.rs`), because a proper HTTP server refuses to do most of what is needed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access_token;
mod app_calls;
mod callback_v3;
mod client_certificate;
mod customer;
mod events;
mod fixture;
mod fixture_v3;
mod media;
mod messages;
mod mini_program;
mod pay_v2;
mod pay_v3;
mod peer;
mod refund;
mod shop_v3;
mod simulator;
mod simulator_v3;
mod transport;
mod trust;
