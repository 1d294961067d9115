//! Scenario files: the examples are played by a small server, twice the same; mistakes are told with line and field.

use serde_json::json;
use weixin::{pay::v2::SignType, xml::Fields};
use weixin_simulator::{Ledger, Options, RefundSource, Scenario, ScenarioReport, Simulator};

use crate::{
    refund_v2,
    support::{Stage, options, start_time},
    tls::DEMO,
    v3::REFUNDS,
};

const LOST_ANSWERS: &str = include_str!("../../scenarios/lost-answers.toml");
const OUTAGE: &str = include_str!("../../scenarios/outage.toml");

fn playing(text: &str) -> Options {
    let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{error}"));
    Options { scenario: Some(scenario.clone()), ..options(scenario.seed.unwrap()) }
}

/// A server as it should be: tries again with the same bytes, asks until it knows, and refunds with one number.
struct Server {
    stage: Stage,
    v3: bool,
}

impl Server {
    async fn order(&self, number: &str) {
        for _ in 0..10 {
            let status = match self.v3 {
                true => self.stage.place_v3(&self.stage.order_v3(number)).await.status,
                false => self.post("/pay/unifiedorder", self.stage.order(number)).await,
            };
            if status == 200 {
                return;
            }
        }
        panic!("no order");
    }

    async fn post(&self, path: &str, fields: Fields) -> u16 {
        let body = weixin::pay::v2::signed(fields, &crate::support::key(), SignType::Md5).to_xml();
        self.stage.http("POST", path, &[], body.as_bytes()).await.status
    }

    /// Asks every half a minute until it is paid.
    async fn wait_for_payment(&self, number: &str) {
        for _ in 0..100 {
            self.stage.advance_s(30);
            self.stage.sim.deliver_due().await;
            let state = if self.v3 {
                let reply = self.stage.v3("GET", &crate::v3::query_path(number), "").await;
                if reply.status == 200 {
                    reply.json()["trade_state"].as_str().unwrap().to_owned()
                } else {
                    String::new()
                }
            } else {
                let body = weixin::pay::v2::signed(self.stage.about(number), &crate::support::key(), SignType::Md5);
                let reply = self.stage.http("POST", "/pay/orderquery", &[], body.to_xml().as_bytes()).await;
                let fields = Fields::parse(&reply.body).unwrap_or_default();
                fields.get("trade_state").unwrap_or_default().to_owned()
            };
            if ["SUCCESS", "REFUND"].contains(&state.as_str()) {
                return;
            }
        }
        panic!("never paid: {:?}", self.stage.sim.scenario());
    }

    async fn refund(&self, order: &str, number: &str) {
        for _ in 0..10 {
            let accepted = if self.v3 {
                let body = json!({
                    "out_trade_no": order, "out_refund_no": number, "notify_url": "http://127.0.0.1:9/notify",
                    "amount": { "refund": 1000, "total": 3000, "currency": "CNY" },
                });
                self.stage.v3("POST", REFUNDS, &body.to_string()).await.status == 200
            } else {
                let reply =
                    self.stage.secapi("/secapi/pay/refund", &refund_v2::request(order, number, 1000), Some(DEMO)).await;
                Fields::parse(&reply.body).is_ok_and(|fields| fields.get("result_code") == Some("SUCCESS"))
            };
            if accepted {
                return;
            }
            self.stage.advance_s(30);
        }
        panic!("never accepted");
    }
}

/// What is the same when the story is told again.
type Told = (Vec<(String, String, Option<u16>, String, Option<String>)>, Ledger, ScenarioReport);

