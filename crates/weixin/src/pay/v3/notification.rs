//! Notifications of API v3: verified over the raw bytes, then opened with the APIv3 key, then read.
//!
//! Every delivery of one event has the same `id` and a fresh signature. Answer 200 or 204 only when everything is
//! durable; 4xx or 5xx asks WeChat to come again.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791902> (payment) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791906> (refund).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Unreadable,
    aead::{OpenError, Sealed},
    reason,
    refund::{Told, to_json},
    transaction::rfc3339,
};
use crate::{
    ApiV3Key, MchId, Verified,
    pay::{Refund, RefundState, Transaction},
};

/// The envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Envelope {
    id: String,
    create_time: String,
    resource_type: String,
    event_type: String,
    #[serde(default)]
    summary: String,
    resource: Resource,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Resource {
    original_type: String,
    #[serde(flatten)]
    sealed: Sealed,
}

/// An event that WeChat tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same for every delivery of the event.
    pub id: String,
    /// For example `TRANSACTION.SUCCESS`.
    pub event_type: String,
    /// What happened.
    pub event: Event,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A customer has paid.
    Paid(Box<Transaction>),
    /// A refund has ended.
    Refunded(Box<Refund>),
    /// Something else: verified, opened and of no concern to us.
    Other {
        /// What was sealed, for example `profitsharing`.
        original_type: String,
    },
}

impl Verified<Notification> {
    /// The payment, if the notification tells of one.
    pub fn paid(&self) -> Option<Verified<Transaction>> {
        match &self.event {
            Event::Paid(transaction) => Some(Verified::new(Transaction::clone(transaction))),
            Event::Refunded(_) | Event::Other { .. } => None,
        }
    }

    /// The refund, if the notification tells of one.
    pub fn refunded(&self) -> Option<Verified<Refund>> {
        match &self.event {
            Event::Refunded(refund) => Some(Verified::new(Refund::clone(refund))),
            Event::Paid(_) | Event::Other { .. } => None,
        }
    }
}

/// Reads a notification whose signature was verified, for the merchant whose address it came to.
///
/// # Errors
/// It cannot be opened or read, or belongs to another merchant.
pub fn read(body: Verified<&[u8]>, mchid: &MchId, key: &ApiV3Key) -> Result<Verified<Notification>, NotificationError> {
    body.try_map(|bytes| {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| NotificationError::Envelope(unreadable(&error)))?;
        let plain = envelope.resource.sealed.open(key)?;
        let original_type = envelope.resource.original_type;
        let event = match (envelope.event_type.split('.').next(), original_type.as_str()) {
            (Some("TRANSACTION"), "transaction") => {
                let paid: Transaction =
                    serde_json::from_slice(&plain).map_err(|error| NotificationError::Resource(unreadable(&error)))?;
                if paid.mchid != *mchid {
                    return Err(NotificationError::OtherMerchant);
                }
                Event::Paid(Box::new(paid))
            }
            (Some("REFUND"), "refund") => {
                #[derive(Deserialize)]
                struct Whose {
                    mchid: MchId,
                }
                let error = |error: serde_json::Error| NotificationError::Resource(unreadable(&error));
                let whose: Whose = serde_json::from_slice(&plain).map_err(error)?;
                if whose.mchid != *mchid {
                    return Err(NotificationError::OtherMerchant);
                }
                Event::Refunded(Box::new(serde_json::from_slice(&plain).map_err(error)?))
            }
            _ => Event::Other { original_type },
        };
        Ok(Notification { id: envelope.id, event_type: envelope.event_type, event })
    })
}

fn unreadable(error: &serde_json::Error) -> Unreadable {
    Unreadable { reason: reason(error) }
}

/// Writes the body of a payment notification as WeChat does.
///
/// # Errors
/// The nonce has not twelve characters.
pub fn write_paid(
    id: &str,
    transaction: &Transaction,
    created: Timestamp,
    key: &ApiV3Key,
    nonce: &str,
) -> Result<String, OpenError> {
    let plain = super::json(transaction);
    let sealed = Sealed::seal(key, nonce, "transaction", plain.as_bytes())?;
    Ok(write(id, created, "TRANSACTION.SUCCESS", "支付成功", "transaction", sealed))
}

/// Writes the body of a refund notification as WeChat does.
///
/// # Errors
/// The nonce has not twelve characters.
pub fn write_refunded(
    id: &str,
    mchid: &MchId,
    refund: &Refund,
    created: Timestamp,
    key: &ApiV3Key,
    nonce: &str,
) -> Result<String, OpenError> {
    let refunded = to_json(refund, Told::Notification);
    // The merchant stands first, before what answers say, too.
    let plain = format!("{{\"mchid\":\"{mchid}\",{}", refunded.trim_start_matches('{'));
    let sealed = Sealed::seal(key, nonce, "refund", plain.as_bytes())?;
    let summary = match refund.state {
        RefundState::Success => "退款成功",
        RefundState::Closed => "退款关闭",
        _ => "退款异常",
    };
    Ok(write(id, created, &format!("REFUND.{}", refund.state), summary, "refund", sealed))
}

fn write(id: &str, created: Timestamp, event_type: &str, summary: &str, original_type: &str, sealed: Sealed) -> String {
    super::json(&Envelope {
        id: id.to_owned(),
        create_time: rfc3339(created),
        resource_type: "encrypt-resource".to_owned(),
        event_type: event_type.to_owned(),
        summary: summary.to_owned(),
        resource: Resource { original_type: original_type.to_owned(), sealed },
    })
}

/// The reply that asks WeChat to come again, for a status of 4xx or 5xx.
pub fn reply_fail(reason: &str) -> String {
    serde_json::json!({ "code": "FAIL", "message": reason }).to_string()
}

/// Why verified bytes are not a notification for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Not the JSON of a notification.
    #[error("the notification is not readable")]
    Envelope(#[source] Unreadable),
    /// Sealed with another key, or changed.
    #[error("the notification cannot be opened")]
    Sealed(#[from] OpenError),
    /// Opened, but not what it says.
    #[error("what the notification holds is not readable")]
    Resource(#[source] Unreadable),
    /// Authentic, but for another merchant than the address says.
    #[error("the notification belongs to another merchant")]
    OtherMerchant,
}
