//! The client against broken peers, and against the simulator.
//!
//! The peers are written by hand (`peer.rs`), because a proper HTTP server refuses to do most of what is needed.

mod access_token;
mod fixture;
mod mini_program;
mod pay_v2;
mod peer;
mod transport;
