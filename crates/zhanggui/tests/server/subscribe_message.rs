//! Subscribe messages: once for each order and name, and only to customers who have agreed. And the phone number that a
//! customer agrees to give.

use serde_json::{Value, json};
use weixin::{
    mini_program::{phone_number, subscribe_send},
    push::{Fields, Format},
};
use weixin_simulator::{Consent, DEMO_PAID_TEMPLATE_ID, DEMO_SHIPPED_TEMPLATE_ID, Fault, FaultKind};
use zhanggui::{api_key::Scope, database::Tx};

use crate::{
    push,
    support::{Merchant, Phone, World, on_both_databases},
};

on_both_databases!(
    a_customer_who_agreed_is_told_once_that_the_order_is_paid,
    a_report_about_a_message_finds_the_order_of_its_own_app,
    a_customer_who_did_not_agree_is_told_nothing,
    the_shop_tells_that_it_has_shipped_once_however_often_it_asks,
    a_time_out_leaves_the_message_unknown,
    what_wechat_would_refuse_is_refused_before_it_is_asked,
    a_customer_gives_the_phone_number_once,
);

/// The templates are those of the simulator's demonstration: fakeTemplatePaid and fakeTemplateShipped.
const MESSAGES: &str = r#"
[[app.subscribe_message]]
name = "paid"
template_id = "fakeTemplatePaid"
on = "order.paid"
page = "pages/order/order?id={order}"
data = { character_string1 = "{order_number}", amount2 = "{amount_yuan}元", time3 = "{paid_at}" }
[[app.subscribe_message]]
name = "shipped"
template_id = "fakeTemplateShipped"
data = { character_string1 = "{tracking_no}", thing2 = "{description}，请您注意查收，感谢您的光临与支持", date3 = "{paid_at}" }
"#;

async fn shop(world: &mut World) -> (Merchant, Phone, String) {
    world.reconfigure(|shop| shop.push.more = MESSAGES).await;
    world.switch_push_on(Format::Json).await;
    let merchant = world.merchant(Scope::ALL).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    (merchant, phone, order)
}

fn agree(phone: &Phone, template_id: &str) {
    phone.wechat.answer_subscribe_popup(&[(template_id, Consent::Accept)]).unwrap();
}

async fn ship(merchant: &Merchant, order: &str) -> crate::support::Reply {
    let body = json!({ "name": "shipped", "values": { "tracking_no": "SF1234567890" } });
    merchant.post(&format!("/v1/orders/{order}/subscribe-messages"), &body).await
}

async fn states(world: &World) -> Vec<String> {
    let rows = world.rows("SELECT state FROM subscribe_message ORDER BY name", &[]).await;
    rows.iter().map(|row| row.text("state").unwrap().to_owned()).collect()
}

async fn a_customer_who_agreed_is_told_once_that_the_order_is_paid(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    agree(&phone, DEMO_PAID_TEMPLATE_ID);
    phone.pay(&order).await;
    world.settle().await;
    world.settle().await;
    let notices = phone.wechat.notices();
    assert_eq!(notices.len(), 1);
    let data = serde_json::to_value(&notices[0]).unwrap().to_string();
    assert!(data.contains("128.00元") && data.contains(&order[4..]) && data.contains("2026-01-22 14:30"), "{data}");
    assert!(data.contains(&format!("pages/order/order?id={order}")), "{data}");
    // Agreeing, the answer to the call, and WeChat's report that it has arrived.
    let events = merchant.get("/v1/events?types=subscription.changed,subscribe_message.settled").await.json(200);
    let types: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types.iter().filter(|kind| **kind == "subscription.changed").count(), 1);
    assert!(types.contains(&"subscribe_message.settled"), "{types:?}");
    assert_eq!(states(world).await, ["sent"]);
}

async fn a_report_about_a_message_finds_the_order_of_its_own_app(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    agree(&phone, DEMO_PAID_TEMPLATE_ID);
    phone.pay(&order).await;
    world.settle().await;
    let number = world
        .database()
        .read(|tx| tx.query_one("SELECT msg_id FROM subscribe_message", &[])?.text("msg_id").map(str::to_owned));
    let number = number.await.unwrap();
    let report = |time_s: i64| {
        let result = Fields::new().with("TemplateId", "t1").with("MsgID", number.as_str()).with("ErrorCode", "0");
        push::event(phone.wechat.openid().as_str(), time_s, "subscribe_msg_sent_event").with("List", result)
    };
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    assert_eq!(pusher.push(&report(now_s), now_s).await.status, 200);
    let latest = async || {
        let page = merchant.get("/v1/events?types=subscribe_message.settled").await.json(200);
        page["events"].as_array().unwrap().last().unwrap()["data"]["message"].clone()
    };
    assert_eq!(latest().await["order"], order);
    // Numbers of two apps may be the same.
    let move_away = |tx: &mut Tx| tx.execute("UPDATE shop_order SET appid = 'wxfake000000000002'", &[]);
    world.database().write(move_away).await.unwrap();
    world.database().write(|tx| tx.execute("DELETE FROM push", &[])).await.unwrap();
    assert_eq!(pusher.push(&report(now_s), now_s).await.status, 200);
    assert_eq!(latest().await, json!(null));
}

