//! Messages to customers: what is refused, in which order, and how many are allowed.

use serde_json::{Value, json};
use weixin_simulator::{DEMO_APPID, ENTERING_ALLOWS, MESSAGE_ALLOWS, Said, Speaker};

use super::{OTHER_APPID, call, call_as, errcode, media::upload, other_app, text};
use crate::support::Stage;

const PATH: &str = "/cgi-bin/message/custom/send";

async fn send(stage: &Stage, body: Value) -> i64 {
    errcode(&call(stage, PATH, body).await)
}

async fn say(stage: &Stage, content: &str) -> i64 {
    send(stage, text(stage, content)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_may_be_sent_before_the_customer_does_anything() {
    let stage = Stage::new().await;
    assert_eq!(say(&stage, "您好").await, 45015);
    assert!(stage.li.chat().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_allows_five_within_48_hours() {
    let stage = Stage::new().await;
    stage.li.send_text("有人吗");
    for _ in 0..MESSAGE_ALLOWS.messages {
        assert_eq!(say(&stage, "您好").await, 0);
    }
    assert_eq!(say(&stage, "您好").await, 45047);
    stage.advance_s(MESSAGE_ALLOWS.within_s);
    assert_eq!(say(&stage, "您好").await, 45047, "the last moment is inside");
    stage.advance_s(1);
    assert_eq!(say(&stage, "您好").await, 45015);
    stage.li.send_text("还在吗");
    assert_eq!(say(&stage, "在").await, 0);
    assert_eq!(stage.sim.ledger().conversation(stage.li.openid()).unwrap().sent.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_allows_two_within_a_minute_and_adds_nothing() {
    let stage = Stage::new().await;
    stage.li.enter_session("");
    assert_eq!([say(&stage, "一").await, say(&stage, "二").await, say(&stage, "三").await], [0, 0, 45047]);
    stage.advance_s(ENTERING_ALLOWS.within_s + 1);
    assert_eq!(say(&stage, "四").await, 45015);
    stage.li.send_text("有人吗");
    assert_eq!(say(&stage, "五").await, 0);
    stage.li.enter_session("");
    for _ in 0..4 {
        assert_eq!(say(&stage, "六").await, 0);
    }
    assert_eq!(say(&stage, "七").await, 45047);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_message_is_said_before_the_allowance() {
    let stage = Stage::new().await;
    let other = other_app(&stage);
    let with = |touser: &str, msgtype: &str, content: Value| {
        let mut body = json!({ "touser": touser, "msgtype": msgtype });
        body[msgtype] = content;
        body
    };
    let li = stage.li.openid().as_str();
    let card = |appid: Value, thumb: &str| {
        with(li, "miniprogrampage", json!({ "title": "a", "appid": appid, "pagepath": "b", "thumb_media_id": thumb }))
    };
    let media_id = upload(&stage).await;
    for (body, expected) in [
        (with("oNobody", "text", json!({ "content": "a" })), 40003),
        (with(other.openid().as_str(), "text", json!({ "content": "a" })), 40003),
        (with("oNobody", "text", json!({ "content": "" })), 44004),
        (with(li, "text", json!({ "content": "字".repeat(683) })), 45002),
        (with(li, "poem", json!({})), 40008),
        (with(li, "news", json!({ "articles": [] })), 45162),
        (with(li, "image", json!({ "media_id": "unknown" })), 40007),
        (card(json!(OTHER_APPID), &media_id), 40013),
        (card(json!(DEMO_APPID), "unknown"), 40007),
        (json!({ "msgtype": "text" }), 47001),
        (with(li, "image", json!({ "media_id": media_id })), 45015),
    ] {
        assert_eq!(send(&stage, body.clone()).await, expected, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_says_which_app_asks() {
    let stage = Stage::new().await;
    other_app(&stage);
    stage.li.send_text("有人吗");
    assert_eq!(errcode(&call_as(&stage, OTHER_APPID, PATH, text(&stage, "您好")).await), 40003);
    let (_, untold) = stage.post_json(PATH, text(&stage, "您好")).await;
    assert_eq!(errcode(&untold), 41001);
    let (_, stale) = stage.post_json(&format!("{PATH}?access_token={}", "a".repeat(136)), text(&stage, "您好")).await;
    assert_eq!(errcode(&stale), 40001);
    assert_eq!(errcode(&stage.get_json(PATH).await), 43002);
    assert_eq!(say(&stage, "您好").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_reaches_the_chat_in_order() {
    let stage = Stage::new().await;
    let media_id = upload(&stage).await;
    stage.li.send_text("有人吗");
    let li = stage.li.openid();
    let link =
        json!({ "title": "a", "description": "b", "url": "https://shop.example.com/", "thumb_url": "https://t/a.png" });
    let card = json!({ "title": "a", "pagepath": "pages/a?b=1", "thumb_media_id": media_id });
    for body in [
        json!({ "touser": li, "msgtype": "text", "text": { "content": "<a href=\"x\">您好</a> 😀" }, "aimsgcontext": { "is_ai_msg": 1 } }),
        json!({ "touser": li, "msgtype": "image", "image": { "media_id": media_id }, "customservice": { "kf_account": "kf1@fake" } }),
        json!({ "touser": li, "msgtype": "link", "link": link }),
        json!({ "touser": li, "msgtype": "miniprogrampage", "miniprogrampage": card }),
    ] {
        assert_eq!(send(&stage, body.clone()).await, 0, "{body}");
    }
    let chat = stage.li.chat();
    let kinds: Vec<_> = chat.iter().map(|line| (line.by.clone(), line.said.msg_type())).collect();
    let server = |kind| (Speaker::Server, kind);
    assert_eq!(kinds[0], (Speaker::Customer, "text"));
    assert_eq!(kinds[1..], [server("text"), server("image"), server("link"), server("miniprogrampage")]);
    assert_eq!(chat[1].text(), Some("<a href=\"x\">您好</a> 😀"));
    assert!(chat[1].ai && !chat[2].ai);
    assert!(matches!(&chat[4].said, Said::Card { appid, .. } if appid == DEMO_APPID), "the own app is implied");
    let ledger = stage.sim.ledger();
    let conversation = ledger.conversation(li).unwrap();
    assert_eq!(conversation.sent[1].kf_account.as_deref(), Some("kf1@fake"));
    assert_eq!(conversation.allowance.left, 1);
}
