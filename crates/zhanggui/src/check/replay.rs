//! S1: the fold over the evidence gives the stored state again. M6: what is sent again is what was frozen.
//!
//! Evidence says how a payment or refund ended; what we did ourselves in between (submitting, closing) leaves none. So the
//! fold begins where every end is possible.

use jiff::{SignedDuration, Timestamp};
use weixin::{
    TransactionId,
    pay::{RefundState, TradeState},
};

use super::{Checked, EXAMPLES_MAX};
use crate::{
    clock::from_ms,
    database::{Database, DatabaseError, Row, Tx, params},
    frozen, payment, refund,
};

/// So many payments or refunds are read in one transaction.
const AT_ONCE: i64 = 500;

/// Replays everything, page by page.
pub(super) async fn run(database: &Database) -> Result<Vec<Checked>, DatabaseError> {
    let payments = Tally::new("S1", "the fold over the evidence of a payment gives its state");
    let refunds = Tally::new("S1", "the fold over the evidence of a refund gives its state");
    let mut tallies = Vec::new();
    for (mut states, subject) in [(payments, Subject::Payment), (refunds, Subject::Refund)] {
        let mut requests = Tally::new("M6", subject.frozen_rule());
        let mut after = String::new();
        loop {
            let cursor = after.clone();
            let page = database.read(move |tx| page(tx, subject, &cursor)).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            for seen in page {
                states.count(&seen.id, seen.is_replayed);
                requests.count(&seen.id, seen.is_frozen);
            }
        }
        tallies.extend([states.0, requests.0]);
    }
    Ok(tallies)
}

struct Tally(Checked);

impl Tally {
    fn new(number: &'static str, rule: &'static str) -> Self {
        Self(Checked { number, rule, examined: 0, violations: 0, examples: Vec::new() })
    }

    fn count(&mut self, id: &str, holds: bool) {
        self.0.examined += 1;
        if holds {
            return;
        }
        self.0.violations += 1;
        if self.0.examples.len() < EXAMPLES_MAX {
            self.0.examples.push(id.to_owned());
        }
    }
}

#[derive(Clone, Copy)]
enum Subject {
    Payment,
    Refund,
}

impl Subject {
    fn frozen_rule(self) -> &'static str {
        match self {
            Self::Payment => "the request of a payment is the one that was written down",
            Self::Refund => "the request of a refund is the one that was written down",
        }
    }

    fn page(self) -> &'static str {
        match self {
            Self::Payment => PAYMENTS,
            Self::Refund => REFUNDS,
        }
    }

    fn evidence(self) -> &'static str {
        match self {
            Self::Payment => EVIDENCE_OF_PAYMENT,
            Self::Refund => EVIDENCE_OF_REFUND,
        }
    }
}

const PAYMENTS: &str = "
    SELECT id,
           state,
           frozen_request,
           frozen_sha256
    FROM payment
    WHERE id > $1
    ORDER BY id
    LIMIT $2";

const REFUNDS: &str = "
    SELECT id,
           state,
           frozen_request,
           frozen_sha256
    FROM refund
    WHERE id > $1
    ORDER BY id
    LIMIT $2";

const EVIDENCE_OF_PAYMENT: &str = "
    SELECT source,
           trade_state,
           transaction_id,
           wechat_ms
    FROM evidence
    WHERE payment_id = $1
      AND out_refund_no IS NULL
      AND verdict = 'believed'
    ORDER BY received_ms, id";

const EVIDENCE_OF_REFUND: &str = "
    SELECT source,
           trade_state,
           transaction_id,
           wechat_ms
    FROM evidence
    WHERE refund_id = $1
      AND verdict = 'believed'
    ORDER BY received_ms, id";

/// One payment or refund.
struct Seen {
    id: String,
    is_replayed: bool,
    is_frozen: bool,
}

fn page(tx: &mut Tx, subject: Subject, after: &str) -> Result<Vec<Seen>, DatabaseError> {
    let rows = tx.query(subject.page(), params![after, AT_ONCE])?;
    let mut page = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.text("id")?.to_owned();
        let evidence = tx.query(subject.evidence(), params![id.as_str()])?;
        let (stored, folded) = match subject {
            Subject::Payment => (end_of_payment(row.text("state")?), fold_payment(&evidence)?),
            Subject::Refund => (end_of_refund(row.text("state")?), fold_refund(&evidence)?),
        };
        let is_frozen = frozen::read(&row).is_ok();
        page.push(Seen { id, is_replayed: stored == folded, is_frozen });
    }
    Ok(page)
}

/// What evidence can say about a stored state: nothing, as long as the payment can take money or WeChat refused it.
fn end_of_payment(state: &str) -> &str {
    match state {
        "succeeded" | "closed" => state,
        _ => "closing",
    }
}

fn fold_payment(evidence: &[Row]) -> Result<&'static str, DatabaseError> {
    let mut state = payment::State::Closing;
    for row in evidence {
        if let payment::Next::To(next) = state.on(payment_event(row)?) {
            state = next;
        }
    }
    Ok(state.as_str())
}

fn payment_event(row: &Row) -> Result<payment::Event, DatabaseError> {
    let word = row.opt_text("trade_state")?.unwrap_or_default();
    let state = TradeState::from_wire(word);
    Ok(match (row.text("source")?, word) {
        ("close", _) => payment::Event::CloseAnswered,
        (_, "NOT_FOUND") => {
            let since_last_try = payment::STILL_ARRIVES + SignedDuration::from_secs(1);
            payment::Event::NotKnown(payment::Absence { was_accepted: false, since_last_try })
        }
        _ if state.is_paid() => payment::Event::Paid {
            transaction_id: TransactionId::parse(row.text("transaction_id")?)
                .map_err(|_| row.impossible("transaction_id", "a number of WeChat"))?,
            success_time: time(row)?.ok_or_else(|| row.impossible("wechat_ms", "the time of a success"))?,
        },
        _ => payment::Event::NotPaid(state),
    })
}

/// As with payments; a refund that was made elsewhere succeeded.
fn end_of_refund(state: &str) -> &str {
    match state {
        "external" => "succeeded",
        "rejected" => "submitting",
        state => state,
    }
}

fn fold_refund(evidence: &[Row]) -> Result<&'static str, DatabaseError> {
    let mut state = refund::State::NEW;
    for row in evidence {
        let told = RefundState::from_wire(row.opt_text("trade_state")?.unwrap_or_default());
        if let refund::Next::To(next) = state.on(refund::Event::Told { state: told, success_time: time(row)? }) {
            state = next;
        }
    }
    Ok(state.as_str())
}

fn time(row: &Row) -> Result<Option<Timestamp>, DatabaseError> {
    Ok(row.opt_int("wechat_ms")?.map(from_ms))
}
