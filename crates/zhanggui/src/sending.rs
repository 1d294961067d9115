//! What replies and subscribe messages have in common: whoever asks for one waits a while for WeChat, and a job sends what
//! nobody waits for any more.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{database::DatabaseError, http::chain};

/// A message that is `sending` for longer than this belongs to a process that died: longer than the longest call.
pub const SENDING_MAX: SignedDuration = SignedDuration::from_mins(2);

/// When a job sends a message that was written down but whose node died at once.
pub const SAFETY_NET: SignedDuration = SignedDuration::from_secs(5);

/// How long the answer waits for WeChat. What takes longer is told by an event.
const WAIT: Duration = Duration::from_secs(12);

/// Sends now and waits for it, but not for ever. What was begun goes on when the author stops waiting.
pub async fn at_once<T: Send>(sending: impl Future<Output = Result<T, DatabaseError>> + Send + 'static) {
    let sending = tokio::spawn(async move {
        if let Err(error) = sending.await {
            tracing::error!(error.cause = chain(&error), "a message was not sent, or nobody wrote down that it was");
        }
    });
    let _ = tokio::time::timeout(WAIT, sending).await;
}
