//! Who asks too quickly is told when to go on; others are not concerned.

use reqwest::Method;
use zhanggui::api_key::Scope;

use crate::support::{Merchant, Reply, World, on_both_databases};

on_both_databases!(
    a_caller_who_is_too_quick_is_told_when_to_go_on,
    a_caller_is_the_same_however_the_header_is_spelled,
    an_address_is_limited_whatever_tokens_it_sends,
    the_description_of_the_api_is_limited_by_address,
    wechat_and_the_questions_for_health_are_not_limited,
);

async fn a_caller_who_is_too_quick_is_told_when_to_go_on(world: &mut World) {
    let (till, other) = (world.merchant(&[Scope::Read]).await, world.merchant(&[Scope::Read]).await);
    world.reconfigure(|shop| shop.requests_per_s = 2).await;
    for remaining in ["4", "3", "2", "1", "0"] {
        let reply = till.get("/v1/events").await;
        reply.json(200);
        let told = ["ratelimit-limit", "ratelimit-remaining"].map(|name| reply.header(name));
        assert_eq!(told, ["5", remaining]);
    }
    let refused = till.get("/v1/events").await;
    refused.problem(429, "rate_limited");
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-remaining")), ("1", "0"));
    // An error tells it, too.
    let reply = other.get("/v1/orders/ord_1").await;
    reply.problem(404, "order_not_found");
    assert_eq!((reply.header("ratelimit-remaining"), reply.header("ratelimit-reset")), ("4", "1"));
    world.clock.advance_s(1);
    till.get("/v1/events").await.json(200);
    till.get("/v1/events").await.json(200);
    till.get("/v1/events").await.problem(429, "rate_limited");
}

async fn a_caller_is_the_same_however_the_header_is_spelled(world: &mut World) {
    let till = world.merchant(&[Scope::Read]).await;
    world.reconfigure(|shop| shop.requests_per_s = 1).await;
    let ask = async |header: String| {
        Reply::of(till.http.request(Method::GET, "/v1/events").header("authorization", header)).await
    };
    let spellings = ["Bearer ", "bearer ", "BEARER ", "Bearer  ", "Bearer   "];
    for (remaining, spelling) in (0..5).rev().zip(spellings) {
        let reply = ask(format!("{spelling}{}", till.key)).await;
        reply.json(200);
        assert_eq!(reply.header("ratelimit-remaining"), remaining.to_string(), "{spelling:?}");
    }
    ask(format!("bEARER {}", till.key)).await.problem(429, "rate_limited");
}

async fn the_description_of_the_api_is_limited_by_address(world: &mut World) {
    let http = world.node().http.clone();
    let ask =
        async |path: &str| Reply::of(http.request(Method::GET, path).header("x-forwarded-for", "203.0.113.7")).await;
    assert_eq!(ask("/openapi.json").await.json(200)["openapi"], "3.1.0");
    world
        .reconfigure(|shop| {
            shop.requests_per_s = 1;
            shop.trust_forwarded_for = true;
        })
        .await;
    for path in ["/openapi.json", "/docs", "/docs.css", "/openapi.json", "/docs"].into_iter().cycle().take(10) {
        assert_eq!(ask(path).await.status, 200);
    }
    ask("/openapi.json").await.problem(429, "rate_limited");
    ask("/docs").await.problem(429, "rate_limited");
}

async fn an_address_is_limited_whatever_tokens_it_sends(world: &mut World) {
    let till = world.merchant(&[Scope::Read]).await;
    world
        .reconfigure(|shop| {
            shop.requests_per_s = 1;
            shop.trust_forwarded_for = true;
        })
        .await;
    let ask = async |address: &str, token: String| {
        let request = till.http.request(Method::GET, "/v1/products").header("x-forwarded-for", address);
        Reply::of(request.bearer_auth(token)).await
    };
    for n in 0..10 {
        ask("203.0.113.7", format!("guess{n}")).await.json(200);
    }
    ask("203.0.113.7", "guess10".to_owned()).await.problem(429, "rate_limited");
    ask("203.0.113.8", "guess11".to_owned()).await.json(200);
    // Neighbours in a network of IPv6 count as one.
    for n in 0..10 {
        ask(&format!("2400:3200::{n}"), format!("guess{n}")).await.json(200);
    }
    ask("2400:3200::ffff", "guess10".to_owned()).await.problem(429, "rate_limited");
    ask("2400:3200:0:1::1", "guess10".to_owned()).await.json(200);
}

async fn wechat_and_the_questions_for_health_are_not_limited(world: &mut World) {
    world.reconfigure(|shop| shop.requests_per_s = 1).await;
    let stranger = Merchant { key: "x".to_owned(), http: world.node().http.clone() };
    for _ in 0..30 {
        stranger.get("/livez").await.json(200);
        stranger.get("/readyz").await.json(200);
        let reply = world.attacker().notify("1600000001", "<xml/>").await;
        assert!(reply.status != 429 && reply.header("ratelimit-limit").is_empty());
    }
}
