//! From the hint to the certainty: confirming, healing what was lost, crashes, several servers.

use std::time::{Duration, Instant};

use serde_json::json;
use weixin::pay::v2::{Call as _, order_query::OrderQuery, unified_order::UnifiedOrder};
use weixin_simulator::{Choice, Fault, FaultKind, NOTIFICATION};
use zhanggui::job;

use crate::support::{DEMO, Phone, World, on_both_databases};

on_both_databases!(
    a_notification_alone_marks_nothing_paid_before_the_query,
    a_notification_is_enough_where_the_operator_says_so,
    a_hint_that_is_not_confirmed_is_given_to_a_person_and_asked_for_until_it_is_decided,
    money_for_a_payment_that_wechat_had_refused_is_given_to_a_person,
    money_that_was_reported_is_not_forgotten_because_a_query_says_closed,
    a_report_of_money_for_a_closed_payment_that_is_not_confirmed_is_given_to_a_person,
    refresh_heals_a_lost_notification,
    refresh_when_wechat_is_down_says_so_and_changes_nothing,
    refresh_of_a_payment_that_wechat_does_not_know_changes_nothing,
    a_crowd_that_refreshes_asks_wechat_once_when_it_is_paid,
    a_notification_that_cannot_be_written_down_is_not_taken_and_heals_on_repeat,
    a_crash_between_answer_and_confirmation_is_healed_after_the_start,
    lesson_17_wechat_gets_exactly_the_reply_that_it_understands,
    lesson_18_nothing_slow_happens_before_the_answer,
    a_query_that_fails_is_repeated_by_its_job,
    paying_after_the_expiry_here_is_still_paid,
    ; on_postgres:
    fifty_notifications_at_two_servers_are_one_payment,
);

/// An order that the customer has paid at WeChat.
async fn paid_at_wechat(world: &World) -> (Phone, String) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    (phone, order)
}

async fn a_notification_alone_marks_nothing_paid_before_the_query(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    assert_eq!(world.deliver().await, 1);
    assert_eq!(world.calls(OrderQuery::PATH).len(), 0);
    assert_eq!(phone.see(&order).await["state"], "open");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM evidence WHERE verdict = 'believed'").await, 0);
    assert_eq!(world.run_jobs().await, 1);
    assert_eq!(world.calls(OrderQuery::PATH).len(), 1);
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_notification_is_enough_where_the_operator_says_so(world: &mut World) {
    world.reconfigure(|shop| shop.confirm_v2 = false).await;
    let (phone, order) = paid_at_wechat(world).await;
    world.deliver().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(world.calls(OrderQuery::PATH).len(), 0);
}

/// Somebody has the key of the merchant, and the customer has not paid.
async fn a_hint_that_is_not_confirmed_is_given_to_a_person_and_asked_for_until_it_is_decided(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    let letter = world.letter(&order).await;
    world.attacker().notify(DEMO.mchid, letter.xml()).await.accepted();
    const MARKS: &str = "SELECT COUNT(*) AS n FROM attention";
    for run in 1..=24 {
        assert_eq!(world.number(MARKS).await, 0, "before run {run}");
        assert!(world.run_jobs().await >= 1);
        assert_eq!(world.order_state(&order).await, "open");
        world.clock.advance_s(1800);
    }
    assert_eq!(world.number(MARKS).await, 1);
    world.expect_attention("unconfirmed");
    // Nobody tells the server that the customer pays after all. It keeps asking.
    phone.pay(&order).await;
    assert!(world.run_jobs().await >= 1);
    assert_eq!(world.order_state(&order).await, "paid");
}

async fn money_for_a_payment_that_wechat_had_refused_is_given_to_a_person(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sim.inject(Fault::on(UnifiedOrder::PATH, FaultKind::ErrCodeAfter("PARAM_ERROR".to_owned())));
    phone.press(&order).await.problem(502, "wechat_refused");
    let number = world.out_trade_no(&order).await;
    let app = &world.node().app;
    let prepay_id = world.sim.ledger().payment(&number).unwrap().prepay_ids[0].parse().unwrap();
    let parameters = weixin::pay::v2::request_payment::RequestPayment::new(
        &DEMO.appid(),
        &prepay_id,
        world.shop.sign_type,
        world.clock.now(),
        app.nonce_str(),
        &DEMO.key(),
    );
    phone.wechat.request_payment(&parameters, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "open");
    world.expect_attention("success_after_rejection");
    world.expect_unsettled(number);
}

async fn money_that_was_reported_is_not_forgotten_because_a_query_says_closed(world: &mut World) {
    let says_closed = || Fault::on(OrderQuery::PATH, FaultKind::TradeState("CLOSED".to_owned()));
    // The job that confirms the notification gets the wrong answer.
    let (phone, order) = paid_at_wechat(world).await;
    world.deliver().await;
    world.sim.inject(says_closed());
    assert_eq!(world.run_jobs().await, 1);
    assert_eq!(world.payments(&order).await[0].1, "closed");
    world.clock.advance_s(1);
    assert_eq!(world.run_jobs().await, 1);
    assert_eq!(phone.see(&order).await["state"], "paid");
    // Somebody gives the order up before the job runs, and that gets it.
    let (phone, order) = paid_at_wechat(world).await;
    world.deliver().await;
    world.sim.inject(says_closed());
    assert_eq!(phone.close(&order).await.json(200)["state"], "closed");
    for _ in 0..2 {
        world.settle().await;
        world.clock.advance_s(3);
    }
    world.settle().await;
    world.expect_attention("late_payment");
    assert_eq!(world.sim.ledger().refunded_fen(&world.out_trade_no(&order).await).get(), 12_800);
}

/// Somebody has the key of the merchant, and the order is closed.
async fn a_report_of_money_for_a_closed_payment_that_is_not_confirmed_is_given_to_a_person(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    let letter = world.letter(&order).await;
    assert_eq!(phone.close(&order).await.json(200)["state"], "closed");
    world.attacker().notify(DEMO.mchid, letter.xml()).await.accepted();
    for run in 1..=24 {
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM attention").await, 0, "before run {run}");
        assert_eq!(world.run_jobs().await, 1);
        world.clock.advance_s(1800);
    }
    world.expect_attention("unconfirmed");
    // After more than a week WeChat has nothing new to say.
    for _ in 24..400 {
        assert_eq!(world.run_jobs().await, 1);
        world.clock.advance_s(1800);
    }
    assert_eq!(world.run_jobs().await, 0);
    assert_eq!(world.order_state(&order).await, "closed");
}

async fn refresh_heals_a_lost_notification(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost));
    world.deliver().await;
    assert_eq!(world.run_jobs().await, 0);
    assert_eq!(phone.see(&order).await["state"], "open");
    let seen = phone.refresh(&order).await;
    assert_eq!((&seen["state"], &seen["refreshed"]), (&json!("paid"), &json!(true)));
    // Nobody asks again for what is known.
    assert_eq!(phone.refresh(&order).await["refreshed"], true);
    assert_eq!(world.calls(OrderQuery::PATH).len(), 1);
}

