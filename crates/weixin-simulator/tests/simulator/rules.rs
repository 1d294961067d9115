//! Rules with counts and chances, outages, a clock that jumps, notifications out of order, and forgers.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use weixin::pay::v2::{
    SignType,
    notification::{self, RETRY_PAUSES_S},
};
use weixin_simulator::{Attempt, DEMO_MCHID, Fault, FaultKind, ForgeError, Forger, NOTIFICATION, NotificationState};

use crate::{
    notification::{paid_at, state},
    push::{Reply, secure},
    support::{Merchant, Stage, http_answer, key, mchid, options, start_time},
    v3::notification::{opened, verified},
};

fn numbers(merchant: &Merchant) -> Vec<String> {
    merchant.received().iter().map(|it| it.fields().get("out_trade_no").unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_can_wait_and_be_about_one_order() {
    let stage = Stage::new().await;
    stage.prepay(stage.order("ORD000001")).await;
    stage.prepay(stage.order("ORD000002")).await;
    let rule =
        json!({ "path": "/pay/orderquery", "after": 1, "about": "ORD000002", "kind": { "err_code": "SYSTEMERROR" } });
    let (_, listed) = stage.post_json("/_sim/faults", rule.clone()).await;
    let mut expected = rule;
    expected["times"] = json!(1);
    assert_eq!(listed["faults"][0], expected);
    let mut refused = Vec::new();
    for number in ["ORD000001", "ORD000002", "ORD000001", "ORD000002", "ORD000002"] {
        refused.push(stage.query(number).await.get("err_code").is_some());
    }
    assert_eq!(refused, [false, false, false, true, false]);
    let (status, told) = stage.post_json("/_sim/faults", json!({ "per_mille": 1001, "kind": "html" })).await;
    assert_eq!((status, told["error"]["message"].as_str()), (400, Some("per_mille must be 0 to 1000")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_a_chance_strikes_the_same_requests_for_the_same_seed() {
    let struck = async |seed: u64| {
        let stage = Stage::with(options(seed)).await;
        stage.prepay(stage.order("ORD000001")).await;
        stage.sim.inject(
            Fault::on("/pay/orderquery", FaultKind::ErrCode("SYSTEMERROR".to_owned())).times(99).per_mille(500),
        );
        let mut struck = Vec::new();
        for _ in 0..40 {
            struck.push(stage.query("ORD000001").await.get("err_code").is_some());
        }
        struck
    };
    let first = struck(11).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, struck(11).await);
    assert_ne!(first, struck(12).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_nobody_is_answered_or_told_and_phones_go_on() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let mut order = stage.order("ORD000001");
    order.set("notify_url", merchant.url.as_str());
    let prepay_id = stage.prepay(order).await;
    stage.sim.set_outage_for(SignedDuration::from_hours(25));
    stage.pay(&prepay_id).unwrap();
    for (method, path) in [("POST", "/pay/orderquery"), ("GET", "/v3/certificates"), ("GET", "/sns/jscode2session")] {
        assert_eq!(stage.http(method, path, &[], b"").await.status, 0, "{path}");
    }
    assert_eq!(stage.sim.deliver_due().await, 1);
    for pause_s in RETRY_PAUSES_S {
        stage.advance_s(i64::from(pause_s));
        assert_eq!(stage.sim.deliver_due().await, 1);
    }
    assert_eq!(state(&stage, "ORD000001"), NotificationState::GivenUp, "a day and four minutes are over");
    assert_eq!(merchant.received().len(), 0);
    stage.advance_s(3600);
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("SUCCESS"), "it is over by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_messages_of_customers_are_lost_on_their_way_too() {
    let (stage, server) = secure([Reply::Success]).await;
    stage.sim.set_outage_for(SignedDuration::from_secs(3));
    stage.li.send_text("在吗");
    stage.sim.deliver_due().await;
    assert!(server.received().is_empty());
    stage.advance_s(5);
    stage.sim.deliver_due().await;
    assert_eq!(server.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_begun_and_ended_by_the_control_api() {
    let stage = Stage::new().await;
    let (_, begun) = stage.post_json("/_sim/outage", json!({ "for_s": 60 })).await;
    let until = start_time() + SignedDuration::from_secs(60);
    assert_eq!(begun, json!({ "outage_until": until, "is_out": true }));
    assert_eq!(stage.get("/v3/certificates").await.status, 0);
    let ended = stage.http("DELETE", "/_sim/outage", &[], b"").await.json();
    assert_eq!(ended, json!({ "outage_until": null, "is_out": false }));
    assert_ne!(stage.get("/v3/certificates").await.status, 0);
    let later = json!({ "until": "2026-01-22T07:00:00Z" });
    assert_eq!(stage.post_json("/_sim/outage", later).await.1["is_out"], true);
    for bad in [json!({}), json!({ "for_s": 1, "until": "2026-01-22T07:00:00Z" }), json!({ "for_s": -1 })] {
        assert_eq!(stage.post_json("/_sim/outage", bad).await.0, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_jumps_ahead_and_back() {
    let stage = Stage::new().await;
    let ahead: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
    assert_eq!(stage.sim.jump_to(ahead), Ok(ahead));
    let (_, moved) = stage.post_json("/_sim/clock", json!({ "to": "2026-01-01T00:00:00Z" })).await;
    assert_eq!(moved["now"], "2026-01-01T00:00:00Z");
    assert_eq!(stage.post_json("/_sim/clock", json!({ "advance_s": -60 })).await.1["now"], "2025-12-31T23:59:00Z");
    for bad in [json!({}), json!({ "advance_s": 1, "to": "2026-01-01T00:00:00Z" }), json!({ "to": "tomorrow" })] {
        assert_eq!(stage.post_json("/_sim/clock", bad).await.0, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_overtake_each_other() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Reordered).about("FIRST00001"));
    paid_at(&stage, "FIRST00001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 0, "it waits");
    stage.advance_s(10);
    paid_at(&stage, "SECOND0001", &merchant).await;
    stage.sim.deliver_due().await;
    stage.sim.deliver_due().await;
    assert_eq!(numbers(&merchant), ["SECOND0001", "FIRST00001"]);
    // With nobody to go first it waits for an hour.
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Reordered));
    paid_at(&stage, "ALONE00001", &merchant).await;
    stage.sim.deliver_due().await;
    stage.advance_s(3599);
    assert_eq!(stage.sim.deliver_due().await, 0);
    stage.advance_s(1);
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert_eq!(state(&stage, "ALONE00001"), NotificationState::Accepted);
    assert_eq!(stage.sim.deliver_due().await, 0, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_can_come_again_although_it_was_accepted() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Again(90)));
    paid_at(&stage, "ORD000001", &merchant).await;
    stage.sim.deliver_due().await;
    stage.advance_s(89);
    assert_eq!(stage.sim.deliver_due().await, 0);
    stage.advance_s(1);
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert_eq!((numbers(&merchant).len(), state(&stage, "ORD000001")), (2, NotificationState::Accepted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forger_tells_of_payments_that_never_were() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    let mut order = stage.order("ORD000001");
    order.set("notify_url", merchant.url.as_str()).set("sign_type", "HMAC-SHA256");
    stage.prepay(order).await;
    let reply = stage.sim.forge_notification(&mchid(), "ORD000001", Forger::Stranger).await.unwrap();
    assert_eq!((reply.http_status, reply.accepted), (Some(500), false));
    let (_, reply) = stage
        .post_json(
            "/_sim/notifications/forge",
            json!({ "mchid": DEMO_MCHID, "out_trade_no": "ORD000001", "forger": "with_key" }),
        )
        .await;
    let reply: Attempt = serde_json::from_value(reply).unwrap();
    assert!(!reply.accepted);
    let read =
        |index: usize| notification::read(&merchant.received()[index].body, &mchid(), &key(), SignType::HmacSha256);
    assert!(read(0).is_err());
    let believed = read(1).unwrap().paid().unwrap();
    assert_eq!((believed.total.unwrap().get(), believed.out_trade_no.as_str()), (3000, "ORD000001"));
    let ledger = stage.sim.ledger();
    let payment = ledger.payment("ORD000001").unwrap();
    assert_eq!((payment.trade_state.as_str(), payment.attempts.len()), ("NOTPAY", 0), "WeChat knows nothing of it");
    assert!(stage.sim.wire().iter().any(|exchange| exchange.note.as_deref() == Some("forged")));
    let unknown = stage.sim.forge_notification(&mchid(), "ORD000002", Forger::Stranger).await;
    assert_eq!(unknown, Err(ForgeError::UnknownOrder));
    let mut outside = stage.order("OUTSIDE001");
    outside.set("notify_url", "https://shop.example.com/notify");
    stage.prepay(outside).await;
    let outside = stage.sim.forge_notification(&mchid(), "OUTSIDE001", Forger::Stranger).await;
    assert_eq!(outside, Err(ForgeError::NotLoopback));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forger_of_api_v3_has_no_signature_even_with_the_key() {
    let (stage, merchant) = (Stage::new().await, Merchant::answering([Some(http_answer("401 Unauthorized", ""))]));
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    stage.prepay_v3(&order).await;
    for forger in [Forger::Stranger, Forger::WithKey] {
        stage.sim.forge_notification(&mchid(), "ORD000001", forger).await.unwrap();
    }
    assert!(merchant.received().iter().all(|received| verified(received, stage.sim.now()).is_err()));
    stage.pay_v3(&stage.prepay_v3(&order).await).unwrap();
    stage.sim.deliver_due().await;
    assert!(opened(merchant.received().last().unwrap(), stage.sim.now()).is_ok());
}
