//! What WeChat posts to the push address, what of it is believed, and what it is answered.

use serde_json::{Value, json};
use weixin::push::{Answer, Fields, Format, Mode, Query, signature};

use crate::support::{
    DEMO, DEMO_PUSH, Merchant, NO_CUSTOMER, PushKeys, Pusher, Reply, VECTORS, World, message, on_both_databases,
    text_message,
};

on_both_databases!(
    the_question_for_the_address_is_answered_only_to_who_knows_the_token,
    lesson_07_a_clear_push_to_a_sealed_address_is_refused,
    lesson_08_every_genuine_push_is_read_in_every_mode_and_form,
    lesson_09_a_refused_push_is_answered_with_one_status_and_nothing_else,
    lesson_17_the_answer_is_exactly_what_wechat_understands,
    lesson_18_what_cannot_be_written_down_goes_to_wechats_agents_and_an_event_comes_again,
    lesson_31_messages_are_forwarded_and_events_are_not,
    lesson_32_a_hundred_copies_at_once_are_one_message_with_one_answer,
    two_first_messages_at_once_open_one_conversation,
    every_published_push_is_taken_or_refused_as_published,
    a_push_of_another_app_or_with_another_key_changes_nothing,
    tokens_and_keys_can_be_rotated_without_a_gap,
    a_stale_push_is_refused,
    a_repeated_push_after_a_restart_gets_the_same_bytes,
    external_entities_entity_bombs_and_giants_are_refused_unread,
    odd_texts_are_kept_and_given_back_as_they_are,
    a_kind_of_message_that_nobody_knows_is_kept_and_forwarded,
    what_the_platform_reports_becomes_an_event,
    pushes_out_of_order_are_sorted_by_the_time_they_were_said,
    an_app_without_message_push_has_no_address,
);

const OPENID: &str = "oFake000000000000000000000li";

async fn desk(world: &mut World) -> Merchant {
    world.reconfigure(|shop| shop.push.handler = "desk").await;
    world.merchant(zhanggui::api_key::Scope::ALL).await
}

/// What everybody but WeChat gets: nothing is told about the reason.
#[track_caller]
fn refused(reply: &Reply) {
    assert_eq!((reply.status, reply.text().as_str()), (403, ""), "{:?}", reply.headers);
}

#[track_caller]
fn success(reply: &Reply) {
    assert_eq!((reply.status, reply.text().as_str()), (200, "success"));
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
}

async fn conversations(desk: &Merchant) -> Vec<Value> {
    desk.get("/v1/conversations").await.json(200)["conversations"].as_array().unwrap().clone()
}

async fn messages(desk: &Merchant) -> Vec<Value> {
    let conversations = conversations(desk).await;
    assert_eq!(conversations.len(), 1);
    let path = format!("/v1/conversations/{}/messages", conversations[0]["id"].as_str().unwrap());
    desk.get(&path).await.json(200)["messages"].as_array().unwrap().clone()
}

async fn the_question_for_the_address_is_answered_only_to_who_knows_the_token(world: &mut World) {
    let pusher = world.pusher(Format::Xml);
    let query = |token: &str| {
        Query {
            signature: Some(signature(&[token, "1760000000", "42"])),
            timestamp: Some("1760000000".to_owned()),
            nonce: Some("42".to_owned()),
            echostr: Some("回显<b>&\"4375120948345356249".to_owned()),
            ..Query::default()
        }
        .to_query_string()
    };
    let reply = pusher.ask(&query(DEMO_PUSH.token)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "回显<b>&\"4375120948345356249"));
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    refused(&pusher.ask(&query("anotherToken")).await);
    refused(&pusher.ask("").await);
    refused(&pusher.ask("echostr=x&signature=&timestamp=1&nonce=2").await);
}

