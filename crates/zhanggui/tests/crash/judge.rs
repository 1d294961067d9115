//! The judge: WeChat's own books and the receiver of webhooks against the database, the answers that somebody got, and
//! `zhanggui check`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use reqwest::Method;
use weixin::{OpenId, pay::RefundState};
use weixin_simulator::{PushEntry, PushState};
use zhanggui::{config::Api, database::Row};

use super::{
    server::config_of,
    stage::{Stage, rows, run},
    story::Told,
};

/// What was found right.
pub(crate) struct Verdict {
    orders: usize,
    paid: usize,
    given_back: usize,
    not_kept: usize,
    messages: usize,
    events: usize,
    letters: usize,
    repeated: usize,
    invariants: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, paid, given_back, not_kept, messages, events, letters, repeated, invariants } = self;
        write!(
            f,
            "{orders} orders, {paid} payments at WeChat and here ({not_kept} not kept and given back), {given_back} \
             refunds at WeChat and here, {messages} messages, {events} events in {letters} letters, {repeated} requests repeated; {invariants}"
        )
    }
}

const PAYMENTS: &str = "
    SELECT payment.id,
           payment.out_trade_no,
           payment.amount_fen,
           payment.order_id,
           shop_order.paid_payment_id
    FROM payment
    JOIN shop_order ON shop_order.id = payment.order_id
    WHERE payment.state = 'succeeded'";

const REFUNDS: &str = "
    SELECT refund.id,
           refund.out_refund_no,
           refund.amount_fen,
           refund.state,
           refund.cause,
           payment.out_trade_no
    FROM refund
    JOIN payment ON payment.id = refund.payment_id";

const MESSAGES: &str = "
    SELECT customer.openid, message.state
    FROM message
    JOIN conversation ON conversation.id = message.conversation_id
    JOIN customer ON customer.id = conversation.customer_id";

const NOTICES: &str = "
    SELECT customer.openid, subscribe_message.state
    FROM subscribe_message
    JOIN shop_order ON shop_order.id = subscribe_message.order_id
    JOIN customer ON customer.id = shop_order.customer_id";

fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.text(name).unwrap()
}

/// Ends the shop and judges it.
pub(crate) async fn judge(stage: Arc<Stage>, told: Vec<Told>) -> Verdict {
    let repeated = repeat(&stage, &told).await;
    stage.stop_time();
    let database = stage.open().await;
    let orders = rows(&database, "SELECT id, state FROM shop_order").await;
    let tries = rows(&database, "SELECT out_trade_no, order_id FROM payment").await;
    let payments = rows(&database, PAYMENTS).await;
    let refunds = rows(&database, REFUNDS).await;
    let events = rows(&database, "SELECT id, subject, sequence FROM event ORDER BY position").await;
    let texts = rows(&database, MESSAGES).await;
    let notices = rows(&database, NOTICES).await;
    let marks = rows(&database, "SELECT DISTINCT reason FROM attention ORDER BY reason").await;
    database.close().await;

    compare_orders(&told, &orders);
    let messages = compare_messages(&stage, &told, &texts, &notices);
    compare_tries(&stage, &told, &tries);
    let not_kept = compare_payments(&stage, &payments, &refunds);
    compare_refunds(&stage, &told, &refunds);
    let letters = compare_events(&stage, &events);
    let strange: Vec<_> = marks
        .iter()
        .map(|mark| text(mark, "reason"))
        .filter(|reason| !["late_payment", "second_payment"].contains(reason))
        .collect();
    assert!(strange.is_empty(), "a person has to look: {strange:?}");
    let checked = run(stage.folder.path(), &["check", "--config", &config_of(Api::V3)]);
    let invariants = checked.lines().last().unwrap_or_default().to_owned();
    Verdict {
        orders: orders.len(),
        paid: payments.len(),
        given_back: refunds.len(),
        not_kept,
        messages,
        events: events.len(),
        letters,
        repeated,
        invariants,
    }
}

