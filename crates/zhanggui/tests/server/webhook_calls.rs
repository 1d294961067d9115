//! `/v1/webhooks`: who may manage endpoints, what an endpoint may be, secrets and their rotation.

use reqwest::Method;
use serde_json::{Value, json};
use zhanggui::{api_key::Scope, attention, database::Realm, event::Type, webhook};

use crate::{
    support::{Merchant, Receiver, World, on_both_databases},
    webhook::{Endpoint, happen},
};

on_both_databases!(
    only_an_administrator_manages_webhooks,
    an_address_inside_is_refused,
    what_cannot_be_an_endpoint_is_refused,
    a_secret_is_shown_when_it_is_made_and_never_again,
    during_a_rotation_both_secrets_sign_and_then_the_new_one,
    a_changed_address_is_shown_to_a_person_every_time,
    an_endpoint_that_is_not_there_is_not_found,
    there_are_not_more_endpoints_than_can_be,
    endpoints_are_listed_by_pages_the_newest_first,
    deliveries_are_listed_by_pages,
    a_disabled_endpoint_gets_its_trial_once_it_is_enabled,
    an_endpoint_can_be_tried_and_no_other_is_told_even_if_everything_is_sent_again,
);

async fn only_an_administrator_manages_webhooks(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let others = [Scope::Read, Scope::Orders, Scope::Refunds, Scope::Messages];
    let phone = world.phone("li").await;
    let key = world.merchant(&others).await;
    let event = "evt_019be4d0602074368bd5513df6f80b32";
    for caller in [key.clone(), Merchant { key: phone.token, ..key }] {
        for (method, path, body) in [
            (Method::GET, "/v1/webhooks".to_owned(), json!({})),
            (Method::POST, "/v1/webhooks".to_owned(), json!({ "url": receiver.url })),
            (Method::GET, endpoint.path(""), json!({})),
            (Method::PATCH, endpoint.path(""), json!({ "state": "disabled" })),
            (Method::DELETE, endpoint.path(""), json!({})),
            (Method::POST, endpoint.path("/rotate"), json!({})),
            (Method::POST, endpoint.path("/test"), json!({})),
            (Method::POST, endpoint.path("/replay"), json!({ "event": event })),
            (Method::GET, endpoint.path("/deliveries"), json!({})),
            (Method::GET, endpoint.path(&format!("/deliveries/{event}")), json!({})),
        ] {
            caller.send(method, &path, &body).await.problem(403, "forbidden");
        }
    }
    assert_eq!(endpoint.owner.get("/v1/webhooks").await.json(200)["webhooks"].as_array().unwrap().len(), 1);
}

/// The realm of this server is the simulated one: this machine may be called, its neighbours not.
async fn an_address_inside_is_refused(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let inside = [
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0xa000001/",
        "http://[64:ff9b::a00:1]/",
        "http://224.0.0.1/",
    ];
    for url in inside {
        owner.post("/v1/webhooks", &json!({ "url": url })).await.problem(422, "webhook_invalid");
    }
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    for url in inside {
        let reply = endpoint.owner.send(Method::PATCH, &endpoint.path(""), &json!({ "url": url })).await;
        reply.problem(422, "webhook_invalid");
    }
    let named = receiver.url.replace("127.0.0.1", "localhost");
    endpoint.owner.send(Method::PATCH, &endpoint.path(""), &json!({ "url": named })).await.json(200);
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(webhook::run_due(&world.node().app).await.unwrap(), 1);
    assert_eq!(receiver.received().len(), 1, "a name that leads to this machine");
    world.expect_attention("webhook_moved");
    assert_eq!(world.node().app.config.wechat.realm, Realm::Simulated);
}

