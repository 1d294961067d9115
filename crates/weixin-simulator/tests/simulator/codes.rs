//! Every documented refusal of every endpoint can be provoked: by rule, by header and through the control API.

use serde_json::{Value, json};
use weixin::{
    mini_program::{
        self, check_session_key, code2session, custom_send, media_check_async, media_get, media_upload, msg_sec_check,
        phone_number, reset_session_key, stable_token, subscribe_send, typing,
    },
    pay::{
        v2::{Call as _, ErrCode, close_order, order_query, refund, refund_query, unified_order},
        v3::{self, Code},
    },
    xml::Fields,
};
use weixin_simulator::{DEMO_MCHID, FAULT_HEADER, Fault, FaultKind};

use crate::{
    envelope::refusal,
    refund_v2::request,
    support::{Reply, Stage, key},
    tls::DEMO,
    v3::{CERTIFICATES, JSAPI, REFUNDS, headers, query_path},
};

/// The endpoints of API v2 with a message that would succeed.
fn endpoints_v2(stage: &Stage) -> [(&'static str, Fields, &'static [ErrCode]); 5] {
    let mut refund_query = stage.about("PAID000001");
    refund_query.remove("out_trade_no");
    refund_query.set("out_refund_no", "R1");
    [
        (unified_order::UnifiedOrder::PATH, stage.order("ORD000001"), unified_order::ERR_CODES),
        (order_query::OrderQuery::PATH, stage.about("PAID000001"), order_query::ERR_CODES),
        (close_order::CloseOrder::PATH, stage.about("OPEN000001"), close_order::ERR_CODES),
        (refund::RefundRequest::PATH, request("PAID000001", "R2", 1), refund::ERR_CODES),
        (refund_query::RefundQuery::PATH, refund_query, refund_query::ERR_CODES),
    ]
}

struct EndpointV3 {
    pattern: &'static str,
    method: &'static str,
    path: String,
    body: String,
    codes: &'static [(u16, Code)],
}

type Row = (&'static str, &'static str, String, Value, &'static [(u16, Code)]);

/// The endpoints of API v3 with a message that would succeed, or be answered in an orderly way.
fn endpoints_v3(stage: &Stage) -> Vec<EndpointV3> {
    let open = "/v3/pay/transactions/out-trade-no/OPEN000003";
    let id = stage.sim.ledger().payment("PAID000001").unwrap().transaction_id.clone().unwrap();
    let refund = json!({
        "out_trade_no": "PAID000001", "out_refund_no": "R3", "amount": { "refund": 1, "total": 3000, "currency": "CNY" },
    });
    let rows: [Row; 10] = [
        (JSAPI, "POST", JSAPI.to_owned(), stage.order_v3("ORD000003"), v3::jsapi::ERR_CODES),
        (
            "/v3/pay/transactions/out-trade-no/{out_trade_no}",
            "GET",
            query_path("PAID000001"),
            Value::Null,
            v3::query::ERR_CODES,
        ),
        (
            "/v3/pay/transactions/id/{transaction_id}",
            "GET",
            format!("/v3/pay/transactions/id/{id}?mchid={DEMO_MCHID}"),
            Value::Null,
            v3::query::ERR_CODES,
        ),
        (
            "/v3/pay/transactions/out-trade-no/{out_trade_no}/close",
            "POST",
            format!("{open}/close"),
            json!({ "mchid": DEMO_MCHID }),
            v3::close::ERR_CODES,
        ),
        (REFUNDS, "POST", REFUNDS.to_owned(), refund, v3::refund::ERR_CODES),
        (
            "/v3/refund/domestic/refunds/{out_refund_no}",
            "GET",
            format!("{REFUNDS}/R1"),
            Value::Null,
            v3::refund::QUERY_ERR_CODES,
        ),
        (
            "/v3/bill/tradebill",
            "GET",
            "/v3/bill/tradebill?bill_date=2026-01-21".to_owned(),
            Value::Null,
            v3::bill::ERR_CODES,
        ),
        (
            "/v3/bill/fundflowbill",
            "GET",
            "/v3/bill/fundflowbill?bill_date=2026-01-21".to_owned(),
            Value::Null,
            v3::bill::ERR_CODES,
        ),
        (CERTIFICATES, "GET", CERTIFICATES.to_owned(), Value::Null, v3::certificates::ERR_CODES),
        (v3::echo::PATH, "POST", v3::echo::PATH.to_owned(), json!({ "echo_message": "hello" }), v3::echo::ERR_CODES),
    ];
    let endpoint = |(pattern, method, path, body, codes): Row| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        EndpointV3 { pattern, method, path, body, codes }
    };
    rows.into_iter().map(endpoint).collect()
}

