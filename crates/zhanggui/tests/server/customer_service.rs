//! Customers write, and somebody answers: WeChat's agents, the desk, or the merchant's system.

use serde_json::{Value, json};
use weixin::{mini_program::custom_send, push::Format};
use weixin_simulator::{Fault, FaultKind, PUSH, Phone as WechatPhone, Session, Speaker};
use zhanggui::{api_key::Scope, params};

use crate::support::{DEMO, Http, Merchant, World, on_both_databases};

on_both_databases!(
    lesson_31_by_default_wechats_agents_get_every_message_and_no_event,
    the_desk_answers_and_hands_the_customer_back,
    the_bot_is_told_by_an_event_and_answers,
    lesson_33_the_allowance_is_shown_and_obeyed,
    wechats_own_word_corrects_the_allowance,
    lesson_32_a_reply_that_is_posted_twenty_times_is_sent_once,
    another_reply_under_the_same_name_is_refused,
    a_time_out_after_wechat_took_the_reply_leaves_it_unknown_and_it_is_never_sent_again,
    a_crash_while_sending_leaves_the_reply_unknown,
    wechat_is_busy_once_and_the_reply_is_sent_by_the_second_try,
    wechat_stays_busy_and_the_reply_fails_and_is_given_back,
    what_was_written_after_a_slow_reply_was_posted_still_waits,
    a_rule_that_has_acted_acts_again_for_what_was_written_while_an_answer_was_under_way,
    what_is_given_back_is_not_added_to_a_new_grant,
    lesson_29_a_storm_of_stale_tokens_fetches_one_and_sends_every_reply_once,
    replies_keep_their_order,
    wechat_is_away_pushes_are_answered_and_replies_wait,
    a_lost_push_comes_again_and_the_customer_sees_no_failure,
    pushes_that_come_twice_or_late_change_nothing,
    rules_greet_hand_over_and_close_at_night,
    nobody_answers_and_the_rule_hands_over,
    rules_are_replaced_through_the_api_and_bad_ones_change_nothing,
    lists_show_who_waits_and_what_is_unread,
    a_key_without_the_scope_and_a_customer_see_nothing,
    what_cannot_be_sent_is_refused_before_wechat_is_asked,
    the_customer_sees_that_somebody_types,
    events_are_streamed_and_a_stream_goes_on_where_it_broke_off,
);

/// A desk that answers, and a customer.
async fn desk(world: &mut World, handler: &'static str) -> (Merchant, WechatPhone) {
    world.reconfigure(|shop| shop.push.handler = handler).await;
    world.switch_push_on(Format::Xml).await;
    let desk = world.merchant(&[Scope::Messages]).await;
    (desk, world.sim.phone(&DEMO.appid(), "li").unwrap())
}

/// The customer writes, WeChat delivers; gives the id of the conversation.
async fn write(world: &World, desk: &Merchant, phone: &WechatPhone, text: &str) -> String {
    phone.send_text(text);
    assert_eq!(world.deliver().await, 1);
    world.only_conversation(desk).await["id"].as_str().unwrap().to_owned()
}

/// What the customer has read from us.
fn read_by(phone: &WechatPhone) -> Vec<String> {
    let from_server = phone.chat().into_iter().filter(|line| line.by == Speaker::Server);
    from_server.map(|line| line.text().unwrap_or_default().to_owned()).collect()
}

async fn messages(desk: &Merchant, conversation: &str) -> Vec<Value> {
    let page = desk.get(&format!("/v1/conversations/{conversation}/messages")).await.json(200);
    page["messages"].as_array().unwrap().clone()
}

