//! Ordering, ordering again, asking and closing, in one order book with API v2.

use serde_json::json;
use weixin::{
    PrepayId,
    pay::{TradeState, Transaction},
};
use weixin_simulator::{Api, DEMO_MCHID};

use crate::{
    envelope,
    support::{Stage, start_time},
    v3::{code, query_path, refusal},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_made_and_found_unpaid() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(prepay_id.as_str().len(), 36);
    let told = stage.query_v3("ORD000001").await;
    let expected = json!({
        "amount": { "currency": "CNY", "payer_currency": "CNY", "total": 3000 },
        "appid": "wxfake000000000001",
        "attach": "",
        "mchid": DEMO_MCHID,
        "out_trade_no": "ORD000001",
        "payer": {},
        "promotion_detail": [],
        "trade_state": "NOTPAY",
        "trade_state_desc": "订单未支付",
    });
    assert_eq!(told, expected);
    assert_eq!(stage.sim.ledger().payment("ORD000001").unwrap().api, Api::V3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_found_by_either_number() {
    let stage = Stage::new().await;
    let mut order = stage.order_v3("ORD000001");
    order["attach"] = json!("shop=7");
    stage.paid_v3(&order).await;
    let told = stage.query_v3("ORD000001").await;
    let read: Transaction = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(read.trade_state, TradeState::Success);
    assert_eq!((read.total.unwrap().get(), read.payer_total.unwrap().get()), (3000, 3000));
    assert_eq!(read.openid.as_ref(), Some(stage.li.openid()));
    assert_eq!(read.success_time, Some(start_time()));
    assert_eq!(read.attach.unwrap().as_str(), "shop=7");
    assert_eq!(told["success_time"], "2026-01-22T14:30:01+08:00");
    assert_eq!((&told["trade_type"], &told["bank_type"]), (&"JSAPI".into(), &"OTHERS".into()));
    let id = read.transaction_id.unwrap();
    let path = format!("/v3/pay/transactions/id/{id}?mchid={DEMO_MCHID}");
    assert_eq!(stage.good(&stage.v3("GET", &path, "").await), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_is_404() {
    let stage = Stage::new().await;
    let by_id = format!("/v3/pay/transactions/id/4200000000000000000000000000?mchid={DEMO_MCHID}");
    for path in [query_path("ORD000001"), by_id] {
        let (status, code, message, internal) = refusal(&stage.v3("GET", &path, "").await);
        assert_eq!((status, code.as_str(), message.as_str()), (404, "ORDER_NOT_EXIST", "订单不存在"));
        assert_eq!(internal.as_deref(), Some("268512771"));
    }
    assert_eq!(code(&stage.close_v3("ORD000001").await), (404, "ORDER_NOT_EXIST".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_a_bar_is_found_however_the_path_escapes_it() {
    let stage = Stage::new().await;
    stage.prepay_v3(&stage.order_v3("ORD|0001*-_")).await;
    for path in ["ORD%7C0001*-_", "ORD%7c0001%2A-_"] {
        assert_eq!(stage.query_v3(path).await["out_trade_no"], "ORD|0001*-_");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_again_gives_a_prepay_id_and_the_older_ones_stay_good() {
    let stage = Stage::new().await;
    let order = stage.order_v3("ORD000001");
    let first = stage.prepay_v3(&order).await;
    stage.advance_s(1);
    // The order of the names and the default of the currency change nothing.
    let body = order.to_string().replace(r#""currency":"CNY","#, "");
    assert_ne!(body, order.to_string());
    let again = stage.good(&stage.v3("POST", crate::v3::JSAPI, &body).await);
    let second = PrepayId::parse(again["prepay_id"].as_str().unwrap()).unwrap();
    assert_ne!(first, second);
    stage.pay_v3(&first).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_parameter_makes_the_number_used() {
    let stage = Stage::new().await;
    let order = stage.order_v3("ORD000001");
    stage.prepay_v3(&order).await;
    let wang = stage.sim.phone(&crate::support::appid(), "wang").unwrap();
    for (name, value) in [
        ("description", json!("茶")),
        ("attach", json!("x")),
        ("notify_url", json!("http://127.0.0.1:9/other")),
        ("amount", json!({ "total": 3001, "currency": "CNY" })),
        ("payer", json!({ "openid": wang.openid() })),
        ("time_expire", json!("2026-01-22T15:30:01+08:00")),
        ("scene_info", json!({ "payer_client_ip": "203.0.113.7" })),
    ] {
        let mut changed = order.clone();
        changed[name] = value;
        let (status, code, message, internal) = refusal(&stage.place_v3(&changed).await);
        assert_eq!((status, code.as_str(), message.as_str()), (403, "OUT_TRADE_NO_USED", "201 商户订单号重复"));
        assert_eq!(internal.as_deref(), Some("268498688"), "{name}");
    }
    stage.prepay_v3(&order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_not_entered_again() {
    let stage = Stage::new().await;
    let order = stage.order_v3("ORD000001");
    stage.paid_v3(&order).await;
    let mut changed = order.clone();
    changed["attach"] = json!("x");
    for order in [order, changed] {
        let (status, code, message, internal) = refusal(&stage.place_v3(&order).await);
        assert_eq!((status, code.as_str(), message.as_str()), (400, "ORDER_PAID", "该订单已支付"));
        assert_eq!(internal.as_deref(), Some("268449538"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_order_stays_closed() {
    let stage = Stage::new().await;
    let order = stage.order_v3("ORD000001");
    stage.prepay_v3(&order).await;
    for _ in 0..2 {
        let reply = stage.close_v3("ORD000001").await;
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        assert!(reply.header("Content-Length").is_none() && reply.header("Content-Type").is_none());
        stage.verify(&reply).unwrap();
    }
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "CLOSED");
    assert_eq!(code(&stage.place_v3(&order).await), (400, "ORDER_CLOSED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_cannot_be_closed() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(code(&stage.close_v3("ORD000001").await), (400, "ORDER_PAID".to_owned()));
    let body = json!({ "mchid": DEMO_MCHID, "appid": "wx" }).to_string();
    let path = "/v3/pay/transactions/out-trade-no/ORD000001/close";
    assert_eq!(refusal(&stage.v3("POST", path, &body).await).3.as_deref(), Some("270924358"));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_expire_is_moved_to_a_minute_and_ends_the_repeats() {
    let stage = Stage::new().await;
    let mut order = stage.order_v3("ORD000001");
    order["time_expire"] = json!("2026-01-22T14:30:11+08:00");
    stage.prepay_v3(&order).await;
    let expected = start_time() + jiff::SignedDuration::from_secs(60);
    assert_eq!(stage.sim.ledger().payment("ORD000001").unwrap().time_expire, Some(expected));
    stage.advance_s(60);
    stage.prepay_v3(&order).await;
    stage.advance_s(1);
    let (status, code, message, internal) = refusal(&stage.place_v3(&order).await);
    assert_eq!((status, code.as_str(), message.as_str()), (400, "ORDER_CLOSED", "该订单已失效"));
    assert_eq!(internal.as_deref(), Some("268447914"));
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "NOTPAY", "until somebody closes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_seven_days_wechat_closes_the_order() {
    let stage = Stage::new().await;
    stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    stage.advance_s(weixin_simulator::UNPAID_CLOSED_AFTER_S);
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "CLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_ask_for_each_others_orders() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("NEW000001")).await;
    let answer = stage.query("NEW000001").await;
    assert_eq!((answer.get("trade_state"), answer.get("total_fee")), (Some("SUCCESS"), Some("3000")));
    assert_eq!(answer.get("openid"), Some(stage.li.openid().as_str()));
    stage.paid(stage.order("OLD000001")).await;
    let told = stage.query_v3("OLD000001").await;
    assert_eq!((&told["trade_state"], &told["amount"]["total"]), (&"SUCCESS".into(), &3000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_used_once_for_both_versions() {
    let stage = Stage::new().await;
    stage.prepay(stage.order("OLD000001")).await;
    assert_eq!(code(&stage.place_v3(&stage.order_v3("OLD000001")).await), (403, "OUT_TRADE_NO_USED".to_owned()));
    stage.prepay_v3(&stage.order_v3("NEW000001")).await;
    let answer = stage.unified(stage.order("NEW000001")).await;
    assert_eq!(envelope::refusal(&answer).0, "INVALID_REQUEST");
    // Closing works across, and so does being closed.
    assert_eq!(stage.close("NEW000001").await.get("result_code"), Some("SUCCESS"));
    assert_eq!(code(&stage.place_v3(&stage.order_v3("NEW000001")).await), (400, "ORDER_CLOSED".to_owned()));
    assert_eq!(stage.close_v3("OLD000001").await.status, 204);
    assert_eq!(envelope::refusal(&stage.unified(stage.order("OLD000001")).await).0, "ORDERCLOSED");
    stage.paid(stage.order("OLD000002")).await;
    assert_eq!(code(&stage.place_v3(&stage.order_v3("OLD000002")).await), (400, "ORDER_PAID".to_owned()));
}
