//! How we call WeChat: transport, hosts and failover, token keeping, retry decisions.
//!
//! The messages themselves come from the crate `weixin`; this crate carries them. It keeps no database (tokens are
//! shared through a [`TokenStore`] that the caller brings), serves nothing, reads no configuration and asks no
//! clock: the time comes from a [`Clock`] that is handed in, nonces are arguments.
//!
//! * [`Transport`]: the connections. Time-outs, size limits, certificates; nothing of WeChat's language.
//! * [`Hosts`]: where WeChat is, or the simulator, and where to ask if there is no answer.
//! * [`PayV2Client`]: WeChat Pay, API v2. [`ClientCertificate`]: what its refunds need.
//! * [`PayV3Client`] and [`TrustStore`]: WeChat Pay, API v3.
//! * [`MiniProgramClient`] and [`AccessTokenKeeper`]: `api.weixin.qq.com`.
//!
//! What may be asked twice, and when, is decided in one place: `Repeat` in `transport.rs`.

mod access_token;
mod client_certificate;
mod host;
mod mini_program;
mod pay_v2;
mod pay_v3;
mod transport;
mod trust;

use std::sync::Arc;

pub use access_token::{
    AccessTokenKeeper, AppCredential, BoxFuture, MemoryTokenStore, StoredToken, TokenStore, TokenStoreError,
};
pub use client_certificate::{ClientCertificate, ClientCertificateError};
pub use host::{HostError, Hosts};
pub use mini_program::{ApiError, MiniProgramClient, SendError};
pub use pay_v2::{Answered, CallError, Evidence, MerchantKeyV2, NotAuthentic, PayV2Client};
pub use pay_v3::{CallErrorV3, MerchantV3, PayV3Client};
pub use transport::{NoAnswer, NoAnswerKind, Transport, TransportError, TransportOptions, Unreadable};
pub use trust::{Refreshed, TrustStore};

/// The time. The caller brings it, so that tests can move it.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