async fn lesson_31_by_default_wechats_agents_get_every_message_and_no_event(world: &mut World) {
    for format in [Format::Xml, Format::Json] {
        for mode in ["plain", "compatible", "secure"] {
            world.reconfigure(|shop| shop.push.mode = mode).await;
            world.switch_push_on(format).await;
            let phone = world.sim.phone(&DEMO.appid(), &format!("{mode}-{}", format.as_str())).unwrap();
            phone.enter_session("order:1");
            world.deliver().await;
            for text in ["hello", "is my tea on its way?"] {
                phone.send_text(text);
                world.deliver().await;
            }
            let agents = world.sim.agents(&DEMO.appid()).unwrap();
            let lines = agents.lines(phone.openid()).unwrap();
            assert_eq!(lines.len(), 2);
            assert!(lines.iter().all(|line| line.event.is_none() && line.msg_id.is_some()));
            agents.take(phone.openid(), "kf2001").unwrap();
            agents.answer(phone.openid(), "it is").unwrap();
            // While an agent has the session, nothing comes here.
            phone.send_text("thank you");
            assert_eq!(world.deliver().await, 0);
            agents.close(phone.openid()).unwrap();
        }
    }
    let desk = world.merchant(&[Scope::Messages]).await;
    let page = desk.get("/v1/conversations?handler=wechat").await.json(200);
    let conversations = page["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 6);
    for conversation in conversations {
        assert_eq!((&conversation["unread"], &conversation["session_from"]), (&json!(0), &json!("order:1")));
        assert!(conversation["forwarded_at"].is_string() && conversation["waiting_since"].is_null());
    }
}

async fn the_desk_answers_and_hands_the_customer_back(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "我的茶什么时候发货？").await;
    let shown = world.only_conversation(&desk).await;
    assert_eq!((&shown["handler"], &shown["unread"]), (&json!("desk"), &json!(1)));
    assert_eq!((&shown["reply_allowance"]["left"], &shown["customer"]), (&json!(5), &shown["customer"]));
    assert!(shown["waiting_since"].is_string());

    let reply = desk.reply(&conversation, "a1", "今天下午。<a href=\"x\">&amp;</a> 😀").await.json(201);
    assert_eq!((&reply["state"], &reply["direction"]), (&json!("sent"), &json!("out")));
    assert_eq!(read_by(&phone), ["今天下午。<a href=\"x\">&amp;</a> 😀"]);
    let shown = world.only_conversation(&desk).await;
    assert_eq!(shown["reply_allowance"]["left"], 4);
    assert!(shown["waiting_since"].is_null() && shown["unread"] == 0);
    let said: Vec<_> = messages(&desk, &conversation).await.iter().map(|m| m["text"].clone()).collect();
    assert_eq!(said, ["今天下午。<a href=\"x\">&amp;</a> 😀", "我的茶什么时候发货？"]);

    // From the next message on.
    let handed = desk.hand_over(&conversation, "wechat").await;
    assert_eq!(handed["handler"], "wechat");
    write(world, &desk, &phone, "谢谢").await;
    let entry = world.sim.ledger();
    let entry = entry.conversation(phone.openid()).unwrap();
    assert_eq!(entry.forwarded.len(), 1);
    assert!(matches!(entry.session, Session::Waiting { .. }));
    let events = desk.get("/v1/events").await.json(200);
    let types: Vec<_> = events["events"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
    let expected = ["message.received", "message.queued", "message.sent", "conversation.handled", "message.received"];
    assert_eq!(types, expected);
    let sequences: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["sequence"].clone()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
}

async fn the_bot_is_told_by_an_event_and_answers(world: &mut World) {
    let (bot, phone) = desk(world, "bot").await;
    let conversation = write(world, &bot, &phone, "opening hours?").await;
    let event = bot.get("/v1/events?types=message.received").await.json(200)["events"][0].clone();
    assert_eq!(event["subject"], conversation);
    assert_eq!(event["data"]["message"]["text"], "opening hours?");
    assert_eq!(event["data"]["message"]["handler"], "bot");
    assert_eq!(event["data"]["conversation"]["reply_allowance"]["left"], 5);
    bot.reply(&conversation, event["id"].as_str().unwrap(), "nine to six").await.json(201);
    assert_eq!(read_by(&phone), ["nine to six"]);
}

async fn lesson_33_the_allowance_is_shown_and_obeyed(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    for n in 0..5 {
        desk.reply(&conversation, &format!("a{n}"), "hello").await.json(201);
    }
    let calls = world.calls(custom_send::PATH).len();
    desk.reply(&conversation, "a5", "hello").await.problem(409, "reply_allowance_used");
    assert_eq!(world.calls(custom_send::PATH).len(), calls, "WeChat was not asked");
    write(world, &desk, &phone, "one more question").await;
    assert_eq!(world.only_conversation(&desk).await["reply_allowance"]["left"], 5);
    world.clock.advance_s(48 * 3600 + 1);
    assert_eq!(world.only_conversation(&desk).await["reply_allowance"]["left"], 0);
    desk.reply(&conversation, "a6", "hello").await.problem(409, "reply_window_closed");
    // Entering allows two within a minute.
    phone.enter_session("");
    world.deliver().await;
    desk.reply(&conversation, "a7", "welcome").await.json(201);
    world.clock.advance_s(61);
    desk.reply(&conversation, "a8", "late").await.problem(409, "reply_window_closed");
    assert_eq!(phone.chat().iter().filter(|line| line.by == Speaker::Server).count(), 6);
}

async fn wechats_own_word_corrects_the_allowance(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    for (errcode, code) in [(45047, "reply_allowance_used"), (45015, "reply_window_closed")] {
        write(world, &desk, &phone, "hello again").await;
        world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(errcode)));
        let failed = desk.reply(&conversation, &format!("a{errcode}"), "hello").await.json(201);
        assert_eq!((&failed["state"], &failed["errcode"]), (&json!("failed"), &json!(errcode)));
        assert_eq!(world.only_conversation(&desk).await["reply_allowance"]["left"], 0);
        world.clock.advance_s(1);
        desk.reply(&conversation, &format!("b{errcode}"), "hello").await.problem(409, code);
    }
    assert!(read_by(&phone).is_empty());
}

