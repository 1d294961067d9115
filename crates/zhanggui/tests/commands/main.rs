//! The commands as they are typed: the built executable, files, and a simulated WeChat in this process.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod check;
mod dev;
mod doctor;
mod explain;
mod place;
mod shop;
