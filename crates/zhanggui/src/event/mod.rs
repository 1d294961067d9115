//! What happened, for the merchant's own systems: one event for each transition, written in its transaction.
//!
//! An event belongs to a subject (an order, a conversation, …) and has a `sequence` there without gaps; its data are a full
//! snapshot. `GET /v1/events` lists them by cursor or streams them as `text/event-stream`; both can be resumed, because
//! events appear in the order of their commits.

mod describe;
mod list;
mod store;
mod stream;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    api_key::Scope,
    app::App,
    database::{DatabaseError, Tx},
    id,
};
pub(crate) use describe::describe;
pub use list::{Asked, list};
pub use store::{at, headlines, last, position};
pub use stream::STREAMS_MAX;

/// The cursor before the first event.
pub const BEGINNING: &str = "0";

/// Declares the types once: variant, word, what it means.
macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident $word:literal),* $(,)?) => {
        /// What can happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Type {
            $($(#[$doc])* $variant,)*
        }

        impl Type {
            /// All types.
            pub const ALL: &[Type] = &[$(Type::$variant),*];

            /// The word in `type`; never changes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

types! {
    /// Somebody wants to buy something.
    OrderCreated "order.created",
    /// The money for an order is there.
    OrderPaid "order.paid",
    /// WeChat agrees that nobody can pay an order any more.
    OrderClosed "order.closed",
    /// Money came for an order that was closed, or paid by another payment.
    PaymentLate "payment.late",
    /// Somebody wants money to go back, or money came too late.
    RefundCreated "refund.created",
    /// Money went back.
    RefundSucceeded "refund.succeeded",
    /// WeChat refused or closed a refund: the money stays.
    RefundFailed "refund.failed",
    /// WeChat cannot credit a refund.
    RefundAbnormal "refund.abnormal",
    /// A customer entered the chat by the contact button.
    ConversationEntered "conversation.entered",
    /// Somebody else answers the customer from now on.
    ConversationHandled "conversation.handled",
    /// A customer wrote.
    MessageReceived "message.received",
    /// A reply is waiting to be sent.
    MessageQueued "message.queued",
    /// WeChat took a reply.
    MessageSent "message.sent",
    /// WeChat refused a reply for good.
    MessageFailed "message.failed",
    /// Nobody knows whether WeChat took a reply.
    MessageUnknown "message.unknown",
    /// A customer agreed to subscribe messages, or switched them off.
    SubscriptionChanged "subscription.changed",
    /// WeChat took a subscribe message, or refused it.
    SubscribeMessageSettled "subscribe_message.settled",
    /// WeChat's verdict on a picture or sound.
    MediaChecked "media.checked",
    /// WeChat wants an order to be shipped, or reports that it was shipped or settled.
    ShippingReported "shipping.reported",
    /// WeChat pushed an event that this program has no word for.
    PushReceived "push.received",
    /// Somebody tries a webhook; only this one is told.
    WebhookTested "webhook.tested",
}

impl Type {
    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// What a key must be allowed to do to see it.
    pub const fn scope(self) -> Scope {
        match self {
            Self::ConversationEntered
            | Self::ConversationHandled
            | Self::MessageReceived
            | Self::MessageQueued
            | Self::MessageSent
            | Self::MessageFailed
            | Self::MessageUnknown => Scope::Messages,
            _ => Scope::Read,
        }
    }
}

/// An event as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Event {
    /// Its id; a cursor.
    pub id: String,
    /// What happened.
    pub r#type: String,
    /// The id of the order, conversation, customer or webhook, or an `appid`.
    pub subject: String,
    /// Counts the events of the subject from 1, without gaps.
    pub sequence: i64,
    /// When.
    pub created_at: Timestamp,
    /// The subject as it was right after.
    pub data: Value,
}

/// An event without its data, for those who decide who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// Where it stands; grows with every event.
    pub position: i64,
    /// Its id.
    pub id: String,
    /// The word of its type, which may be one of a newer version.
    pub kind: String,
    /// The id of the order or conversation.
    pub subject: String,
    /// Counts the events of the subject.
    pub sequence: i64,
    /// When.
    pub created: Timestamp,
}

/// Appends an event, in the transaction of what happened; gives its id.
///
/// # Errors
/// The database fails.
pub fn append(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    kind: Type,
    subject: &str,
    data: &Value,
) -> Result<String, DatabaseError> {
    let id = id::new(id::Kind::Event, now, &app.entropy);
    let sealed = app.seal.seal(store::place(&id), data.to_string().as_bytes());
    store::insert(tx, &id, kind.as_str(), subject, sealed, now)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_documented() {
        let documented = include_str!("../../../../docs/events.md");
        for kind in Type::ALL {
            let row = format!("| `{}` | `{}` |", kind.as_str(), kind.scope().as_str());
            assert!(documented.contains(&row), "docs/events.md lacks {row}");
        }
    }
}
