//! What a push looks like in each mode and format.

use weixin::push::{Content, Event, Format, Mode};

use super::{Reply, stage};
use crate::support::start_time;

const ALL: [(Mode, Format); 6] = [
    (Mode::Plain, Format::Xml),
    (Mode::Plain, Format::Json),
    (Mode::Compatible, Format::Xml),
    (Mode::Compatible, Format::Json),
    (Mode::Secure, Format::Xml),
    (Mode::Secure, Format::Json),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_text_arrives_whole_in_every_mode_and_format() {
    let text = "你好 😀 ]]> <a> \"x\" & \\\n第二行";
    for (mode, format) in ALL {
        let (stage, server) = stage(mode, format, [Reply::Success]).await;
        let msg_id = stage.li.send_text(text);
        assert!(server.received().is_empty(), "on demand nothing is sent by itself");
        assert_eq!(stage.sim.deliver_due().await, 1);
        let received = &server.received()[0];
        let push = received.read.as_ref().unwrap();
        assert_eq!(push.message.content, Content::Text { content: text.to_owned() }, "{mode:?} {format:?}");
        assert_eq!(push.message.msg_id.as_ref(), Some(&msg_id));
        assert_eq!(push.message.from_user_name, stage.li.openid().as_str());
        assert_eq!(push.message.to_user_name, weixin_simulator::DEMO_ORIGINAL_ID);
        assert_eq!(push.message.create_time_s, start_time().as_second());
        assert_eq!((push.format, push.answer_keys.is_some()), (format, mode != Mode::Plain));
        assert_eq!(received.query.openid.as_deref(), Some(stage.li.openid().as_str()));
        assert_eq!(received.query.encrypt_type.is_some(), mode != Mode::Plain);
        assert_eq!(received.body.contains("MsgId"), mode != Mode::Secure, "{}", received.body);
        assert!(received.head.to_ascii_lowercase().contains(&format!("content-type: {}", format.content_type())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_with_an_address_and_a_card_with_its_page() {
    let (stage, server) = stage(Mode::Secure, Format::Xml, [Reply::Success]).await;
    let picture = b"\x89PNG\r\n\x1a\nnot much of a picture".to_vec();
    stage.li.send_image(picture.clone());
    stage.sim.deliver_due().await;
    let Content::Image { pic_url, media_id } = &server.received()[0].message().content.clone() else { panic!() };
    let path = pic_url.strip_prefix(&stage.sim.base_url()).unwrap();
    let served = stage.get(path).await;
    assert_eq!((served.status, served.header("content-type"), &served.body), (200, Some("image/png"), &picture));
    assert_eq!(media_id.len(), 64);
    stage.advance_s(3 * 86_400 + 1);
    assert_eq!(stage.get(path).await.status, 404, "kept for three days");

    stage.li.send_card("我的订单", "pages/order/order?id=1");
    stage.sim.deliver_due().await;
    let Content::MiniProgramPage { title, appid, page_path, thumb_url, .. } =
        &server.received()[1].message().content.clone()
    else {
        panic!()
    };
    assert_eq!((title.as_str(), page_path.as_str()), ("我的订单", "pages/order/order?id=1"));
    assert_eq!(appid, weixin_simulator::DEMO_APPID);
    assert_eq!(stage.get(thumb_url.strip_prefix(&stage.sim.base_url()).unwrap()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_is_an_event_without_a_number() {
    let (stage, server) = stage(Mode::Secure, Format::Json, [Reply::Success]).await;
    for session_from in ["shop=7&from=订单", ""] {
        stage.li.enter_session(session_from);
        stage.sim.deliver_due().await;
        let received = server.received();
        let message = received.last().unwrap().message();
        assert_eq!(message.content, Content::Event(Event::EnterSession { session_from: session_from.to_owned() }));
        assert_eq!(message.msg_id, None);
    }
    assert!(stage.li.chat().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_messages_are_larger_than_a_double_can_hold() {
    let (stage, _server) = stage(Mode::Plain, Format::Json, [Reply::Success]).await;
    let mut numbers: Vec<i64> = (0..50).map(|_| stage.li.send_text("x").parse().unwrap()).collect();
    assert!(numbers.iter().all(|number| *number > 1 << 53));
    assert!(numbers.iter().any(|number| number % 2 == 1), "a double would round it");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50);
}
