//! The table `evidence`: what WeChat told us about money, append-only. Copies of one message are counted in one row;
//! the raw bytes are sealed, because they name the customer.

use std::fmt;

use aws_lc_rs::digest;
use jiff::Timestamp;
use weixin::{
    Fen,
    pay::{Transaction, v2::SignType},
};

use crate::{
    app::App,
    clock::ms,
    config::Api,
    database::{DatabaseError, Tx, params},
    id,
    seal::Place,
};

/// How WeChat told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It called us.
    Notification,
    /// It answered our question.
    Query,
    /// It answered our wish to close a payment.
    Close,
    /// It answered our wish to give money back.
    Refund,
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Query => "query",
            Self::Close => "close",
            Self::Refund => "refund",
        }
    }
}

/// What we made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Believed,
    /// A query has to confirm it.
    Hint,
    /// It does not fit what we know; it changes nothing.
    Quarantined,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Believed => "believed",
            Self::Hint => "hint",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Whether the message proves what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Signed with a key that only WeChat has, or an answer to our own question.
    Proof,
    /// Signed with a key that both sides have: a query has to confirm it.
    Hint,
}

/// How a message was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VerifiedBy {
    /// API v2: signed with the merchant's key by this hash.
    V2(SignType),
    /// API v2: sealed with the merchant's key, not signed.
    V2ReqInfo,
    /// API v3: the signature of an answer.
    V3,
    /// API v3: the signature of a callback, by the key of this serial.
    V3Callback {
        /// As the callback says.
        serial: String,
    },
    /// WeChat does not know the number. Nobody signs that.
    Absence,
}

impl VerifiedBy {
    /// The version that the message speaks; an absence speaks none.
    pub(crate) const fn api(&self) -> Option<Api> {
        match self {
            Self::V2(_) | Self::V2ReqInfo => Some(Api::V2),
            Self::V3 | Self::V3Callback { .. } => Some(Api::V3),
            Self::Absence => None,
        }
    }
}

/// As it stands in the table.
impl fmt::Display for VerifiedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V2(sign_type) => write!(f, "v2 {}", sign_type.as_str()),
            Self::V2ReqInfo => f.write_str("v2 req_info"),
            Self::V3 => f.write_str("v3"),
            Self::V3Callback { serial } => write!(f, "v3 {serial}"),
            Self::Absence => f.write_str("absence"),
        }
    }
}

/// A message and where it came from.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) source: Source,
    pub(crate) weight: Weight,
    pub(crate) verified_by: VerifiedBy,
    pub(crate) raw: bytes::Bytes,
    pub(crate) request_id: Option<String>,
    /// When we asked; `None` if we did not.
    pub(crate) asked: Option<Timestamp>,
}

/// What a message says, as far as the table has columns for it.
pub(crate) struct Statement<'a> {
    pub(crate) mchid: &'a str,
    pub(crate) out_trade_no: &'a str,
    pub(crate) state: &'a str,
    pub(crate) total: Option<Fen>,
    pub(crate) transaction_id: Option<&'a str>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) refund: Option<RefundStatement<'a>>,
}

/// What a message says about a refund of the payment.
pub(crate) struct RefundStatement<'a> {
    /// Our id, if we know it.
    pub(crate) id: Option<&'a str>,
    pub(crate) out_refund_no: &'a str,
    pub(crate) amount: Option<Fen>,
}

impl<'a> From<&'a Transaction> for Statement<'a> {
    fn from(transaction: &'a Transaction) -> Self {
        Self {
            mchid: transaction.mchid.as_str(),
            out_trade_no: transaction.out_trade_no.as_str(),
            state: transaction.trade_state.as_str(),
            total: transaction.total,
            transaction_id: transaction.transaction_id.as_ref().map(|id| id.as_str()),
            time: transaction.success_time,
            refund: None,
        }
    }
}

const INSERT: &str = "
    INSERT INTO evidence (
        id, payment_id, mchid, out_trade_no, source, verified_by, verdict, reason, trade_state,
        total_fen, transaction_id, wechat_ms, received_ms, copies, raw_sha256, raw_sealed, request_id,
        refund_id, out_refund_no, refund_fen
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15, $16, $17, $18, $19)
    ON CONFLICT (mchid, source, raw_sha256) DO UPDATE SET copies = evidence.copies + 1";

/// Writes a message down, or counts another copy of it.
pub(crate) fn keep(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    message: &Message,
    statement: &Statement<'_>,
    payment_id: Option<&str>,
    (verdict, reason): (Verdict, Option<&str>),
) -> Result<(), DatabaseError> {
    let id = id::new(id::Kind::Evidence, now, &app.entropy);
    let place = Place { table: "evidence", row: &id, column: "raw_sealed" };
    let sealed = app.seal.seal(place, &message.raw);
    // An answer without a body is told apart by the number that it is about.
    let distinct = if message.raw.is_empty() { statement.out_trade_no.as_bytes() } else { &message.raw };
    let hash = hex::encode(digest::digest(&digest::SHA256, distinct));
    let refund = statement.refund.as_ref();
    tx.execute(
        INSERT,
        params![
            id.as_str(),
            payment_id,
            statement.mchid,
            statement.out_trade_no,
            message.source.as_str(),
            message.verified_by.to_string(),
            verdict.as_str(),
            reason,
            statement.state,
            statement.total.map(Fen::get),
            statement.transaction_id,
            statement.time.map(ms),
            ms(now),
            hash,
            sealed,
            message.request_id.as_deref(),
            refund.and_then(|refund| refund.id),
            refund.map(|refund| refund.out_refund_no),
            refund.and_then(|refund| refund.amount).map(Fen::get),
        ],
    )
    .map(drop)
}