async fn lesson_32_a_reply_that_is_posted_twenty_times_is_sent_once(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    let posts = (0..20).map(|_| {
        let (desk, conversation) = (desk.clone(), conversation.clone());
        tokio::spawn(async move { desk.reply(&conversation, "the-same", "hello").await })
    });
    let (mut created, mut ids) = (0, std::collections::BTreeSet::new());
    for post in posts.collect::<Vec<_>>() {
        let reply = post.await.unwrap();
        created += usize::from(reply.status == 201);
        ids.insert(reply.json(reply.status)["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((created, ids.len()), (1, 1));
    assert_eq!(read_by(&phone), ["hello"]);
    let again = desk.reply(&conversation, "the-same", "hello").await.json(200);
    assert_eq!(again["state"], "sent");
    assert_eq!(world.only_conversation(&desk).await["reply_allowance"]["left"], 4);
}

async fn another_reply_under_the_same_name_is_refused(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    desk.reply(&conversation, "a1", "hello").await.json(201);
    desk.reply(&conversation, "a1", "something else").await.problem(409, "client_id_used");
    assert_eq!(read_by(&phone), ["hello"]);
}

async fn a_time_out_after_wechat_took_the_reply_leaves_it_unknown_and_it_is_never_sent_again(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    for (name, fault, arrives) in [
        ("after", FaultKind::NoAnswerAfter, true),
        ("before", FaultKind::NoAnswerBefore, false),
        ("html", FaultKind::Html, false),
    ] {
        world.sim.inject(Fault::on(custom_send::PATH, fault));
        let reply = desk.reply(&conversation, name, name).await.json(201);
        assert_eq!(reply["state"], "unknown", "{name}");
        assert_eq!(read_by(&phone).contains(&name.to_owned()), arrives, "{name}");
        // Neither a repeat nor a job nor a restart sends it again.
        assert_eq!(desk.reply(&conversation, name, name).await.json(200)["state"], "unknown");
        world.clock.advance_s(3600);
        world.run_jobs().await;
        world.restart().await;
        world.run_jobs().await;
        assert_eq!(read_by(&phone).iter().filter(|text| *text == name).count(), usize::from(arrives));
    }
    let events = desk.get("/v1/events?types=message.unknown").await.json(200);
    assert_eq!(events["events"].as_array().unwrap().len(), 3);
    // The customer has perhaps read it: nobody waits, and the allowance is used.
    let shown = world.only_conversation(&desk).await;
    assert!(shown["waiting_since"].is_null() && shown["reply_allowance"]["left"] == 2, "{shown}");
}

async fn a_crash_while_sending_leaves_the_reply_unknown(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    desk.reply(&conversation, "a1", "hello").await.json(201);
    // As a process leaves it that dies after asking WeChat.
    const DIED: &str = "UPDATE message SET state = 'sending' WHERE client_id = 'a1'";
    const WAITS: &str = "UPDATE conversation SET waiting_since_ms = (SELECT MIN(created_ms) FROM message)";
    const JOB: &str = "
        INSERT INTO job (kind, subject, run_ms, attempts, leased_ms, fence, created_ms)
        VALUES ('message.send', $1, 0, 0, 0, 0, 0)";
    let subject = conversation.clone();
    let die = move |tx: &mut zhanggui::database::Tx| {
        tx.execute(DIED, &[])?;
        tx.execute(WAITS, &[])?;
        tx.execute(JOB, params![subject.as_str()])
    };
    world.database().write(die).await.unwrap();
    world.run_jobs().await;
    assert_eq!(messages(&desk, &conversation).await[0]["state"], "sending", "it may still be under way");
    world.clock.advance_s(121);
    world.run_jobs().await;
    assert_eq!(messages(&desk, &conversation).await[0]["state"], "unknown");
    assert_eq!(read_by(&phone), ["hello"]);
    // The customer has perhaps read it.
    assert!(world.only_conversation(&desk).await["waiting_since"].is_null());
}

async fn wechat_is_busy_once_and_the_reply_is_sent_by_the_second_try(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)));
    let reply = desk.reply(&conversation, "a1", "hello").await.json(201);
    assert_eq!(reply["state"], "queued");
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(messages(&desk, &conversation).await[0]["state"], "sent");
    assert_eq!(read_by(&phone), ["hello"]);
}

