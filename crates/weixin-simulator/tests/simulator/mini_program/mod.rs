//! The calls of an app's server that need an access token.

mod agent_list;
mod content_check;
mod custom_send;
mod fault;
mod media;
mod phone_number;
mod session_key;
mod subscribe;
mod typing;

use serde_json::{Value, json};
use weixin::{AppId, AppSecret};
use weixin_simulator::{AppSetup, DEMO_APP_SECRET, DEMO_APPID, Phone};

use crate::support::Stage;

pub(crate) use media::GIF;

/// An app that is not the one of the demonstration.
pub(crate) const OTHER_APPID: &str = "wxfake000000000002";

pub(crate) async fn token_of(stage: &Stage, appid: &str) -> String {
    let body = json!({ "grant_type": "client_credential", "appid": appid, "secret": DEMO_APP_SECRET });
    stage.post_json("/cgi-bin/stable_token", body).await.1["access_token"].as_str().unwrap().to_owned()
}

/// Posts with the token of the app.
pub(crate) async fn call(stage: &Stage, path: &str, body: Value) -> Value {
    call_as(stage, DEMO_APPID, path, body).await
}

pub(crate) async fn call_as(stage: &Stage, appid: &str, path: &str, body: Value) -> Value {
    let path = format!("{path}?access_token={}", token_of(stage, appid).await);
    let (status, answer) = stage.post_json(&path, body).await;
    assert_eq!(status, 200);
    answer
}

/// Gets with the token of the app; the query begins with `&`.
pub(crate) async fn get(stage: &Stage, path: &str, query: &str) -> Value {
    stage.get_json(&format!("{path}?access_token={}{query}", token_of(stage, DEMO_APPID).await)).await
}

pub(crate) fn errcode(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

/// The other app, and a customer of it.
pub(crate) fn other_app(stage: &Stage) -> Phone {
    let appid = AppId::parse(OTHER_APPID).unwrap();
    stage.sim.add_app(&AppSetup::new(appid.clone(), AppSecret::parse(DEMO_APP_SECRET).unwrap()));
    stage.sim.phone(&appid, "li").unwrap()
}

/// The text of the server to the customer of the stage.
pub(crate) fn text(stage: &Stage, content: &str) -> Value {
    json!({ "touser": stage.li.openid(), "msgtype": "text", "text": { "content": content } })
}

/// Asks for the phone number behind a code.
pub(crate) async fn phone_number(stage: &Stage, code: &str) -> Value {
    call(stage, "/wxa/business/getuserphonenumber", json!({ "code": code })).await
}