async fn lesson_07_a_clear_push_to_a_sealed_address_is_refused(world: &mut World) {
    let before = world.state().await;
    for mode in ["secure", "compatible"] {
        world.reconfigure(|shop| shop.push.mode = mode).await;
        // A captured address carries any body, because its signature does not cover it.
        let clear = Pusher::new(world.node().http.clone(), &DEMO_PUSH, Mode::Plain, Format::Json);
        refused(&clear.push(&text_message(OPENID, 1, world.now_s(), "forged"), world.now_s()).await);
    }
    assert!(world.state().await == before);
}

async fn lesson_08_every_genuine_push_is_read_in_every_mode_and_form(world: &mut World) {
    let desk = desk(world).await;
    let mut msg_id = 0;
    for mode in ["plain", "compatible", "secure"] {
        world.reconfigure(|shop| shop.push.mode = mode).await;
        for format in [Format::Xml, Format::Json] {
            // Every length of padding, from 1 to 32.
            for length in 0..32 {
                msg_id += 1;
                let text = "x".repeat(length);
                let (pusher, now_s) = (world.pusher(format), world.now_s());
                success(&pusher.push(&text_message(OPENID, msg_id, now_s, &text), now_s).await);
            }
        }
    }
    let desk = Merchant { http: world.node().http.clone(), ..desk };
    let conversation = conversations(&desk).await.remove(0);
    assert_eq!(conversation["unread"], msg_id);
}

async fn lesson_09_a_refused_push_is_answered_with_one_status_and_nothing_else(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Xml), world.now_s());
    let good = pusher.delivery(&text_message(OPENID, 1, now_s, "hello"), now_s);
    let before = world.state().await;
    let wrong: [fn(&mut Query); 8] = [
        |query| query.msg_signature = None,
        |query| query.msg_signature = query.signature.clone(),
        |query| query.msg_signature = Some("0".repeat(40)),
        |query| query.timestamp = None,
        |query| query.timestamp = Some("soon".to_owned()),
        |query| query.nonce = Some("415670742".to_owned()),
        |query| query.nonce = None,
        |query| query.encrypt_type = None,
    ];
    for change in wrong {
        let mut query = good.query.clone();
        change(&mut query);
        refused(&pusher.post_raw(&query.to_query_string(), good.body.clone()).await);
    }
    for body in ["", "{", "<xml>", "<xml></xml>", "{\"Encrypt\":\"\"}", "\0", "<xml><Encrypt>AAAA</Encrypt></xml>"] {
        refused(&pusher.post_raw(&good.query.to_query_string(), body).await);
    }
    let cut = good.body.replacen("<Encrypt><![CDATA[", "<Encrypt><![CDATA[A", 1);
    refused(&pusher.post_raw(&good.query.to_query_string(), cut).await);
    assert!(world.state().await == before);
}

async fn lesson_17_the_answer_is_exactly_what_wechat_understands(world: &mut World) {
    for mode in ["plain", "compatible", "secure"] {
        world.reconfigure(|shop| shop.push.mode = mode).await;
        for format in [Format::Xml, Format::Json] {
            let (pusher, now_s) = (world.pusher(format), world.now_s());
            let reply = pusher.push(&text_message(OPENID, now_s, now_s, "hello"), now_s).await;
            assert_eq!(reply.header("content-type"), format.content_type());
            let Answer::Transfer(transfer) = pusher.understand(&reply) else { panic!("{}", reply.text()) };
            // Sender and receiver have changed places.
            assert_eq!((transfer.to_user_name.as_str(), transfer.from_user_name.as_str()), (OPENID, "gh_fake00000001"));
            assert_eq!(transfer.create_time_s, now_s);
            success(&pusher.push(&enter(OPENID, now_s, "card"), now_s).await);
            world.clock.advance_s(1);
        }
    }
}

fn enter(openid: &str, now_s: i64, session_from: &str) -> Fields {
    event(openid, now_s, "user_enter_tempsession").with("SessionFrom", session_from)
}

pub(crate) fn event(openid: &str, now_s: i64, name: &str) -> Fields {
    Fields::new()
        .with("ToUserName", "gh_fake00000001")
        .with("FromUserName", openid)
        .with("CreateTime", now_s)
        .with("MsgType", "event")
        .with("Event", name)
}

