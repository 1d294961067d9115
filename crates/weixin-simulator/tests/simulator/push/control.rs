//! Customer service over the control API.

use serde_json::{Value, json};
use weixin_simulator::{DEMO_APPID, DEMO_ENCODING_AES_KEY, DEMO_PAID_TEMPLATE_ID};

use super::{Reply, Server};
use crate::support::Stage;

async fn post(stage: &Stage, path: &str, mut body: Value) -> Value {
    body["appid"] = DEMO_APPID.into();
    let (status, answer) = stage.post_json(&format!("/_sim/{path}"), body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn chat(stage: &Stage) -> Value {
    stage.get_json(&format!("/_sim/chat?appid={DEMO_APPID}&customer=li")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_is_told_what_is_wrong() {
    let stage = Stage::new().await;
    let li = stage.li.openid().as_str();
    let app = DEMO_APPID;
    for (path, body, status, part) in [
        ("push", json!({ "appid": app, "url": "https://shop.example.com/" }), 400, "not on this machine"),
        ("push", json!({ "appid": app, "url": "http://127.0.0.1:1/" }), 400, "did not answer the question"),
        ("push", json!({ "appid": app, "url": "http://127.0.0.1:1/", "mode": "open" }), 400, "mode must be plain"),
        ("push", json!({ "appid": app, "url": "http://127.0.0.1:1/", "token": "ä" }), 400, "must be the Token"),
        ("push", json!({ "appid": app, "adress": "x" }), 400, "unknown field `adress`"),
        ("push", json!({ "appid": "wxnobody0000000000", "url": "http://127.0.0.1:1/" }), 404, "has no app"),
        ("push/event", json!({ "appid": app, "event": "debug_demo" }), 409, "message push of the app is off"),
        ("push/repeat", json!({ "number": 1 }), 404, "no push of the number 1"),
        ("chat/text", json!({ "appid": app, "customer": "li" }), 400, "missing field `content`"),
        ("chat/text", json!({ "appid": app, "content": "a" }), 400, "missing field `customer`"),
        ("chat/text", json!({ "appid": app, "customer": "li", "content": "a", "x": 1 }), 400, "unknown field `x`"),
        ("chat/image", json!({ "appid": app, "customer": "li", "base64": "!" }), 400, "base64"),
        ("agents/take", json!({ "appid": app, "openid": li, "agent": "x" }), 409, "does not wait"),
        ("agents/close", json!({ "appid": app, "openid": "oNobody" }), 404, "has no customer"),
        ("customers/unsubscribe", json!({ "appid": app, "customer": "li", "template_id": "x" }), 404, "no template"),
        ("faults", json!({ "path": "push", "kind": "html" }), 400, "does not happen at push"),
        ("faults", json!({ "path": "notification", "kind": "other_app" }), 400, "does not happen at notification"),
        ("chat", json!({}), 405, "wants GET"),
        ("push/nonsense", json!({}), 404, "does not exist"),
    ] {
        let (got, answer) = stage.post_json(&format!("/_sim/{path}"), body.clone()).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(part), "{path} {body}: {got} {answer}");
    }
    assert_eq!(stage.get("/_sim/chat").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_goes_over_http() {
    let (stage, server) = (Stage::new().await, Server::new([Reply::Transfer]));
    let push = json!({ "url": server.setup.url, "mode": "secure", "format": "xml" });
    post(&stage, "push", push).await;
    let setting = stage.get_json(&format!("/_sim/push?appid={DEMO_APPID}")).await;
    assert_eq!(setting["push"]["encoding_aes_key"], DEMO_ENCODING_AES_KEY);

    post(&stage, "chat/enter", json!({ "customer": "li", "session_from": "a" })).await;
    let text = post(&stage, "chat/text", json!({ "customer": "li", "content": "有人吗" })).await;
    post(&stage, "chat/image", json!({ "customer": "li", "base64": "R0lGODlh" })).await;
    post(&stage, "chat/card", json!({ "customer": "li", "title": "T", "page_path": "pages/a" })).await;
    let (_, delivered) = stage.post_json("/_sim/deliver", json!({})).await;
    assert_eq!(delivered, json!({ "attempts": 4 }));
    let ledger = stage.get_json("/_sim/ledger").await;
    let pushed = ledger["pushes"].as_array().unwrap().iter().find(|push| push["msg_id"] == text["msg_id"]).unwrap();
    assert_eq!(pushed["state"]["is"], "forwarded");
    let copies = json!({ "number": pushed["number"], "copies": 3 });
    let (_, repeated) = stage.post_json("/_sim/push/repeat", copies).await;
    assert_eq!(repeated["attempts"].as_array().unwrap().len(), 3);

    let openid = stage.li.openid();
    let waiting = stage.get_json(&format!("/_sim/agents?appid={DEMO_APPID}&openid={openid}")).await;
    assert_eq!(waiting["waiting"][0]["openid"], json!(openid));
    assert_eq!(waiting["lines"].as_array().unwrap().len(), 4);
    post(&stage, "agents/take", json!({ "openid": openid, "agent": "xiaowang" })).await;
    post(&stage, "agents/answer", json!({ "openid": openid, "content": "您好" })).await;
    post(&stage, "agents/close", json!({ "openid": openid })).await;
    let seen = chat(&stage).await;
    assert_eq!(seen["lines"][3]["said"]["content"], "您好");
    assert_eq!(seen["lines"][3]["by"], json!({ "agent": "xiaowang" }));
    assert_eq!(seen["typing"], false);

    let answers = json!({ "customer": "li", "answers": { DEMO_PAID_TEMPLATE_ID: "accept" } });
    let told = post(&stage, "wx/requestSubscribeMessage", answers).await;
    assert_eq!(told, json!({ DEMO_PAID_TEMPLATE_ID: "accept", "errMsg": "requestSubscribeMessage:ok" }));
    post(&stage, "customers/unsubscribe", json!({ "customer": "li", "template_id": DEMO_PAID_TEMPLATE_ID })).await;
    let number = json!({ "customer": "li", "country_code": "86", "number": "10012345678" });
    post(&stage, "customers/phone_number", number).await;
    let code = post(&stage, "wx/getPhoneNumber", json!({ "customer": "li" })).await;
    let answer = crate::mini_program::phone_number(&stage, code["code"].as_str().unwrap()).await;
    assert_eq!(answer["phone_info"]["phoneNumber"], "10012345678");

    post(&stage, "push/event", json!({ "event": "wxa_trade_controlled" })).await;
    let own = json!({ "event": "anything", "openid": openid, "fields": { "a": 1, "b": { "c": "d" } } });
    post(&stage, "push/event", own).await;
    server.reply(Reply::Success);
    stage.post_json("/_sim/deliver", json!({})).await;
    let received = server.received();
    let is_own = |fields: &weixin::push::Fields| fields.text("Event").as_deref() == Some("anything");
    let own = received.iter().find(|received| is_own(&received.message().fields)).unwrap();
    assert_eq!(own.message().fields.number("a"), Some(1));
    assert_eq!(own.message().from_user_name, openid.as_str());

    let words = json!({ "risky": ["a"], "review": [] });
    assert_eq!(stage.post_json("/_sim/content_words", words).await.0, 200);
    let status = stage.get_json("/_sim/status").await;
    assert_eq!(status["apps"][0]["push_url"], json!(server.setup.url));
}
