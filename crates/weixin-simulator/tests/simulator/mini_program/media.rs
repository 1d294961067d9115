//! Temporary media: uploaded, sent, fetched, and gone after three days.

use serde_json::json;
use weixin_simulator::DEMO_APPID;

use super::{OTHER_APPID, call, errcode, get, other_app, token_of};
use crate::support::{Reply, Stage};

/// A picture of one dot.
pub(crate) const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0;";

const UPLOAD: &str = "/cgi-bin/media/upload";

fn form(part: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: form-data; {part}\r\nContent-Type: image/gif\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n--XX--\r\n"].concat()
}

async fn post(stage: &Stage, query: &str, content_type: &str, body: &[u8]) -> Reply {
    let path = format!("{UPLOAD}?access_token={}{query}", token_of(stage, DEMO_APPID).await);
    stage.http("POST", &path, &[("Content-Type", content_type)], body).await
}

const FORM: &str = "multipart/form-data; boundary=XX";
const FILE: &str = "name=\"media\"; filename=\"a.gif\"";

pub(crate) async fn upload(stage: &Stage) -> String {
    let answer = post(stage, "&type=image", FORM, &form(FILE, GIF)).await.json();
    answer["media_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_in_a_form_is_refused() {
    let stage = Stage::new().await;
    let large = [GIF, &vec![0; 10 * 1024 * 1024]].concat();
    for (query, content_type, body, expected) in [
        ("", FORM, form(FILE, GIF), 40004),
        ("&type=picture", FORM, form(FILE, GIF), 40004),
        ("&type=image", FORM, form("name=\"file\"; filename=\"a.gif\"", GIF), 41005),
        ("&type=image", FORM, form("name=\"media\"", GIF), 41005),
        ("&type=image", "application/json", b"{}".to_vec(), 41005),
        ("&type=image", FORM, form(FILE, b""), 41005),
        ("&type=image", FORM, form(FILE, b"<html>"), 40005),
        ("&type=image", FORM, form(FILE, &large), 40009),
    ] {
        let answer = post(&stage, query, content_type, &body).await.json();
        assert_eq!(errcode(&answer), expected, "{query} {content_type} {} bytes", body.len());
    }
    assert_eq!(errcode(&stage.get_json(UPLOAD).await), 43002);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_kept_for_three_days_for_its_app_alone() {
    let stage = Stage::new().await;
    other_app(&stage);
    let answer = post(&stage, "&type=image", FORM, &form(FILE, GIF)).await.json();
    assert_eq!(answer["type"], "image");
    assert_eq!(answer["created_at"], json!(crate::support::start_time().as_second()));
    let media_id = answer["media_id"].as_str().unwrap();
    let path = |token: &str| format!("/cgi-bin/media/get?access_token={token}&media_id={media_id}");
    let stranger = stage.get_json(&path(&token_of(&stage, OTHER_APPID).await)).await;
    assert_eq!(errcode(&stranger), 40007);
    assert_eq!(errcode(&get(&stage, "/cgi-bin/media/get", "").await), 41006);
    stage.advance_s(3 * 86_400);
    let got = stage.get(&path(&token_of(&stage, DEMO_APPID).await)).await;
    assert_eq!((got.status, got.header("content-type"), &got.body[..]), (200, Some("image/gif"), GIF));
    assert!(got.header("content-disposition").unwrap().ends_with(".gif\""));
    stage.advance_s(1);
    let late = stage.get_json(&path(&token_of(&stage, DEMO_APPID).await)).await;
    assert_eq!(errcode(&late), 40007);
    stage.li.send_text("有人吗");
    let image = json!({ "touser": stage.li.openid(), "msgtype": "image", "image": { "media_id": media_id } });
    assert_eq!(errcode(&call(&stage, "/cgi-bin/message/custom/send", image).await), 40007);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_of_a_customer_is_fetched_and_does_not_fill_the_log() {
    let stage = Stage::new().await;
    stage.li.send_image(GIF);
    let weixin_simulator::Said::Image { media_id } = &stage.li.chat()[0].said else { panic!() };
    let path = format!("/cgi-bin/media/get?access_token={}&media_id={media_id}", token_of(&stage, DEMO_APPID).await);
    assert_eq!(stage.get(&path).await.body, GIF);
    assert_eq!(stage.sim.wire().pop().unwrap().answer, format!("[{} bytes of image/gif]", GIF.len()));
}