async fn wechat_stays_busy_and_the_reply_fails_and_is_given_back(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)).times(9));
    desk.reply(&conversation, "a1", "hello").await.json(201);
    world.clock.advance_s(10);
    world.run_jobs().await;
    let failed = messages(&desk, &conversation).await.remove(0);
    assert_eq!((&failed["state"], &failed["errcode"]), (&json!("failed"), &json!(-1)));
    let shown = world.only_conversation(&desk).await;
    assert_eq!(shown["reply_allowance"]["left"], 5);
    assert!(shown["waiting_since"].is_string(), "the customer still waits");
    world.sim.clear_faults();
    desk.reply(&conversation, "a2", "hello").await.json(201);
    assert_eq!(read_by(&phone), ["hello"]);
}

async fn what_was_written_after_a_slow_reply_was_posted_still_waits(world: &mut World) {
    world.shop.push.more = RULES;
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)));
    assert_eq!(desk.reply(&conversation, "a1", "hello").await.json(201)["state"], "queued");
    world.clock.advance_s(1);
    write(world, &desk, &phone, "and where is my order?").await;
    let asked = messages(&desk, &conversation).await[0]["created_at"].clone();
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["hello"]);
    assert_eq!(world.only_conversation(&desk).await["waiting_since"], asked);
    // The rule about waiting counts from the question.
    world.clock.advance_s(10 * 60);
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["hello", "请稍等"]);
}

async fn a_rule_that_has_acted_acts_again_for_what_was_written_while_an_answer_was_under_way(world: &mut World) {
    world.shop.push.more = ASKED_TO_WAIT;
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.clock.advance_s(60);
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["请稍等"]);
    world.clock.advance_s(5);
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)));
    assert_eq!(desk.reply(&conversation, "a1", "hello").await.json(201)["state"], "queued");
    world.clock.advance_s(5);
    write(world, &desk, &phone, "and where is my order?").await;
    // The answer takes so long that the question has waited long enough by then.
    world.clock.advance_s(125);
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["请稍等", "hello", "请稍等"]);
}

async fn what_is_given_back_is_not_added_to_a_new_grant(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)));
    assert_eq!(desk.reply(&conversation, "a1", "hello").await.json(201)["state"], "queued");
    world.clock.advance_s(1);
    write(world, &desk, &phone, "hello?").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(40003)));
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(messages(&desk, &conversation).await[0]["errcode"], json!(null), "the question is the latest");
    assert_eq!(messages(&desk, &conversation).await[1]["errcode"], 40003);
    assert_eq!(world.only_conversation(&desk).await["reply_allowance"]["left"], 5);
}

