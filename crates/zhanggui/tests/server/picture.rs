//! Pictures in chats: fetched before WeChat forgets them, sent as often as one likes, and never fetched from anywhere but
//! WeChat.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use weixin::{
    mini_program::{custom_send, media_get, media_upload},
    push::Format,
};
use weixin_simulator::{Fault, FaultKind, Phone as WechatPhone, Said, Speaker};
use zhanggui::api_key::Scope;

use crate::support::{DEMO, Merchant, World, message, on_both_databases};

on_both_databases!(
    a_customers_picture_is_fetched_at_once_and_kept_when_wechat_has_forgotten_it,
    the_address_in_a_push_is_never_called,
    what_is_no_picture_is_not_kept,
    a_picture_that_wechat_has_forgotten_is_gone,
    a_fetch_that_fails_is_tried_again,
    a_picture_that_is_uploaded_twice_under_one_key_is_one_picture,
    our_picture_is_uploaded_once_and_sent_twice,
    a_picture_that_wechat_forgot_early_is_uploaded_again,
    bytes_that_are_no_picture_are_refused,
);

/// The smallest whole picture: one pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

async fn desk(world: &mut World) -> (Merchant, WechatPhone) {
    world.reconfigure(|shop| shop.push.handler = "desk").await;
    world.switch_push_on(Format::Json).await;
    let desk = world.merchant(&[Scope::Messages]).await;
    (desk, world.sim.phone(&DEMO.appid(), "li").unwrap())
}

async fn last_message(world: &World, desk: &Merchant) -> Value {
    let conversation = world.only_conversation(desk).await;
    let path = format!("/v1/conversations/{}/messages", conversation["id"].as_str().unwrap());
    desk.get(&path).await.json(200)["messages"][0].clone()
}

/// The id of the picture that came last.
async fn picture(world: &World, desk: &Merchant) -> String {
    last_message(world, desk).await["picture"].as_str().unwrap().to_owned()
}

async fn a_customers_picture_is_fetched_at_once_and_kept_when_wechat_has_forgotten_it(world: &mut World) {
    let (desk, phone) = desk(world).await;
    phone.send_image(GIF);
    world.deliver().await;
    let path = format!("/v1/pictures/{}", picture(world, &desk).await);
    desk.get(&path).await.problem(409, "picture_pending");
    world.run_jobs().await;
    world.clock.advance_s(4 * 24 * 3600);
    let reply = desk.get(&path).await;
    assert_eq!((reply.status, &reply.body[..]), (200, GIF));
    assert_eq!(reply.header("content-type"), "image/gif");
    assert_eq!(reply.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(world.calls(media_get::PATH).len(), 1);
}

async fn the_address_in_a_push_is_never_called(world: &mut World) {
    let (desk, phone) = desk(world).await;
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/latest/meta-data", inside.local_addr().unwrap());
    let (pusher, now_s) = (world.pusher(Format::Json), world.now_s());
    let content =
        message(phone.openid().as_str(), 1, now_s, "image").with("PicUrl", address).with("MediaId", "nobody-has-this");
    assert_eq!(pusher.push(&content, now_s).await.status, 200);
    world.run_jobs().await;
    let gone = desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.problem(410, "picture_gone");
    assert!(gone["detail"].as_str().unwrap().contains("WeChat does not have it"));
    // A call would be waiting to be accepted.
    let called = tokio::time::timeout(std::time::Duration::ZERO, inside.accept()).await;
    assert!(called.is_err(), "somebody called an address inside");
}

async fn what_is_no_picture_is_not_kept(world: &mut World) {
    let (desk, phone) = desk(world).await;
    let huge = {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 8, 2, 0, 0, 0]);
        png
    };
    for bytes in [b"<html><script>alert(1)</script>".to_vec(), b"\xff\xd8\xff".to_vec(), huge] {
        world.clock.advance_s(1);
        phone.send_image(bytes);
        world.deliver().await;
        // What came might be the page of a gateway: WeChat is asked three times.
        for _ in 0..2 {
            world.run_jobs().await;
            desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.problem(409, "picture_pending");
            world.clock.advance_s(60);
        }
        world.run_jobs().await;
        desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.problem(410, "picture_gone");
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM picture WHERE bytes_sealed IS NOT NULL").await, 0);
    desk.get("/v1/pictures/pic_00000000000000000000000000000000").await.problem(404, "picture_not_found");
}

async fn a_picture_that_wechat_has_forgotten_is_gone(world: &mut World) {
    let (desk, phone) = desk(world).await;
    phone.send_image(GIF);
    world.deliver().await;
    world.clock.advance_s(3 * 24 * 3600 + 1);
    world.run_jobs().await;
    desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.problem(410, "picture_gone");
}