async fn lesson_18_what_cannot_be_written_down_goes_to_wechats_agents_and_an_event_comes_again(world: &mut World) {
    world.reconfigure(|shop| shop.push.handler = "desk").await;
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    world.database().clone().close().await;
    let reply = pusher.push(&text_message(OPENID, 1, now_s, "is anybody there?"), now_s).await;
    assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)), "the agents have it");
    let reply = pusher.push(&enter(OPENID, now_s, ""), now_s).await;
    assert_eq!(reply.status, 503, "WeChat comes again");
    world.restart().await;
    success(&world.pusher(Format::Json).push(&enter(OPENID, now_s, ""), now_s).await);
}

async fn lesson_31_messages_are_forwarded_and_events_are_not(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Xml), world.now_s());
    for (msg_id, kind) in [(1, "text"), (2, "image"), (3, "miniprogrampage")] {
        let reply = pusher.push(&message(OPENID, msg_id, now_s, kind).with("MediaId", ""), now_s).await;
        assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)), "{kind}");
    }
    for name in ["user_enter_tempsession", "subscribe_msg_popup_event", "wxa_media_check", "debug_demo"] {
        success(&pusher.push(&event(OPENID, now_s, name), now_s).await);
    }
    world.run_jobs().await;
}

async fn lesson_32_a_hundred_copies_at_once_are_one_message_with_one_answer(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    // Half of them reach another node.
    let node = world.second_node().await;
    let elsewhere = Pusher { http: node.http.clone(), ..pusher.clone() };
    let content = text_message(OPENID, 23_637_352_235_060_881, now_s, "hello");
    let posts = (0..100).map(|copy| {
        let pusher = if copy % 2 == 0 { pusher.clone() } else { elsewhere.clone() };
        // WeChat may seal each repeat anew.
        let delivery = weixin::push::Delivery::new(
            &pusher.receiver,
            pusher.format,
            &content,
            now_s,
            &format!("{copy}"),
            [copy; 16],
        );
        tokio::spawn(async move { pusher.post(&delivery).await })
    });
    let mut answers = std::collections::BTreeSet::new();
    for post in posts.collect::<Vec<_>>() {
        let reply = post.await.unwrap();
        assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)));
        answers.insert(reply.text());
    }
    assert_eq!(answers.len(), 1, "one answer, byte for byte");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM message").await, 1);
    assert_eq!(world.number("SELECT copies AS n FROM push").await, 100);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM event").await, 1);
    node.stop().await;
}

async fn two_first_messages_at_once_open_one_conversation(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    let posts = (1..=20).map(|msg_id| {
        let pusher = pusher.clone();
        tokio::spawn(async move { pusher.push(&text_message(OPENID, msg_id, now_s, "hello"), now_s).await })
    });
    for post in posts.collect::<Vec<_>>() {
        assert_eq!(post.await.unwrap().status, 200);
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM conversation").await, 1);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM message").await, 20);
    assert_eq!(world.number("SELECT MAX(sequence) AS n FROM event").await, 20);
}

