//! Who may call: customers with sessions, systems with keys. And the tokens of the apps.

use serde_json::{Value, json};
use weixin::{AppSecret, mini_program::ErrCode};
use weixin_client::{ApiError, AppCredential};
use weixin_simulator::{AppSetup, Fault, FaultKind};
use zhanggui::{
    api_key::{NewKey, Scope},
    database::Realm,
};

use crate::support::{DEMO, Node, OTHER, Phone, Reply, World, on_both_databases};

on_both_databases!(
    the_same_customer_is_the_same_customer_at_every_log_in,
    a_code_that_wechat_does_not_take_logs_nobody_in,
    what_is_not_a_log_in_is_refused_before_wechat_is_asked,
    what_wechat_says_of_a_log_in_is_told_with_its_code,
    a_wrong_app_secret_is_the_operators_business,
    lesson_30_a_code_is_sent_once_and_the_session_key_goes_nowhere,
    a_session_ends_after_thirty_days,
    a_session_ends_after_seven_days_without_use,
    without_a_good_token_nothing_is_shown,
    a_key_may_do_what_it_was_made_for_and_only_in_its_realm,
    lesson_29_two_servers_share_one_access_token,
);

const CODE2SESSION: &str = "/sns/jscode2session";

async fn log_in(world: &World, body: &Value) -> Reply {
    world.node().http.post("/v1/login", None, body).await
}

/// Customers and sessions that somebody has written down.
async fn known(world: &World) -> (i64, i64) {
    let customers = world.number("SELECT COUNT(*) AS n FROM customer").await;
    (customers, world.number("SELECT COUNT(*) AS n FROM session").await)
}

async fn the_same_customer_is_the_same_customer_at_every_log_in(world: &mut World) {
    let (first, second) = (world.phone("li").await, world.phone("li").await);
    assert_eq!(first.customer, second.customer);
    assert_ne!(first.token, second.token);
    let other = world.phone("zhang").await;
    assert_ne!(first.customer, other.customer);
    let order = first.order("tea").await;
    assert_eq!(second.see(&order).await["customer"], first.customer);
    other.get(&format!("/v1/orders/{order}")).await.problem(404, "order_not_found");
    assert_eq!(known(world).await, (2, 3));
}

async fn a_code_that_wechat_does_not_take_logs_nobody_in(world: &mut World) {
    let phone = world.sim.phone(&DEMO.appid(), "li").unwrap();
    let foreign = world.sim.phone(&OTHER.appid(), "li").unwrap().login();
    let blocked = world.sim.phone(&DEMO.appid(), "chen").unwrap();
    blocked.set_blocked(true);
    let expired = phone.login();
    world.clock.advance_s(5 * 60 + 1);
    for (code, status, problem, errcode) in [
        ("0nobody".to_owned(), 400, "js_code_invalid", "40029"),
        (foreign.to_string(), 400, "js_code_invalid", "40029"),
        (expired.to_string(), 400, "js_code_invalid", "40029"),
        (blocked.login().to_string(), 403, "customer_blocked", "40226"),
    ] {
        let body = log_in(world, &json!({ "code": code })).await.problem(status, problem);
        assert_eq!(body["wechat"]["code"], errcode);
    }
    assert_eq!(known(world).await, (0, 0));

    let code = phone.login();
    log_in(world, &json!({ "code": code.as_str() })).await.json(200);
    let body = log_in(world, &json!({ "code": code.as_str() })).await.problem(400, "js_code_used");
    assert_eq!(body["wechat"]["code"], "40163");
    assert_eq!(known(world).await, (1, 1));
}