async fn lesson_29_a_storm_of_stale_tokens_fetches_one_and_sends_every_reply_once(world: &mut World) {
    let (desk, _) = desk(world, "desk").await;
    let mut conversations = Vec::new();
    for name in ["li", "wang", "zhao", "qian"] {
        let phone = world.sim.phone(&DEMO.appid(), name).unwrap();
        phone.send_text("hello");
        world.deliver().await;
        conversations.push(phone);
    }
    let page = desk.get("/v1/conversations").await.json(200);
    let ids: Vec<_> =
        page["conversations"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
    let fetched = |world: &World| world.calls(weixin::mini_program::stable_token::PATH).len();
    assert_eq!(fetched(world), 0);
    desk.reply(&ids[0], "a0", "welcome").await.json(201);
    // Another program of the merchant takes a new token by force: the one that is kept here is dead at once.
    let by_force = json!({
        "grant_type": "client_credential", "appid": DEMO.appid, "secret": DEMO.secret, "force_refresh": true,
    });
    let wechat = Http::new(world.sim.base_url());
    wechat.post(weixin::mini_program::stable_token::PATH, None, &by_force).await.json(200);
    assert_eq!(fetched(world), 2);
    let posts: Vec<_> = ids
        .iter()
        .map(|id| {
            let (desk, id) = (desk.clone(), id.clone());
            tokio::spawn(async move { desk.reply(&id, "a1", "hello").await })
        })
        .collect();
    for post in posts {
        post.await.unwrap();
    }
    for _ in 0..4 {
        world.clock.advance_s(60);
        world.run_jobs().await;
    }
    let refused = world.calls(custom_send::PATH).len() - ids.len() - 1;
    println!("{refused} calls were refused for their token");
    assert!(refused > 0);
    assert_eq!(fetched(world), 3, "one for all of them");
    for phone in &conversations {
        assert_eq!(read_by(phone).iter().filter(|text| *text == "hello").count(), 1);
    }
}

async fn replies_keep_their_order(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(-1)));
    assert_eq!(desk.reply(&conversation, "a1", "first").await.json(201)["state"], "queued");
    desk.reply(&conversation, "a2", "second").await.json(201);
    desk.reply(&conversation, "a3", "third").await.json(201);
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["first", "second", "third"]);
}

async fn wechat_is_away_pushes_are_answered_and_replies_wait(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    // Nobody listens where WeChat should be.
    let wechat = std::mem::replace(&mut world.recipe.wechat, "http://127.0.0.1:9".to_owned());
    world.restart().await;
    let conversation = write(world, &desk, &phone, "hello").await;
    let reply = desk.reply(&conversation, "a1", "hello").await.json(201);
    assert_eq!(reply["state"], "queued", "nothing has reached WeChat");
    world.recipe.wechat = wechat;
    world.restart().await;
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(messages(&desk, &conversation).await[0]["state"], "sent");
    assert_eq!(read_by(&phone), ["hello"]);
}

async fn a_lost_push_comes_again_and_the_customer_sees_no_failure(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    for kind in [FaultKind::WrongSignature, FaultKind::TamperedBody, FaultKind::OtherApp, FaultKind::ClearText] {
        world.sim.inject(Fault::on(PUSH, kind));
        phone.send_text("are you there?");
        world.deliver().await;
        world.expected_failures += 1;
        world.clock.advance_s(5);
        assert_eq!(world.deliver().await, 1, "WeChat comes again");
    }
    assert_eq!(messages(&desk, &conversation).await.len(), 5);
}

async fn pushes_that_come_twice_or_late_change_nothing(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    world.sim.inject(Fault::on(PUSH, FaultKind::Twice));
    let conversation = write(world, &desk, &phone, "hello").await;
    world.clock.advance_s(1);
    world.sim.inject(Fault::on(PUSH, FaultKind::Delay(30)));
    phone.send_text("slowly");
    world.deliver().await;
    world.clock.advance_s(31);
    world.deliver().await;
    let said: Vec<_> = messages(&desk, &conversation).await.iter().map(|m| m["text"].clone()).collect();
    assert_eq!(said, ["slowly", "hello"]);
}

const RULES: &str = r#"
[[app.rule]]
name = "greeting"
on = "enter"
reply = "欢迎光临"
[[app.rule]]
name = "person"
on = "message"
keywords = ["人工"]
while_handled_by = ["bot"]
handler = "wechat"
reply = "为您转接"
[[app.rule]]
name = "refund"
on = "message"
keywords = ["退款", "Refund"]
handler = "desk"
[[app.rule]]
name = "closed"
on = "message"
outside_hours = "09:00-18:00"
reply = "九点上班"
[[app.rule]]
name = "slow"
on = "unanswered"
after_min = 10
handler = "wechat"
reply = "请稍等"
"#;

const ASKED_TO_WAIT: &str = r#"
[[app.rule]]
name = "slow"
on = "unanswered"
after_min = 1
reply = "请稍等"
"#;

