//! Which fault strikes a message: an outage, the header, a rule, the amount, in this order.

use jiff::Timestamp;

use super::{Attempt, FaultKind, HEADER, magic};
use crate::{
    pay::{self, Api},
    server::Request,
    world::World,
};

/// What happens to a request.
pub(crate) enum Struck {
    /// Nothing unusual.
    No,
    /// This.
    By(FaultKind),
    /// The header cannot be read: a mistake of whoever wrote it, told as a sentence.
    HeaderUnreadable(String),
}

/// What happens to a request.
pub(crate) fn strike_request(world: &mut World, now: Timestamp, request: &Request) -> Struck {
    if world.is_out(now) {
        return Struck::By(FaultKind::NoAnswerBefore);
    }
    if let Some(value) = request.headers.get(HEADER) {
        let value = String::from_utf8_lossy(value.as_bytes());
        return match FaultKind::of_header(&value, &request.path) {
            Ok(kind) => Struck::By(kind),
            Err(sentence) => Struck::HeaderUnreadable(sentence),
        };
    }
    let pattern = pay::v3::pattern(&request.path).unwrap_or(&request.path);
    let attempt = pay::v3::attempt(world, request);
    let ordered = world.faults.take_request(&request.path, pattern, attempt, |text| request.contains(text));
    ordered.or_else(|| magic::of_request(world, request)).map_or(Struck::No, Struck::By)
}

/// What happens to an attempt to tell somebody of `subject`, the key of an order or a refund.
pub(crate) fn strike_notification(
    world: &mut World,
    now: Timestamp,
    api: Api,
    attempt: Attempt,
    subject: &str,
) -> Option<FaultKind> {
    if world.is_out(now) {
        return Some(FaultKind::Lost);
    }
    let ordered = world.faults.take_notification(api, attempt, subject);
    ordered.or_else(|| magic::of_notification(world, api, subject))
}

/// What happens to a push.
pub(crate) fn strike_push(world: &mut World, now: Timestamp) -> Option<FaultKind> {
    if world.is_out(now) { Some(FaultKind::Lost) } else { world.faults.take_push() }
}
