//! Time and randomness that only the test decides.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use zhanggui::clock::{Clock, Entropy};

/// Stands still until the test moves it.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-01-22T06:30:00Z".parse().unwrap())))
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || *time.lock().unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

/// The hash of a counter: the same for the same seed.
pub(crate) fn entropy_of(seed: u64) -> Entropy {
    let drawn = AtomicU64::new(0);
    Arc::new(move |bytes| {
        for piece in bytes.chunks_mut(32) {
            let number = drawn.fetch_add(1, Ordering::Relaxed);
            let hash = digest::digest(&digest::SHA256, format!("{seed}/{number}").as_bytes());
            piece.copy_from_slice(&hash.as_ref()[..piece.len()]);
        }
    })
}
