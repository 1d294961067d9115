//! Where time and randomness come from. Everything else is handed both, so that tests decide.

use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Fills bytes with randomness.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The clock of the machine.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// The randomness of the machine.
pub fn system_entropy() -> Entropy {
    Arc::new(|bytes| {
        // The operating system's generator fails only where nothing else can work either.
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    })
}

/// Random bytes of a fixed length.
pub fn random<const N: usize>(entropy: &Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy(&mut bytes);
    bytes
}

/// Milliseconds since 1970, as the database keeps times.
pub fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A time from the database. Times beyond the year 9999 become the last one that can be told.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
