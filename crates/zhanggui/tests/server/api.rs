//! The form of the API: limits, errors, and that every error has the one format.

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use weixin::push::Format;
use zhanggui::api_key::Scope;

use crate::support::{DEMO, Phone, Reply, World, on_both_databases};

on_both_databases!(
    what_is_not_json_is_refused,
    another_content_type_is_refused,
    another_method_is_refused_with_the_methods_that_are_allowed,
    an_unknown_address_is_a_problem_like_any_other,
    a_query_that_nobody_understands_is_refused,
    a_character_that_no_database_can_hold_is_refused_everywhere,
    a_body_that_is_too_large_is_refused,
    a_body_that_breaks_off_changes_nothing,
    the_server_says_whether_it_can_work,
    every_answer_has_its_number_and_is_not_cached,
    while_the_database_is_away_callers_are_told_so,
);

async fn what_is_not_json_is_refused(world: &mut World) {
    let phone = world.phone("li").await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"items=tea",
        b"<xml/>",
        b"\xff\xfe",
        b"{\"items\":[{\"sku\":\"\xff\"}]}",
        b"{\"items\":[]}{}",
        b"{\"items\":[{\"sku\":\"\\ud800\"}]}",
    ];
    for body in bodies {
        let request = phone.http.request(Method::POST, "/v1/orders").bearer_auth(&phone.token);
        let reply = Reply::of(request.header("content-type", "application/json").body(body.to_vec())).await;
        reply.problem(400, "body_not_json");
    }
    // JSON, but not of this call.
    let deep = format!("{{\"items\":{}", "[".repeat(100_000));
    for body in [deep, "{\"items\":[],\"items\":[]}".to_owned()] {
        let request = phone.http.request(Method::POST, "/v1/orders").bearer_auth(&phone.token);
        let reply = Reply::of(request.header("content-type", "application/json").body(body)).await;
        reply.problem(422, "body_invalid");
    }
}

async fn another_content_type_is_refused(world: &mut World) {
    let phone = world.phone("li").await;
    let body = json!({ "items": [{ "sku": "tea" }] }).to_string();
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")]
    {
        let mut request = phone.http.request(Method::POST, "/v1/orders").bearer_auth(&phone.token).body(body.clone());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        Reply::of(request).await.problem(415, "content_type_wrong");
    }
    let request = phone.http.request(Method::POST, "/v1/orders").bearer_auth(&phone.token).body(body);
    Reply::of(request.header("content-type", "Application/JSON; charset=utf-8")).await.json(201);
}

async fn another_method_is_refused_with_the_methods_that_are_allowed(world: &mut World) {
    let phone = world.phone("li").await;
    for (method, path, allowed) in [
        (Method::GET, "/v1/login", "POST"),
        (Method::POST, "/v1/products", "GET,HEAD"),
        (Method::DELETE, "/v1/orders", "GET,HEAD,POST"),
        (Method::PUT, "/v1/orders/ord_1", "GET,HEAD"),
        (Method::GET, "/v1/orders/ord_1/pay", "POST"),
        (Method::GET, "/wechat/pay/1600000001", "POST"),
        (Method::OPTIONS, "/v1/login", "POST"),
    ] {
        let reply = Reply::of(phone.http.request(method.clone(), path).bearer_auth(&phone.token)).await;
        reply.problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
    }
}

async fn an_unknown_address_is_a_problem_like_any_other(world: &mut World) {
    let phone = world.phone("li").await;
    for path in
        ["/", "/v1", "/v1/", "/v2/login", "/v1/orders/", "/v1/orders/x/y", "/wechat/pay", "/wechat/pay/", "/.env"]
    {
        phone.get(path).await.problem(404, "not_found");
        phone.post(path, &json!({})).await.problem(404, "not_found");
    }
    // Bytes that are no text.
    phone.get("/v1/orders/%ff").await.problem(404, "not_found");
    phone.post("/v1/orders/%ff/pay", &json!({})).await.problem(404, "not_found");
    let reply = world.attacker().notify("%ff", "<xml/>").await;
    assert!((400..500).contains(&reply.status) && !reply.text().contains("SUCCESS"));
}

async fn a_query_that_nobody_understands_is_refused(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    for query in ["refresh=1", "refresh=", "refresh", "refresh=true&refresh=true", "fresh=true", "refresh=true&x"] {
        phone.get(&format!("/v1/orders/{order}?{query}")).await.problem(400, "query_invalid");
    }
    phone.get("/v1/products?appid=x&page=2").await.problem(400, "query_invalid");
    phone.get("/v1/products?appid=nothing").await.problem(422, "app_unknown");
    phone.get(&format!("/v1/products?appid={}", DEMO.appid)).await.json(200);
}

