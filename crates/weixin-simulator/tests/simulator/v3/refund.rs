//! Refunds: accepted, reserved, paid back after a while, told.

use serde_json::{Value, json};
use weixin::pay::{Refund, RefundState, v3::notification::Event};
use weixin_simulator::{DEMO_MCHID, Fault, FaultKind, NOTIFICATION, NotificationState};

use crate::{
    support::{Merchant, Stage, start_time},
    v3::{
        REFUNDS, code,
        notification::{opened, verified},
        query_path, refusal,
    },
};

fn request(order: &str, number: &str, refund: i64) -> Value {
    json!({
        "out_trade_no": order,
        "out_refund_no": number,
        "reason": "退货",
        "notify_url": "http://127.0.0.1:9/notify",
        "amount": { "refund": refund, "total": 3000, "currency": "CNY" },
    })
}

impl Stage {
    async fn refund(&self, request: &Value) -> crate::support::Reply {
        self.v3("POST", REFUNDS, &request.to_string()).await
    }

    async fn refunded(&self, request: &Value) -> Refund {
        serde_json::from_value(self.good(&self.refund(request).await)).unwrap()
    }

    async fn refund_query(&self, number: &str) -> Refund {
        let reply = self.v3("GET", &format!("{REFUNDS}/{number}"), "").await;
        serde_json::from_value(self.good(&reply)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_accepted_and_arrives_after_a_while() {
    let stage = Stage::new().await;
    stage.sim.set_refund_after_s(60);
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let accepted = stage.refunded(&request("ORD000001", "R1@x", 1000)).await;
    assert_eq!((&accepted.state, accepted.refund.get(), accepted.total.get()), (&RefundState::Processing, 1000, 3000));
    assert_eq!((accepted.refund_id.len(), accepted.success_time), (29, None));
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "REFUND", "from the start, and for a part");
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("REFUND"));
    stage.advance_s(59);
    assert_eq!(stage.refund_query("R1@x").await.state, RefundState::Processing);
    stage.advance_s(1);
    let arrived = stage.refund_query("R1%40x").await;
    assert_eq!((arrived.state, arrived.success_time), (RefundState::Success, Some(stage.sim.now())));
    let entry = stage.sim.ledger().refund("R1@x").unwrap().clone();
    assert_eq!((entry.refund_fen.get(), entry.state, entry.created_at), (1000, RefundState::Success, start_time()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_tells_every_amount() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let told = stage.good(&stage.refund(&request("ORD000001", "R1", 1000)).await);
    let expected = json!({
        "total": 3000, "refund": 1000, "payer_total": 3000, "payer_refund": 1000, "settlement_refund": 1000,
        "settlement_total": 3000, "discount_refund": 0, "currency": "CNY",
    });
    assert_eq!(told["amount"], expected);
    assert_eq!((&told["channel"], &told["status"]), (&"ORIGINAL".into(), &"PROCESSING".into()));
    assert_eq!(told["create_time"], "2026-01-22T14:30:01+08:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_number_is_the_same_refund() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let first = stage.refunded(&request("ORD000001", "R1", 2000)).await;
    assert_eq!(stage.refunded(&request("ORD000001", "R1", 2000)).await, first);
    // Named by the other number of the payment it is still the same.
    let mut by_id = request("ORD000001", "R1", 2000);
    by_id.as_object_mut().unwrap().remove("out_trade_no");
    by_id["transaction_id"] = json!(first.transaction_id);
    assert_eq!(stage.refunded(&by_id).await, first);
    for changed in [request("ORD000001", "R1", 1999), {
        let mut changed = request("ORD000001", "R1", 2000);
        changed["reason"] = json!("x");
        changed
    }] {
        let (status, code, message, _) = refusal(&stage.refund(&changed).await);
        assert_eq!((status, code.as_str()), (400, "INVALID_REQUEST"));
        assert_eq!(message, "订单金额或退款金额与之前请求不一致，请核实后再试");
    }
    assert_eq!(stage.sim.ledger().refunds.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_goes_back_than_was_paid() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    stage.refunded(&request("ORD000001", "R1", 1000)).await;
    stage.refunded(&request("ORD000001", "R2", 1999)).await;
    let too_much = stage.refund(&request("ORD000001", "R3", 2)).await;
    assert_eq!(refusal(&too_much).2, "退款金额大于订单剩余可退金额");
    stage.refunded(&request("ORD000001", "R4", 1)).await;
    assert_eq!(code(&stage.refund(&request("ORD000001", "R5", 1)).await), (400, "INVALID_REQUEST".to_owned()));
    let mut other_total = request("ORD000001", "R6", 1);
    other_total["amount"]["total"] = json!(2999);
    assert_eq!(code(&stage.refund(&other_total).await), (400, "INVALID_REQUEST".to_owned()));
    let sum: i64 = stage.sim.ledger().refunds.iter().map(|refund| refund.refund_fen.get()).sum();
    assert_eq!(sum, 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_has_fifty_refunds_at_most() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    for number in 0..50 {
        stage.refunded(&request("ORD000001", &format!("R{number}"), 1)).await;
    }
    let refused = stage.refund(&request("ORD000001", "R50", 1)).await;
    assert_eq!(refusal(&refused).2, "部分退款次数超过限制，一笔订单最多退款50次");
    stage.refunded(&request("ORD000001", "R49", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_paid_can_be_refunded_and_only_for_a_year() {
    let stage = Stage::new().await;
    stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(code(&stage.refund(&request("ORD000001", "R1", 1)).await), (400, "INVALID_REQUEST".to_owned()));
    assert_eq!(code(&stage.refund(&request("ORD000002", "R1", 1)).await), (404, "RESOURCE_NOT_EXISTS".to_owned()));
    let nothing = stage.v3("GET", &format!("{REFUNDS}/R1"), "").await;
    assert_eq!(code(&nothing), (404, "RESOURCE_NOT_EXISTS".to_owned()));
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    stage.advance_s(365 * 86_400);
    stage.refunded(&request("ORD000001", "R1", 1)).await;
    stage.advance_s(1);
    assert_eq!(code(&stage.refund(&request("ORD000001", "R2", 1)).await), (400, "INVALID_REQUEST".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_checked_field_by_field() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let good = request("ORD000001", "R1", 1);
    let mut nameless = good.clone();
    nameless.as_object_mut().unwrap().remove("out_trade_no");
    let missing = "输入源“/transaction_id”映射到字段“微信支付订单号”必填性规则校验失败，此字段为必填项";
    assert_eq!(refusal(&stage.refund(&nameless).await).2, missing);
    for (pointer, value) in [
        ("/out_refund_no", json!("R 1")),
        ("/out_refund_no", json!("R".repeat(65))),
        ("/reason", json!("茶".repeat(27))),
        ("/amount/refund", json!(0)),
        ("/amount/refund", json!(0.5)),
        ("/amount/currency", json!("USD")),
        ("/notify_url", json!("/relative")),
        ("/mchid", json!(DEMO_MCHID)),
        ("/funds_account", json!("MINE")),
    ] {
        let mut changed = good.clone();
        match pointer.strip_prefix("/amount/") {
            Some(name) => changed["amount"][name] = value,
            None => changed[&pointer[1..]] = value,
        }
        assert_eq!(code(&stage.refund(&changed).await), (400, "PARAM_ERROR".to_owned()), "{pointer}");
    }
    let mut from = good.clone();
    from["amount"]["from"] = json!([{ "account": "AVAILABLE", "amount": 1 }]);
    assert_eq!(code(&stage.refund(&from).await), (400, "INVALID_REQUEST".to_owned()), "no profit sharing");
    assert!(stage.sim.ledger().refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_is_too_low_can_be_provoked_and_topped_up() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    stage.sim.inject(Fault::on(REFUNDS, FaultKind::V3Error { status: 403, code: "NOT_ENOUGH".to_owned() }));
    let request = request("ORD000001", "R1", 1000);
    assert_eq!(code(&stage.refund(&request).await), (403, "NOT_ENOUGH".to_owned()));
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "SUCCESS");
    stage.refunded(&request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_is_told_when_the_money_has_arrived() {
    let (stage, merchant) = (
        Stage::new().await,
        Merchant::answering([
            Some(crate::support::http_answer("500 Internal Server Error", "")),
            Some(crate::support::http_answer("200 OK", "")),
        ]),
    );
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost));
    stage.sim.deliver_due().await;
    stage.sim.set_refund_after_s(5);
    let mut request = request("ORD000001", "R1", 1000);
    request["notify_url"] = merchant.url.as_str().into();
    stage.refunded(&request).await;
    stage.advance_s(4);
    assert_eq!(stage.sim.deliver_due().await, 0);
    stage.advance_s(1);
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::TamperedBody));
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert!(verified(&merchant.received()[0], stage.sim.now()).is_err());
    stage.advance_s(15);
    assert_eq!(stage.sim.deliver_due().await, 2, "this one again, and the lost payment");
    let told = opened(&merchant.received()[1], stage.sim.now()).unwrap();
    assert_eq!(told.event_type, "REFUND.SUCCESS");
    let Event::Refunded(refund) = &told.event else { panic!("{told:?}") };
    assert_eq!((refund.state.as_str(), refund.refund.get()), ("SUCCESS", 1000));
    let ledger = stage.sim.ledger();
    let entry = ledger.refund("R1").unwrap();
    assert_eq!((entry.notification.as_ref(), entry.attempts.len()), (Some(&NotificationState::Accepted), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_with_the_number_of_its_order_is_another_event_under_another_nonce() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    stage.paid_v3(&order).await;
    let mut request = request("ORD000001", "ORD000001", 1000);
    request["notify_url"] = merchant.url.as_str().into();
    stage.refunded(&request).await;
    stage.advance_s(3);
    assert_eq!(stage.sim.deliver_due().await, 2);
    let received = merchant.received();
    let bodies = received.iter().map(|received| serde_json::from_slice::<Value>(&received.body).unwrap());
    let bodies: Vec<_> = bodies.collect();
    assert_ne!(bodies[0]["id"], bodies[1]["id"]);
    assert_ne!(bodies[0]["resource"]["nonce"], bodies[1]["resource"]["nonce"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_api_v2_can_be_refunded_by_api_v3() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let refunded = stage.refunded(&request("ORD000001", "R1", 3000)).await;
    assert_eq!(refunded.out_trade_no.as_str(), "ORD000001");
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("REFUND"));
    assert_eq!(stage.v3("GET", &query_path("ORD000001"), "").await.json()["trade_state"], "REFUND");
    assert_eq!(stage.sim.ledger().paid().count(), 1, "a refunded payment was paid");
}
