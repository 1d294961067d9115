//! How WeChat takes an answer: what is not exactly right is a failure that the customer sees.

use weixin::push::{Answer, Format, Mode, Push, Receiver, Transfer};
use weixin_simulator::{FAILURE_LINE, PushState, Session, Verdict};

use super::{Reply, conversation, push, stage};
use crate::support::http_answer;

fn clear_transfer(_: &Receiver, push: &Push) -> String {
    let clear = Push { answer_keys: None, ..push.clone() };
    let receiver =
        Receiver { appid: crate::support::appid(), mode: Mode::Plain, tokens: Vec::new(), aes_keys: Vec::new() };
    Answer::Transfer(Transfer::of(&push.message, 1)).write(&receiver, &clear, 1, [0; 16])
}

fn unswapped(receiver: &Receiver, push: &Push) -> String {
    let mut transfer = Transfer::of(&push.message, 1);
    std::mem::swap(&mut transfer.to_user_name, &mut transfer.from_user_name);
    Answer::Transfer(transfer).write(receiver, push, 1, [0; 16])
}

fn other_format(receiver: &Receiver, push: &Push) -> String {
    let format = if push.format == Format::Xml { Format::Json } else { Format::Xml };
    let push = Push { format, ..push.clone() };
    Answer::Transfer(Transfer::of(&push.message, 1)).write(receiver, &push, 1, [0; 16])
}

fn other_token(receiver: &Receiver, push: &Push) -> String {
    let tokens = vec![weixin::PushToken::parse("anotherToken").unwrap()];
    let receiver = Receiver { tokens, ..receiver.clone() };
    Answer::Transfer(Transfer::of(&push.message, 1)).write(&receiver, push, 1, [0; 16])
}

fn acknowledgement(receiver: &Receiver, push: &Push) -> String {
    Answer::Ack { err_code: 0, err_msg: "success".to_owned() }.write(receiver, push, 1, [0; 16])
}

const MODES: [Mode; 3] = [Mode::Plain, Mode::Compatible, Mode::Secure];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_exactly_right_is_a_failure() {
    let sealed = &MODES[1..];
    let cases: [(&str, Reply, &[Mode]); 13] = [
        ("quoted", Reply::Body("\"success\""), &MODES),
        ("with a line break", Reply::Body("success\n"), &MODES),
        ("in JSON", Reply::Body(r#"{"code":0,"message":"success"}"#), &MODES),
        ("followed by a page", Reply::Body("success<html></html>"), &MODES),
        ("in capitals", Reply::Body("SUCCESS"), &MODES),
        ("another status", Reply::Raw(http_answer("204 No Content", "")), &MODES),
        ("an error", Reply::Raw(http_answer("500 Internal Server Error", "success")), &MODES),
        ("closed", Reply::Nothing, &MODES),
        ("unswapped", Reply::Made(unswapped), &MODES),
        ("the other format", Reply::Made(other_format), &MODES),
        ("a clear transfer", Reply::Made(clear_transfer), sealed),
        ("another token", Reply::Made(other_token), sealed),
        ("what is for events of virtual payment", Reply::Made(acknowledgement), &MODES),
    ];
    for (name, reply, modes) in cases {
        for mode in modes {
            for format in [Format::Xml, Format::Json] {
                let (stage, _server) = stage(*mode, format, [reply.clone()]).await;
                let msg_id = stage.li.send_text("有人吗");
                stage.sim.deliver_due().await;
                let push = push(&stage, &msg_id);
                assert!(matches!(push.state, PushState::Pending { .. }), "{name} {mode:?} {format:?}: {push:?}");
                assert!(matches!(push.attempts[0].verdict, Verdict::Refused { .. }));
                let chat = stage.li.chat();
                assert_eq!(chat[1].text(), Some(FAILURE_LINE), "{name} {mode:?} {format:?}");
                assert_eq!(conversation(&stage).session, Session::Nobody);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn success_nothing_and_a_transfer_are_taken_in_every_mode_and_format() {
    for mode in MODES {
        for format in [Format::Xml, Format::Json] {
            for (reply, expected) in [
                (Reply::Success, PushState::Accepted),
                (Reply::Body(""), PushState::Accepted),
                (Reply::Transfer, PushState::Forwarded),
            ] {
                let (stage, _server) = stage(mode, format, [reply]).await;
                let msg_id = stage.li.send_text("你好");
                stage.sim.deliver_due().await;
                assert_eq!(push(&stage, &msg_id).state, expected, "{mode:?} {format:?}");
                assert_eq!(conversation(&stage).failures(), 0);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_kept_with_status_body_and_time() {
    let (stage, _server) = super::secure([Reply::Raw(http_answer("502 Bad Gateway", "<html>oops</html>"))]).await;
    let msg_id = stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    let attempt = &push(&stage, &msg_id).attempts[0];
    assert_eq!((attempt.http_status, attempt.answer.as_str()), (Some(502), "<html>oops</html>"));
    assert_eq!(attempt.at, crate::support::start_time());
    let exchange = stage.sim.wire().pop().unwrap();
    assert_eq!((exchange.status, exchange.answer.as_str()), (Some(502), "<html>oops</html>"));
    assert!(exchange.note.unwrap().contains("502"));
}