/// The clock stands at 14:30 in Beijing.
async fn rules_greet_hand_over_and_close_at_night(world: &mut World) {
    world.shop.push.more = RULES;
    let (desk, phone) = desk(world, "bot").await;
    phone.enter_session("");
    world.deliver().await;
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["欢迎光临"]);
    phone.enter_session("");
    world.deliver().await;
    world.run_jobs().await;
    assert_eq!(read_by(&phone).len(), 1, "the greeting is not repeated within an hour");

    world.clock.advance_s(1);
    let conversation = write(world, &desk, &phone, "I want a REFUND").await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "desk");
    assert_eq!(messages(&desk, &conversation).await[0]["handler"], "desk", "it holds for the message itself");
    desk.hand_over(&conversation, "bot").await;
    write(world, &desk, &phone, "转人工").await;
    world.run_jobs().await;
    let ledger = world.sim.ledger();
    assert_eq!(ledger.conversation(phone.openid()).unwrap().forwarded.len(), 1);
    assert_eq!(read_by(&phone), ["欢迎光临", "为您转接"]);

    desk.hand_over(&conversation, "desk").await;
    world.clock.advance_s(4 * 3600);
    write(world, &desk, &phone, "good evening").await;
    write(world, &desk, &phone, "anybody?").await;
    world.run_jobs().await;
    assert_eq!(read_by(&phone), ["欢迎光临", "为您转接", "九点上班"]);
    let by: Vec<_> = desk.get("/v1/events?types=conversation.handled").await.json(200)["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["data"]["by"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(by.iter().filter(|by| by.starts_with("rule:")).count(), 2, "{by:?}");
    assert!(by.iter().any(|by| by.starts_with("key_")));
    // What the desk leaves unanswered is handed on by the last rule.
    world.clock.advance_s(600);
    world.run_jobs().await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "wechat");
}

async fn nobody_answers_and_the_rule_hands_over(world: &mut World) {
    world.shop.push.more = RULES;
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    world.clock.advance_s(9 * 60);
    world.run_jobs().await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "desk");
    // Somebody answers in time, and the customer writes again.
    desk.reply(&conversation, "a1", "hello").await.json(201);
    world.clock.advance_s(60);
    write(world, &desk, &phone, "and now?").await;
    world.clock.advance_s(9 * 60 + 59);
    world.run_jobs().await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "desk");
    world.clock.advance_s(1);
    world.run_jobs().await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "wechat");
    assert_eq!(read_by(&phone), ["hello", "请稍等"]);
    // It acts once for one waiting.
    world.clock.advance_s(3600);
    world.run_jobs().await;
    assert_eq!(read_by(&phone).len(), 2);
    write(world, &desk, &phone, "hello?").await;
    assert_eq!(world.sim.ledger().conversation(phone.openid()).unwrap().forwarded.len(), 1);
}

async fn rules_are_replaced_through_the_api_and_bad_ones_change_nothing(world: &mut World) {
    world.shop.push.more = RULES;
    let (desk, phone) = desk(world, "wechat").await;
    let rule = json!({ "name": "vip", "on": "message", "keywords": ["vip"], "handler": "desk" });
    let set = desk.put("/v1/rules", &json!({ "rules": [rule] })).await.json(200);
    assert_eq!(set["configured"].as_array().unwrap().len(), 5);
    assert_eq!(set["rules"], json!([rule]));
    for (bad, expected) in [
        (json!({ "name": "x", "on": "never", "reply": "a" }), "rule_invalid"),
        (json!({ "name": "x", "on": "message" }), "rule_invalid"),
        (json!({ "name": "closed", "on": "message", "reply": "a" }), "rule_invalid"),
        (json!({ "name": "x", "on": "message", "answer": "a" }), "body_invalid"),
    ] {
        desk.put("/v1/rules", &json!({ "rules": [bad] })).await.problem(422, expected);
    }
    assert_eq!(desk.get("/v1/rules").await.json(200)["rules"], json!([rule]));
    write(world, &desk, &phone, "I am a VIP").await;
    assert_eq!(world.only_conversation(&desk).await["handler"], "desk");
    desk.put("/v1/rules", &json!({ "rules": [] })).await.json(200);
    desk.get("/v1/rules?appid=wxfake000000000009").await.problem(422, "app_unknown");
}