async fn refresh_when_wechat_is_down_says_so_and_changes_nothing(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    for fault in [
        FaultKind::Status(503),
        FaultKind::Html,
        FaultKind::Empty,
        FaultKind::NoAnswerBefore,
        FaultKind::NoAnswerAfter,
        FaultKind::HalfAnswer,
        FaultKind::Unsigned,
        FaultKind::WrongSignature,
        FaultKind::ErrCode("SYSTEMERROR".to_owned()),
        FaultKind::Fail("签名错误".to_owned()),
    ] {
        let before = world.state().await;
        world.sim.inject(Fault::on(OrderQuery::PATH, fault.clone()));
        let seen = phone.refresh(&order).await;
        assert_eq!((&seen["state"], &seen["refreshed"]), (&json!("open"), &json!(false)), "{fault:?}");
        assert!(world.state().await == before, "{fault:?}");
    }
    // Nobody listens at all.
    let wechat = std::mem::replace(&mut world.recipe.wechat, "http://127.0.0.1:9".to_owned());
    world.restart().await;
    assert_eq!(phone.refresh(&order).await["refreshed"], false);
    phone.press(&phone.order("tea").await).await.problem(503, "wechat_unavailable");
    phone.http.post("/v1/login", None, &json!({ "code": "0abc" })).await.problem(503, "wechat_unavailable");
    world.recipe.wechat = wechat;
    world.restart().await;
    assert_eq!(phone.refresh(&order).await["state"], "paid");
}

async fn refresh_of_a_payment_that_wechat_does_not_know_changes_nothing(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sim.inject(Fault::on(UnifiedOrder::PATH, FaultKind::NoAnswerBefore));
    phone.press(&order).await.problem(503, "wechat_unavailable");
    let before = world.state().await;
    let seen = phone.refresh(&order).await;
    assert_eq!((&seen["state"], &seen["refreshed"]), (&json!("open"), &json!(true)));
    assert!(world.state().await == before, "absence is not failure");
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_crowd_that_refreshes_asks_wechat_once_when_it_is_paid(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (phone, order) = (phone.clone(), order.clone());
        crowd.spawn(async move { phone.refresh(&order).await });
    }
    assert!(crowd.join_all().await.iter().all(|seen| seen["state"] == "paid" && seen["refreshed"] == true));
    assert_eq!(world.calls(OrderQuery::PATH).len(), 1);
}

