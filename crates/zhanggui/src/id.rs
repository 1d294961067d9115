//! Our ids: a prefix that tells the kind and a UUID of version 7, so that they sort by time: `ord_0199…`.

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::{Entropy, random};

/// The kinds of things that have an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user of an app.
    Customer,
    /// What is bought.
    Order,
    /// One attempt to pay.
    Payment,
    /// Money that goes back.
    Refund,
    /// Something that WeChat told us.
    Evidence,
    /// Something that a person has to look at.
    Attention,
    /// A key of the merchant's own systems.
    ApiKey,
    /// One HTTP request.
    Request,
    /// Something that the merchant's systems are told.
    Event,
    /// The chat of a customer with an app.
    Conversation,
    /// Something that was said in a chat.
    Message,
    /// A picture of a chat.
    Picture,
    /// Something that WeChat pushed.
    Push,
    /// Whom the merchant wants to be told.
    Webhook,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Customer => "cus_",
            Self::Order => "ord_",
            Self::Payment => "pay_",
            Self::Refund => "ref_",
            Self::Evidence => "evi_",
            Self::Attention => "att_",
            Self::ApiKey => "key_",
            Self::Request => "req_",
            Self::Event => "evt_",
            Self::Conversation => "con_",
            Self::Message => "msg_",
            Self::Picture => "pic_",
            Self::Push => "psh_",
            Self::Webhook => "whk_",
        }
    }
}

/// Makes a new id.
pub fn new(kind: Kind, now: Timestamp, entropy: &Entropy) -> String {
    let ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let uuid = uuid::Builder::from_unix_timestamp_millis(ms, &random(entropy)).into_uuid();
    format!("{}{}", kind.prefix(), uuid.as_simple())
}

/// The id of that kind with the digits of another one, of which there can be only one.
pub fn of(kind: Kind, digits: &str) -> String {
    format!("{}{digits}", kind.prefix())
}

/// Whether a text has the form of an id of that kind.
pub fn is(kind: Kind, text: &str) -> bool {
    suffix(kind, text).is_some_and(|uuid| Uuid::try_parse(uuid).is_ok() && uuid.len() == 32)
}

/// The part behind the prefix: 32 hexadecimal digits with 74 random bits.
pub fn suffix(kind: Kind, text: &str) -> Option<&str> {
    text.strip_prefix(kind.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_entropy;

    #[test]
    fn ids_sort_by_time_and_tell_their_kind() {
        let entropy = system_entropy();
        let early = new(Kind::Order, "2026-01-22T06:30:01Z".parse().unwrap(), &entropy);
        let late = new(Kind::Order, "2026-01-22T06:30:02Z".parse().unwrap(), &entropy);
        assert!(early < late);
        assert!(is(Kind::Order, &early) && !is(Kind::Payment, &early));
        assert!(!is(Kind::Order, "ord_") && !is(Kind::Order, "ord_x' OR 1=1"));
    }
}
