//! The control API.

use serde_json::{Value, json};
use weixin::pay::v2::SignType;
use weixin_simulator::{DEMO_API_V2_KEY, DEMO_APPID};

use crate::support::{Stage, session_path, start_time};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_goes_over_http() {
    let stage = Stage::new().await;
    let (_, login) = stage.post_json("/_sim/wx/login", json!({ "appid": DEMO_APPID, "customer": "li" })).await;
    let session = stage.get(&session_path(login["code"].as_str().unwrap())).await.json();
    assert_eq!(session["openid"], stage.li.openid().as_str());
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let pay = |choice: &str| {
        json!({
            "appid": DEMO_APPID,
            "customer": "li",
            "parameters": stage.parameters(&prepay_id, SignType::Md5),
            "choice": choice,
        })
    };
    let (_, cancelled) = stage.post_json("/_sim/wx/requestPayment", pay("cancel")).await;
    assert_eq!(cancelled, json!({ "errMsg": "requestPayment:fail cancel" }));
    let (_, paid) = stage.post_json("/_sim/wx/requestPayment", pay("pay")).await;
    assert_eq!(paid, json!({ "errMsg": "requestPayment:ok" }));
    let (_, delivered) = stage.post_json("/_sim/deliver", json!({})).await;
    assert_eq!(delivered, json!({ "attempts": 1 }));
    let ledger = stage.get_json("/_sim/ledger").await;
    let payment = &ledger["payments"][0];
    assert_eq!(payment["trade_state"], "SUCCESS");
    assert_eq!(payment["total_fen"], 3000);
    assert_eq!(payment["paid_at"], json!(start_time()));
    assert_eq!(payment["attempts"][0]["accepted"], false);
    let wire = stage.get_json("/_sim/wire?since=1").await;
    assert_eq!(wire["exchanges"][0]["sequence"], 2);
    let status = stage.get_json("/_sim/status").await;
    assert_eq!((&status["orders"], &status["seed"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_can_be_read_and_moved() {
    let stage = Stage::new().await;
    let (_, moved) = stage.post_json("/_sim/clock", json!({ "advance_s": 90 })).await;
    assert_eq!(moved["offset_s"], 90);
    assert_eq!(stage.get_json("/_sim/clock").await, moved);
    assert_eq!(stage.sim.now().duration_since(start_time()).as_secs(), 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_would_leave_its_years_stays_where_it_was_and_says_so() {
    let stage = Stage::new().await;
    for moved in [
        json!({ "advance_s": 359_999_996_400_i64 }),
        json!({ "advance_s": i64::MAX }),
        json!({ "advance_s": i64::MIN }),
        json!({ "to": "9999-12-30T22:00:00Z" }),
        json!({ "to": "1999-12-31T23:59:59Z" }),
    ] {
        let (status, refused) = stage.post_json("/_sim/clock", moved.clone()).await;
        assert_eq!(status, 400, "{moved}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("2199"), "{refused}");
    }
    assert_eq!(stage.sim.now(), start_time());
    let (_, moved) = stage.post_json("/_sim/clock", json!({ "to": "2199-12-31T23:59:59Z" })).await;
    assert_eq!(moved["now"], "2199-12-31T23:59:59Z");
    stage.paid(stage.order("ORD000001")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_can_be_forgotten_however_often_it_has_struck() {
    let stage = Stage::new().await;
    let own = json!({ "path": "/pay/unifiedorder", "times": 2, "kind": "html" });
    for fault in [json!({ "kind": "lost" }), own.clone(), own.clone()] {
        stage.post_json("/_sim/faults", fault).await;
    }
    let struck = stage.http("POST", "/pay/unifiedorder", &[], b"").await;
    assert!(String::from_utf8_lossy(&struck.body).contains("<html"), "the second rule has struck once");
    let forgotten = own.to_string();
    let json_type = [("Content-Type", "application/json")];
    for left in [2, 1, 1] {
        let answer = stage.http("DELETE", "/_sim/faults", &json_type, forgotten.as_bytes()).await;
        assert_eq!(answer.json()["faults"].as_array().unwrap().len(), left);
    }
    assert_eq!(stage.get_json("/_sim/faults").await["faults"][0]["kind"], "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_can_be_ordered_and_forgotten() {
    let stage = Stage::new().await;
    let fault = json!({ "path": "/pay/unifiedorder", "times": 2, "kind": { "err_code": "SYSTEMERROR" } });
    let (_, listed) = stage.post_json("/_sim/faults", fault.clone()).await;
    assert_eq!(listed, json!({ "faults": [fault] }));
    let answer = stage.unified(stage.order("ORD000001")).await;
    assert_eq!(answer.get("err_code"), Some("SYSTEMERROR"));
    let (_, listed) = stage.post_json("/_sim/faults", json!({ "kind": "no_answer_after" })).await;
    assert_eq!(listed["faults"][1], json!({ "path": null, "times": 1, "kind": "no_answer_after" }));
    let forgotten = stage.http("DELETE", "/_sim/faults", &[], b"").await.json();
    assert_eq!(forgotten, json!({ "faults": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_merchants_and_blocks_can_be_set() {
    let stage = Stage::new().await;
    let merchant = json!({ "mchid": "1600000002", "api_v2_key": DEMO_API_V2_KEY });
    assert_eq!(stage.post_json("/_sim/merchants", merchant).await, (200, json!({})));
    let app = json!({ "appid": "wxfake000000000002", "secret": "s".repeat(32), "merchants": ["1600000002"] });
    assert_eq!(stage.post_json("/_sim/apps", app).await, (200, json!({})));
    let mut query = stage.about("ORD000001");
    query.set("appid", "wxfake000000000002").set("mch_id", "1600000002");
    let answer = stage.pay_call("/pay/orderquery", query).await;
    assert_eq!(answer.get("err_code"), Some("ORDERNOTEXIST"));
    let code = stage.li.login();
    stage.post_json("/_sim/customers/block", json!({ "appid": DEMO_APPID, "customer": "li" })).await;
    assert_eq!(stage.get(&session_path(code.as_str())).await.json()["errcode"], 40226);
}

fn message((status, body): (u16, Value)) -> (u16, String) {
    (status, body["error"]["message"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_is_told_what_is_wrong() {
    let stage = Stage::new().await;
    for (path, body, status, part) in [
        ("/_sim/clock", json!({ "advance": 1 }), 400, "unknown field `advance`, expected `advance_s`"),
        ("/_sim/wx/login", json!({ "appid": DEMO_APPID }), 400, "missing field `customer`"),
        ("/_sim/wx/login", json!({ "appid": "wx1", "customer": "li" }), 400, "appid must be"),
        ("/_sim/wx/login", json!({ "appid": DEMO_APPID, "customer": "" }), 400, "customer must be"),
        ("/_sim/wx/login", json!({ "appid": "wxnobody0000000000", "customer": "li" }), 404, "has no app"),
        ("/_sim/faults", json!({ "kind": "nonsense" }), 400, "unknown variant `nonsense`"),
        (
            "/_sim/faults",
            json!({ "path": "/pay/unified", "kind": "html" }),
            400,
            "path must be notification, push or one of",
        ),
        ("/_sim/faults", json!({ "path": "/cgi-bin/token", "kind": "unsigned" }), 400, "does not happen at"),
        ("/_sim/merchants", json!({ "mchid": "1600000002", "api_v2_key": "short" }), 400, "api_v2_key must be"),
        ("/_sim/status", json!({}), 405, "wants GET"),
        ("/_sim/nonsense", json!({}), 404, "does not exist"),
    ] {
        let (got, text) = message(stage.post_json(path, body).await);
        assert!(got == status && text.contains(part), "{path}: {got} {text}");
    }
    let form = stage.http("POST", "/_sim/clock", &[("Content-Type", "text/plain")], br#"{"advance_s":1}"#).await;
    assert_eq!(form.status, 415);
    assert_eq!(stage.get("/_sim/wire?since=x").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_or_origin_is_refused() {
    let stage = Stage::new().await;
    for (name, value) in [
        ("Host", "evil.example"),
        ("Host", "127.0.0.1.evil.example:80"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        let answer = stage.http("GET", "/_sim/status", &[(name, value)], b"").await;
        assert_eq!(answer.status, 403, "{name}: {value}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(DEMO_APPID));
    }
    for (name, value) in [("Host", "localhost:8088"), ("Host", "[::1]"), ("Origin", "http://127.0.0.1:3000")] {
        assert_eq!(stage.http("GET", "/_sim/status", &[(name, value)], b"").await.status, 200, "{name}: {value}");
    }
}