/// A shop with an open and a paid order and a refund.
async fn shop() -> Stage {
    let stage = Stage::new().await;
    stage.prepay(stage.order("OPEN000001")).await;
    stage.prepay_v3(&stage.order_v3("OPEN000003")).await;
    stage.paid(stage.order("PAID000001")).await;
    assert_eq!(stage.refund_v2(&request("PAID000001", "R1", 1)).await.get("result_code"), Some("SUCCESS"));
    stage
}

async fn order_fault(stage: &Stage, fault: Value) {
    let (status, answer) = stage.post_json("/_sim/faults", fault).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_code_of_api_v2_can_be_provoked_by_rule_and_by_header() {
    let stage = shop().await;
    let before = stage.sim.ledger();
    let mut count = 0;
    for (path, fields, codes) in endpoints_v2(&stage) {
        for code in codes {
            order_fault(&stage, json!({ "path": path, "kind": { "err_code": code.as_str() } })).await;
            let reply = stage.secapi(path, &fields, Some(DEMO)).await;
            assert_eq!(refusal(&Fields::parse(&reply.body).unwrap()).0, code.as_str(), "{path}");
            if path != refund::RefundRequest::PATH {
                let header = format!("err_code:{code}");
                let body = weixin::pay::v2::signed(fields.clone(), &key(), v2_md5()).to_xml();
                let reply = stage.http("POST", path, &[("X-Sim-Fault", &header)], body.as_bytes()).await;
                assert_eq!(refusal(&Fields::parse(&reply.body).unwrap()).0, code.as_str(), "{path}");
            }
            count += 1;
        }
    }
    assert_eq!(stage.sim.ledger(), before, "none of them had an effect");
    println!("{count} codes of API v2");
}

fn v2_md5() -> weixin::pay::v2::SignType {
    weixin::pay::v2::SignType::Md5
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_code_of_api_v3_can_be_provoked_by_rule_and_by_header() {
    let stage = shop().await;
    let before = stage.sim.ledger();
    let mut count = 0;
    for EndpointV3 { pattern, method, path, body, codes } in endpoints_v3(&stage) {
        for (status, code) in codes {
            let check = |reply: &Reply| {
                assert_eq!((reply.status, reply.json()["code"].as_str()), (*status, Some(code.as_str())), "{path}");
            };
            let kind = json!({ "v3_error": { "status": status, "code": code.as_str() } });
            order_fault(&stage, json!({ "path": pattern, "kind": kind })).await;
            check(&stage.v3(method, &path, &body).await);
            let mut headers = headers(&stage, method, &path, &body);
            headers.push((FAULT_HEADER, format!("v3_error:{status}:{code}")));
            check(&stage.send(method, &path, &headers, &body).await);
            count += 1;
        }
    }
    assert_eq!(stage.sim.ledger(), before, "none of them had an effect");
    println!("{count} codes of API v3");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_code_of_the_mini_program_interfaces_can_be_provoked() {
    let stage = Stage::new().await;
    let endpoints: [(&str, &[mini_program::ErrCode]); 12] = [
        (check_session_key::PATH, check_session_key::ERR_CODES),
        (code2session::PATH, code2session::ERR_CODES),
        (custom_send::PATH, custom_send::ERR_CODES),
        (media_check_async::PATH, media_check_async::ERR_CODES),
        (media_get::PATH, media_get::ERR_CODES),
        (media_upload::PATH, media_upload::ERR_CODES),
        (msg_sec_check::PATH, msg_sec_check::ERR_CODES),
        (phone_number::PATH, phone_number::ERR_CODES),
        (reset_session_key::PATH, reset_session_key::ERR_CODES),
        (stable_token::PATH, stable_token::ERR_CODES),
        (subscribe_send::PATH, subscribe_send::ERR_CODES),
        (typing::PATH, typing::ERR_CODES),
    ];
    let mut count = 0;
    for (path, codes) in endpoints {
        for code in codes {
            order_fault(&stage, json!({ "path": path, "kind": { "errcode": code.0 } })).await;
            assert_eq!(stage.http("POST", path, &[], b"{}").await.json()["errcode"], code.0, "{path}");
            let header = format!("errcode:{}", code.0);
            let reply = stage.http("POST", path, &[("X-Sim-Fault", &header)], b"{}").await;
            assert_eq!(reply.json()["errcode"], code.0, "{path}");
            count += 1;
        }
    }
    println!("{count} codes of the mini program interfaces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_orders_nonsense_is_told_and_has_no_effect() {
    let stage = Stage::new().await;
    let body = weixin::pay::v2::signed(stage.order("ORD000001"), &key(), v2_md5()).to_xml();
    for (value, words) in [
        ("nonsense", "is not a kind of fault"),
        ("lost", "does not happen at /pay/unifiedorder"),
        ("v3_error:500:SYSTEM_ERROR", "does not happen at /pay/unifiedorder"),
    ] {
        let reply = stage.http("POST", "/pay/unifiedorder", &[("X-Sim-Fault", value)], body.as_bytes()).await;
        let told = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, 400);
        assert!(told.contains(words), "{told}");
    }
    assert!(stage.sim.ledger().payments.is_empty());
    // The header goes before what was ordered.
    stage.sim.inject(Fault::new(FaultKind::Html));
    let reply = stage.http("POST", "/pay/unifiedorder", &[("X-Sim-Fault", "no_answer_after")], body.as_bytes()).await;
    assert_eq!((reply.status, stage.sim.ledger().payments.len(), stage.sim.faults().len()), (0, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_can_be_broken_or_belong_to_somebody_else_at_every_endpoint_where_that_shows() {
    let stage = shop().await;
    for (path, mut fields, _) in endpoints_v2(&stage) {
        for kind in [FaultKind::Broken, FaultKind::ForeignMerchant, FaultKind::ForeignNumber] {
            let ordered = json!({ "path": path, "kind": kind });
            let (status, _) = stage.post_json("/_sim/faults", ordered).await;
            let has_number = ["/pay/orderquery", "/pay/refundquery", "/secapi/pay/refund"].contains(&path);
            assert_eq!(status == 200, kind != FaultKind::ForeignNumber || has_number, "{path} {kind:?}");
            if status != 200 {
                continue;
            }
            if path == close_order::CloseOrder::PATH {
                // Closing takes effect each time.
                let number = format!("CLOSE-{kind:?}");
                stage.prepay(stage.order(&number)).await;
                fields.set("out_trade_no", number);
            }
            let reply = stage.secapi(path, &fields, Some(DEMO)).await;
            let length: usize = reply.header("content-length").unwrap().parse().unwrap();
            assert_eq!((reply.status, reply.body.len()), (200, length), "{path} {kind:?}");
            let read = Fields::parse(&reply.body);
            if kind == FaultKind::Broken {
                assert!(read.is_err(), "{path}");
                continue;
            }
            let told = weixin::pay::v2::verify(read.unwrap(), &key(), v2_md5()).unwrap();
            assert_eq!(told.get("mch_id") == Some(DEMO_MCHID), kind == FaultKind::ForeignNumber, "{path}");
            let numbers = ["out_trade_no", "out_refund_no", "out_refund_no_0"];
            let foreign = numbers.iter().filter_map(|name| told.get(name)).any(|number| number.starts_with("ANOTHER"));
            assert_eq!(foreign, kind == FaultKind::ForeignNumber, "{path}");
        }
    }
    let query = query_path("PAID000001");
    for (kind, name, value) in [
        (FaultKind::ForeignMerchant, "mchid", "1900000109"),
        (FaultKind::ForeignNumber, "out_trade_no", "ANOTHER-NUMBER-0001"),
    ] {
        stage.sim.inject(Fault::on("/v3/pay/transactions/out-trade-no/{out_trade_no}", kind));
        assert_eq!(stage.good(&stage.v3("GET", &query, "").await)[name], value);
    }
    // WeChat contradicts its own books.
    let closed = FaultKind::TradeState("CLOSED".to_owned());
    stage.sim.inject(Fault::on("/v3/pay/transactions/out-trade-no/{out_trade_no}", closed.clone()));
    assert_eq!(stage.good(&stage.v3("GET", &query, "").await)["trade_state"], "CLOSED");
    assert_eq!(stage.good(&stage.v3("GET", &query, "").await)["trade_state"], "REFUND");
    let refused = stage.post_json("/_sim/faults", json!({ "path": "/pay/closeorder", "kind": closed })).await;
    assert_eq!(refused.0, 400, "closing tells no trade_state");
    let abnormal = FaultKind::RefundStatus("ABNORMAL".to_owned());
    stage.sim.inject(Fault::on("/v3/refund/domestic/refunds/{out_refund_no}", abnormal.clone()));
    assert_eq!(stage.good(&stage.v3("GET", &format!("{REFUNDS}/R1"), "").await)["status"], "ABNORMAL");
    let refused = stage.post_json("/_sim/faults", json!({ "path": "/secapi/pay/refund", "kind": abnormal })).await;
    assert_eq!(refused.0, 400, "applying in API v2 tells no status");
    stage.sim.inject(Fault::on("/v3/refund/domestic/refunds/{out_refund_no}", FaultKind::ForeignNumber));
    let told = stage.good(&stage.v3("GET", &format!("{REFUNDS}/R1"), "").await);
    assert_eq!((&told["out_refund_no"], &told["out_trade_no"]), (&json!("ANOTHER-NUMBER-0001"), &json!("PAID000001")));
    stage.sim.inject(Fault::on("/v3/pay/transactions/out-trade-no/{out_trade_no}", FaultKind::Broken));
    let broken = stage.v3("GET", &query, "").await;
    assert!(broken.status == 200 && stage.verify(&broken).is_err());
}