async fn lists_show_who_waits_and_what_is_unread(world: &mut World) {
    let (desk, _) = desk(world, "desk").await;
    for name in ["a", "b", "c"] {
        let phone = world.sim.phone(&DEMO.appid(), name).unwrap();
        for text in ["one", "two"] {
            phone.send_text(text);
            world.deliver().await;
            world.clock.advance_s(1);
        }
    }
    let first = desk.get("/v1/conversations?waiting=true&limit=2").await.json(200);
    assert_eq!((first["conversations"].as_array().unwrap().len(), &first["has_more"]), (2, &json!(true)));
    let after = first["after"].as_str().unwrap();
    let second = desk.get(&format!("/v1/conversations?waiting=true&limit=2&after={after}")).await.json(200);
    assert_eq!((second["conversations"].as_array().unwrap().len(), &second["has_more"]), (1, &json!(false)));
    let latest = desk.get("/v1/conversations?limit=1").await.json(200);
    assert_eq!(latest["conversations"][0]["id"], second["conversations"][0]["id"], "the latest has waited least");
    let longest = first["conversations"][0]["id"].as_str().unwrap();
    assert_eq!(first["conversations"][0]["unread"], 2);

    let page = desk.get(&format!("/v1/conversations/{longest}/messages?limit=1")).await.json(200);
    assert_eq!(page["messages"][0]["text"], "two");
    let before = page["before"].as_str().unwrap();
    let older = desk.get(&format!("/v1/conversations/{longest}/messages?before={before}")).await.json(200);
    assert_eq!((&older["messages"][0]["text"], &older["has_more"]), (&json!("one"), &json!(false)));
    let up_to = json!({ "up_to": older["messages"][0]["id"] });
    let read = format!("/v1/conversations/{longest}/read");
    assert_eq!(desk.post(&read, &up_to).await.json(200)["unread"], 1);
    assert_eq!(desk.post(&read, &json!({})).await.json(200)["unread"], 0);
    assert_eq!(desk.post(&read, &up_to).await.json(200)["unread"], 0, "reading back makes nothing unread");
    desk.post(&read, &json!({ "up_to": "msg_0" })).await.problem(404, "message_not_found");

    for (path, status, code) in [
        ("/v1/conversations?limit=0", 400, "query_invalid"),
        ("/v1/conversations?limit=201", 400, "query_invalid"),
        ("/v1/conversations?after=nonsense", 400, "cursor_unknown"),
        ("/v1/conversations?handler=boss", 422, "handler_unknown"),
        ("/v1/conversations?color=red", 400, "query_invalid"),
        ("/v1/conversations/con_0", 404, "conversation_not_found"),
        ("/v1/conversations/con_00000000000000000000000000000000", 404, "conversation_not_found"),
    ] {
        desk.get(path).await.problem(status, code);
    }
}

async fn a_key_without_the_scope_and_a_customer_see_nothing(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "secret wishes").await;
    let reader = world.merchant(&[Scope::Read, Scope::Orders]).await;
    let customer = world.phone("li").await;
    let customer = Merchant { key: customer.token, http: reader.http.clone() };
    for caller in [&reader, &customer] {
        for path in ["/v1/conversations", "/v1/rules", "/v1/events?types=message.received", "/v1/pictures/pic_0"] {
            caller.get(path).await.problem(403, "forbidden");
        }
        caller.get(&format!("/v1/conversations/{conversation}/messages")).await.problem(403, "forbidden");
        caller.reply(&conversation, "a1", "hello").await.problem(403, "forbidden");
        let body = json!({ "handler": "wechat" });
        caller.post(&format!("/v1/conversations/{conversation}/handler"), &body).await.problem(403, "forbidden");
    }
    let events = reader.get("/v1/events").await.json(200);
    assert!(!events.to_string().contains("secret wishes"));
    assert!(read_by(&phone).is_empty());
}