/// The vectors were made with other people's software; the server works for their account.
async fn every_published_push_is_taken_or_refused_as_published(world: &mut World) {
    world.reconfigure(|shop| shop.push.with_vectors = true).await;
    let file: Value = serde_json::from_str(include_str!("../../../weixin/tests/vectors/miniprogram.json")).unwrap();
    let (mut taken, mut refusals) = (0, 0);
    for vector in file["message_inbound"].as_array().unwrap() {
        if vector["account"] != "shop" || vector["configured_mode"] != "secure" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let made_s: i64 = vector["query"]["timestamp"].as_str().unwrap().parse().unwrap();
        world.clock.advance_s(made_s - world.now_s());
        let format = Format::from_word(&text(&vector["format"])).unwrap();
        let pusher = Pusher::new(world.node().http.clone(), &VECTORS, Mode::Secure, format);
        let field = |name: &str| vector["query"][name].as_str().map(str::to_owned);
        let query = Query {
            signature: field("signature"),
            timestamp: field("timestamp"),
            nonce: field("nonce"),
            echostr: None,
            openid: field("openid"),
            encrypt_type: field("encrypt_type"),
            msg_signature: field("msg_signature"),
        };
        let before = world.number("SELECT COUNT(*) AS n FROM push").await;
        let reply = pusher.post_raw(&query.to_query_string(), text(&vector["body"])).await;
        if vector["expect"]["result"] == "accept" && vector["expect"]["parse"] != "empty" {
            taken += 1;
            // One message stands in the file in both forms; its repeat gets the bytes of the first.
            Pusher { format: Format::of(&reply.body), ..pusher }.understand(&reply);
        } else {
            refusals += 1;
            refused(&reply);
            assert_eq!(world.number("SELECT COUNT(*) AS n FROM push").await, before, "{}", vector["id"]);
        }
    }
    println!("{taken} taken, {refusals} refused");
    assert!(taken >= 25 && refusals >= 20);
    world.run_jobs().await;
}

async fn a_push_of_another_app_or_with_another_key_changes_nothing(world: &mut World) {
    let before = world.state().await;
    let now_s = world.now_s();
    let http = world.node().http.clone();
    for keys in
        [PushKeys { token: "anotherToken", ..DEMO_PUSH }, PushKeys { aes_key: VECTORS.aes_key, ..DEMO_PUSH }, VECTORS]
    {
        let mut pusher = Pusher::new(http.clone(), &keys, Mode::Secure, Format::Xml);
        pusher.appid = DEMO_PUSH.appid.to_owned();
        refused(&pusher.push(&text_message(OPENID, 1, now_s, "hello"), now_s).await);
    }
    // Right token and key, sealed for another app.
    let mut pusher = world.pusher(Format::Xml);
    pusher.receiver.appid = weixin::AppId::parse(VECTORS.appid).unwrap();
    refused(&pusher.push(&text_message(OPENID, 1, now_s, "hello"), now_s).await);
    assert!(world.state().await == before);
}

async fn tokens_and_keys_can_be_rotated_without_a_gap(world: &mut World) {
    let old = world.pusher(Format::Xml);
    world
        .reconfigure(|shop| {
            shop.push.old = Some((DEMO_PUSH.token, DEMO_PUSH.aes_key));
            shop.push.token = "fakePushToken0000000000000000002";
            shop.push.aes_key = "fakeEncodingAesKey0000000000000000000000002";
        })
        .await;
    let now_s = world.now_s();
    let keys = PushKeys {
        token: "fakePushToken0000000000000000002",
        aes_key: "fakeEncodingAesKey0000000000000000000000002",
        ..DEMO_PUSH
    };
    let new = Pusher::new(world.node().http.clone(), &keys, Mode::Secure, Format::Xml);
    for (msg_id, pusher) in [(1, &old), (2, &new)] {
        let reply = pusher.push(&text_message(OPENID, msg_id, now_s, "hello"), now_s).await;
        assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)), "sealed with the keys of the push");
    }
    world.reconfigure(|shop| shop.push.old = None).await;
    refused(&old.push(&text_message(OPENID, 3, now_s, "hello"), now_s).await);
}

async fn a_stale_push_is_refused(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    let delivery = pusher.delivery(&text_message(OPENID, 1, now_s, "hello"), now_s);
    world.clock.advance_s(7 * 24 * 3600 + 1);
    let before = world.state().await;
    refused(&pusher.post(&delivery).await);
    let future = world.now_s() + 601;
    refused(&pusher.push(&text_message(OPENID, 1, future, "hello"), future).await);
    world.reconfigure(|shop| shop.push.mode = "plain").await;
    let pusher = world.pusher(Format::Json);
    let stale = world.now_s() - 601;
    refused(&pusher.push(&text_message(OPENID, 1, stale, "hello"), stale).await);
    assert!(world.state().await == before);
}

