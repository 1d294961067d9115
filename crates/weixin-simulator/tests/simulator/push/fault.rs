//! What the simulator can be told to do wrong with pushes.

use weixin::push::{Content, Format, Mode, OpenError, PushError};
use weixin_simulator::{Fault, FaultKind, PUSH, PushState};

use super::{Received, Reply, push, secure, stage};

async fn struck(mode: Mode, kind: FaultKind) -> Received {
    let (stage, server) = stage(mode, Format::Json, [Reply::Success]).await;
    stage.sim.inject(Fault::on(PUSH, kind));
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    assert!(stage.sim.faults().is_empty());
    server.received().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_pushes_are_refused_for_their_own_reason() {
    for (kind, plain, sealed) in [
        (FaultKind::WrongSignature, PushError::SignatureMismatch, PushError::MsgSignatureMismatch),
        (FaultKind::Unsigned, PushError::MissingParameter("signature"), PushError::MissingParameter("msg_signature")),
    ] {
        assert_eq!(struck(Mode::Plain, kind.clone()).await.read, Err(plain));
        assert_eq!(struck(Mode::Secure, kind.clone()).await.read, Err(sealed));
        assert_eq!(struck(Mode::Compatible, kind).await.read, Err(sealed));
    }
    let tampered = struck(Mode::Secure, FaultKind::TamperedBody).await;
    assert_eq!(tampered.read, Err(PushError::MsgSignatureMismatch));
    let clear = struck(Mode::Secure, FaultKind::ClearText).await;
    assert_eq!(clear.read, Err(PushError::EncryptionRequired));
    assert!(clear.body.contains("你好"));
    let other = struck(Mode::Secure, FaultKind::OtherApp).await;
    assert_eq!(other.read, Err(PushError::Open(OpenError::OtherApp)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_see_that_clear_text_was_tampered_with() {
    let received = struck(Mode::Plain, FaultKind::TamperedBody).await;
    assert_eq!(received.message().content, Content::Text { content: "tampered".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_push_is_eight_days_old() {
    let received = struck(Mode::Secure, FaultKind::Stale).await;
    let made_at: i64 = received.query.timestamp.as_deref().unwrap().parse().unwrap();
    assert_eq!(crate::support::start_time().as_second() - made_at, 8 * 86_400);
    assert!(received.read.is_ok(), "and otherwise good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_lost_delayed_or_comes_twice() {
    let (stage, server) = secure([Reply::Success]).await;
    stage.sim.inject(Fault::on(PUSH, FaultKind::Lost));
    let lost = stage.li.send_text("一");
    stage.sim.deliver_due().await;
    assert!(server.received().is_empty());
    assert!(matches!(push(&stage, &lost).state, PushState::Pending { .. }));
    stage.advance_s(5);
    stage.sim.deliver_due().await;
    assert_eq!(push(&stage, &lost).state, PushState::Accepted);

    stage.sim.inject(Fault::on(PUSH, FaultKind::Delay(60)));
    let late = stage.li.send_text("二");
    let early = stage.li.send_text("三");
    assert_eq!(stage.sim.deliver_due().await, 1, "the other one overtakes it");
    stage.advance_s(60);
    stage.sim.deliver_due().await;
    let order: Vec<_> = server.received().iter().map(|received| received.message().msg_id.clone().unwrap()).collect();
    assert_eq!(order, [lost, early, late]);

    stage.sim.inject(Fault::on(PUSH, FaultKind::Twice));
    let twice = stage.li.send_text("四");
    stage.sim.deliver_due().await;
    assert_eq!(server.received().len(), 5);
    assert_eq!(push(&stage, &twice).attempts.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_notifications_leave_pushes_alone() {
    let (stage, server) = secure([Reply::Success]).await;
    stage.sim.inject(Fault::new(FaultKind::Lost));
    stage.sim.inject(Fault::on(weixin_simulator::NOTIFICATION, FaultKind::Twice));
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    assert_eq!((server.received().len(), stage.sim.faults().len()), (1, 2));
}