async fn what_cannot_be_an_endpoint_is_refused(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let url = "https://shop.example.com/hook";
    for (body, code) in [
        (json!({ "url": "shop.example.com" }), "webhook_invalid"),
        (json!({ "url": "ftp://shop.example.com" }), "webhook_invalid"),
        (json!({ "url": "https://user:pw@shop.example.com" }), "webhook_invalid"),
        (json!({ "url": format!("{url}#x") }), "webhook_invalid"),
        (json!({ "url": url, "types": ["order.eaten"] }), "webhook_invalid"),
        (json!({ "url": url, "types": ["*", "push.received"] }), "webhook_invalid"),
        (json!({ "url": url, "description": "a\nb" }), "webhook_invalid"),
        (json!({ "url": url, "description": "x".repeat(201) }), "webhook_invalid"),
        (json!({ "url": url, "secret": "whsec_mine" }), "body_invalid"),
        (json!({ "url": 7 }), "body_invalid"),
        (json!({}), "body_invalid"),
    ] {
        owner.post("/v1/webhooks", &body).await.problem(422, code);
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM webhook_endpoint").await, 0);
    let made = owner.post("/v1/webhooks", &json!({ "url": url, "types": ["*"] })).await.json(201);
    assert_eq!((&made["types"], &made["state"]), (&json!(["*"]), &json!("enabled")));
}

async fn a_secret_is_shown_when_it_is_made_and_never_again(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let body = json!({ "url": "https://shop.example.com/hook" }).to_string();
    let made = owner.once("/v1/webhooks", "k1", body.clone()).await;
    let secret = made.json(201)["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == "whsec_".len() + 44);
    assert_eq!(owner.once("/v1/webhooks", "k1", body).await.body, made.body, "the caller who got no answer asks again");
    let id = made.json(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{id}");
    let seen = [
        owner.get("/v1/webhooks").await.text(),
        owner.get(&path).await.text(),
        owner.send(Method::PATCH, &path, &json!({ "description": "x" })).await.text(),
    ];
    assert!(seen.iter().all(|text| text.contains(&id) && !text.contains("whsec_")), "{seen:?}");
    let sealed = world.rows("SELECT secret_sealed FROM webhook_endpoint", &[]).await;
    let sealed = sealed[0].bytes("secret_sealed").unwrap();
    assert!(sealed.len() > 32 && !sealed.windows(6).any(|window| window == b"whsec_"));
}

async fn during_a_rotation_both_secrets_sign_and_then_the_new_one(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let rotate = async |body: Value| endpoint.owner.post(&endpoint.path("/rotate"), &body).await;
    let next = async || {
        happen(world, Type::PushReceived, "a").await;
        webhook::run_due(&world.node().app).await.unwrap();
        receiver.take().swap_remove(0)
    };
    let secret = |made: &Value| made["secret"].as_str().unwrap().to_owned();
    let (first, second) = (endpoint.secret.clone(), rotate(json!({ "old_secret_hours": 2 })).await.json(200));
    assert_eq!(second["old_secret_until"], "2026-01-22T08:30:00Z");
    let second = secret(&second);
    let letter = next().await;
    assert!(letter.is_signed_with(&first) && letter.is_signed_with(&second));
    world.clock.advance_s(2 * 3600);
    let letter = next().await;
    assert!(!letter.is_signed_with(&first) && letter.is_signed_with(&second));
    assert_eq!(letter.signatures.len(), 1);
    // Twice in a row: the last two.
    let third = secret(&rotate(json!({})).await.json(200));
    let fourth = secret(&endpoint.owner.once(&endpoint.path("/rotate"), "k1", "{}").await.json(200));
    let letter = next().await;
    assert_eq!(letter.signatures.len(), 2);
    assert!(letter.is_signed_with(&third) && letter.is_signed_with(&fourth) && !letter.is_signed_with(&second));
    // The old one is known to a thief.
    let fifth = secret(&rotate(json!({ "old_secret_hours": 0 })).await.json(200));
    let letter = next().await;
    assert!(letter.is_signed_with(&fifth) && letter.signatures.len() == 1);
    rotate(json!({ "old_secret_hours": 169 })).await.problem(422, "webhook_invalid");
}

async fn a_changed_address_is_shown_to_a_person_every_time(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let change = async |body: Value| endpoint.owner.send(Method::PATCH, &endpoint.path(""), &body).await.json(200);
    change(json!({ "description": "x", "types": ["push.received"], "url": receiver.url })).await;
    assert!(attention::open(world.database()).await.unwrap().is_empty());
    for n in 0..3 {
        change(json!({ "url": format!("https://thief.example.com/{n}") })).await;
        change(json!({ "url": format!("https://thief.example.com/{n}/again") })).await;
        let marks = attention::open(world.database()).await.unwrap();
        assert_eq!((marks.len(), marks[0].reason.as_str()), (1, "webhook_moved"));
        assert!(!marks[0].detail.contains("thief"), "addresses may carry tokens");
        world.clock.advance_s(1);
        assert!(attention::resolve(world.database(), &marks[0].id, world.clock.now()).await.unwrap());
    }
}

async fn an_endpoint_that_is_not_there_is_not_found(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    for id in ["whk_019be4d0602074368bd5513df6f80b32", "whk_", "evt_019be4d0602074368bd5513df6f80b32", "x' OR 1=1"] {
        let path = format!("/v1/webhooks/{id}");
        for (method, tail, body) in [
            (Method::GET, "", json!({})),
            (Method::PATCH, "", json!({ "description": "x" })),
            (Method::DELETE, "", json!({})),
            (Method::POST, "/rotate", json!({})),
            (Method::POST, "/test", json!({})),
            (Method::POST, "/replay", json!({ "state": "exhausted" })),
            (Method::GET, "/deliveries", json!({})),
            (Method::GET, "/deliveries/evt_019be4d0602074368bd5513df6f80b32", json!({})),
        ] {
            owner.send(method, &format!("{path}{tail}"), &body).await.problem(404, "webhook_not_found");
        }
    }
}

async fn there_are_not_more_endpoints_than_can_be(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let body = json!({ "url": "https://shop.example.com/hook" });
    for _ in 0..100 {
        owner.post("/v1/webhooks", &body).await.json(201);
    }
    owner.post("/v1/webhooks", &body).await.problem(409, "too_many_webhooks");
}

async fn endpoints_are_listed_by_pages_the_newest_first(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        world.clock.advance_s(1);
        let webhook = owner.post("/v1/webhooks", &json!({ "url": "https://shop.example.com/hook" })).await.json(201);
        made.insert(0, webhook["id"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/webhooks?limit=2".to_owned());
    loop {
        let page = owner.get(&path).await.json(200);
        seen.extend(page["webhooks"].as_array().unwrap().iter().map(|hook| hook["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/webhooks?limit=2&after={}", page["after"].as_str().unwrap());
    }
    assert_eq!(seen, made);
    owner.get("/v1/webhooks?limit=201").await.problem(400, "query_invalid");
    owner.get("/v1/webhooks?after=key_019be4d0602074368bd5513df6f80b32").await.problem(400, "cursor_unknown");
}

async fn deliveries_are_listed_by_pages(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let mut ids = Vec::new();
    for subject in ["a", "b", "c", "d", "e"] {
        ids.push(happen(world, Type::PushReceived, subject).await);
    }
    webhook::run_due(&world.node().app).await.unwrap();
    let (mut seen, mut path) = (Vec::new(), endpoint.path("/deliveries?limit=2"));
    loop {
        let page = endpoint.owner.get(&path).await.json(200);
        for delivery in page["deliveries"].as_array().unwrap() {
            assert_eq!(delivery["state"], "delivered");
            seen.push(delivery["event"].as_str().unwrap().to_owned());
        }
        if page["has_more"] == false {
            break;
        }
        path = endpoint.path(&format!("/deliveries?limit=2&after={}", page["after"].as_str().unwrap()));
    }
    ids.reverse();
    assert_eq!(seen, ids);
    let none = endpoint.owner.get(&endpoint.path("/deliveries?state=waiting")).await.json(200);
    assert_eq!((&none["deliveries"], &none["after"]), (&json!([]), &json!(null)));
    for (query, code) in [("limit=0", "query_invalid"), ("limit=201", "query_invalid"), ("state=x", "query_invalid")] {
        endpoint.owner.get(&endpoint.path(&format!("/deliveries?{query}"))).await.problem(400, code);
    }
    for after in ["evt_", "evt_019be4d0602074368bd5513df6f80b32"] {
        endpoint.owner.get(&endpoint.path(&format!("/deliveries?after={after}"))).await.problem(400, "cursor_unknown");
    }
}

async fn an_endpoint_can_be_tried_and_no_other_is_told_even_if_everything_is_sent_again(world: &mut World) {
    let (tried, other) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Endpoint::new(world, &tried, &["message.received"]).await;
    let told = Endpoint::new(world, &other, &[]).await;
    let sent = endpoint.owner.once(&endpoint.path("/test"), "k1", "{}").await;
    assert_eq!(endpoint.owner.once(&endpoint.path("/test"), "k1", "{}").await.body, sent.body);
    assert_eq!(webhook::run_due(&world.node().app).await.unwrap(), 1);
    let letter = tried.take().swap_remove(0);
    assert_eq!((&letter.event()["type"], letter.subject()), (&json!("webhook.tested"), endpoint.id.clone()));
    assert_eq!(sent.json(202)["event"], letter.id);
    assert!(letter.is_signed_with(&endpoint.secret) && other.received().is_empty());

    // Nor is another one told when everything is sent again, while the tried one gets it once more.
    let first = happen(world, Type::PushReceived, "a").await;
    webhook::run_due(&world.node().app).await.unwrap();
    other.take();
    let from = json!({ "from": letter.id });
    assert_eq!(told.owner.post(&told.path("/replay"), &from).await.json(202), json!({ "replayed": 1 }));
    assert_eq!(endpoint.owner.post(&endpoint.path("/replay"), &from).await.json(202), json!({ "replayed": 1 }));
    webhook::run_due(&world.node().app).await.unwrap();
    let ids = |receiver: &Receiver| receiver.take().into_iter().map(|letter| letter.id).collect::<Vec<_>>();
    assert_eq!((ids(&tried), ids(&other)), (vec![letter.id], vec![first]));
}

async fn a_disabled_endpoint_gets_its_trial_once_it_is_enabled(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let change = async |state: &str| {
        let body = json!({ "state": state });
        endpoint.owner.send(Method::PATCH, &endpoint.path(""), &body).await.json(200);
    };
    change("disabled").await;
    let sent = endpoint.owner.post(&endpoint.path("/test"), &json!({})).await.json(202);
    assert_eq!(webhook::run_due(&world.node().app).await.unwrap(), 0);
    change("enabled").await;
    assert_eq!(webhook::run_due(&world.node().app).await.unwrap(), 1);
    assert_eq!(receiver.received()[0].id, sent["event"]);
}
