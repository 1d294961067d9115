//! `[limits]`: how many requests a second are taken.

use super::reader::{Reader, Section};

/// How many requests are taken; `None`: without limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From one caller: an API key or a session.
    pub caller: Option<Rate>,
    /// From one address.
    pub address: Option<Rate>,
}

/// A rate with a reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, for ever.
    pub per_s: u32,
    /// How many at once.
    pub burst: u32,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Limits> {
    let mut section = reader.section("limits");
    let caller = rate(reader, &mut section, ("caller_per_s", 100), ("caller_burst", 500));
    let address = rate(reader, &mut section, ("address_per_s", 50), ("address_burst", 500));
    section.end(reader);
    Some(Limits { caller: caller?, address: address? })
}

/// The outer `None` is a problem; a rate of 0 means that there is no limit.
fn rate(
    reader: &mut Reader<'_>,
    section: &mut Section,
    per_s: (&str, i64),
    burst: (&str, i64),
) -> Option<Option<Rate>> {
    let per_s = section.number_or(reader, per_s.0, per_s.1, 0..=100_000);
    let burst = section.number_or(reader, burst.0, burst.1, 1..=1_000_000);
    let (per_s, burst) = (u32::try_from(per_s?).ok()?, u32::try_from(burst?).ok()?);
    Some((per_s > 0).then_some(Rate { per_s, burst }))
}