async fn a_character_that_no_database_can_hold_is_refused_everywhere(world: &mut World) {
    let owner = world.merchant(Scope::ALL).await;
    for path in [
        "/v1/events?subject=%00",
        "/v1/events?subject=ord_1%00",
        "/v1/events?types=%00",
        "/v1/events?after=%00",
        "/v1/conversations?appid=%00",
        "/v1/conversations?customer=%00",
        "/v1/conversations?handler=%00",
        "/v1/conversations?after=1.%00",
        "/v1/products?appid=%00",
        "/v1/products/tea?appid=%00",
        "/v1/rules?appid=%00",
    ] {
        owner.get(path).await.problem(400, "query_invalid");
    }
    for path in ["/v1/orders/%00", "/v1/products/%00", "/v1/refunds/%00", "/v1/webhooks/%00", "/v1/pictures/%00"] {
        assert_eq!(owner.get(path).await.status, 404, "{path}");
    }
    let (phone, desk) = (world.phone("li").await, &owner);
    let order = phone.order("tea").await;
    world.switch_push_on(Format::Json).await;
    phone.wechat.send_text("hello");
    assert_eq!(world.deliver().await, 1);
    let conversation = world.only_conversation(desk).await["id"].as_str().unwrap().to_owned();
    let conversation = format!("/v1/conversations/{conversation}");
    let nul = "\u{0}";
    for (path, body, code) in [
        ("/v1/orders", json!({ "amount": 5, "description": "茶", "openid": nul }), "customer_unknown"),
        ("/v1/orders", json!({ "amount": 5, "description": "茶", "openid": "oLi", "reference": nul }), "body_invalid"),
        ("/v1/orders", json!({ "amount": 5, "description": "茶", "openid": "oLi", "attach": nul }), "body_invalid"),
        ("/v1/orders", json!({ "items": [{ "sku": nul }], "openid": "oLi" }), "product_unknown"),
        ("/v1/keys", json!({ "name": nul, "scopes": ["read"] }), "key_invalid"),
        ("/v1/webhooks", json!({ "url": "https://shop.example.com", "description": nul }), "webhook_invalid"),
        (&format!("{conversation}/read"), json!({ "up_to": nul }), "body_invalid"),
        (&format!("/v1/orders/{order}/subscribe-messages"), json!({ "name": nul }), "subscribe_message_unknown"),
        ("/v1/login", json!({ "code": "a", "appid": nul }), "app_unknown"),
    ] {
        owner.post(path, &body).await.problem(422, code);
    }
    owner.put("/v1/products/tea", &json!({ "name": nul, "price": 1 })).await.problem(422, "product_invalid");
    let rule = json!({ "name": "a", "on": "message", "reply": nul });
    owner.put("/v1/rules", &json!({ "rules": [rule] })).await.problem(422, "rule_invalid");
}

/// Sends bytes as they are and reads until the server has closed the connection.
async fn raw(world: &World, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn head(phone: &Phone, path: &str, content_type: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {}\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n",
        phone.token
    )
}

async fn a_body_that_is_too_large_is_refused(world: &mut World) {
    let phone = world.phone("li").await;
    for path in ["/v1/orders", "/v1/login"] {
        let request = phone.http.request(Method::POST, path).bearer_auth(&phone.token);
        let body = " ".repeat(1024 * 1024 + 1);
        Reply::of(request.header("content-type", "application/json").body(body)).await.problem(413, "body_too_large");
    }
    // A length that is not announced is counted.
    let piece = "x".repeat(64 * 1024 + 1);
    let chunk = format!("{:x}\r\n{piece}\r\n0\r\n\r\n", piece.len());
    let head = "POST /wechat/pay/1600000001 HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\nconnection: close";
    let answer = raw(world, &format!("{head}\r\n\r\n{chunk}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("FAIL"), "{answer}");

    // The largest body that is taken.
    let mut body = json!({ "items": [{ "sku": "tea" }] }).to_string();
    body.push_str(&" ".repeat(1024 * 1024 - body.len()));
    let request = phone.http.request(Method::POST, "/v1/orders").bearer_auth(&phone.token);
    Reply::of(request.header("content-type", "application/json").body(body)).await.json(201);
}

async fn a_body_that_breaks_off_changes_nothing(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    let letter = world.letter(&order).await.xml();
    let before = world.state().await;
    let half = format!("{}{}", head(&phone, "/v1/orders", "application/json", 100), "{\"items\":[{\"sku\":\"tea\"}]}");
    let answer = raw(world, &half).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    let half = format!("{}{letter}", head(&phone, "/wechat/pay/1600000001", "text/xml", letter.len() + 1));
    let answer = raw(world, &half).await;
    assert!(!answer.contains("SUCCESS"), "{answer}");
    // What is not HTTP at all.
    for bytes in ["\r\n\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}", "POST /v1/login HTTP/9.9\r\n\r\n"] {
        let answer = raw(world, bytes).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    let large = format!("GET /livez HTTP/1.1\r\nhost: shop\r\nx: {}\r\n\r\n", "x".repeat(32 * 1024));
    let answer = raw(world, &large).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(world.state().await == before);
}

async fn the_server_says_whether_it_can_work(world: &mut World) {
    let http = world.node().http.clone();
    http.get("/livez", None).await.json(200);
    http.get("/readyz", None).await.json(200);
    world.database().clone().close().await;
    http.get("/livez", None).await.json(200);
    assert!(http.get("/readyz", None).await.status >= 500);
    world.restart().await;
    world.node().app.drain();
    http.get("/livez", None).await.json(200);
    http.get("/readyz", None).await.problem(503, "overloaded");
    // It still works for those who come.
    http.get("/v1/products", None).await.json(200);
}

async fn every_answer_has_its_number_and_is_not_cached(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let mut seen = std::collections::BTreeSet::new();
    for path in [&format!("/v1/orders/{order}"), "/v1/products", "/v1/orders/ord_1", "/nothing", "/livez"] {
        let request = phone.http.request(Method::GET, path).bearer_auth(&phone.token).header("x-request-id", "mine");
        let reply = Reply::of(request).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert!(reply.header("x-request-id").starts_with("req_"));
        assert!(seen.insert(reply.header("x-request-id").to_owned()));
    }
}

async fn while_the_database_is_away_callers_are_told_so(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.database().clone().close().await;
    for reply in [phone.get("/v1/products").await, phone.press(&order).await] {
        assert!(reply.status >= 500 && reply.header("content-type") == "application/problem+json");
    }
    assert!(world.calls("/pay/unifiedorder").is_empty(), "nothing is asked that could not be written down");
    world.restart().await;
    phone.parameters(&order).await;
}
