//! Events that WeChat causes, copies, and bursts.

use weixin::push::{Answer, Content, Event, Format, Mode, Push, Receiver};
use weixin_simulator::{
    Consent, PUSH_COPIES_MAX, PUSH_REPEATS, PushEvent, PushRefusal, PushState, ShippedOrder, Verdict,
};

use super::{Reply, secure, stage};
use crate::support::{Stage, appid};

fn acknowledge(receiver: &Receiver, push: &Push) -> String {
    Answer::Ack { err_code: 0, err_msg: "success".to_owned() }.write(receiver, push, 1, [0; 16])
}

fn not_delivered(receiver: &Receiver, push: &Push) -> String {
    Answer::Ack { err_code: 1, err_msg: "later".to_owned() }.write(receiver, push, 1, [0; 16])
}

fn state(stage: &Stage, number: u64) -> PushState {
    stage.sim.ledger().pushes.iter().find(|push| push.number == number).unwrap().state.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_message_push_there_are_no_events() {
    let stage = Stage::new().await;
    let event = || PushEvent::sample("debug_demo").unwrap();
    assert_eq!(stage.sim.push_event(&appid(), event()), Err(PushRefusal::SwitchedOff));
    let nobody = weixin::AppId::parse("wxnobody0000000000").unwrap();
    assert!(matches!(stage.sim.push_event(&nobody, event()), Err(PushRefusal::UnknownApp(_))));
    assert_eq!(stage.sim.repeat_push(7, 1).await, Err(PushRefusal::UnknownPush(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_the_documentation_arrives_in_both_formats() {
    for format in [Format::Xml, Format::Json] {
        let (stage, server) = stage(Mode::Secure, format, [Reply::Success]).await;
        for event in PushEvent::samples() {
            stage.sim.push_event(&appid(), PushEvent::sample(event).unwrap()).unwrap();
        }
        stage.sim.deliver_due().await;
        let mut arrived: Vec<_> =
            server.received().iter().map(|received| received.message().fields.text("Event").unwrap()).collect();
        arrived.sort_unstable();
        let mut expected: Vec<_> = PushEvent::samples().collect();
        expected.sort_unstable();
        assert_eq!(arrived, expected, "{format:?}");
        assert!(server.received().iter().all(|received| !received.message().is_from_customer()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_entry_of_a_list_is_an_object_in_json_and_two_are_an_array() {
    let (stage, server) = stage(Mode::Plain, Format::Json, [Reply::Success]).await;
    let li = stage.li.openid();
    for answers in [&[("a", Consent::Accept)][..], &[("a", Consent::Accept), ("b", Consent::Reject)]] {
        stage.sim.push_event(&appid(), PushEvent::subscribe_popup(li, answers)).unwrap();
        stage.sim.deliver_due().await;
        let received = server.received();
        let received = received.last().unwrap();
        assert_eq!(received.body.contains("\"List\":{"), answers.len() == 1, "{}", received.body);
        assert_eq!(received.body.contains("\"List\":[{"), answers.len() == 2, "{}", received.body);
        let Content::Event(Event::SubscribePopup(choices)) = &received.message().content else { panic!() };
        assert_eq!(choices.len(), answers.len());
    }
    stage.sim.push_event(&appid(), PushEvent::subscribe_change(li, &["a"])).unwrap();
    let results = [("a", "1700827132819554304", 20003, "system failure")];
    stage.sim.push_event(&appid(), PushEvent::subscribe_sent(li, &results)).unwrap();
    stage.sim.deliver_due().await;
    let contents: Vec<_> = server.received().into_iter().map(|received| received.message().content.clone()).collect();
    assert!(contents.iter().any(|content| matches!(content, Content::Event(Event::SubscribeChange(_)))));
    let sent = contents.iter().find_map(|content| match content {
        Content::Event(Event::SubscribeSent(results)) => Some(results[0].clone()),
        _ => None,
    });
    assert_eq!(sent.unwrap().error_code, 20003);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_shipping_name_the_order() {
    let (stage, server) = secure([Reply::Success]).await;
    let order = ShippedOrder {
        transaction_id: "4200000000202601010000000000".to_owned(),
        merchant_id: "1600000001".to_owned(),
        merchant_trade_no: "ORD000001".to_owned(),
    };
    for event in [
        PushEvent::remind_shipping(&order, 1),
        PushEvent::order_shipped(&order, 2, 3),
        PushEvent::order_settled(&order, true, 4, 5),
    ] {
        stage.sim.push_event(&appid(), event).unwrap();
        stage.sim.deliver_due().await;
    }
    let received = server.received();
    let events: Vec<_> = received.iter().map(|received| &received.message().content).collect();
    let [Content::Event(Event::RemindShipping(remind)), Content::Event(Event::OrderSettlement(shipped)), settled] =
        events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(remind.merchant_trade_no, "ORD000001");
    assert_eq!((shipped.shipped_time_s, shipped.estimated_settlement_time_s), (Some(2), Some(3)));
    let Content::Event(Event::OrderSettlement(settled)) = settled else { panic!() };
    assert_eq!((settled.confirm_receive_time_s, settled.settlement_time_s), (Some(4), Some(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_virtual_payment_are_acknowledged_or_come_fifteen_times() {
    let goods = || PushEvent::sample("xpay_refund_notify").unwrap();
    let (acknowledged, _server) = secure([Reply::Made(acknowledge)]).await;
    let number = acknowledged.sim.push_event(&appid(), goods()).unwrap();
    acknowledged.sim.deliver_due().await;
    assert_eq!(state(&acknowledged, number), PushState::Accepted);

    let (stage, server) = secure([Reply::Made(not_delivered)]).await;
    let number = stage.sim.push_event(&appid(), goods()).unwrap();
    while let Some(due_at) = stage.sim.next_due() {
        stage.sim.advance(due_at.duration_since(stage.sim.now())).unwrap();
        stage.sim.deliver_due().await;
    }
    assert_eq!(state(&stage, number), PushState::GivenUp);
    let received = server.received();
    let counts: Vec<_> =
        received.iter().map(|received| received.message().fields.number("RetryTimes").unwrap()).collect();
    assert_eq!(counts, (0..15).collect::<Vec<i64>>());
    assert!(stage.li.chat().is_empty(), "no customer sees an event fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_taken_is_repeated_like_a_message() {
    let (stage, server) = secure([Reply::Body("no")]).await;
    stage.sim.push_event(&appid(), PushEvent::sample("debug_demo").unwrap()).unwrap();
    while let Some(due_at) = stage.sim.next_due() {
        stage.sim.advance(due_at.duration_since(stage.sim.now())).unwrap();
        stage.sim.deliver_due().await;
    }
    assert_eq!(server.received().len(), 1 + PUSH_REPEATS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_copies_come_at_once_each_signed_afresh_and_change_nothing() {
    let (stage, server) = secure([Reply::Transfer]).await;
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    let attempts = stage.sim.repeat_push(1, 100).await.unwrap();
    assert_eq!(attempts.len(), 100);
    assert!(attempts.iter().all(|attempt| matches!(attempt.verdict, Verdict::Transfer { .. })));
    let received = server.received();
    let mut nonces: Vec<_> = received.iter().map(|received| received.query.nonce.clone()).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 101);
    let first = received[0].read.as_ref().unwrap();
    assert!(received.iter().all(|received| received.read.as_ref().unwrap().plaintext == first.plaintext));
    assert_eq!(super::conversation(&stage).forwarded.len(), 1);
    assert_eq!(stage.sim.repeat_push(1, PUSH_COPIES_MAX + 1).await, Err(PushRefusal::TooManyCopies));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeat_says_what_was_said_then() {
    let (stage, server) = secure([Reply::Success]).await;
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    stage.advance_s(3600);
    stage.sim.repeat_push(1, 1).await.unwrap();
    let received = server.received();
    let times: Vec<_> = received.iter().map(|received| received.message().create_time_s).collect();
    assert_eq!(times[0], times[1]);
    assert_ne!(received[0].query.timestamp, received[1].query.timestamp);
}