async fn a_repeated_push_after_a_restart_gets_the_same_bytes(world: &mut World) {
    let (pusher, now_s) = (world.pusher(Format::Xml), world.now_s());
    let delivery = pusher.delivery(&text_message(OPENID, 1, now_s, "hello"), now_s);
    let first = pusher.post(&delivery).await;
    world.clock.advance_s(5);
    // Who answers has changed meanwhile; the answer to this message has not.
    world.reconfigure(|shop| shop.push.handler = "desk").await;
    let second = pusher.post(&delivery).await;
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("content-type"), second.header("content-type"));
    let node = world.second_node().await;
    let elsewhere = Pusher { http: node.http.clone(), ..pusher }.post(&delivery).await;
    assert_eq!(first.body, elsewhere.body);
    node.stop().await;
}

async fn external_entities_entity_bombs_and_giants_are_refused_unread(world: &mut World) {
    world.reconfigure(|shop| shop.push.mode = "plain").await;
    let (pusher, now_s) = (world.pusher(Format::Xml), world.now_s());
    let query = pusher.delivery(&text_message(OPENID, 1, now_s, "hello"), now_s).query.to_query_string();
    let before = world.state().await;
    for body in [
        "<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><Content>&x;</Content></xml>".to_owned(),
        "<!DOCTYPE xml [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><xml><Content>&b;</Content></xml>".to_owned(),
        format!("<xml>{}</xml>", "<a>1</a>".repeat(2_000)),
        format!("{}{}", "<xml>".repeat(5_000), "</xml>".repeat(5_000)),
        format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)),
    ] {
        refused(&pusher.post_raw(&query, body).await);
    }
    let giant = vec![b'<'; 10 * 1024 * 1024];
    let reply = pusher.http.request(reqwest::Method::POST, &format!("/wechat/push/{}?{query}", pusher.appid));
    // The server may hang up before the giant has arrived whole.
    if let Ok(response) = reply.body(giant).send().await {
        assert_eq!(response.status().as_u16(), 400);
    }
    assert!(world.state().await == before);
}

async fn odd_texts_are_kept_and_given_back_as_they_are(world: &mut World) {
    let desk = desk(world).await;
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    let texts = [
        "<script>alert(1)</script><a href=\"javascript:x\">x</a>",
        "\u{202e}gnp.exe\u{2066}",
        "nul\0bell\u{7}escape\u{1b}[31m",
        "'; DROP TABLE message; --",
        "👨‍👩‍👧‍👦 𠮷野家 ]]> &amp; \u{feff}",
        "",
    ];
    for (index, text) in texts.iter().enumerate() {
        let said_s = now_s - 100 + index as i64;
        success(&pusher.push(&text_message(OPENID, index as i64 + 1, said_s, text), now_s).await);
    }
    let desk = Merchant { http: world.node().http.clone(), ..desk };
    let mut read: Vec<_> =
        messages(&desk).await.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
    read.reverse();
    assert_eq!(read, texts);
    // What a page chose as its origin is cleaned: it is shown beside names.
    success(&pusher.push(&enter(OPENID, now_s, "order\0\u{1b}[31m:1\n"), now_s).await);
    assert_eq!(conversations(&desk).await[0]["session_from"], "order[31m:1");
}

async fn a_kind_of_message_that_nobody_knows_is_kept_and_forwarded(world: &mut World) {
    let desk = world.merchant(zhanggui::api_key::Scope::ALL).await;
    let (pusher, now_s) = (world.pusher(Format::Xml), world.now_s());
    let voice = message(OPENID, 1, now_s, "voice").with("MediaId", "m").with("Format", "amr");
    let reply = pusher.push(&voice, now_s).await;
    assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)));
    assert_eq!(messages(&desk).await[0]["msg_type"], "voice");
    // From something that is not an openid: nobody to answer here, but WeChat's agents may.
    let reply = pusher.push(&text_message("somebody at all", 2, now_s, "hello"), now_s).await;
    assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)));
    // Of a sub-merchant that no answer could name.
    let reply = pusher.push(&text_message(OPENID, 3, now_s, "hello").with("BusinessId", "a b"), now_s).await;
    assert!(matches!(pusher.understand(&reply), Answer::Transfer(_)));
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM push").await, 3);
    assert_eq!(messages(&desk).await.len(), 1);
}

