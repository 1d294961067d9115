//! The phone number of a customer: each code once, for five minutes, for its app, and never one of `wx.login`.

use serde_json::json;
use weixin_simulator::{DEMO_APPID, PhoneNumber};

use super::{call, errcode, other_app};
use crate::support::{Stage, session_path};

const PATH: &str = "/wxa/business/getuserphonenumber";

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_none_is_refused() {
    let stage = Stage::new().await;
    let other = other_app(&stage);
    let late = stage.li.get_phone_number();
    stage.advance_s(301);
    for (body, expected) in [
        (json!({ "code": "nonsense" }), 40029),
        (json!({ "code": stage.li.login() }), 40029),
        (json!({ "code": late }), 40029),
        (json!({ "code": other.get_phone_number() }), 40013),
        (json!({ "code": stage.li.get_phone_number(), "openid": other.openid() }), 40003),
        (json!({}), 47001),
    ] {
        assert_eq!(errcode(&call(&stage, PATH, body.clone()).await), expected, "{body}");
    }
    let crossed = stage.get(&session_path(&stage.li.get_phone_number())).await.json();
    assert_eq!(errcode(&crossed), 40029, "not good for a log-in either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_the_number_once() {
    let stage = Stage::new().await;
    let code = stage.li.get_phone_number();
    stage.advance_s(300);
    let body = json!({ "code": code, "openid": stage.li.openid() });
    let answer = call(&stage, PATH, body.clone()).await;
    let info = &answer["phone_info"];
    assert_eq!((&info["countryCode"], &info["watermark"]["appid"]), (&json!("86"), &json!(DEMO_APPID)));
    assert!(info["phoneNumber"].as_str().unwrap().starts_with("100"), "no real number: {answer}");
    assert_eq!(info["watermark"]["timestamp"], json!(stage.sim.now().as_second()));
    assert_eq!(errcode(&call(&stage, PATH, body).await), 40163);

    stage.li.set_phone_number(PhoneNumber { country_code: "852".to_owned(), number: "51234567".to_owned() });
    let answer = call(&stage, PATH, json!({ "code": stage.li.get_phone_number() })).await;
    assert_eq!(answer["phone_info"]["phoneNumber"], "+85251234567");
    assert_eq!(answer["phone_info"]["purePhoneNumber"], "51234567");
}