async fn a_fetch_that_fails_is_tried_again(world: &mut World) {
    let (desk, phone) = desk(world).await;
    phone.send_image(GIF);
    world.deliver().await;
    for kind in [FaultKind::Html, FaultKind::NoAnswerAfter, FaultKind::Errcode(-1), FaultKind::Status(502)] {
        world.sim.inject(Fault::on(media_get::PATH, kind));
        world.run_jobs().await;
        desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.problem(409, "picture_pending");
        world.clock.advance_s(60);
    }
    world.run_jobs().await;
    assert_eq!(desk.get(&format!("/v1/pictures/{}", picture(world, &desk).await)).await.status, 200);
}

/// The customer has written; gives the path for replies and the id of an uploaded picture.
async fn uploaded(world: &World, desk: &Merchant, phone: &WechatPhone) -> (String, String) {
    phone.send_text("show me");
    world.deliver().await;
    let conversation = world.only_conversation(desk).await;
    let picture = desk.upload("/v1/pictures", GIF).await.json(201);
    assert_eq!(picture["content_type"], "image/gif");
    let path = format!("/v1/conversations/{}/messages", conversation["id"].as_str().unwrap());
    (path, picture["id"].as_str().unwrap().to_owned())
}

async fn a_picture_that_is_uploaded_twice_under_one_key_is_one_picture(world: &mut World) {
    let (desk, _) = desk(world).await;
    let first = desk.once("/v1/pictures", "p1", GIF).await;
    let again = desk.once("/v1/pictures", "p1", GIF).await;
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM picture").await, 1);
    // Other bytes, or for another app, are another request.
    let other = [GIF, b" "].concat();
    desk.once("/v1/pictures", "p1", other).await.problem(422, "idempotency_key_used");
    let appid = format!("/v1/pictures?appid={}", DEMO.appid);
    desk.once(&appid, "p1", GIF).await.problem(422, "idempotency_key_used");
}

async fn our_picture_is_uploaded_once_and_sent_twice(world: &mut World) {
    let (desk, phone) = desk(world).await;
    let (path, picture) = uploaded(world, &desk, &phone).await;
    let image = |client_id: &str| json!({ "client_id": client_id, "type": "image", "picture": picture });
    assert_eq!(desk.post(&path, &image("a1")).await.json(201)["state"], "sent");
    assert_eq!(desk.post(&path, &image("a2")).await.json(201)["state"], "sent");
    let card = json!({
        "client_id": "a3", "type": "miniprogrampage", "title": "茶", "page_path": "pages/tea?id=1", "picture": picture,
    });
    assert_eq!(desk.post(&path, &card).await.json(201)["state"], "sent");
    assert_eq!(world.calls(media_upload::PATH).len(), 1);
    let said: Vec<_> =
        phone.chat().into_iter().filter(|line| line.by == Speaker::Server).map(|line| line.said).collect();
    assert!(matches!(&said[..], [Said::Image { .. }, Said::Image { .. }, Said::Card { .. }]), "{said:?}");
    // After three days WeChat has forgotten it.
    world.clock.advance_s(3 * 24 * 3600);
    phone.send_text("once more?");
    world.deliver().await;
    assert_eq!(desk.post(&path, &image("a4")).await.json(201)["state"], "sent");
    assert_eq!(world.calls(media_upload::PATH).len(), 2);
}

async fn a_picture_that_wechat_forgot_early_is_uploaded_again(world: &mut World) {
    let (desk, phone) = desk(world).await;
    let (path, picture) = uploaded(world, &desk, &phone).await;
    world.sim.inject(Fault::on(custom_send::PATH, FaultKind::Errcode(40007)));
    let image = json!({ "client_id": "a1", "type": "image", "picture": picture });
    assert_eq!(desk.post(&path, &image).await.json(201)["state"], "queued");
    world.clock.advance_s(10);
    world.run_jobs().await;
    assert_eq!(desk.post(&path, &image).await.json(200)["state"], "sent");
    assert_eq!(world.calls(media_upload::PATH).len(), 2);
    assert_eq!(phone.chat().iter().filter(|line| line.by == Speaker::Server).count(), 1);
}

async fn bytes_that_are_no_picture_are_refused(world: &mut World) {
    let (desk, _) = desk(world).await;
    for bytes in [b"".to_vec(), b"hello".to_vec(), b"GIF89a".to_vec(), b"<svg onload='x'/>".to_vec()] {
        desk.upload("/v1/pictures", bytes).await.problem(422, "picture_invalid");
    }
    let giant = [GIF, &vec![0; 3 * 1024 * 1024]].concat();
    desk.upload("/v1/pictures", giant).await.problem(413, "body_too_large");
    desk.upload("/v1/pictures?appid=wxfake000000000009", GIF).await.problem(422, "app_unknown");
}
