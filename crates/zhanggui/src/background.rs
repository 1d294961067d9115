//! Work that goes on beside the requests until it is stopped.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A task and the way to end it.
pub struct Background {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Background {
    /// Starts the work. It ends by itself when the token is cancelled.
    pub fn start<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(CancellationToken) -> F) -> Self {
        let stop = CancellationToken::new();
        let running = tokio::spawn(work(stop.clone()));
        Self { stop, running }
    }

    /// Lets what is under way finish.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic in the task has been logged by the runtime.
        let _ = self.running.await;
    }
}
