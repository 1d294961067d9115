//! Pushing by itself, and what outlives the process.

use weixin::push::{Format, Mode};
use weixin_simulator::{Delivery, PushState, Session, Simulator};

use super::{Reply, Server, conversation, push, secure};
use crate::support::{Stage, appid, http_answer, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_sent_as_soon_as_it_is_due() {
    let mut options = options(1);
    options.delivery = Delivery::Automatic;
    let (stage, server) = (Stage::with(options).await, Server::new([Reply::Success]));
    server.switch_on(&stage, Mode::Secure, Format::Json).await;
    let mut wire = stage.sim.follow_wire();
    let before = *wire.borrow();
    let msg_id = stage.li.send_text("你好");
    wire.wait_for(|sequence| *sequence > before).await.unwrap();
    assert_eq!(push(&stage, &msg_id).state, PushState::Accepted);
    server.reply(Reply::Raw(http_answer("500 Internal Server Error", "")));
    let failing = stage.li.send_text("在吗");
    wire.wait_for(|sequence| *sequence > before + 1).await.unwrap();
    server.reply(Reply::Transfer);
    stage.advance_s(5);
    wire.wait_for(|sequence| *sequence > before + 2).await.unwrap();
    assert_eq!(push(&stage, &failing).state, PushState::Forwarded);
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_pushes_pictures_and_codes_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(1);
    options.state_file = Some(directory.path().join("state.json"));
    let (stage, server) = (Stage::with(options.clone()).await, Server::new([Reply::Transfer]));
    server.switch_on(&stage, Mode::Secure, Format::Xml).await;
    stage.li.send_image(crate::mini_program::GIF);
    stage.sim.deliver_due().await;
    let waiting = stage.li.send_text("有人吗");
    let code = stage.li.get_phone_number();
    let before = stage.sim.ledger();
    stage.sim.shutdown().await;

    let sim = Simulator::start(options).await.unwrap();
    let stage = Stage { li: sim.phone(&appid(), "li").unwrap(), sim };
    let after = stage.sim.ledger();
    assert_eq!((&after.conversations, &after.pushes), (&before.conversations, &before.pushes));
    assert!(matches!(conversation(&stage).session, Session::Waiting { .. }));
    assert_eq!(stage.sim.deliver_due().await, 1, "the pending push is sent");
    assert_eq!(push(&stage, &waiting).state, PushState::Forwarded);
    let answer = crate::mini_program::phone_number(&stage, &code).await;
    assert_eq!(answer["errcode"], 0);
    let weixin_simulator::Said::Image { media_id } = &stage.li.chat()[0].said else { panic!() };
    assert_eq!(stage.get(&format!("/mmbiz_pic/{media_id}")).await.body, crate::mini_program::GIF);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_customer_service_loads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut options = options(1);
    options.state_file = Some(path.clone());
    let stage = Stage::with(options.clone()).await;
    stage.sim.shutdown().await;
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let new = ["conversations", "media", "outbox", "phone_codes", "notices", "content_words"];
    for name in new {
        assert!(state.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    for app in state["apps"].as_object_mut().unwrap().values_mut() {
        for name in ["original_id", "push", "templates", "agents"] {
            assert!(app.as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
    }
    for customer in state["customers"].as_object_mut().unwrap().values_mut() {
        for name in ["active_at", "phone_number", "subscriptions"] {
            assert!(customer.as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
    }
    std::fs::write(&path, state.to_string()).unwrap();
    // The app is not in the set-up this time: all that is known of it is in the file.
    options.world.apps.clear();
    let sim = Simulator::start(options).await.unwrap();
    assert!(sim.ledger().conversations.is_empty());
    let stage = Stage { li: sim.phone(&appid(), "li").unwrap(), sim };
    let server = Server::new([Reply::Success]);
    server.switch_on(&stage, Mode::Plain, Format::Xml).await;
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    assert_eq!(server.received()[0].message().to_user_name, "gh_000000000001");
}

/// What went to the server in a short story. The port is the only thing that may differ.
async fn story(seed: u64, crowd: bool) -> Vec<String> {
    let (stage, server) = (Stage::with(options(seed)).await, Server::new([Reply::Success]));
    server.switch_on(&stage, Mode::Secure, Format::Json).await;
    if crowd {
        stage.sim.phone(&appid(), "wang").unwrap().send_text("我先");
        stage.sim.deliver_due().await;
    }
    stage.li.send_text("你好");
    stage.sim.deliver_due().await;
    stage.li.enter_session("a");
    stage.sim.deliver_due().await;
    let mine = server
        .received()
        .into_iter()
        .filter(|received| received.query.openid.as_deref() == Some(stage.li.openid().as_str()));
    mine.map(|received| format!("{:?} {}", received.query, received.body)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_pushes_whatever_others_do() {
    let first = story(42, false).await;
    assert_eq!(first.len(), 2);
    assert_eq!(first, story(42, false).await);
    assert_eq!(first, story(42, true).await);
    assert_ne!(first, story(43, false).await);
    let (stage, _server) = secure([Reply::Success]).await;
    assert!(stage.li.chat().is_empty());
}
