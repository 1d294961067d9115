//! Work for later: written in the transaction of its cause, claimed with a lease and a fencing number, safe to run
//! twice, bounded in retries.
//!
//! A claim that outlives its lease is claimed again; whoever finishes with an old fencing number changes nothing.
//! Scheduling a job that is running moves the fencing number on and frees it, so that it runs once more at once.

mod plan;
mod runner;
mod store;

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::ms,
    database::{DatabaseError, Tx},
    http::chain,
};
pub use plan::{Every, Plan};
pub use runner::{run_due, start};

/// The kinds of jobs. The subject is an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ask WeChat whether a notification about a payment is true.
    QueryPayment,
    /// Ask WeChat from time to time what became of a payment.
    PollPayment,
    /// Close a payment at WeChat.
    ClosePayment,
    /// The time to pay an order is over.
    ExpireOrder,
    /// Apply for a refund at WeChat.
    SubmitRefund,
    /// Ask WeChat from time to time what became of a refund.
    PollRefund,
    /// Ask WeChat whether a notification about a refund is true.
    ConfirmRefund,
    /// Send the replies that wait in a conversation.
    SendMessages,
    /// Fetch a customer's picture before WeChat forgets it.
    FetchPicture,
    /// See whether a customer has waited too long.
    CheckUnanswered,
    /// Send a subscribe message.
    SendSubscribeMessage,
}

impl Kind {
    const ALL: &[Kind] = &[
        Kind::QueryPayment,
        Kind::PollPayment,
        Kind::ClosePayment,
        Kind::ExpireOrder,
        Kind::SubmitRefund,
        Kind::PollRefund,
        Kind::ConfirmRefund,
        Kind::SendMessages,
        Kind::FetchPicture,
        Kind::CheckUnanswered,
        Kind::SendSubscribeMessage,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::QueryPayment => "payment.query",
            Self::SendMessages => "message.send",
            Self::FetchPicture => "picture.fetch",
            Self::CheckUnanswered => "conversation.check_unanswered",
            Self::SendSubscribeMessage => "subscribe_message.send",
            Self::PollPayment => "payment.poll",
            Self::ClosePayment => "payment.close",
            Self::ExpireOrder => "order.expire",
            Self::SubmitRefund => "refund.submit",
            Self::PollRefund => "refund.poll",
            Self::ConfirmRefund => "refund.confirm",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Again later; the text is for the operator.
    Retry(String),
    /// Nothing went wrong; again at this time.
    At(Timestamp),
}

impl Outcome {
    /// Again later because of this error.
    pub fn retry(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Retry(chain(error))
    }
}

/// Writes a job down, or makes a known one due earlier.
///
/// # Errors
/// The database fails.
pub fn schedule(tx: &mut Tx, kind: Kind, subject: &str, run: Timestamp, now: Timestamp) -> Result<(), DatabaseError> {
    store::schedule(tx, kind.as_str(), subject, ms(run), ms(now))
}

/// Takes a job away: its question was answered otherwise.
///
/// # Errors
/// The database fails.
pub fn cancel(tx: &mut Tx, kind: Kind, subject: &str) -> Result<(), DatabaseError> {
    store::cancel(tx, kind.as_str(), subject)
}

/// After so many tries, which take eight hours with the pauses between them, a person has to look.
pub const ENOUGH_TRIES: i64 = 24;

/// The pause before the next try, after so many.
fn pause(attempts: i64) -> SignedDuration {
    const PAUSES_S: [i64; 8] = [1, 3, 10, 30, 60, 300, 600, 1800];
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(PAUSES_S.len() - 1);
    SignedDuration::from_secs(PAUSES_S[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_tries_take_eight_hours() {
        let waited: SignedDuration = (1..ENOUGH_TRIES).map(pause).sum();
        assert_eq!(waited.as_hours(), 8);
    }
}