async fn play(text: &str, v3: bool) -> Told {
    let stage = Stage::with(playing(text)).await;
    let server = Server { stage, v3 };
    server.order("ORD000001").await;
    server.wait_for_payment("ORD000001").await;
    server.refund("ORD000001", "R1").await;
    for _ in 0..140 {
        server.stage.advance_s(30);
        server.stage.sim.deliver_due().await;
    }
    let sim = &server.stage.sim;
    let wire = sim.wire().into_iter();
    let told = wire.map(|it| (it.path, it.request, it.status, it.answer, it.note)).collect();
    (told, sim.ledger(), sim.scenario().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_make_one_order_and_one_refund_and_replay_identically() {
    for v3 in [false, true] {
        let (wire, ledger, report) = play(LOST_ANSWERS, v3).await;
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!((ledger.payments.len(), ledger.refunds.len()), (1, 1));
        assert_eq!(ledger.refunded_fen("ORD000001").get(), 1000);
        let lost = wire.iter().filter(|(_, _, status, _, _)| status.is_none()).count();
        assert!(lost >= 4, "{lost} answers were lost");
        assert_eq!(play(LOST_ANSWERS, v3).await, (wire, ledger, report), "v3: {v3}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_with_a_forger_and_an_empty_till_replays_identically() {
    for v3 in [false, true] {
        let (wire, ledger, report) = play(OUTAGE, v3).await;
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!((ledger.payments.len(), ledger.refunds.len()), (1, 2));
        assert_eq!(ledger.refunded_fen("ORD000001").get(), 1200);
        assert!(ledger.refunds.iter().any(|refund| refund.source == RefundSource::Platform));
        assert_eq!(wire.iter().filter(|it| it.4.as_deref().is_some_and(|note| note.contains("forged"))).count(), 1);
        assert_eq!(play(OUTAGE, v3).await, (wire, ledger, report), "v3: {v3}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_begins_at_its_time_and_its_steps_happen_once_in_the_order_of_the_file() {
    let text = r#"
title = "Clocks"
seed = 3
start = "2026-03-01T10:00:00+08:00"

[[step]]
name = "an hour passes"
at_s = 60
advance_s = 3600

[[step]]
name = "due by that"
at_s = 600
set = { refund_after_s = 9, refund_ending = "closed" }

[[step]]
after_step = { step = "due by that", wait_s = 60 }
jump_to = "2026-03-01T10:00:30+08:00"

[[step]]
name = "cannot be done"
at_s = 0
pay = {}
"#;
    let stage = Stage::with(playing(text)).await;
    assert_eq!(stage.sim.now().to_string(), "2026-03-01T02:00:00Z");
    let done = || stage.sim.scenario().unwrap().steps.iter().map(|step| step.done_at.is_some()).collect::<Vec<_>>();
    assert_eq!(done(), [false, false, false, true]);
    assert_eq!(stage.sim.scenario().unwrap().steps[3].failure.as_deref(), Some("there is no such order"));
    stage.advance_s(59);
    assert_eq!(done(), [false, false, false, true]);
    stage.advance_s(1);
    assert_eq!(done(), [true, true, false, true]);
    assert_eq!(stage.get_json("/_sim/platform").await["refund_ending"], "closed");
    stage.advance_s(60);
    assert_eq!(stage.sim.now().to_string(), "2026-03-01T02:00:30Z");
    // Back in time nothing happens twice.
    stage.advance_s(7200);
    assert_eq!(done(), [true; 4]);
    let report = stage.get_json("/_sim/scenario").await;
    assert_eq!((&report["title"], &report["steps"][0]["line"]), (&json!("Clocks"), &json!(6)));
    assert!(!stage.sim.scenario().unwrap().is_complete(), "one step failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_scenario_there_is_no_report() {
    let stage = Stage::new().await;
    assert_eq!((stage.sim.scenario(), stage.get_json("/_sim/scenario").await), (None, json!(null)));
    assert_eq!(stage.sim.now(), start_time());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_says_something_and_what_is_about_another_order_is_not_counted() {
    let text = r#"
title = "Talk"
seed = 1
[[step]]
after_call = { path = "order", count = 2, about = "ORD000002" }
message = { customer = "li", text = "在吗" }
"#;
    let stage = Stage::with(playing(text)).await;
    for number in ["ORD000001", "ORD000002", "ORD000001"] {
        stage.prepay(stage.order(number)).await;
        assert!(stage.li.chat().is_empty());
    }
    stage.prepay(stage.order("ORD000002")).await;
    assert_eq!(stage.li.chat().len(), 1);
}

#[test]
fn a_mistake_is_told_with_its_line_and_field() {
    let step = |text: &str| format!("title = \"x\"\n\n[[step]]\n{text}\n");
    let pay = "pay = {}";
    for (text, line, field, words) in [
        ("seed = 1".to_owned(), 1, "seed", "missing field `title`"),
        ("title = \"x\"\nsede = 1".to_owned(), 2, "sede", "unknown field `sede`"),
        ("title = \"x\"\nstart = \"tomorrow\"".to_owned(), 2, "start", "failed to parse"),
        ("title = \"x".to_owned(), 1, "title", "invalid basic string"),
        (step("pya = {}"), 4, "step 1, pya", "unknown field `pya`"),
        (step("pay = { oder = \"x\" }"), 4, "step 1, pay", "unknown field `oder`"),
        (step("fault = { kind = \"los\" }"), 4, "step 1, fault", "unknown variant `los`"),
        (step("fault = { path = \"/pay/nothing\", kind = \"html\" }"), 4, "step 1, fault", "path must be"),
        (step("fault = { path = \"order\", kind = \"lost\" }"), 4, "step 1, fault", "does not happen at order"),
        (step("fault = { kind = \"html\", per_mille = 1001 }"), 4, "step 1, fault", "0 to 1000"),
        (step("set = { probe_per_mille = 1001 }"), 4, "step 1, set", "0 to 1000"),
        (step("end_outage = false"), 4, "step 1, end_outage", "must be true"),
        (step("at_s = -1\npay = {}"), 4, "step 1, at_s", "invalid value"),
        (step(&format!("after_call = {{ path = \"nowhere\" }}\n{pay}")), 4, "step 1, after_call", "path must be"),
        (step(&format!("after_call = {{ path = \"order\", count = 0 }}\n{pay}")), 4, "step 1, after_call", "1 or more"),
        (step(&format!("after_step = {{ step = \"a\" }}\n{pay}")), 4, "step 1, after_step", "no earlier step"),
        (step(&format!("at_s = 1\nafter_call = {{ path = \"order\" }}\n{pay}")), 3, "step 1", "at most one of"),
        (step("at_s = 1"), 3, "step 1", "exactly one of"),
        (step("pay = {}\nadvance_s = 1"), 3, "step 1", "exactly one of"),
        (step("name = \"a\"\npay = {}\n[[step]]\nname = \"a\"\npay = {}"), 7, "step 2, name", "another step"),
        (
            step("name = \"a\"\npay = {}\n\n[[step]]\nbalance = { balance_fen = 0.5 }"),
            8,
            "step 2, balance",
            "invalid type",
        ),
    ] {
        let error = Scenario::parse(&text).unwrap_err();
        assert_eq!((error.line, error.field.as_str()), (line, field), "{error}\n{text}");
        assert!(error.reason.contains(words), "{words:?} in {error}");
        assert_eq!(error.to_string(), format!("line {line}, {field}: {}", error.reason));
    }
}

#[test]
fn a_story_has_an_end() {
    let endless = format!("title = \"x\"\n{}", "[[step]]\npay = {}\n".repeat(1001));
    let error = Scenario::parse(&endless).unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (2002, "there must be at most 1000 steps"));
}

#[test]
fn a_file_that_cannot_be_played_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("story.toml");
    let missing = Scenario::load(&path).unwrap_err();
    assert!(missing.to_string().ends_with("story.toml cannot be read"), "{missing}");
    std::fs::write(&path, "title = 1").unwrap();
    let wrong = Scenario::load(&path).unwrap_err();
    assert!(wrong.to_string().ends_with("story.toml cannot be played"), "{wrong}");
    let cause = std::error::Error::source(&wrong).unwrap().to_string();
    assert!(cause.starts_with("line 1, title: invalid type"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_documentation_can_be_read() {
    let documentation = include_str!("../../../../docs/simulator.md");
    let mut count = 0;
    for block in documentation.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let options = Options { scenario: Some(scenario), ..options(1) };
        drop(Simulator::start(options).await.unwrap());
        count += 1;
    }
    assert!(count >= 1);
}
