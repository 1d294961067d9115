//! Whether a session key is the current one, and replacing it.

use weixin::{SessionKey, mini_program::open_data::user_state_signature};

use super::{errcode, get, other_app};
use crate::support::{Stage, session_path};

const CHECK: &str = "/wxa/checksession";
const RESET: &str = "/wxa/resetusersessionkey";

async fn log_in(stage: &Stage) -> SessionKey {
    let session = stage.get(&session_path(stage.li.login().as_str())).await.json();
    SessionKey::parse(session["session_key"].as_str().unwrap()).unwrap()
}

fn query(openid: &str, key: &SessionKey) -> String {
    format!("&openid={openid}&sig_method=hmac_sha256&signature={}", user_state_signature(key, ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_current_key_is_recognised() {
    let stage = Stage::new().await;
    let other = other_app(&stage);
    let openid = stage.li.openid().as_str();
    let guess = SessionKey::parse("9hAb/NEYUlkaMBEsmFgzig==").unwrap();
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &guess)).await), 87007, "nobody logged in");
    let first = log_in(&stage).await;
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &guess)).await), 87009);
    assert_eq!(errcode(&get(&stage, CHECK, &query("oNobody", &first)).await), 40003);
    assert_eq!(errcode(&get(&stage, CHECK, &query(other.openid().as_str(), &first)).await), 40003);
    let md5 = query(openid, &first).replace("hmac_sha256", "md5");
    assert_eq!(errcode(&get(&stage, CHECK, &md5).await), 87008);
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &first)).await), 0);
    stage.advance_s(60);
    let second = log_in(&stage).await;
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &first)).await), 87009);
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &second)).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_key_kills_it_at_once() {
    let stage = Stage::new().await;
    let openid = stage.li.openid().as_str();
    let old = log_in(&stage).await;
    let answer = get(&stage, RESET, &query(openid, &old)).await;
    assert_eq!((errcode(&answer), answer["openid"].as_str()), (0, Some(openid)));
    let new = SessionKey::parse(answer["session_key"].as_str().unwrap()).unwrap();
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &old)).await), 87009);
    assert_eq!(errcode(&get(&stage, RESET, &query(openid, &old)).await), 87009);
    assert_eq!(errcode(&get(&stage, CHECK, &query(openid, &new)).await), 0);
    assert_eq!(log_in(&stage).await, new, "a log-in within the minute keeps it");
    let logged = stage.sim.wire().into_iter().map(|exchange| exchange.answer).collect::<String>();
    assert!(!logged.contains(new.expose()));
}
