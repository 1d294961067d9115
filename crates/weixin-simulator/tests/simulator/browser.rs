//! The phone in the browser: its page, and what the page asks the control API to do.

use serde_json::{Value, json};
use weixin::pay::v2::SignType;
use weixin_simulator::{DEMO_APPID, DEMO_MCHID, LateMoneyError, PhoneError};

use crate::support::{Merchant, Stage, http_answer, mchid};

fn sheet_call(parameters: &impl serde::Serialize) -> Value {
    json!({ "appid": DEMO_APPID, "customer": "li", "parameters": parameters })
}

async fn request(stage: &Stage, url: &str, more: Value) -> Value {
    let mut call = json!({ "appid": DEMO_APPID, "url": url, "method": "GET" });
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = stage.post_json("/_sim/wx/request", call).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_were_led_here_by_another_name_get_nothing() {
    let stage = Stage::new().await;
    for path in ["/phone", "/phone/", "/phone/main.js", "/phone/program/app.js"] {
        let reply = stage.http("GET", path, &[("Host", "evil.example")], b"").await;
        assert_eq!(reply.status, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found_and_nothing_is_written() {
    let stage = Stage::new().await;
    for path in ["/phone/secret.js", "/phone/program/../Cargo.toml", "/phone/program/pages", "/phones"] {
        assert_eq!(stage.get(path).await.status, 404, "{path}");
    }
    assert_eq!(stage.http("POST", "/phone/", &[], b"").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_may_load_what_is_here_and_nothing_else() {
    let stage = Stage::new().await;
    let moved = stage.get("/phone").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("/phone/")));
    assert_eq!(stage.sim.phone_url(), format!("{}/phone/", stage.sim.base_url()));
    let page = stage.get("/phone/").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let files = stage.get("/phone/program.json").await.json();
    assert!(files["files"].as_array().unwrap().contains(&"app.json".into()), "{files}");
    let code = stage.get("/phone/program/app.js").await.body;
    assert!(code.starts_with(b"miniprogram.define(\"app.js\", function"), "code comes as a function");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sheet_opens_only_after_the_checks_of_the_phone() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let mut parameters = json!(stage.parameters(&prepay_id, SignType::Md5));
    let (_, opened) = stage.post_json("/_sim/wx/paymentSheet", sheet_call(&parameters)).await;
    let sheet = &opened["sheet"];
    assert_eq!((&sheet["amount_fen"], &sheet["description"]), (&json!(3000), &json!("示例小店-手冲咖啡 x2")));
    assert_eq!((&sheet["mchid"], &sheet["out_trade_no"]), (&json!(DEMO_MCHID), &json!("ORD000001")));
    parameters["paySign"] = "0".repeat(32).into();
    let (_, refused) = stage.post_json("/_sim/wx/paymentSheet", sheet_call(&parameters)).await;
    assert_eq!(refused, json!({ "errMsg": "requestPayment:fail (支付验证签名失败)" }));
    assert_eq!(stage.sim.ledger().paid().count(), 0, "a look is no payment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mini_program_reaches_this_machine_and_nobody_else() {
    let stage = Stage::new().await;
    for url in ["https://shop.example.com/", "http://10.0.0.1/", "http://0.0.0.0/", "nonsense", "file:///etc/passwd"] {
        let answer = request(&stage, url, json!({})).await;
        assert_eq!(answer, json!({ "errMsg": "request:fail url not in domain list" }), "{url}");
    }
    let nobody = request(&stage, "http://127.0.0.1:1/", json!({})).await;
    assert!(nobody["errMsg"].as_str().unwrap().contains("ERR_CONNECTION_REFUSED"), "{nobody}");
    let never = Merchant::answering([None]);
    let cut = request(&stage, &never.url, json!({})).await;
    assert!(cut["errMsg"].as_str().unwrap().starts_with("request:fail "), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_with_its_headers_and_the_answer_comes_back_whatever_its_status() {
    let stage = Stage::new().await;
    let server = Merchant::answering([Some(http_answer("409 Conflict", r#"{"code":"order_paid"}"#))]);
    let more = json!({ "method": "POST", "header": { "authorization": "Bearer zgs_1" }, "data": "{\"a\":1}" });
    let answer = request(&stage, &server.url, more).await;
    assert_eq!((&answer["statusCode"], &answer["data"]), (&json!(409), &json!(r#"{"code":"order_paid"}"#)));
    let received = &server.received()[0];
    assert_eq!(received.body, b"{\"a\":1}");
    let referer = format!("referer: https://servicewechat.com/{DEMO_APPID}/");
    assert!(received.head.contains("authorization: bearer zgs_1") && received.head.contains(&referer));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_the_wire_hears_of_it_at_once() {
    let stage = Stage::new().await;
    let since = stage.sim.wire().last().map_or(0, |exchange| exchange.sequence);
    let path = format!("/_sim/wire?since={since}&wait_s=30");
    let (wire, _) = tokio::join!(stage.get_json(&path), stage.query("ORD000001"));
    assert_eq!(wire["exchanges"][0]["path"], "/pay/orderquery");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_notifications_are_shown_opened() {
    let (stage, merchant) = (Stage::new().await, Merchant::answering([Some(http_answer("204 No Content", ""))]));
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    stage.paid_v3(&order).await;
    stage.sim.deliver_due().await;
    let wire = stage.get_json("/_sim/wire").await;
    let told = wire["exchanges"].as_array().unwrap().last().unwrap();
    assert!(!told["request"].as_str().unwrap().contains("ORD000001"), "{told}");
    let opened: Value = serde_json::from_str(told["request_opened"].as_str().unwrap()).unwrap();
    assert_eq!((&opened["out_trade_no"], &opened["trade_state"]), (&json!("ORD000001"), &json!("SUCCESS")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_wechat_closed_by_itself_can_be_paid_by_nobody_but_the_other_phone() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let mut order = stage.order("ORD000001");
    order.set("notify_url", merchant.url.as_str());
    let prepay_id = stage.prepay(order).await;
    let call = json!({ "mchid": DEMO_MCHID, "out_trade_no": "ORD000001" });
    assert_eq!(stage.post_json("/_sim/orders/close", call.clone()).await, (200, json!({})));
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("CLOSED"));
    assert!(matches!(stage.pay(&prepay_id), Err(PhoneError::Failed(_))));
    assert_eq!(stage.post_json("/_sim/orders/pay", call.clone()).await, (200, json!({})));
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("SUCCESS"));
    assert_eq!(stage.sim.deliver_due().await, 1, "it is told as always");
    assert_eq!(stage.post_json("/_sim/orders/pay", call.clone()).await.0, 409);
    assert_eq!(stage.post_json("/_sim/orders/close", call).await.0, 409);
    assert_eq!(stage.sim.pay_order(&mchid(), "ORD999999"), Err(LateMoneyError::Unknown));
}
