//! Time. The simulator reads a base clock that somebody hands in and adds an offset of its own, which only
//! `advance` moves.

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;

/// Where the time comes from. Tests hand in a clock that stands still until they move it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where the simulator's clock may stand. Elsewhere dates have more or fewer digits than WeChat's, or end.
pub(crate) const YEARS: Range<Timestamp> = Timestamp::constant(946_684_800, 0)..Timestamp::constant(7_258_118_400, 0);

/// The clock would leave its years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock goes from 2000-01-01T00:00:00Z to 2199-12-31T23:59:59Z; it stays where it was")]
pub struct ClockOutOfRange;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the simulator meets the time of the machine")]
    Arc::new(Timestamp::now)
}