async fn what_is_not_a_log_in_is_refused_before_wechat_is_asked(world: &mut World) {
    for code in
        [String::new(), "a b".to_owned(), "0'; DROP".to_owned(), "\0".to_owned(), "漢".to_owned(), "x".repeat(129)]
    {
        log_in(world, &json!({ "code": code })).await.problem(400, "js_code_invalid");
    }
    for body in [
        json!({}),
        json!([]),
        json!("0abc"),
        json!({ "code": 1 }),
        json!({ "code": null }),
        json!({ "code": "0abc", "openid": "oMine" }),
        json!({ "code": "0abc", "userInfo": { "nickName": "li" } }),
    ] {
        log_in(world, &body).await.problem(422, "body_invalid");
    }
    for appid in [OTHER.appid, "", "wx\0", "wxfake000000000001 "] {
        log_in(world, &json!({ "code": "0abc", "appid": appid })).await.problem(422, "app_unknown");
    }
    assert!(world.calls(CODE2SESSION).is_empty());
    assert_eq!(known(world).await, (0, 0));
}

async fn what_wechat_says_of_a_log_in_is_told_with_its_code(world: &mut World) {
    let phone = world.sim.phone(&DEMO.appid(), "li").unwrap();
    for (errcode, status, code) in [
        (ErrCode::BUSY, 503, "wechat_busy"),
        (ErrCode::MINUTE_QUOTA, 503, "wechat_busy"),
        (ErrCode::INVALID_CODE, 400, "js_code_invalid"),
        (ErrCode::CODE_USED, 400, "js_code_used"),
        (ErrCode::CODE_BLOCKED, 403, "customer_blocked"),
        (ErrCode::INVALID_APPSECRET, 502, "wechat_refused"),
        (ErrCode(40164), 502, "wechat_refused"),
        (ErrCode(99999), 502, "wechat_refused"),
    ] {
        world.sim.inject(Fault::on(CODE2SESSION, FaultKind::Errcode(errcode.0)));
        let reply = log_in(world, &json!({ "code": phone.login().as_str() })).await;
        let body = reply.problem(status, code);
        assert_eq!(body["wechat"]["code"], errcode.to_string());
        assert!(body["wechat"]["message"].as_str().unwrap().contains("rid: "), "{body}");
        assert_eq!(reply.headers.contains_key("retry-after"), code == "wechat_busy");
    }
    assert_eq!(known(world).await, (0, 0));
}

async fn a_wrong_app_secret_is_the_operators_business(world: &mut World) {
    let secret = AppSecret::parse("anotherSecret0000000000000000000").unwrap();
    world.sim.add_app(&AppSetup { secret, ..AppSetup::demo() });
    let phone = world.sim.phone(&DEMO.appid(), "li").unwrap();
    let reply = log_in(world, &json!({ "code": phone.login().as_str() })).await;
    reply.problem(502, "wechat_refused");
    assert!(!reply.text().contains(DEMO.secret));
    assert_eq!(known(world).await, (0, 0));
}

async fn lesson_30_a_code_is_sent_once_and_the_session_key_goes_nowhere(world: &mut World) {
    let phone = world.sim.phone(&DEMO.appid(), "li").unwrap();
    for (sent, fault) in [
        FaultKind::NoAnswerAfter,
        FaultKind::NoAnswerBefore,
        FaultKind::HalfAnswer,
        FaultKind::Status(504),
        FaultKind::Html,
        FaultKind::Empty,
    ]
    .into_iter()
    .enumerate()
    {
        world.sim.inject(Fault::on(CODE2SESSION, fault.clone()));
        let reply = log_in(world, &json!({ "code": phone.login().as_str() })).await;
        let body = reply.problem(503, "wechat_unavailable");
        assert!(body["detail"].as_str().unwrap().contains("wx.login again"), "{fault:?}");
        assert_eq!(world.calls(CODE2SESSION).len(), sent + 1, "{fault:?}");
    }
    assert_eq!(known(world).await, (0, 0));

    let answer = log_in(world, &json!({ "code": phone.login().as_str() })).await.json(200);
    let names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["customer", "expires_at", "token"]);
    assert!(!answer.to_string().contains(phone.openid().as_str()));
}

async fn a_session_ends_after_thirty_days(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    for _ in 0..4 {
        world.clock.advance_s(7 * 86_400 - 3_700);
        phone.see(&order).await;
    }
    world.clock.advance_s(2 * 86_400 + 4 * 3_700 - 1);
    phone.see(&order).await;
    world.clock.advance_s(1);
    phone.get(&format!("/v1/orders/{order}")).await.problem(401, "unauthorized");
}