/// Whatever got an answer under a key gets the same bytes again, and nothing happens a second time.
async fn repeat(stage: &Stage, told: &[Told]) -> usize {
    let mut repeated = 0;
    for sent in told.iter().flat_map(|told| &told.answers) {
        let again = match &sent.token {
            Some(token) => stage.customer(token, Method::POST, &sent.path, Some(&sent.key), &sent.body).await,
            None => stage.merchant(Method::POST, &sent.path, Some(&sent.key), &sent.body).await,
        };
        assert_eq!((again.status, &again.body), (sent.reply.status, &sent.reply.body), "{} {}", sent.path, sent.key);
        assert_eq!(again.header("idempotent-replayed"), "true", "{} {}", sent.path, sent.key);
        repeated += 1;
    }
    repeated
}

/// Each order that somebody was told of is there and ended as it had to, and there is no other.
fn compare_orders(told: &[Told], orders: &[Row]) {
    let states: HashMap<_, _> = orders.iter().map(|order| (text(order, "id"), text(order, "state"))).collect();
    for told in told {
        let state = states.get(&*told.order).unwrap_or_else(|| panic!("{} is lost", told.order));
        assert!(told.state.is_none_or(|expected| expected == *state), "{} is {state}", told.order);
    }
    let wanted: HashSet<_> = told.iter().map(|told| &told.order).collect();
    assert_eq!(orders.len(), wanted.len(), "an order was made twice");
}

/// What customers wrote and WeChat delivered is here, once. What is sent here has reached the customer, once; what is unknown
/// at most once; and nobody was told anything else.
fn compare_messages(stage: &Stage, told: &[Told], texts: &[Row], notices: &[Row]) -> usize {
    let ledger = stage.sim.ledger();
    let count = |rows: &[Row], openid: &OpenId, state: &str| {
        rows.iter().filter(|row| text(row, "openid") == openid.as_str() && text(row, "state") == state).count()
    };
    for Told { openid, order, .. } in told {
        let (written, delivered, answered) = ledger.conversation(openid).map_or((0, 0, 0), |theirs| {
            let is_taken = |push: &PushEntry| push.state == PushState::Accepted;
            let delivered = theirs.messages.iter().filter(|message| ledger.push(&message.msg_id).is_some_and(is_taken));
            (theirs.messages.len(), delivered.count(), theirs.sent.len())
        });
        let received = count(texts, openid, "received");
        assert!((delivered..=written).contains(&received), "{order}: {received} of {written}, {delivered} delivered");
        let noticed = ledger.notices.iter().filter(|notice| notice.openid == *openid).count();
        for (what, rows, theirs) in [("reply", texts, answered), ("notice", notices, noticed)] {
            let (sent, unknown) = (count(rows, openid, "sent"), count(rows, openid, "unknown"));
            assert!(sent + unknown <= 1, "{order}: more than one {what}");
            assert!((sent..=sent + unknown).contains(&theirs), "{order}: {what}: {sent} sent, {theirs} at WeChat");
        }
    }
    texts.len() + notices.len()
}

/// WeChat knows the numbers that are written down here, and nobody was given a second one that could be paid beside the first.
fn compare_tries(stage: &Stage, told: &[Told], tries: &[Row]) {
    let ours: HashSet<_> = tries.iter().map(|row| text(row, "out_trade_no").to_owned()).collect();
    let theirs: HashSet<_> = stage.sim.ledger().payments.into_iter().map(|payment| payment.out_trade_no).collect();
    assert_eq!(ours, theirs, "the numbers here (left) and at WeChat (right)");
    for told in told {
        let numbers = tries.iter().filter(|row| text(row, "order_id") == told.order).count();
        assert_eq!(numbers, told.tries, "the numbers of {}", told.order);
    }
}

