//! Repeats: when, how often, and signed afresh.

use weixin_simulator::{PUSH_REPEAT_AFTER_S, PUSH_REPEATS, PushState, Verdict};

use super::{Reply, conversation, push, secure};
use crate::support::http_answer;

fn bad() -> Reply {
    Reply::Raw(http_answer("500 Internal Server Error", ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_repeated_to_the_second_and_then_given_up() {
    let (stage, server) = secure([bad()]).await;
    let msg_id = stage.li.send_text("你好");
    assert_eq!(stage.sim.deliver_due().await, 1);
    for _ in 0..PUSH_REPEATS {
        stage.advance_s(i64::from(PUSH_REPEAT_AFTER_S) - 1);
        assert_eq!(stage.sim.deliver_due().await, 0, "too early");
        stage.advance_s(1);
        assert_eq!(stage.sim.deliver_due().await, 1);
    }
    stage.advance_s(100_000);
    assert_eq!(stage.sim.deliver_due().await, 0);
    assert_eq!(stage.sim.next_due(), None);
    let push = push(&stage, &msg_id);
    assert_eq!((push.state, push.attempts.len()), (PushState::GivenUp, 1 + PUSH_REPEATS));
    assert_eq!(server.received().len(), 1 + PUSH_REPEATS);
    assert_eq!(conversation(&stage).failures(), 1, "the customer sees it once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_says_the_same_and_is_signed_afresh() {
    let (stage, server) = secure([bad(), Reply::Success]).await;
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    stage.advance_s(i64::from(PUSH_REPEAT_AFTER_S));
    stage.sim.deliver_due().await;
    let received = server.received();
    let [first, second] = &received[..] else { panic!("{received:?}") };
    let (first_push, second_push) = (first.read.as_ref().unwrap(), second.read.as_ref().unwrap());
    assert_eq!(first_push.plaintext, second_push.plaintext);
    assert_ne!(first.query.nonce, second.query.nonce);
    assert_ne!(first.query.timestamp, second.query.timestamp);
    assert_ne!(first.query.msg_signature, second.query.msg_signature);
    assert_ne!(first.body, second.body);
    assert_eq!(stage.sim.next_due(), None, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_may_be_forwarded_after_the_first_attempt_failed() {
    let (stage, _server) = secure([bad(), Reply::Transfer]).await;
    let msg_id = stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    stage.advance_s(i64::from(PUSH_REPEAT_AFTER_S));
    stage.sim.deliver_due().await;
    let push = push(&stage, &msg_id);
    assert_eq!(push.state, PushState::Forwarded);
    assert!(matches!(push.attempts[1].verdict, Verdict::Transfer { .. }));
    assert_eq!(conversation(&stage).forwarded.len(), 1);
}