async fn a_customer_who_did_not_agree_is_told_nothing(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    phone.pay(&order).await;
    world.settle().await;
    world.run_jobs().await;
    assert!(phone.wechat.notices().is_empty());
    assert_eq!(states(world).await, ["failed"]);
    let refused = ship(&merchant, &order).await.json(201);
    assert_eq!((&refused["state"], &refused["errcode"]), (&json!("failed"), &json!(43101)));
}

async fn the_shop_tells_that_it_has_shipped_once_however_often_it_asks(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    agree(&phone, DEMO_SHIPPED_TEMPLATE_ID);
    agree(&phone, DEMO_SHIPPED_TEMPLATE_ID);
    phone.pay(&order).await;
    world.settle().await;
    let posts = (0..10).map(|_| {
        let (merchant, order) = (merchant.clone(), order.clone());
        tokio::spawn(async move { ship(&merchant, &order).await })
    });
    let mut created = 0;
    for post in posts.collect::<Vec<_>>() {
        created += usize::from(post.await.unwrap().status == 201);
    }
    assert_eq!(created, 1);
    let shipped: Vec<_> = phone.wechat.notices();
    assert_eq!(shipped.len(), 1, "one right is left unused");
    // What is too long for the key is cut.
    assert!(serde_json::to_value(&shipped[0]).unwrap().to_string().contains("明前龙井，请您注意查收，感谢您的光临与…"));
    assert_eq!(ship(&merchant, &order).await.json(200)["state"], "sent");
}

async fn a_time_out_leaves_the_message_unknown(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    agree(&phone, DEMO_SHIPPED_TEMPLATE_ID);
    phone.pay(&order).await;
    world.settle().await;
    world.sim.inject(Fault::on(subscribe_send::PATH, FaultKind::NoAnswerAfter));
    assert_eq!(ship(&merchant, &order).await.json(201)["state"], "unknown");
    world.clock.advance_s(24 * 3600);
    world.run_jobs().await;
    assert_eq!(ship(&merchant, &order).await.json(200)["state"], "unknown");
    assert_eq!(phone.wechat.notices().len(), 1);
}

async fn what_wechat_would_refuse_is_refused_before_it_is_asked(world: &mut World) {
    let (merchant, phone, order) = shop(world).await;
    phone.pay(&order).await;
    world.settle().await;
    let path = format!("/v1/orders/{order}/subscribe-messages");
    let calls = world.calls(subscribe_send::PATH).len();
    let long = "x".repeat(33);
    for (body, status, code) in [
        (json!({ "name": "shipped" }), 422, "subscribe_message_invalid"),
        (json!({ "name": "shipped", "values": { "tracking_no": long } }), 422, "subscribe_message_invalid"),
        (json!({ "name": "shipped", "values": { "tracking_no": "中文" } }), 422, "subscribe_message_invalid"),
        (json!({ "name": "lost" }), 422, "subscribe_message_unknown"),
        (json!({ "name": "shipped", "tracking_no": "x" }), 422, "body_invalid"),
    ] {
        merchant.post(&path, &body).await.problem(status, code);
    }
    let nowhere = "/v1/orders/ord_00000000000000000000000000000000/subscribe-messages";
    merchant.post(nowhere, &json!({ "name": "shipped" })).await.problem(404, "order_not_found");
    phone.post(&path, &json!({ "name": "shipped" })).await.problem(403, "forbidden");
    assert_eq!(world.calls(subscribe_send::PATH).len(), calls);
}

async fn a_customer_gives_the_phone_number_once(world: &mut World) {
    let phone = world.phone("li").await;
    let ask = async |code: &str| phone.post("/v1/phone-number", &json!({ "code": code })).await;
    let code = phone.wechat.get_phone_number();
    let number: Value = ask(&code).await.json(200);
    assert!(number["pure_phone_number"].as_str().unwrap().len() >= 11 && number["country_code"] == "86", "{number}");
    ask(&code).await.problem(400, "phone_code_invalid");
    // The code of a log-in is none.
    ask(phone.wechat.login().as_str()).await.problem(400, "phone_code_invalid");
    ask("").await.problem(400, "phone_code_invalid");
    let late = phone.wechat.get_phone_number();
    world.clock.advance_s(301);
    ask(&late).await.problem(400, "phone_code_invalid");
    // It is billed: nobody asks twice by itself.
    let lost = phone.wechat.get_phone_number();
    world.sim.inject(Fault::on(phone_number::PATH, FaultKind::NoAnswerAfter));
    ask(&lost).await.problem(503, "wechat_unavailable");
    assert_eq!(world.calls(phone_number::PATH).iter().filter(|body| body.contains(&lost)).count(), 1);
    let merchant = world.merchant(Scope::ALL).await;
    merchant.post("/v1/phone-number", &json!({ "code": "x" })).await.problem(403, "forbidden");
}
