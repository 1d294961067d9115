//! Subscribe messages: one consent is one message.

use serde_json::{Value, json};
use weixin::push::{Event, Format, Mode, SubscribeChoice};
use weixin_simulator::{
    AppSetup, Consent, DEMO_PAID_TEMPLATE_ID, DEMO_SHIPPED_TEMPLATE_ID, TemplateKind, TemplateSetup, UnknownTemplate,
};

use super::{call, errcode, other_app};
use crate::{
    push::{self, Reply},
    support::Stage,
};

const PATH: &str = "/cgi-bin/message/subscribe/send";

fn message(stage: &Stage) -> Value {
    json!({
        "touser": stage.li.openid(),
        "template_id": DEMO_PAID_TEMPLATE_ID,
        "page": "pages/order/order?id=1",
        "data": {
            "character_string1": { "value": "ORD000001" },
            "amount2": { "value": "￥30.00" },
            "time3": { "value": "2026-01-22 14:30" },
        },
    })
}

async fn send(stage: &Stage, body: Value) -> Value {
    call(stage, PATH, body).await
}

fn accept(stage: &Stage) {
    stage.li.answer_subscribe_popup(&[(DEMO_PAID_TEMPLATE_ID, Consent::Accept)]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_consent_is_one_message() {
    let stage = Stage::new().await;
    assert_eq!(errcode(&send(&stage, message(&stage)).await), 43101, "never asked");
    stage.li.answer_subscribe_popup(&[(DEMO_PAID_TEMPLATE_ID, Consent::Reject)]).unwrap();
    assert_eq!(errcode(&send(&stage, message(&stage)).await), 43101);
    accept(&stage);
    accept(&stage);
    for expected in [0, 0, 43101] {
        assert_eq!(errcode(&send(&stage, message(&stage)).await), expected);
    }
    accept(&stage);
    stage.li.unsubscribe(DEMO_PAID_TEMPLATE_ID).unwrap();
    assert_eq!(errcode(&send(&stage, message(&stage)).await), 43101);
    let notices = stage.li.notices();
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0].values["amount2"], "￥30.00");
    assert_eq!(notices[0].page.as_deref(), Some("pages/order/order?id=1"));
    assert_eq!(stage.sim.ledger().notices, notices);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_to_a_long_term_template_lasts() {
    let stage = Stage::new().await;
    let mut app = AppSetup::demo();
    app.templates[0].kind = TemplateKind::LongTerm;
    stage.sim.add_app(&app);
    accept(&stage);
    for _ in 0..3 {
        assert_eq!(errcode(&send(&stage, message(&stage)).await), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_message_is_told_and_uses_no_right_up() {
    let stage = Stage::new().await;
    let other = other_app(&stage);
    accept(&stage);
    let with = |name: &str, value: Value| {
        let mut body = message(&stage);
        body[name] = value;
        body
    };
    let data = |key: &str, value: Value| {
        let mut body = message(&stage);
        body["data"][key] = value;
        body
    };
    let mut lacking = message(&stage);
    lacking["data"].as_object_mut().unwrap().remove("time3");
    for (body, expected, part) in [
        (with("touser", json!(other.openid())), 40003, "invalid openid"),
        (with("template_id", json!("nobody")), 40037, "invalid template_id"),
        (with("page", json!("/pages/a")), 41030, "invalid page"),
        (data("time3", json!({ "value": "soon" })), 47003, "argument invalid! data.time3.value"),
        (data("thing9", json!({ "value": "x" })), 47003, "data.thing9"),
        (lacking, 47003, "data.time3.value is empty"),
        (json!([]), 47001, "data format error"),
    ] {
        let answer = send(&stage, body.clone()).await;
        assert_eq!(errcode(&answer), expected, "{body}");
        assert!(answer["errmsg"].as_str().unwrap().contains(part), "{answer}");
    }
    assert_eq!(errcode(&send(&stage, message(&stage)).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_told_of_consent_and_of_the_result() {
    for format in [Format::Xml, Format::Json] {
        let (stage, server) = push::stage(Mode::Secure, format, [Reply::Success]).await;
        let both = [(DEMO_PAID_TEMPLATE_ID, Consent::Accept), (DEMO_SHIPPED_TEMPLATE_ID, Consent::Reject)];
        stage.li.answer_subscribe_popup(&both).unwrap();
        stage.sim.deliver_due().await;
        let choice = |template_id: &str, status: &str| SubscribeChoice {
            template_id: template_id.to_owned(),
            status: status.to_owned(),
        };
        let received = server.received();
        let plaintext = String::from_utf8(received[0].read.as_ref().unwrap().plaintext.clone()).unwrap();
        assert_eq!(plaintext.contains("SubscribeMsgPopupEvent"), format == Format::Xml, "{plaintext}");
        let weixin::push::Content::Event(event) = &received[0].message().content else { panic!() };
        let chosen = vec![choice(DEMO_PAID_TEMPLATE_ID, "accept"), choice(DEMO_SHIPPED_TEMPLATE_ID, "reject")];
        assert_eq!(*event, Event::SubscribePopup(chosen));

        let answer = send(&stage, message(&stage)).await;
        stage.li.unsubscribe(DEMO_PAID_TEMPLATE_ID).unwrap();
        stage.sim.deliver_due().await;
        let events: Vec<_> = server.received()[1..].iter().map(|received| received.message().content.clone()).collect();
        let sent = events.iter().find_map(|content| match content {
            weixin::push::Content::Event(Event::SubscribeSent(results)) => Some(results[0].clone()),
            _ => None,
        });
        let sent = sent.unwrap();
        assert_eq!((sent.msg_id, sent.error_code), (answer["msgid"].to_string(), 0));
        let changed = vec![choice(DEMO_PAID_TEMPLATE_ID, "reject")];
        assert!(events.contains(&weixin::push::Content::Event(Event::SubscribeChange(changed))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_nobody_cannot_be_answered() {
    let stage = Stage::new().await;
    let unknown = Err(UnknownTemplate("nobody".to_owned()));
    let answers = [(DEMO_PAID_TEMPLATE_ID, Consent::Accept), ("nobody", Consent::Accept)];
    assert_eq!(stage.li.answer_subscribe_popup(&answers), unknown);
    assert_eq!(stage.li.unsubscribe("nobody"), unknown);
    assert_eq!(errcode(&send(&stage, message(&stage)).await), 43101, "nothing was answered");
    let template: TemplateSetup =
        serde_json::from_value(json!({ "template_id": "t", "title": "T", "keys": ["thing1"] })).unwrap();
    assert_eq!(template.kind, TemplateKind::OneTime);
}
