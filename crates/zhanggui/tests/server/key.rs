//! The keys of the merchant's own systems: what they may do, from where, until when, and who sees them.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use weixin::Fen;
use zhanggui::{
    api_key::{self, NewKey, Scope},
    database::Realm,
};

use crate::support::{Merchant, Reply, World, on_both_databases};

on_both_databases!(
    a_key_that_has_ended_is_as_good_as_none,
    a_revoked_key_stops_working_at_once,
    a_key_that_is_revoked_or_ends_ends_its_event_stream,
    a_key_works_only_from_its_addresses,
    a_list_shows_keys_without_what_is_secret,
    keys_are_listed_by_pages_the_newest_first,
    the_last_use_of_a_key_is_written_down_once_a_minute,
    only_an_administrator_makes_lists_and_revokes_keys,
    a_key_that_makes_no_sense_is_not_made,
    a_key_refunds_no_more_in_a_day_than_it_may,
);

fn new(scopes: &[Scope]) -> NewKey {
    NewKey { name: "till".to_owned(), scopes: scopes.to_vec(), ..NewKey::default() }
}

async fn listed(world: &World, name: &str) -> Value {
    let keys = serde_json::to_value(api_key::list(world.database()).await.unwrap()).unwrap();
    keys.as_array().unwrap().iter().find(|key| key["name"] == name).unwrap().clone()
}

async fn a_key_that_has_ended_is_as_good_as_none(world: &mut World) {
    let expires = Some(world.clock.now() + SignedDuration::from_hours(24));
    let till = world.merchant_with(Realm::Simulated, NewKey { expires, ..new(&[Scope::Read]) }).await;
    world.clock.advance_s(24 * 60 * 60 - 1);
    till.get("/v1/events").await.json(200);
    world.clock.advance_s(1);
    till.get("/v1/events").await.problem(401, "unauthorized");
}

async fn a_revoked_key_stops_working_at_once(world: &mut World) {
    let (till, other) = (world.merchant(&[Scope::Read]).await, world.merchant(&[Scope::Read]).await);
    let prefix = &till.key[.."zg_sim_".len() + 6];
    let id = api_key::revoke(world.database(), prefix, world.clock.now()).await.unwrap().unwrap();
    till.get("/v1/events").await.problem(401, "unauthorized");
    other.get("/v1/events").await.json(200);
    for gone in [id.as_str(), prefix, "key_1", ""] {
        assert_eq!(api_key::revoke(world.database(), gone, world.clock.now()).await.unwrap(), None, "{gone}");
    }
}

async fn a_key_that_is_revoked_or_ends_ends_its_event_stream(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let expires = Some(world.clock.now() + SignedDuration::from_hours(1));
    let (revoked, other) = (world.merchant(&[Scope::Read]).await, world.merchant(&[Scope::Read]).await);
    let till = world.merchant_with(Realm::Simulated, NewKey { expires, ..new(&[Scope::Read]) }).await;
    let open = async |merchant: &Merchant| {
        let request = merchant.http.request(Method::GET, "/v1/events").bearer_auth(&merchant.key);
        let mut stream = request.header("accept", "text/event-stream").send().await.unwrap();
        assert!(stream.chunk().await.unwrap().unwrap().starts_with(b": events\n"));
        stream
    };
    let (revoked_stream, mut other_stream, ending_stream) =
        (open(&revoked).await, open(&other).await, open(&till).await);
    let end = async |stream: reqwest::Response| timeout(Duration::from_secs(10), stream.text()).await.expect("it ends");
    let prefix = &revoked.key[.."zg_sim_".len() + 6];
    let keys = owner.get("/v1/keys").await.json(200);
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["prefix"] == prefix).unwrap();
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(owner.send(Method::DELETE, &path, &json!({})).await.status, 204);
    assert_eq!(end(revoked_stream).await.unwrap(), "", "nothing after the key");
    world.clock.advance_s(3600);
    assert_eq!(end(ending_stream).await.unwrap(), "");
    // The others go on.
    let phone = world.phone("li").await;
    phone.order("tea").await;
    let told = timeout(Duration::from_secs(10), other_stream.chunk()).await.expect("it goes on").unwrap().unwrap();
    assert!(told.windows(13).any(|window| window == b"order.created"));
}