async fn a_notification_that_cannot_be_written_down_is_not_taken_and_heals_on_repeat(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    world.database().clone().close().await;
    world.deliver().await;
    let attempt = world.sim.ledger().paid().next().unwrap().attempts[0].clone();
    assert_eq!((attempt.http_status, attempt.accepted), (Some(503), false));
    world.restart().await;
    assert_eq!(phone.see(&order).await["state"], "open");
    world.clock.advance_s(15);
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    // And while nobody listens at all.
    let (phone, order) = paid_at_wechat(world).await;
    world.stop().await;
    world.deliver().await;
    world.restart().await;
    world.clock.advance_s(15);
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_crash_between_answer_and_confirmation_is_healed_after_the_start(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    world.deliver().await;
    assert_eq!(world.sim.next_due(), None, "WeChat will not come again");
    world.restart().await;
    assert_eq!(phone.see(&order).await["state"], "open");
    assert_eq!(world.run_jobs().await, 1);
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn lesson_17_wechat_gets_exactly_the_reply_that_it_understands(world: &mut World) {
    let (_, order) = paid_at_wechat(world).await;
    let letter = world.letter(&order).await;
    let reply = world.attacker().notify(DEMO.mchid, letter.xml()).await;
    reply.accepted();
    assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    world.settle().await;
    let attempts = world.sim.ledger().paid().next().unwrap().attempts.clone();
    assert!(attempts.len() == 1 && attempts[0].accepted);
}

async fn lesson_18_nothing_slow_happens_before_the_answer(world: &mut World) {
    const HANG: Duration = Duration::from_secs(2);
    let (phone, order) = paid_at_wechat(world).await;
    // With the jobs running as in the real server, and a WeChat that takes its time.
    let runner = job::start(std::sync::Arc::clone(&world.node().app));
    world.sim.inject(Fault::on(OrderQuery::PATH, FaultKind::Hang(HANG.as_millis() as u64)));
    let started = Instant::now();
    world.deliver().await;
    assert!(started.elapsed() < HANG);
    assert_eq!(world.sim.next_due(), None);
    let mut wire = world.sim.follow_wire();
    let asked = async {
        while world.calls(OrderQuery::PATH).is_empty() {
            wire.changed().await.unwrap();
        }
    };
    tokio::time::timeout(2 * HANG, asked).await.expect("the runner asks at once");
    runner.stop().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_query_that_fails_is_repeated_by_its_job(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    world.sim.inject(Fault::on(OrderQuery::PATH, FaultKind::Status(502)).times(2));
    world.deliver().await;
    for pause_s in [1, 3] {
        assert_eq!(world.run_jobs().await, 1);
        assert_eq!(world.run_jobs().await, 0, "not before the pause is over");
        assert_eq!(phone.see(&order).await["state"], "open");
        world.clock.advance_s(pause_s);
    }
    assert_eq!(world.run_jobs().await, 1);
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn fifty_notifications_at_two_servers_are_one_payment(world: &mut World) {
    let (phone, order) = paid_at_wechat(world).await;
    let second = world.second_node().await;
    let letter = world.letter(&order).await.xml();
    let mut copies = tokio::task::JoinSet::new();
    for n in 0..50 {
        let http = if n % 2 == 0 { &world.node().http } else { &second.http };
        let (attacker, letter) = (crate::support::Attacker { http: http.clone() }, letter.clone());
        copies.spawn(async move { attacker.notify(DEMO.mchid, letter).await });
    }
    for reply in copies.join_all().await {
        reply.accepted();
    }
    let (here, there) = tokio::join!(world.run_jobs(), second.run_jobs());
    assert_eq!(here + there, 1, "one of the two has asked");
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(world.number("SELECT copies AS n FROM evidence WHERE source = 'notification'").await, 50);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM evidence WHERE source = 'query'").await, 1);
    second.stop().await;
    world.deliver().await;
}

/// The sheet was open when the order expired here; WeChat lets the customer finish.
async fn paying_after_the_expiry_here_is_still_paid(world: &mut World) {
    world.reconfigure(|shop| shop.expires_in_min = 5).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let parameters = phone.parameters(&order).await;
    world.clock.advance_s(5 * 60 + 1);
    phone.wechat.request_payment(&parameters, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}
