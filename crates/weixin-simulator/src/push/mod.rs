//! Message push: what WeChat tells the server of an app, when it repeats itself, and how it takes the answers.
//!
//! [`setup`] is the setting in the console, [`outbox`] knows what is due, [`sender`] posts and judges the answer,
//! [`event`] makes the events that nobody in the simulator causes.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

mod event;
pub(crate) mod letter;
pub(crate) mod outbox;
mod sample;
pub(crate) mod sender;
mod setup;

pub use event::{PUSH_COPIES_MAX, PushEvent, PushRefusal, ShippedOrder};
pub(crate) use event::{push_event, repeat_push};
pub(crate) use outbox::{NewPush, Outbox};
pub use outbox::{PUSH_REPEAT_AFTER_S, PUSH_REPEATS, PushAttempt, PushEntry, PushState, Verdict};
pub(crate) use sender::{deliver_due, run_automatically};
pub use setup::{PushSetup, PushSetupError, PushSetupFile};
pub(crate) use setup::{expose_push, read_push, set_push};

/// How long WeChat waits for the answer to a push, in seconds.
pub const PUSH_TIMEOUT_S: u64 = 5;