/// What is paid at WeChat is paid here; of an order at most one payment is kept, and every other one has gone back, once.
fn compare_payments(stage: &Stage, payments: &[Row], refunds: &[Row]) -> usize {
    let ledger = stage.sim.ledger();
    let theirs: BTreeMap<_, _> = ledger.paid().map(|paid| (&*paid.out_trade_no, paid.total_fen.get())).collect();
    let ours: BTreeMap<_, _> =
        payments.iter().map(|row| (text(row, "out_trade_no"), row.int("amount_fen").unwrap())).collect();
    assert_eq!(ours, theirs, "what is paid here (left) and at WeChat (right)");
    assert_eq!(ours.len(), payments.len(), "a number was paid twice");
    let mut kept = HashSet::new();
    let mut not_kept = 0;
    for row in payments {
        let number = text(row, "out_trade_no");
        if row.opt_text("paid_payment_id").unwrap() == Some(text(row, "id")) {
            assert!(kept.insert(text(row, "order_id")), "{number} is kept beside another one");
            continue;
        }
        not_kept += 1;
        let is_its = |refund: &&Row| text(refund, "out_trade_no") == number && text(refund, "cause") != "requested";
        let back: Vec<_> = refunds.iter().filter(is_its).map(|refund| refund.int("amount_fen").unwrap()).collect();
        assert_eq!(back, [row.int("amount_fen").unwrap()], "{number} is not kept, and what of it went back");
    }
    not_kept
}

/// The refunds here are those at WeChat, each once, and those that somebody asked for or that are owed.
fn compare_refunds(stage: &Stage, told: &[Told], refunds: &[Row]) {
    let ledger = stage.sim.ledger();
    let entry = |row: &'_ Row| (text(row, "out_trade_no").to_owned(), row.int("amount_fen").unwrap());
    let ours: BTreeMap<_, _> = refunds.iter().map(|row| (text(row, "out_refund_no").to_owned(), entry(row))).collect();
    let theirs: BTreeMap<_, _> = ledger
        .refunds
        .iter()
        .map(|refund| {
            assert_eq!(refund.state, RefundState::Success, "{}", refund.out_refund_no);
            (refund.out_refund_no.to_string(), (refund.out_trade_no.to_string(), refund.refund_fen.get()))
        })
        .collect();
    assert_eq!(ours, theirs, "what went back here (left) and at WeChat (right)");
    assert_eq!((ours.len(), theirs.len()), (refunds.len(), ledger.refunds.len()), "a number went back twice");
    assert!(refunds.iter().all(|row| text(row, "state") == "succeeded"), "a refund has not succeeded");
    for paid in ledger.paid() {
        let back = ledger.refunded_fen(&paid.out_trade_no);
        assert!(back <= paid.total_fen, "{back:?} of {} went back", paid.out_trade_no);
    }
    let asked: HashSet<_> = told.iter().flat_map(|told| &told.refunds).map(String::as_str).collect();
    let made: HashSet<_> =
        refunds.iter().filter(|row| text(row, "cause") == "requested").map(|row| text(row, "id")).collect();
    assert_eq!(made, asked, "the refunds here (left) and those that somebody asked for (right)");
}

/// Every event arrived, those of a subject in their order; what came again came with the same id and the same bytes.
fn compare_events(stage: &Stage, events: &[Row]) -> usize {
    let received = stage.receiver.received();
    let mut arrived = HashMap::new();
    let mut latest: HashMap<String, i64> = HashMap::new();
    for letter in &received {
        let event = letter.event();
        assert_eq!(event["id"], *letter.id, "a letter has the id of its event");
        let sequence = event["sequence"].as_i64().unwrap();
        let before = latest.insert(letter.subject(), sequence).unwrap_or(0);
        assert!((before..=before + 1).contains(&sequence), "{}: {sequence} came after {before}", letter.subject());
        let first = arrived.entry(letter.id.clone()).or_insert_with(|| letter.body.clone());
        assert_eq!(*first, letter.body, "{} came again with other bytes", letter.id);
    }
    for event in events {
        assert!(
            arrived.contains_key(text(event, "id")),
            "{} of {} was lost",
            text(event, "id"),
            text(event, "subject")
        );
    }
    assert_eq!(arrived.len(), events.len(), "something was told that did not happen");
    received.len()
}
