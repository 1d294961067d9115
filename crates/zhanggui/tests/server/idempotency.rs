//! One request, one effect, however often it is sent: at once, later, by others, through crashes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use zhanggui::{api_key::Scope, idempotency};

use crate::support::{Merchant, Reply, World, on_both_databases};

on_both_databases!(
    a_repetition_gets_the_same_bytes_and_has_no_effect,
    another_request_with_the_same_key_is_refused,
    bodies_that_differ_in_white_space_only_are_the_same_request,
    what_was_refused_may_be_corrected_under_the_same_key,
    a_key_belongs_to_its_caller,
    fifty_clients_at_once_have_one_effect,
    a_caller_who_hangs_up_finds_the_effect_or_makes_it_later,
    an_answer_outlives_the_server_that_gave_it,
    a_database_that_fails_leaves_neither_effect_nor_answer,
    an_answer_is_kept_for_two_days_and_then_forgotten,
    a_key_that_cannot_be_used_is_refused_before_the_effect,
    an_answer_is_sealed_in_the_database,
    a_reference_names_one_order_of_an_app,
    ; on_postgres:
    fifty_clients_at_two_servers_have_one_effect,
);

const PATH: &str = "/v1/orders";

fn order(amount: i64) -> String {
    json!({ "amount": amount, "description": "茶", "openid": "oLi" }).to_string()
}

async fn orders(world: &World) -> i64 {
    world.number("SELECT COUNT(*) AS n FROM shop_order").await
}

#[track_caller]
fn replayed(reply: &Reply) -> bool {
    reply.json(201);
    reply.header("idempotent-replayed") == "true"
}

async fn a_repetition_gets_the_same_bytes_and_has_no_effect(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    let first = till.once(PATH, "k1", order(5)).await;
    assert!(!replayed(&first));
    // Prices, clocks and states go on; the answer does not.
    world.clock.advance_s(3600);
    for _ in 0..3 {
        let again = till.once(PATH, "k1", order(5)).await;
        assert!(replayed(&again));
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        assert_eq!(again.header("content-type"), first.header("content-type"));
    }
    assert_eq!(orders(world).await, 1);
    assert!(!replayed(&till.once(PATH, "k2", order(5)).await));
    till.order(&serde_json::from_str(&order(5)).unwrap()).await.json(201);
    assert_eq!(orders(world).await, 3);
}

async fn another_request_with_the_same_key_is_refused(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    till.once(PATH, "k1", order(5)).await.json(201);
    till.once(PATH, "k1", order(6)).await.problem(422, "idempotency_key_used");
    let body = json!({ "name": "x", "scopes": ["read"] }).to_string();
    till.once("/v1/keys", "k1", body).await.problem(422, "idempotency_key_used");
    assert_eq!(orders(world).await, 1);
    assert!(replayed(&till.once(PATH, "k1", order(5)).await));
}

async fn bodies_that_differ_in_white_space_only_are_the_same_request(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    let first = till.once(PATH, "k1", order(5)).await;
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&order(5)).unwrap()).unwrap();
    assert_ne!(pretty, order(5));
    let again = till.once(PATH, "k1", format!("\n{pretty}\t ")).await;
    assert!(replayed(&again) && again.body == first.body);
}

async fn what_was_refused_may_be_corrected_under_the_same_key(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    till.once(PATH, "k1", order(0)).await.problem(422, "amount_invalid");
    till.once(PATH, "k1", "{").await.problem(400, "body_not_json");
    let gone = json!({ "items": [{ "sku": "gone" }], "openid": "oLi" }).to_string();
    till.once(PATH, "k1", gone).await.problem(422, "product_unknown");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM idempotent_answer").await, 0);
    assert!(!replayed(&till.once(PATH, "k1", order(5)).await));
}

async fn a_key_belongs_to_its_caller(world: &mut World) {
    let (till, shop) = (world.merchant(Scope::ALL).await, world.merchant(Scope::ALL).await);
    let phone = world.phone("li").await;
    let customer = Merchant { key: phone.token.clone(), http: till.http.clone() };
    assert!(!replayed(&till.once(PATH, "k1", order(5)).await));
    assert!(!replayed(&shop.once(PATH, "k1", order(6)).await));
    let tea = json!({ "items": [{ "sku": "tea" }] }).to_string();
    assert!(!replayed(&customer.once(PATH, "k1", tea.clone()).await));
    assert!(replayed(&customer.once(PATH, "k1", tea).await));
    // A key of our own does not see who else has used it, nor does a caller without the scope.
    let reader = world.merchant(&[Scope::Read]).await;
    reader.once(PATH, "k1", order(5)).await.problem(403, "forbidden");
    assert_eq!(orders(world).await, 3);
}

/// Everybody gets the one answer, at once or after asking again.
async fn crowd(world: &World, tills: Vec<Merchant>) {
    let mut crowd = JoinSet::new();
    for till in tills {
        crowd.spawn(async move {
            for _ in 0..1000 {
                let reply = till.once(PATH, "k1", order(5)).await;
                if reply.status == 201 {
                    return reply;
                }
                reply.problem(409, "idempotency_key_running");
                assert_eq!(reply.header("retry-after"), "1");
            }
            panic!("the first request never ends");
        });
    }
    let replies = crowd.join_all().await;
    let bodies: BTreeSet<_> = replies.iter().map(Reply::text).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(replies.iter().filter(|reply| !replayed(reply)).count(), 1);
    assert_eq!(orders(world).await, 1);
}

