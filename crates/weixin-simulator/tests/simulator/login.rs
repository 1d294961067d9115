use crate::support::{Stage, appid, options, session_path, start_time};
use weixin::{AppId, AppSecret, mini_program::code2session};
use weixin_simulator::{AppSetup, DEMO_APP_SECRET, DEMO_APPID, LOGINS_PER_MINUTE_MAX, SESSION_KEY_STAYS_S};

async fn errcode(stage: &Stage, path: &str) -> i64 {
    stage.get(path).await.json()["errcode"].as_i64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_tells_who_the_customer_is() {
    let stage = Stage::new().await;
    let answer = stage.get(&session_path(stage.li.login().as_str())).await;
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let session: code2session::Response = weixin::mini_program::read_answer(&answer.body).unwrap();
    assert_eq!(&session.openid, stage.li.openid());
    assert_eq!(session.unionid, None);
    assert!(session.openid.as_str().len() == 28 && session.openid.as_str().starts_with('o'));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_an_open_platform_account_learns_the_unionid() {
    let mut options = options(1);
    let other = AppSetup {
        appid: AppId::parse("wxfake000000000002").unwrap(),
        open_platform: Some("account".to_owned()),
        ..AppSetup::demo()
    };
    options.world.apps[0].open_platform = Some("account".to_owned());
    options.world.apps.push(other.clone());
    let stage = Stage::with(options).await;
    let session = stage.get(&session_path(stage.li.login().as_str())).await.json();
    assert_eq!(session["unionid"].as_str(), stage.li.unionid().map(weixin::UnionId::as_str));
    let elsewhere = stage.sim.phone(&other.appid, "li").unwrap();
    assert_eq!(elsewhere.unionid(), stage.li.unionid());
    assert_ne!(elsewhere.openid(), stage.li.openid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once() {
    let stage = Stage::new().await;
    let path = session_path(stage.li.login().as_str());
    assert_eq!(errcode(&stage, &path).await, 0);
    assert_eq!(errcode(&stage, &path).await, 40163);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_lives_five_minutes_to_the_second() {
    let stage = Stage::new().await;
    let (in_time, too_late) = (stage.li.login(), stage.li.login());
    stage.advance_s(300);
    assert_eq!(errcode(&stage, &session_path(in_time.as_str())).await, 0);
    stage.advance_s(1);
    assert_eq!(errcode(&stage, &session_path(too_late.as_str())).await, 40029);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_app_is_invalid() {
    let stage = Stage::new().await;
    let other = AppSetup {
        appid: AppId::parse("wxfake000000000002").unwrap(),
        secret: AppSecret::parse("2".repeat(32)).unwrap(),
        ..AppSetup::demo()
    };
    stage.sim.add_app(&other);
    let code = stage.sim.phone(&other.appid, "li").unwrap().login();
    assert_eq!(errcode(&stage, &session_path(code.as_str())).await, 40029);
    assert_eq!(errcode(&stage, &session_path("garbage")).await, 40029);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_checked_before_the_app_and_the_app_before_the_secret() {
    let stage = Stage::new().await;
    let code = stage.li.login();
    let code = code.as_str();
    let grant = "grant_type=authorization_code";
    for (query, expected) in [
        (String::new(), 41002),
        (format!("appid={DEMO_APPID}"), 41004),
        (format!("appid={DEMO_APPID}&secret=x"), 41008),
        (format!("appid=wxnobody0000000000&secret=x&js_code={code}&grant_type=x"), 40002),
        (format!("appid=wxnobody0000000000&secret=x&js_code={code}&{grant}"), 40013),
        (format!("appid={DEMO_APPID}&secret=wrong&js_code=garbage&{grant}"), 40125),
        (format!("appid={DEMO_APPID}&secret={DEMO_APP_SECRET}&js_code=garbage&{grant}"), 40029),
        (format!("appid={DEMO_APPID}&secret={DEMO_APP_SECRET}&js_code={code}&{grant}"), 0),
    ] {
        assert_eq!(errcode(&stage, &format!("/sns/jscode2session?{query}")).await, expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_finds_no_parameters() {
    let stage = Stage::new().await;
    let answer = stage.http("POST", "/sns/jscode2session", &[], b"appid=x").await;
    assert_eq!(answer.json()["errcode"], 41002);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_customer_cannot_log_in() {
    let stage = Stage::new().await;
    let code = stage.li.login();
    stage.li.set_blocked(true);
    assert_eq!(errcode(&stage, &session_path(code.as_str())).await, 40226);
    stage.li.set_blocked(false);
    assert_eq!(errcode(&stage, &session_path(code.as_str())).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_logs_in_a_hundred_times_a_minute() {
    let stage = Stage::new().await;
    for _ in 0..LOGINS_PER_MINUTE_MAX {
        assert_eq!(errcode(&stage, &session_path(stage.li.login().as_str())).await, 0);
    }
    let code = stage.li.login();
    assert_eq!(errcode(&stage, &session_path(code.as_str())).await, 45011);
    stage.advance_s(60);
    assert_eq!(errcode(&stage, &session_path(code.as_str())).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_key_changes_at_most_once_a_minute() {
    let stage = Stage::new().await;
    let session_key = async || stage.get(&session_path(stage.li.login().as_str())).await.json()["session_key"].clone();
    let first = session_key().await;
    stage.advance_s(SESSION_KEY_STAYS_S - 1);
    assert_eq!(session_key().await, first);
    stage.advance_s(1);
    assert_ne!(session_key().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_ends_with_a_request_id_that_begins_with_the_time() {
    let stage = Stage::new().await;
    let errmsg = stage.get(&session_path("garbage")).await.json()["errmsg"].as_str().unwrap().to_owned();
    let (text, rid) = errmsg.split_once(", rid: ").unwrap();
    assert_eq!(text, "invalid code");
    let parts: Vec<_> = rid.split('-').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| part.len() == 8), "{rid}");
    assert_eq!(i64::from_str_radix(parts[0], 16).unwrap(), start_time().as_second());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_needs_an_app_that_exists() {
    let stage = Stage::new().await;
    assert!(stage.sim.phone(&AppId::parse("wxnobody0000000000").unwrap(), "li").is_err());
    assert_eq!(stage.sim.phone(&appid(), "li").unwrap().openid(), stage.li.openid());
}
