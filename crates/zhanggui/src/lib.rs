//! Zhanggui (掌柜): the back end of a WeChat mini program, in one program.
//!
//! Folders are domains: [`session`] logs customers in, [`product`] and [`order`] say what is bought, [`payment`]
//! takes the money, [`refund`] gives it back, [`customer_service`] takes and answers messages, [`subscribe_message`] sends
//! those that customers asked for, [`event`] tells the merchant's systems. What they share: [`config`], [`database`],
//! [`job`], [`http`], [`app`]. See ARCHITECTURE.md.

pub mod access_token;
pub mod api_key;
pub mod app;
pub mod attention;
pub mod background;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crash;
pub mod customer_service;
pub mod database;
pub mod doctor;
pub mod event;
pub(crate) mod evidence;
pub mod explain;
pub(crate) mod frozen;
pub(crate) mod gateway;
pub mod housekeeping;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod network;
pub mod openapi;
pub mod order;
pub mod payment;
pub mod product;
pub mod refund;
pub mod seal;
pub mod sending;
pub mod session;
pub mod subscribe_message;
pub mod webhook;
