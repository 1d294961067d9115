//! API v3 over the control API, and in the state file.

use serde_json::json;
use weixin_simulator::{
    DEMO_API_V3_KEY, DEMO_APPID, DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_SERIAL, DEMO_PUBLIC_KEY_ID,
    KeyMode, Options, Rotation,
};

use crate::{
    support::{Merchant, Stage, options},
    v3::{CERTIFICATES, JSAPI, REFUNDS, code, query_path},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_api_v3_goes_over_http() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let call = json!({
        "appid": DEMO_APPID,
        "customer": "li",
        "parameters": stage.parameters_v3(&prepay_id),
        "choice": "pay",
    });
    let (_, paid) = stage.post_json("/_sim/wx/requestPayment", call).await;
    assert_eq!(paid, json!({ "errMsg": "requestPayment:ok" }));
    let ledger = stage.get_json("/_sim/ledger").await;
    assert_eq!((&ledger["payments"][0]["api"], &ledger["refunds"]), (&"v3".into(), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotation_probes_and_refunds_can_be_switched() {
    let stage = Stage::new().await;
    let before = json!({ "rotation": "first_only", "probe_per_mille": 0, "refund_after_s": 3, "refund_ending": "success",
        "magic_amounts": false, "outage_until": null,
    });
    assert_eq!(stage.get_json("/_sim/platform").await, before);
    let (_, after) = stage
        .post_json(
            "/_sim/platform",
            json!({ "rotation": "second_signs", "refund_after_s": 9, "refund_ending": "closed" }),
        )
        .await;
    assert_eq!(
        after,
        json!({ "rotation": "second_signs", "probe_per_mille": 0, "refund_after_s": 9, "refund_ending": "closed",
            "magic_amounts": false, "outage_until": null })
    );
    let mode = json!({ "mchid": DEMO_MCHID, "key_mode": "both" });
    assert_eq!(stage.post_json("/_sim/merchants/key_mode", mode).await, (200, json!({})));
    let merchant = &stage.get_json("/_sim/status").await["merchants_v3"][0];
    let expected = json!({
        "mchid": DEMO_MCHID, "serials": [DEMO_MERCHANT_SERIAL], "key_mode": "both", "public_key_id": DEMO_PUBLIC_KEY_ID,
    });
    assert_eq!(*merchant, expected);
    assert_eq!(stage.v3("GET", CERTIFICATES, "").await.json()["data"].as_array().unwrap().len(), 2);
    for (path, body, status) in [
        ("/_sim/platform", json!({ "probe_per_mille": 1001 }), 400),
        ("/_sim/platform", json!({ "rotation": "nonsense" }), 400),
        ("/_sim/merchants/key_mode", json!({ "mchid": "1600000009", "key_mode": "both" }), 404),
        ("/_sim/merchants", json!({ "mchid": "1600000009" }), 400),
        ("/_sim/merchants", json!({ "mchid": "1600000009", "certificates": [{ "pem": "x" }] }), 400),
        ("/_sim/faults", json!({ "path": "/v3/nonsense", "kind": "probe" }), 400),
        ("/_sim/faults", json!({ "path": "/pay/unifiedorder", "kind": "probe" }), 400),
        ("/_sim/faults", json!({ "path": JSAPI, "kind": { "err_code": "X" } }), 400),
        ("/_sim/faults", json!({ "path": format!("{REFUNDS}/{{out_refund_no}}"), "kind": "stale" }), 200),
    ] {
        assert_eq!(stage.post_json(path, body.clone()).await.0, status, "{path} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_may_have_api_v3_alone() {
    let stage = Stage::new().await;
    let merchant = |standing: &str| {
        json!({
            "mchid": "1600000002",
            "api_v3_key": DEMO_API_V3_KEY,
            "certificates": [{ "pem": DEMO_MERCHANT_CERTIFICATE_PEM, "standing": standing }],
            "key_mode": "certificates",
        })
    };
    for (standing, expected) in [("revoked", (401, "SIGN_ERROR")), ("good", (404, "ORDER_NOT_EXIST"))] {
        assert_eq!(stage.post_json("/_sim/merchants", merchant(standing)).await, (200, json!({})));
        let path = "/v3/pay/transactions/out-trade-no/ORD000001?mchid=1600000002";
        let signed = weixin::pay::v3::Signed { method: "GET", path, body: b"" };
        let mut credential = crate::v3::credential();
        credential.mchid = weixin::MchId::parse("1600000002").unwrap();
        let nonce = weixin::NonceStr::from_random([1; 16]);
        let header = weixin::pay::v3::Authorization::sign(&credential, &signed, stage.sim.now(), nonce).to_header();
        let reply = stage.send("GET", path, &[("Authorization", header)], "").await;
        assert_eq!(code(&reply), (expected.0, expected.1.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_file_carries_api_v3_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let with_file = || Options { state_file: Some(path.clone()), ..options(1) };
    let merchant = Merchant::bad();
    let stage = Stage::with(with_file()).await;
    stage.sim.set_rotation(Rotation::BothPublished);
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    stage.paid_v3(&order).await;
    stage.sim.deliver_due().await;
    let refund = json!({
        "out_trade_no": "ORD000001",
        "out_refund_no": "R1",
        "notify_url": merchant.url,
        "amount": { "refund": 1, "total": 3000, "currency": "CNY" },
    });
    stage.good(&stage.v3("POST", REFUNDS, &refund.to_string()).await);
    let before = stage.sim.ledger();
    stage.sim.shutdown().await;

    let stage = Stage::with(with_file()).await;
    assert_eq!(stage.sim.ledger(), before);
    assert_eq!(stage.sim.next_due(), Some(stage.sim.now() + jiff::SignedDuration::from_secs(3)), "the refund");
    stage.advance_s(15);
    assert_eq!(stage.sim.deliver_due().await, 2, "the payment again, and the refund");
    stage.key_mode(KeyMode::Certificates);
    assert_eq!(stage.v3("GET", CERTIFICATES, "").await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_from_before_api_v3_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let with_file = || Options { state_file: Some(path.clone()), ..options(1) };
    let stage = Stage::with(with_file()).await;
    stage.paid(stage.order("ORD000001")).await;
    stage.sim.shutdown().await;
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for name in ["merchants_v3", "refunds", "echoes", "switches"] {
        state.as_object_mut().unwrap().remove(name).unwrap();
    }
    let order = state["orders"][format!("{DEMO_MCHID}/ORD000001")].as_object_mut().unwrap();
    order.remove("api").unwrap();
    order.remove("refunds").unwrap();
    std::fs::write(&path, state.to_string()).unwrap();
    let stage = Stage::with(with_file()).await;
    assert_eq!(stage.v3("GET", &query_path("ORD000001"), "").await.json()["trade_state"], "SUCCESS");
    assert_eq!(stage.sim.deliver_due().await, 1);
}
