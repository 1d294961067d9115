//! The bounded queue between the callers and the database threads, and the work in it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{DatabaseError, Tx};

/// First in, first out; full is an error at once. Closing refuses newcomers and lets the threads finish what is queued.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    closed: Condvar,
    capacity: usize,
}

struct State {
    waiting: VecDeque<Box<dyn Work>>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), closed: Condvar::new(), capacity }
    }

    pub(super) fn push(&self, work: Box<dyn Work>) -> Result<(), DatabaseError> {
        let mut state = self.lock();
        if state.closed {
            return Err(DatabaseError::Closed);
        }
        if state.waiting.len() >= self.capacity {
            return Err(DatabaseError::Overloaded);
        }
        state.waiting.push_back(work);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for work and takes up to `count_max` pieces; `None` when the queue is closed and empty.
    pub(super) fn take(&self, count_max: usize) -> Option<Vec<Box<dyn Work>>> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.arrived.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let count = state.waiting.len().min(count_max);
        if count == 0 { None } else { Some(state.waiting.drain(..count).collect()) }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
        self.closed.notify_all();
    }

    /// Closes and drops what is queued, whose callers then get [`DatabaseError::Closed`].
    pub(super) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// Waits before the next attempt, but not when the queue is being closed; answers whether another attempt makes sense.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let open = |state: &mut State| !state.closed;
        let waited = self.closed.wait_timeout_while(self.lock(), duration, open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A closure with the place where its answer goes. Running and answering are apart, so that COMMIT can come between.
pub(super) trait Work: Send {
    /// Runs the closure, keeps its answer, and says whether its changes may be kept. Panics are caught.
    fn run(&mut self, tx: &mut Tx) -> Verdict;
    /// Sends the answer of the last run.
    fn answer(self: Box<Self>);
    /// Sends this error instead.
    fn fail(self: Box<Self>, error: DatabaseError);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Undo,
}

pub(super) struct Call<F, T, E> {
    work: F,
    outcome: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Call<F, T, E> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (caller, answer) = oneshot::channel();
        (Self { work, outcome: None, caller }, answer)
    }
}

impl<F, T, E> Work for Call<F, T, E>
where
    F: Fn(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<DatabaseError> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> Verdict {
        // The transaction is undone after a panic and nothing else is shared, so nothing half-done can be seen.
        let outcome = match catch_unwind(AssertUnwindSafe(|| (self.work)(tx))) {
            Ok(Ok(_)) if tx.is_doomed() => Err(DatabaseError::Aborted.into()),
            Ok(outcome) => outcome,
            Err(_) => Err(DatabaseError::Panicked.into()),
        };
        let verdict = if outcome.is_ok() { Verdict::Keep } else { Verdict::Undo };
        self.outcome = Some(outcome);
        verdict
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // A caller who stopped waiting is no reason to complain: the work is done all the same.
            let _ = self.caller.send(outcome);
        }
    }

    fn fail(self: Box<Self>, error: DatabaseError) {
        let _ = self.caller.send(Err(error.into()));
    }
}