/// The test connects from 127.0.0.1; the proxy tells other addresses.
async fn a_key_works_only_from_its_addresses(world: &mut World) {
    let addresses = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let till = world.merchant_with(Realm::Simulated, NewKey { addresses, ..new(&[Scope::Read]) }).await;
    till.get("/v1/events").await.problem(403, "forbidden");
    let from = async |till: &Merchant, address: &str| {
        let request = till.http.request(Method::GET, "/v1/events").bearer_auth(&till.key);
        Reply::of(request.header("x-forwarded-for", address)).await
    };
    from(&till, "203.0.113.9").await.problem(403, "forbidden");
    world.reconfigure(|shop| shop.trust_forwarded_for = true).await;
    for good in ["203.0.113.9", "10.0.0.1, 203.0.113.9", "::ffff:203.0.113.9", "2001:db8::7"] {
        from(&till, good).await.json(200);
    }
    for bad in ["203.0.114.9", "203.0.113.9, 10.0.0.1", "2001:db8::8", "", "x"] {
        from(&till, bad).await.problem(403, "forbidden");
    }
}

async fn a_list_shows_keys_without_what_is_secret(world: &mut World) {
    let addresses = vec!["10.0.0.0/8".parse().unwrap()];
    let refunds_per_day = Some(Fen::new(5000));
    let till = NewKey { addresses, refunds_per_day, ..new(&[Scope::Orders, Scope::Refunds]) };
    let till = world.merchant_with(Realm::Simulated, till).await;
    let seen = listed(world, "till").await;
    assert_eq!(seen["scopes"], json!(["orders", "refunds"]));
    assert_eq!((&seen["addresses"], &seen["refunds_fen_per_day"]), (&json!(["10.0.0.0/8"]), &json!(5000)));
    assert_eq!(seen["prefix"], till.key[.."zg_sim_".len() + 6]);
    assert!(!seen.to_string().contains(&till.key[till.key.len() - 20..]));
    assert_eq!(seen.get("last_used_at"), None);
}

