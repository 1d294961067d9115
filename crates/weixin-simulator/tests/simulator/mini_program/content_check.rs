//! Checks of texts and pictures.

use serde_json::{Value, json};
use weixin::push::{Content, Event};
use weixin_simulator::{ContentWords, MEDIA_CHECK_AFTER_S, VISIT_WITHIN_S};

use super::{call, errcode, other_app};
use crate::{
    push::{self, Reply},
    support::Stage,
};

const TEXT: &str = "/wxa/msg_sec_check";
const MEDIA: &str = "/wxa/media_check_async";

fn text(stage: &Stage, content: &str) -> Value {
    json!({ "content": content, "version": 2, "scene": 2, "openid": stage.li.openid() })
}

fn media(stage: &Stage, url: &str) -> Value {
    json!({ "media_url": url, "media_type": 2, "version": 2, "scene": 2, "openid": stage.li.openid() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customer_must_have_had_the_app_open() {
    let stage = Stage::new().await;
    let other = other_app(&stage);
    for (path, body) in [(TEXT, text(&stage, "你好")), (MEDIA, media(&stage, "https://a/b.png"))] {
        assert_eq!(errcode(&call(&stage, path, body.clone()).await), 61010, "never");
        stage.li.login();
        stage.advance_s(VISIT_WITHIN_S);
        assert_eq!(errcode(&call(&stage, path, body.clone()).await), 0);
        stage.advance_s(1);
        assert_eq!(errcode(&call(&stage, path, body.clone()).await), 61010);
        for (openid, expected) in [("oNobody", 40003), (other.openid().as_str(), 43104)] {
            let mut body = body.clone();
            body["openid"] = json!(openid);
            assert_eq!(errcode(&call(&stage, path, body).await), expected);
        }
        let mut body = body.clone();
        body["scene"] = json!(9);
        assert_eq!(errcode(&call(&stage, path, body).await), 40129);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_decide_on_texts() {
    let stage = Stage::new().await;
    stage.li.login();
    for (content, suggest, label) in
        [("很好喝", "pass", 100), ("有点可疑示例", "review", 21000), ("可疑示例和违规示例", "risky", 21000)]
    {
        let answer = call(&stage, TEXT, text(&stage, content)).await;
        assert_eq!((&answer["result"]["suggest"], &answer["result"]["label"]), (&json!(suggest), &json!(label)));
        assert!(answer["trace_id"].is_string());
    }
    stage.sim.set_content_words(ContentWords { risky: vec!["很好喝".to_owned()], review: Vec::new() });
    let answer = call(&stage, TEXT, text(&stage, "很好喝")).await;
    assert_eq!(answer["detail"][0]["keyword"], "很好喝");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_on_a_picture_comes_later_as_an_event() {
    let (stage, server) = push::secure([Reply::Success]).await;
    stage.li.login();
    let mut asked = Vec::new();
    for url in ["https://shop.example.com/a.png", "https://shop.example.com/risky-example.png"] {
        let answer = call(&stage, MEDIA, media(&stage, url)).await;
        asked.push(answer["trace_id"].as_str().unwrap().to_owned());
    }
    assert_ne!(asked[0], asked[1]);
    assert_eq!(stage.sim.deliver_due().await, 0, "not at once");
    stage.advance_s(i64::from(MEDIA_CHECK_AFTER_S));
    assert_eq!(stage.sim.deliver_due().await, 2);
    for received in server.received() {
        let Content::Event(Event::MediaCheck { trace_id, errcode, suggest, .. }) = &received.message().content else {
            panic!()
        };
        let expected = if *trace_id == asked[0] { "pass" } else { "risky" };
        assert_eq!((*errcode, suggest.as_deref()), (0, Some(expected)));
    }
}
