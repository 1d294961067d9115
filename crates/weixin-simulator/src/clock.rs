//! Time. The simulator reads a base clock that somebody hands in and adds an offset of its own, which only
//! `advance` moves.

use std::sync::Arc;

use jiff::Timestamp;

/// Where the time comes from. Tests hand in a clock that stands still until they move it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the simulator meets the time of the machine")]
    Arc::new(Timestamp::now)
}
