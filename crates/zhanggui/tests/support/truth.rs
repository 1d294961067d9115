//! What must hold at the end of every test: the server's books against WeChat's own, and against themselves. The
//! numbers are those of the list of invariants.

use std::collections::{BTreeMap, BTreeSet};

use zhanggui::clock::ms;

use super::World;

/// What the clock alone makes due is not forgotten by a test: it runs at the end.
const DUE: &str = "
    SELECT kind, subject
    FROM job
    WHERE run_ms <= $1
      AND kind NOT IN ('payment.poll', 'order.expire', 'refund.poll')";

const ATTENTION: &str = "SELECT reason FROM attention WHERE resolved_ms IS NULL ORDER BY reason";

const PAYMENTS: &str = "
    SELECT payment.id,
           payment.mchid,
           payment.appid,
           payment.openid,
           payment.out_trade_no,
           payment.amount_fen,
           payment.state,
           payment.transaction_id,
           payment.succeeded_ms,
           shop_order.id AS order_id,
           shop_order.state AS order_state,
           shop_order.amount_fen AS order_fen,
           shop_order.paid_payment_id
    FROM payment
    JOIN shop_order ON shop_order.id = payment.order_id
    ORDER BY payment.id";

const MESSAGES: &str = "
    SELECT message.direction, message.state, COUNT(*) AS n
    FROM message
    JOIN conversation ON conversation.id = message.conversation_id
    JOIN customer ON customer.id = conversation.customer_id
    WHERE customer.openid = $1
    GROUP BY message.direction, message.state";

/// The refund of a payment that is not kept.
const OWED: &str = "
    SELECT COUNT(*) AS n
    FROM refund
    WHERE payment_id = $1
      AND amount_fen = $2
      AND cause IN ('late_payment', 'second_payment')";

const REFUNDS: &str = "
    SELECT refund.out_refund_no,
           refund.state,
           refund.amount_fen,
           payment.out_trade_no
    FROM refund
    JOIN payment ON payment.id = refund.payment_id";

impl World {
    /// Looks into all books. The server must be running.
    pub(crate) async fn finish(mut self) {
        let due = self.rows(DUE, zhanggui::params![ms(self.clock.now())]).await;
        let due: Vec<_> = due.iter().map(|row| row.text("kind").unwrap()).collect();
        assert!(due.is_empty(), "jobs are due at the end: {due:?}");
        self.sim.clear_faults();
        self.run_jobs().await;

        let marks = self.rows(ATTENTION, &[]).await;
        let marks: Vec<_> = marks.iter().map(|row| row.text("reason").unwrap()).collect();
        self.expected_attention.sort_unstable();
        assert_eq!(marks, self.expected_attention, "what a person has to look at");

        let report = zhanggui::check::run(self.database()).await.unwrap();
        assert!(report.ok, "{:#?}", report.broken());
        self.compare_with_wechat().await;
        self.compare_refunds().await;
        self.compare_messages().await;
        self.compare_requests();
        self.stop().await;
        self.sim.shutdown().await;
    }

    /// M2 and M4: paid here is paid there, once, with equal fields, and with the evidence that proves it.
    async fn compare_with_wechat(&self) {
        let ledger = self.sim.ledger();
        let mut paid = BTreeSet::new();
        let mut known = BTreeSet::new();
        let mut kept: BTreeMap<_, usize> = BTreeMap::new();
        let payments = self.rows(PAYMENTS, &[]).await;
        for row in &payments {
            let text = |name| row.text(name).unwrap();
            let number = text("out_trade_no");
            known.insert(number);
            assert_eq!(row.int("amount_fen").unwrap(), row.int("order_fen").unwrap(), "{number}");
            let is_kept = row.opt_text("paid_payment_id").unwrap() == Some(text("id"));
            if text("state") != "succeeded" {
                assert!(!is_kept, "{number} is kept, but has not succeeded");
                continue;
            }
            let theirs = ledger.payment(number).unwrap_or_else(|| panic!("{number} is paid, but unknown to WeChat"));
            assert!(theirs.trade_state.is_paid(), "{number} is paid here, but not at WeChat");
            assert_eq!(row.int("amount_fen").unwrap(), theirs.total_fen.get(), "{number}");
            assert_eq!(text("mchid"), theirs.mchid.as_str());
            assert_eq!(text("appid"), theirs.appid.as_str());
            assert_eq!(text("openid"), theirs.openid.as_str());
            assert_eq!(Some(text("transaction_id")), theirs.transaction_id.as_ref().map(|id| id.as_str()));
            assert_eq!(row.int("succeeded_ms").unwrap(), ms(theirs.paid_at.unwrap()), "{number}");
            paid.insert(number);
            if is_kept {
                assert_eq!(text("order_state"), "paid", "{number}");
                *kept.entry(text("order_id")).or_default() += 1;
            } else {
                let back = self.number_of(OWED, zhanggui::params![text("id"), row.int("amount_fen").unwrap()]).await;
                assert_eq!(back, 1, "{number} is not kept and does not go back");
            }
        }
        for (order, kept) in &kept {
            assert_eq!(*kept, 1, "{order}: one payment is kept");
        }
        let theirs = ledger.paid().map(|payment| payment.out_trade_no.as_str());
        let theirs: BTreeSet<_> = theirs.filter(|number| !self.expected_unsettled.contains(*number)).collect();
        assert_eq!(paid, theirs, "what is paid here (left) and at WeChat (right)");
        let strangers: Vec<_> =
            ledger.payments.iter().filter(|theirs| !known.contains(&*theirs.out_trade_no)).collect();
        assert!(strangers.is_empty(), "WeChat has orders that nobody wrote down here: {strangers:?}");
        assert_eq!(
            self.number("SELECT COUNT(*) AS n FROM shop_order WHERE state = 'paid'").await,
            kept.len() as i64,
            "every paid order has its payment"
        );
    }

