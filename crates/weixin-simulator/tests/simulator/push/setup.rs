//! Switching message push on.

use weixin::{PushToken, push::Mode};
use weixin_simulator::{PushSetup, PushSetupError, Verdict};

use super::{Reply, Server, secure};
use crate::support::{Stage, appid, options};

async fn refusal(stage: &Stage, setup: PushSetup) -> PushSetupError {
    stage.sim.set_push(&appid(), setup).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_differs_by_one_byte_is_refused() {
    let (stage, server) = (Stage::new().await, Server::new([Reply::Success]));
    for behind in ["\n", " ", "\"", "\u{feff}"] {
        server.answer_question_with(behind);
        let error = refusal(&stage, server.setup.clone()).await;
        let PushSetupError::OtherBody { expected, got } = &error else { panic!("{error}") };
        assert_eq!(*got, format!("{expected}{behind}"));
    }
    assert!(stage.sim.push_setup(&appid()).is_none(), "nothing was saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_silence_and_a_foreign_address_are_refused() {
    let (stage, server) = (Stage::new().await, Server::new([Reply::Success]));
    let token = PushToken::parse("anotherToken").unwrap();
    let other = PushSetup { token, ..server.setup.clone() };
    assert_eq!(refusal(&stage, other).await, PushSetupError::Status(403));
    let silent = refusal(&stage, PushSetup::demo("http://127.0.0.1:1/push")).await;
    assert!(matches!(silent, PushSetupError::NoAnswer { .. }), "{silent}");
    let foreign = refusal(&stage, PushSetup::demo("https://shop.example.com/push")).await;
    assert!(matches!(foreign, PushSetupError::NotLoopback(_)), "{foreign}");
    let keyless = PushSetup { aes_key: None, ..server.setup.clone() };
    assert_eq!(refusal(&stage, keyless.clone()).await, PushSetupError::NoAesKey);
    stage.sim.set_push(&appid(), keyless.mode(Mode::Plain)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_fails_leaves_the_earlier_one() {
    let (stage, server) = secure([Reply::Success]).await;
    refusal(&stage, PushSetup::demo("http://127.0.0.1:1/push")).await;
    stage.li.send_text("你好");
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_is_in_clear_text_and_behind_the_parameters_of_the_address() {
    let (stage, server) = (Stage::new().await, Server::new([Reply::Success]));
    let setup = PushSetup { url: format!("{}?shop=7", server.setup.url), ..server.setup.clone() };
    stage.sim.set_push(&appid(), setup).await.unwrap();
    let question = &server.questions()[0];
    assert!(question.starts_with("GET /wechat/push/shop?shop=7&signature="), "{question}");
    assert!(question.contains("&echostr=") && !question.contains("encrypt_type"), "{question}");
    assert!(stage.sim.wire().iter().any(|exchange| exchange.path.contains("echostr=")));
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_off_ends_what_is_pending_and_sends_messages_to_the_agents() {
    let (stage, server) = secure([Reply::Success]).await;
    let first = stage.li.send_text("一");
    stage.sim.set_push(&appid(), PushSetup { enabled: false, ..server.setup.clone() }).await.unwrap();
    let second = stage.li.send_text("二");
    assert_eq!(stage.sim.deliver_due().await, 0);
    assert!(server.received().is_empty());
    assert_eq!(super::push(&stage, &first).state, weixin_simulator::PushState::SwitchedOff);
    let forwarded = super::conversation(&stage).forwarded;
    assert_eq!(forwarded.len(), 1);
    assert_eq!(forwarded[0].msg_id.as_ref(), Some(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_set_from_the_start_is_on_this_machine_or_not_called() {
    let mut options = options(1);
    options.world.apps[0].push = Some(PushSetup::demo("http://192.0.2.1/push"));
    let stage = Stage::with(options).await;
    let msg_id = stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    let attempt = &super::push(&stage, &msg_id).attempts[0];
    let reason = "the address is not on this machine".to_owned();
    assert_eq!((attempt.http_status, &attempt.verdict), (None, &Verdict::Refused { reason }));
}