async fn what_cannot_be_sent_is_refused_before_wechat_is_asked(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    let path = format!("/v1/conversations/{conversation}/messages");
    for (body, status, code) in [
        (json!({ "type": "text", "text": "hello" }), 422, "body_invalid"),
        (json!({ "client_id": "", "type": "text", "text": "hello" }), 422, "body_invalid"),
        (json!({ "client_id": "a b", "type": "text", "text": "hello" }), 422, "body_invalid"),
        (json!({ "client_id": "a", "type": "voice", "text": "hello" }), 422, "body_invalid"),
        (json!({ "client_id": "a", "type": "text", "text": "hello", "color": "red" }), 422, "body_invalid"),
        (json!({ "client_id": "a", "type": "text", "text": "" }), 422, "message_invalid"),
        (json!({ "client_id": "a", "type": "text", "text": "长".repeat(683) }), 422, "message_invalid"),
        (json!({ "client_id": "a", "type": "text", "text": "bell\u{7}" }), 422, "message_invalid"),
        (json!({ "client_id": "a", "type": "unsupported", "msg_type": "voice" }), 422, "message_invalid"),
        (json!({ "client_id": "a", "type": "image", "picture": "pic_0" }), 422, "picture_unknown"),
        (
            json!({ "client_id": "a", "type": "miniprogrampage", "title": "t", "page_path": "p" }),
            422,
            "message_invalid",
        ),
        (
            json!({ "client_id": "a", "type": "link", "title": "t", "description": "d", "url": "javascript:x", "thumb_url": "https://a/b" }),
            422,
            "message_invalid",
        ),
    ] {
        desk.post(&path, &body).await.problem(status, code);
    }
    desk.reply("con_00000000000000000000000000000000", "a", "hello").await.problem(404, "conversation_not_found");
    desk.post(&format!("/v1/conversations/{conversation}/handler"), &json!({ "handler": "boss" }))
        .await
        .problem(422, "handler_unknown");
    assert!(world.calls(custom_send::PATH).is_empty());
    let link = json!({
        "client_id": "a", "type": "link", "title": "t", "description": "d", "url": "https://a/b", "thumb_url": "https://a/b",
    });
    assert_eq!(desk.post(&path, &link).await.json(201)["state"], "sent");
}

async fn the_customer_sees_that_somebody_types(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    let conversation = write(world, &desk, &phone, "hello").await;
    let path = format!("/v1/conversations/{conversation}/typing");
    let type_ = async |typing: bool| desk.post(&path, &json!({ "typing": typing })).await;
    assert_eq!(type_(true).await.status, 204);
    assert!(phone.sees_typing());
    assert_eq!(type_(true).await.status, 204, "typing on is no error");
    desk.reply(&conversation, "a1", "hello").await.json(201);
    assert!(!phone.sees_typing());
    world.clock.advance_s(3600);
    let problem = type_(true).await.problem(502, "wechat_refused");
    assert_eq!(problem["wechat"]["code"], "45080");
}

async fn events_are_streamed_and_a_stream_goes_on_where_it_broke_off(world: &mut World) {
    let (desk, phone) = desk(world, "desk").await;
    write(world, &desk, &phone, "before").await;
    let mut stream = Stream::open(&desk, None).await;
    write(world, &desk, &phone, "first").await;
    let (first, data) = stream.next().await;
    assert_eq!(data["data"]["message"]["text"], "first");
    drop(stream);
    write(world, &desk, &phone, "second").await;
    write(world, &desk, &phone, "third").await;
    let mut stream = Stream::open(&desk, Some(&first)).await;
    assert_eq!(stream.next().await.1["data"]["message"]["text"], "second");
    let (last, data) = stream.next().await;
    assert_eq!(data["data"]["message"]["text"], "third");
    let page = desk.get(&format!("/v1/events?types=message.received&after={first}")).await.json(200);
    assert_eq!((page["events"].as_array().unwrap().len(), &page["after"]), (2, &json!(last)));
    desk.get("/v1/events?after=evt_00000000000000000000000000000000").await.problem(400, "cursor_unknown");
    desk.get("/v1/events?types=message.eaten").await.problem(400, "query_invalid");
    // An open stream does not keep the server from ending.
    world.stop().await;
    stream.ends().await;
    world.restart().await;
}

/// A client of the live stream.
struct Stream {
    response: reqwest::Response,
    buffer: String,
}

impl Stream {
    async fn open(desk: &Merchant, last_event_id: Option<&str>) -> Self {
        let request = desk.http.request(reqwest::Method::GET, "/v1/events?types=message.received");
        let mut request = request.bearer_auth(&desk.key).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, buffer: String::new() };
        let opening = stream.block().await;
        let (comment, id) = opening.split_once('\n').unwrap();
        assert_eq!(comment, ": events");
        // Where it begins, for a client that comes back before anything has happened.
        assert!(last_event_id.is_none_or(|last| id == format!("id: {last}")), "{id}");
        assert!(id.starts_with("id: evt_") || id == "id: 0", "{id}");
        stream
    }

    /// Reads up to the next empty line.
    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return block;
            }
            let chunk = self.response.chunk().await.unwrap().expect("the stream goes on");
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The id and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        let block = self.block().await;
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        assert_eq!(field("event: "), "message.received");
        (field("id: "), serde_json::from_str(&field("data: ")).unwrap())
    }

    /// Reads to the end.
    async fn ends(mut self) {
        while let Ok(Some(_)) = self.response.chunk().await {}
    }
}