    /// M1 and M3: what goes back here goes back there, once, and never more than was paid.
    async fn compare_refunds(&self) {
        let ledger = self.sim.ledger();
        let mut known = BTreeSet::new();
        for row in &self.rows(REFUNDS, &[]).await {
            let (number, state) = (row.text("out_refund_no").unwrap(), row.text("state").unwrap());
            known.insert(number.to_owned());
            let theirs = ledger.refund(number).map_or("none", |theirs| theirs.state.as_str());
            let possible = match state {
                "submitting" => vec!["none", "PROCESSING", "SUCCESS", "ABNORMAL", "CLOSED"],
                "processing" | "abnormal" => vec!["PROCESSING", "SUCCESS", "ABNORMAL", "CLOSED"],
                "succeeded" | "external" => vec!["SUCCESS"],
                "closed" => vec!["CLOSED"],
                _ => vec!["none"],
            };
            assert!(possible.contains(&theirs), "{number} is {state} here and {theirs} at WeChat");
            if let Some(theirs) = ledger.refund(number) {
                assert_eq!(row.int("amount_fen").unwrap(), theirs.refund_fen.get(), "{number}");
                assert_eq!(row.text("out_trade_no").unwrap(), theirs.out_trade_no.as_str(), "{number}");
            }
        }
        for theirs in &ledger.refunds {
            let (number, is_gone) = (theirs.out_refund_no.as_str(), theirs.state.as_str() == "SUCCESS");
            let ours = known.contains(number) || self.expected_unsettled.contains(number);
            assert!(ours || !is_gone, "WeChat has given {number} back, and nobody wrote it down here");
        }
    }

    /// C1, C3 and C4: what customers wrote and WeChat delivered is here, once; what was sent reached the customer at most once.
    async fn compare_messages(&self) {
        let ledger = self.sim.ledger();
        for theirs in &ledger.conversations {
            let who = &theirs.customer;
            let rows = self.rows(MESSAGES, zhanggui::params![theirs.openid.as_str()]).await;
            let count = |direction: &str, state: &str| {
                let of = |row: &&zhanggui::database::Row| {
                    row.text("direction").unwrap() == direction && row.text("state").unwrap() == state
                };
                rows.iter().find(of).map_or(0, |row| row.int("n").unwrap())
            };
            let delivered = |message: &&weixin_simulator::CustomerMessage| {
                ledger.push(&message.msg_id).is_some_and(|push| push.state == weixin_simulator::PushState::Accepted)
            };
            let delivered = theirs.messages.iter().filter(delivered).count() as i64;
            assert!(count("in", "received") >= delivered, "{who}: WeChat delivered {delivered} messages");
            let (sent, unknown, accepted) = (count("out", "sent"), count("out", "unknown"), theirs.sent.len() as i64);
            assert!(
                (sent..=sent + unknown).contains(&accepted),
                "{who}: {sent} sent, {unknown} unknown, {accepted} at WeChat"
            );
            assert_eq!(theirs.failures(), self.expected_failures, "how often {who} saw that the service has failed");
        }
    }

    /// M6: the same number, the same bytes, always.
    fn compare_requests(&self) {
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        for request in self.calls("/pay/unifiedorder") {
            let fields = weixin::xml::Fields::parse(request.as_bytes()).unwrap();
            let number = fields.get("out_trade_no").unwrap().to_owned();
            let before = first.entry(number).or_insert_with(|| request.clone());
            assert_eq!(*before, request, "one number, two requests");
        }
        for request in self.calls(weixin::pay::v3::jsapi::PATH) {
            let body: serde_json::Value = serde_json::from_str(&request).unwrap();
            let number = body["out_trade_no"].as_str().unwrap().to_owned();
            let before = first.entry(number).or_insert_with(|| request.clone());
            assert_eq!(*before, request, "one number, two requests");
        }
    }
}