async fn keys_are_listed_by_pages_the_newest_first(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    for name in ["a", "b", "c", "d"] {
        world.clock.advance_s(1);
        owner.post("/v1/keys", &json!({ "name": name, "scopes": ["read"] })).await.json(201);
    }
    let (mut names, mut path) = (Vec::new(), "/v1/keys?limit=2".to_owned());
    loop {
        let page = owner.get(&path).await.json(200);
        names.extend(page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/keys?limit=2&after={}", page["after"].as_str().unwrap());
    }
    assert_eq!(names, ["d", "c", "b", "a", "till"]);
    owner.get("/v1/keys?limit=0").await.problem(400, "query_invalid");
    owner.get("/v1/keys?page=1").await.problem(400, "query_invalid");
    owner.get("/v1/keys?after=whk_019be4d0602074368bd5513df6f80b32").await.problem(400, "cursor_unknown");
}

async fn the_last_use_of_a_key_is_written_down_once_a_minute(world: &mut World) {
    let till = world.merchant(&[Scope::Read]).await;
    let begin = world.clock.now();
    for (after_s, seen_s) in [(0, 0), (59, 0), (60, 60), (61, 60)] {
        world.clock.advance_s(after_s - (world.clock.now() - begin).get_seconds());
        till.get("/v1/events").await.json(200);
        let expected = (begin + SignedDuration::from_secs(seen_s)).to_string();
        assert_eq!(listed(world, "till").await["last_used_at"], expected, "after {after_s} s");
    }
}

async fn only_an_administrator_makes_lists_and_revokes_keys(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let body = json!({ "name": "shop", "scopes": ["read"], "addresses": [] });
    let made = owner.post("/v1/keys", &body).await.json(201);
    let shop = Merchant { key: made["key"].as_str().unwrap().to_owned(), http: owner.http.clone() };
    shop.get("/v1/events").await.json(200);
    let id = made["id"].as_str().unwrap();
    let keys = owner.get("/v1/keys").await;
    assert!(!keys.text().contains(&shop.key));
    assert_eq!(keys.json(200)["keys"].as_array().unwrap().len(), 2);

    let everything_else = [Scope::Read, Scope::Orders, Scope::Refunds, Scope::Messages];
    let phone = world.phone("li").await;
    for other in [shop.clone(), world.merchant(&everything_else).await, Merchant { key: phone.token, ..shop.clone() }] {
        other.post("/v1/keys", &body).await.problem(403, "forbidden");
        other.get("/v1/keys").await.problem(403, "forbidden");
        other.send(Method::DELETE, &format!("/v1/keys/{id}"), &json!({})).await.problem(403, "forbidden");
    }
    assert_eq!(owner.send(Method::DELETE, &format!("/v1/keys/{id}"), &json!({})).await.status, 204);
    shop.get("/v1/events").await.problem(401, "unauthorized");
    for gone in [id, "key_1", "ord_019be4d0602074368bd5513df6f80b32", &shop.key[.."zg_sim_".len() + 6]] {
        owner.send(Method::DELETE, &format!("/v1/keys/{gone}"), &json!({})).await.problem(404, "key_not_found");
    }
}

async fn a_key_that_makes_no_sense_is_not_made(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    for (body, code) in [
        (json!({ "name": "", "scopes": ["read"] }), "key_invalid"),
        (json!({ "name": "x", "scopes": [] }), "key_invalid"),
        (json!({ "name": "x", "scopes": ["everything"] }), "key_invalid"),
        (json!({ "name": "x", "scopes": ["read"], "addresses": ["10.0.0.0/40"] }), "key_invalid"),
        (json!({ "name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z" }), "key_invalid"),
        (json!({ "name": "x", "scopes": ["read"], "refunds_fen_per_day": -1 }), "key_invalid"),
        (json!({ "name": "x", "scopes": ["read"], "expires_at": "tomorrow" }), "body_invalid"),
        (json!({ "name": "x", "scopes": ["read"], "key": "zg_sim_mine" }), "body_invalid"),
        (json!({ "scopes": ["read"] }), "body_invalid"),
    ] {
        owner.post("/v1/keys", &body).await.problem(422, code);
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM api_key").await, 1);
}

async fn a_key_refunds_no_more_in_a_day_than_it_may(world: &mut World) {
    let limited = NewKey { refunds_per_day: Some(Fen::new(5000)), ..new(&[Scope::Refunds]) };
    let limited = world.merchant_with(Realm::Simulated, limited).await;
    let unlimited = world.merchant(&[Scope::Refunds]).await;
    let spend = async |merchant: &Merchant, amount_fen: i64| {
        let key = api_key::find(&world.node().app, &merchant.key).await.unwrap().unwrap();
        let now = world.clock.now();
        let spend = move |tx: &mut _| api_key::spend_refund(tx, &key, Fen::new(amount_fen), now);
        world.database().write(spend).await.unwrap()
    };
    assert!(!spend(&limited, 5001).await);
    assert!(spend(&limited, 3000).await);
    assert!(!spend(&limited, 2001).await);
    assert!(spend(&limited, 2000).await);
    assert!(!spend(&limited, 1).await);
    assert!(spend(&unlimited, i64::MAX).await);
    // 14:30 in Beijing; the next day begins at midnight there.
    world.clock.advance_s(9 * 3600 + 30 * 60 - 1);
    assert!(!spend(&limited, 1).await);
    world.clock.advance_s(1);
    assert!(spend(&limited, 5000).await && !spend(&limited, 1).await);
}