async fn a_session_ends_after_seven_days_without_use(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.clock.advance_s(7 * 86_400 - 1);
    phone.see(&order).await;
    world.clock.advance_s(7 * 86_400);
    phone.get(&format!("/v1/orders/{order}")).await.problem(401, "unauthorized");
    // Logging in again shows everything again.
    assert_eq!(world.phone("li").await.see(&order).await["state"], "open");
}

async fn without_a_good_token_nothing_is_shown(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let cut = &phone.token[..phone.token.len() - 1];
    let swapped = phone.token.to_uppercase();
    let bearers = ["", "x", "zgs_", cut, &swapped, "zg_sim_", "zg_sim_guess", "zg_live_guess", "null", "' OR 1=1 --"];
    let mut headers: Vec<_> = bearers.iter().map(|token| format!("Bearer {token}")).collect();
    headers.extend(["Basic bGk6bGk=".to_owned(), phone.token.clone(), "Bearer".to_owned(), "\u{e9}".to_owned()]);
    for header in &headers {
        for (method, path) in [("GET", String::new()), ("POST", "/pay".to_owned())] {
            let request = phone.http.request(method.parse().unwrap(), &format!("/v1/orders/{order}{path}"));
            let reply = Reply::of(request.header("authorization", header)).await;
            reply.problem(401, "unauthorized");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    phone.http.get(&format!("/v1/orders/{order}"), None).await.problem(401, "unauthorized");
    phone.http.post("/v1/orders", None, &json!({ "items": [{ "sku": "tea" }] })).await.problem(401, "unauthorized");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM shop_order").await, 1);
}

async fn a_key_may_do_what_it_was_made_for_and_only_in_its_realm(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let path = format!("/v1/orders/{order}");
    let wanted = json!({ "items": [{ "sku": "tea" }], "openid": phone.wechat.openid().as_str() });
    let (looks, orders) = (world.merchant(&[Scope::Read]).await, world.merchant(&[Scope::Orders]).await);
    looks.get(&path).await.json(200);
    looks.order(&wanted).await.problem(403, "forbidden");
    orders.order(&wanted).await.json(201);
    orders.get(&path).await.problem(403, "forbidden");

    let new = NewKey { name: "till".to_owned(), scopes: Scope::ALL.to_vec(), ..NewKey::default() };
    let live = world.merchant_with(Realm::Live, new).await.key;
    assert!(live.starts_with("zg_live_"));
    phone.http.get(&path, Some(&live)).await.problem(401, "unauthorized");
    // Another prefix does not make it another key.
    let posing = live.replace("zg_live_", "zg_sim_");
    phone.http.get(&path, Some(&posing)).await.problem(401, "unauthorized");
}

async fn lesson_29_two_servers_share_one_access_token(world: &mut World) {
    async fn ask(node: &Node) -> Result<(), ApiError> {
        let credential = AppCredential { appid: DEMO.appid(), secret: DEMO.secret() };
        let app = &node.app;
        app.access_tokens
            .with_token(&credential, async |token| app.mini_program.callback_ip(&token).await)
            .await
            .map(drop)
    }
    let second = world.second_node().await;
    let first = world.node();
    ask(first).await.unwrap();
    let (one, two, three) = tokio::join!(ask(first), ask(&second), ask(&second));
    one.and(two).and(three).unwrap();
    assert_eq!(world.calls("/cgi-bin/stable_token").len(), 1);
    assert_eq!(world.calls("/cgi-bin/getcallbackip").len(), 4);
    // The next one, too, is fetched by the one who needs it first.
    world.clock.advance_s(7200 - 200);
    ask(&second).await.unwrap();
    ask(first).await.unwrap();
    assert_eq!(world.calls("/cgi-bin/stable_token").len(), 2);
    second.stop().await;
    let _: Phone = world.phone("li").await;
}