async fn fifty_clients_at_once_have_one_effect(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    crowd(world, vec![till; 50]).await;
}

async fn fifty_clients_at_two_servers_have_one_effect(world: &mut World) {
    let second = world.second_node().await;
    let here = world.merchant(Scope::ALL).await;
    let there = Merchant { http: second.http.clone(), ..here.clone() };
    crowd(world, [vec![here; 25], vec![there; 25]].concat()).await;
    second.stop().await;
}

async fn a_caller_who_hangs_up_finds_the_effect_or_makes_it_later(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    for n in 0..20 {
        let key = format!("k{n}");
        let sending = tokio::spawn({
            let (till, key) = (till.clone(), key.clone());
            async move { till.once(PATH, &key, order(5)).await }
        });
        // Hangs up at another moment each time.
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        sending.abort();
        let _ = sending.await;
        let reply = loop {
            let reply = till.once(PATH, &key, order(5)).await;
            if reply.status != 409 {
                break reply;
            }
        };
        reply.json(201);
        assert_eq!(orders(world).await, n + 1);
    }
}

async fn an_answer_outlives_the_server_that_gave_it(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    let first = till.once(PATH, "k1", order(5)).await;
    world.restart().await;
    let again = till.once(PATH, "k1", order(5)).await;
    assert!(replayed(&again) && again.body == first.body);
}

async fn a_database_that_fails_leaves_neither_effect_nor_answer(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    till.get("/v1/events").await.json(200);
    // The effect cannot be kept: the transaction fails at the last of its statements.
    const BREAK: &str = "ALTER TABLE idempotent_answer RENAME TO idempotent_answer_away";
    const MEND: &str = "ALTER TABLE idempotent_answer_away RENAME TO idempotent_answer";
    world.database().write(|tx| tx.execute(BREAK, &[])).await.unwrap();
    assert!(till.once(PATH, "k1", order(5)).await.status >= 500);
    assert_eq!(orders(world).await, 0);
    world.database().write(|tx| tx.execute(MEND, &[])).await.unwrap();
    assert!(!replayed(&till.once(PATH, "k1", order(5)).await));
    world.database().clone().close().await;
    assert!(till.once(PATH, "k2", order(5)).await.status >= 500);
    world.restart().await;
    assert!(!replayed(&till.once(PATH, "k2", order(5)).await));
    assert_eq!(orders(world).await, 2);
}

async fn an_answer_is_kept_for_two_days_and_then_forgotten(world: &mut World) {
    const TWO_DAYS_S: i64 = 48 * 60 * 60;
    let till = world.merchant(Scope::ALL).await;
    till.once(PATH, "k1", order(5)).await.json(201);
    world.clock.advance_s(TWO_DAYS_S);
    assert_eq!(idempotency::forget_old(&world.node().app).await.unwrap(), 0);
    assert!(replayed(&till.once(PATH, "k1", order(5)).await));
    world.clock.advance_s(1);
    assert_eq!(idempotency::forget_old(&world.node().app).await.unwrap(), 1);
    assert!(!replayed(&till.once(PATH, "k1", order(5)).await));
}

async fn a_key_that_cannot_be_used_is_refused_before_the_effect(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    for key in ["", "a b", "茶", &"x".repeat(256)] {
        till.once(PATH, key, order(5)).await.problem(400, "idempotency_key_invalid");
    }
    assert_eq!(orders(world).await, 0);
    till.once(PATH, &"x".repeat(255), order(5)).await.json(201);
}

/// The answer of this call is an API key.
async fn an_answer_is_sealed_in_the_database(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin]).await;
    let body = json!({ "name": "x", "scopes": ["read"] }).to_string();
    let first = owner.once("/v1/keys", "k1", body.clone()).await;
    let key = first.json(201)["key"].as_str().unwrap().to_owned();
    let kept = world.rows("SELECT answer_sealed FROM idempotent_answer", &[]).await;
    let kept = kept[0].bytes("answer_sealed").unwrap();
    assert!(!kept.windows(key.len()).any(|window| window == key.as_bytes()));
    assert_eq!(owner.once("/v1/keys", "k1", body).await.body, first.body);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM api_key").await, 2);
}

async fn a_reference_names_one_order_of_an_app(world: &mut World) {
    world.reconfigure(|shop| shop.with_other = true).await;
    let till = world.merchant(Scope::ALL).await;
    let order = |reference: &str, appid: &str| json!({ "amount": 5, "description": "茶", "openid": "oLi", "reference": reference, "appid": appid });
    let (demo, other) = (crate::support::DEMO.appid, crate::support::OTHER.appid);
    let first = till.order(&order("R1", demo)).await.json(201)["id"].as_str().unwrap().to_owned();
    let refused = till.order(&order("R1", demo)).await.problem(409, "reference_used");
    assert!(refused["detail"].as_str().unwrap().contains(&first));
    till.order(&order("R2", demo)).await.json(201);
    till.order(&order("R1", other)).await.json(201);
    assert_eq!(orders(world).await, 3);
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let (till, body) = (till.clone(), order("R3", demo));
        crowd.spawn(async move { till.order(&body).await.status });
    }
    let statuses = crowd.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
}
