use serde_json::{Value, json};
use weixin_simulator::{CLASSIC_PER_DAY_MAX, DEMO_APP_SECRET, DEMO_APPID, FORCED_PAUSE_S, FORCED_PER_DAY_MAX};

use crate::support::{Stage, options};

async fn ask(stage: &Stage, body: Value) -> Value {
    stage.post_json("/cgi-bin/stable_token", body).await.1
}

fn request(force_refresh: bool) -> Value {
    json!({
        "grant_type": "client_credential",
        "appid": DEMO_APPID,
        "secret": DEMO_APP_SECRET,
        "force_refresh": force_refresh,
    })
}

async fn stable(stage: &Stage) -> (String, i64) {
    let answer = ask(stage, request(false)).await;
    (answer["access_token"].as_str().unwrap().to_owned(), answer["expires_in"].as_i64().unwrap())
}

async fn forced(stage: &Stage) -> String {
    ask(stage, request(true)).await["access_token"].as_str().unwrap_or_default().to_owned()
}

async fn classic(stage: &Stage) -> Value {
    let query = format!("grant_type=client_credential&appid={DEMO_APPID}&secret={DEMO_APP_SECRET}");
    stage.get_json(&format!("/cgi-bin/token?{query}")).await
}

async fn use_token(stage: &Stage, token: &str) -> i64 {
    stage.get_json(&format!("/cgi-bin/getcallbackip?access_token={token}")).await["errcode"].as_i64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stable_token_stays_and_tells_what_is_left() {
    let stage = Stage::new().await;
    let (first, left) = stable(&stage).await;
    assert_eq!(left, 7200);
    assert_eq!(use_token(&stage, &first).await, 0);
    stage.advance_s(6855);
    assert_eq!(stable(&stage).await, (first, 345));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_last_five_minutes_a_new_token_comes_and_both_work() {
    let stage = Stage::new().await;
    let (old, _) = stable(&stage).await;
    stage.advance_s(7200 - 300);
    assert_eq!(stable(&stage).await, (old.clone(), 300));
    stage.advance_s(1);
    let (new, left) = stable(&stage).await;
    assert_ne!(new, old);
    assert_eq!(left, 7200);
    assert_eq!(use_token(&stage, &old).await, 0);
    assert_eq!(use_token(&stage, &new).await, 0);
    stage.advance_s(299);
    // A newer one exists, so it is "not the latest" rather than "expired".
    assert_eq!(use_token(&stage, &old).await, 40001);
    assert_eq!(use_token(&stage, &new).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_token_ends_with_expired() {
    let stage = Stage::new().await;
    let (token, _) = stable(&stage).await;
    stage.advance_s(7200);
    assert_eq!(use_token(&stage, &token).await, 42001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_a_malformed_and_a_missing_token_differ() {
    let stage = Stage::new().await;
    assert_eq!(use_token(&stage, &"a".repeat(136)).await, 40001);
    assert_eq!(use_token(&stage, "short").await, 40014);
    assert_eq!(stage.get_json("/cgi-bin/getcallbackip").await["errcode"], 41001);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_kills_the_old_token_at_once_but_not_within_thirty_seconds() {
    let stage = Stage::new().await;
    let (old, _) = stable(&stage).await;
    let first = forced(&stage).await;
    assert_ne!(first, old);
    assert_eq!(use_token(&stage, &old).await, 40001);
    stage.advance_s(FORCED_PAUSE_S - 1);
    assert_eq!(forced(&stage).await, first);
    stage.advance_s(1);
    assert_ne!(forced(&stage).await, first);
    assert_eq!(use_token(&stage, &first).await, 40001);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_works_twenty_times_a_day() {
    let stage = Stage::new().await;
    for _ in 0..FORCED_PER_DAY_MAX {
        assert!(!forced(&stage).await.is_empty());
        stage.advance_s(FORCED_PAUSE_S);
    }
    assert_eq!(ask(&stage, request(true)).await["errcode"], 45009);
    stage.advance_s(86_400);
    assert!(!forced(&stage).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_classic_call_gives_a_new_token_and_the_old_one_works_for_five_minutes() {
    let stage = Stage::new().await;
    let text = |answer: Value| answer["access_token"].as_str().unwrap().to_owned();
    let first = text(classic(&stage).await);
    let second = text(classic(&stage).await);
    assert_ne!(first, second);
    stage.advance_s(299);
    assert_eq!(use_token(&stage, &first).await, 0);
    stage.advance_s(1);
    assert_eq!(use_token(&stage, &first).await, 40001);
    assert_eq!(use_token(&stage, &second).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_families_do_not_end_each_other() {
    let stage = Stage::new().await;
    let (stable_token, _) = stable(&stage).await;
    let classic_token = classic(&stage).await["access_token"].as_str().unwrap().to_owned();
    forced(&stage).await;
    classic(&stage).await;
    stage.advance_s(200);
    assert_eq!(use_token(&stage, &classic_token).await, 0);
    let (now_stable, _) = stable(&stage).await;
    assert_ne!(now_stable, stable_token);
    assert_eq!(use_token(&stage, &now_stable).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classic_token_has_a_daily_quota() {
    let stage = Stage::new().await;
    for _ in 0..CLASSIC_PER_DAY_MAX {
        assert!(classic(&stage).await["access_token"].is_string());
    }
    assert_eq!(classic(&stage).await["errcode"], 45009);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_errors_of_the_token_endpoint() {
    let stage = Stage::new().await;
    let changed = |name: &str, value: Value| {
        let mut body = request(false);
        body[name] = value;
        body
    };
    for (body, expected) in [
        (changed("grant_type", json!("x")), 40002),
        (changed("appid", json!("")), 41002),
        (changed("secret", Value::Null), 41004),
        (changed("appid", json!("wxnobody0000000000")), 40013),
        (changed("secret", json!("wrong")), 40125),
        (changed("force_refresh", json!("yes")), 47001),
    ] {
        assert_eq!(ask(&stage, body.clone()).await["errcode"], expected, "{body}");
    }
    assert_eq!(stage.get_json("/cgi-bin/stable_token").await["errcode"], 43002);
    assert_eq!(stage.http("POST", "/cgi-bin/token", &[], b"x").await.json()["errcode"], 43001);
    assert_eq!(stage.http("POST", "/cgi-bin/stable_token", &[], b"").await.json()["errcode"], 44002);
    assert_eq!(stage.http("POST", "/cgi-bin/stable_token", &[], b"{").await.json()["errcode"], 47001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_body_gets_412_and_nothing_else() {
    let stage = Stage::new().await;
    let body = request(false).to_string();
    let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/json")];
    let answer = stage.http("POST", "/cgi-bin/stable_token", &headers, body.as_bytes()).await;
    assert_eq!((answer.status, answer.body.len()), (412, 0));

    let mut lenient = options(1);
    lenient.strictness.content_length = false;
    let stage = Stage::with(lenient).await;
    let answer = stage.http("POST", "/cgi-bin/stable_token", &headers, body.as_bytes()).await;
    assert!(answer.json()["access_token"].is_string());
}