async fn what_the_platform_reports_becomes_an_event(world: &mut World) {
    let desk = world.merchant(zhanggui::api_key::Scope::ALL).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    world.settle().await;
    let number = world.out_trade_no(&order).await;
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    let choice = |id: &str, status: &str| Fields::new().with("TemplateId", id).with("SubscribeStatusString", status);
    let checked = Fields::new().with("suggest", "risky").with("label", 20_002);
    let openid = phone.wechat.openid().as_str();
    for content in [
        event(openid, now_s, "subscribe_msg_popup_event")
            .with("List", choice("t1", "accept"))
            .with("List", choice("t2", "reject")),
        event(NO_CUSTOMER, now_s, "wxa_media_check")
            .with("trace_id", "trace-1")
            .with("errcode", 0)
            .with("result", checked),
        event(NO_CUSTOMER, now_s, "trade_manage_remind_shipping")
            .with("transaction_id", "4200")
            .with("merchant_id", DEMO.mchid)
            .with("merchant_trade_no", number.as_str()),
        event(NO_CUSTOMER, now_s, "wxa_punish_event").with("punish_id", "p\u{0}1"),
        event(openid, now_s, "subscribe_msg_sent_event").with("Results", "none that we know"),
    ] {
        success(&pusher.push(&content, now_s).await);
        success(&pusher.push(&content, now_s).await);
    }
    let page =
        desk.get("/v1/events?types=subscription.changed,media.checked,shipping.reported,push.received").await.json(200);
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 5, "{page}");
    assert_eq!(events[0]["data"]["customer"], phone.customer);
    assert_eq!(events[0]["data"]["choices"][1], json!({ "template_id": "t2", "status": "reject" }));
    assert_eq!(events[1]["data"]["suggest"], "risky");
    assert_eq!((&events[2]["subject"], &events[2]["data"]["order"]), (&json!(order), &json!(order)));
    assert_eq!(events[3]["data"]["fields"]["punish_id"], "p\u{0}1");
    assert_eq!(events[4]["data"]["fields"]["Results"], "none that we know");
}

async fn pushes_out_of_order_are_sorted_by_the_time_they_were_said(world: &mut World) {
    let desk = desk(world).await;
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    for (msg_id, said_s, text) in [(2, now_s - 5, "second"), (3, now_s - 1, "third"), (1, now_s - 9, "first")] {
        success(&pusher.push(&text_message(OPENID, msg_id, said_s, text), now_s).await);
    }
    // A clock that runs ahead does not put a message at the end for ever.
    success(&pusher.push(&text_message(OPENID, 4, now_s + 86_400, "fourth"), now_s).await);
    let desk = Merchant { http: world.node().http.clone(), ..desk };
    let texts: Vec<_> = messages(&desk).await.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["fourth", "third", "second", "first"]);
}

async fn an_app_without_message_push_has_no_address(world: &mut World) {
    world.reconfigure(|shop| shop.with_other = true).await;
    let (now_s, http) = (world.now_s(), world.node().http.clone());
    for appid in [crate::support::OTHER.appid, "wxfake000000000009", "%00"] {
        let mut pusher = Pusher::new(http.clone(), &DEMO_PUSH, Mode::Secure, Format::Xml);
        pusher.appid = appid.to_owned();
        let reply = pusher.push(&text_message(OPENID, 1, now_s, "hello"), now_s).await;
        assert_eq!((reply.status, reply.text().len()), (404, 0), "{appid}");
    }
}
