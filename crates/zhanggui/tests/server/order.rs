//! What can be ordered, and what cannot: nothing of a refused order is kept.

use serde_json::{Value, json};
use weixin::{Body, OrderAmount};
use zhanggui::api_key::Scope;

use crate::support::{DEMO, Merchant, OTHER, World, on_both_databases};

on_both_databases!(
    a_customer_sets_no_price,
    items_that_cannot_be_are_refused,
    a_product_that_is_gone_is_refused_and_old_orders_keep_their_price,
    lesson_24_an_amount_is_a_whole_number_of_fen_within_bounds,
    a_description_that_wechat_would_refuse_is_refused_here,
    what_a_key_sends_is_checked_as_a_whole,
    somebody_elses_order_is_not_there,
    orders_are_listed_by_pages_the_newest_first,
    orders_are_listed_by_state_and_customer,
    a_customer_lists_their_own_orders_and_no_others,
    a_list_of_orders_that_cannot_be_is_refused,
    a_text_with_any_character_that_is_allowed_reaches_wechat_unchanged,
);

async fn orders(world: &World) -> i64 {
    world.number("SELECT COUNT(*) AS n FROM shop_order").await
}

async fn a_customer_sets_no_price(world: &mut World) {
    let phone = world.phone("li").await;
    let tea = json!([{ "sku": "tea" }]);
    for body in [
        json!({ "amount": 1, "description": "tea" }),
        json!({ "items": tea, "amount": 1 }),
        json!({ "items": tea, "amount": 12_800 }),
        json!({ "items": tea, "currency": "JPY" }),
        json!({ "items": tea, "currency": "CNY" }),
    ] {
        phone.post("/v1/orders", &body).await.problem(403, "amount_not_allowed");
    }
    for body in [
        json!({ "items": [{ "sku": "tea", "price": 1 }] }),
        json!({ "items": [{ "sku": "tea", "amount": 1 }] }),
        json!({ "items": tea, "price": 1 }),
        json!({ "items": tea, "total_fee": 1 }),
        json!({ "items": tea, "description": "free" }),
        json!({ "items": tea, "attach": "x" }),
        json!({ "items": tea, "reference": "x" }),
        json!({ "items": tea, "openid": "oSomebodyElse" }),
        json!({ "items": tea, "appid": DEMO.appid }),
        json!({ "items": tea, "expires_in_min": 10_000 }),
    ] {
        phone.post("/v1/orders", &body).await.problem(422, "body_invalid");
    }
    assert_eq!(orders(world).await, 0);
}

async fn items_that_cannot_be_are_refused(world: &mut World) {
    let phone = world.phone("li").await;
    let many: Vec<_> = (0..51).map(|n| json!({ "sku": format!("s{n}") })).collect();
    for items in [
        json!([]),
        json!(many),
        json!([{ "sku": "tea", "quantity": 0 }]),
        json!([{ "sku": "tea", "quantity": 1000 }]),
        json!([{ "sku": "tea" }, { "sku": "tea" }]),
        json!([{ "sku": "tea" }, { "sku": "cup" }, { "sku": "tea", "quantity": 2 }]),
    ] {
        phone.post("/v1/orders", &json!({ "items": items })).await.problem(422, "items_invalid");
    }
    phone.post("/v1/orders", &json!({})).await.problem(422, "items_invalid");
    for items in [
        json!(null),
        json!("tea"),
        json!({ "sku": "tea" }),
        json!([{}]),
        json!([{ "sku": 7 }]),
        json!([{ "sku": "tea", "quantity": -1 }]),
        json!([{ "sku": "tea", "quantity": 1.5 }]),
        json!([{ "sku": "tea", "quantity": "2" }]),
        json!([{ "sku": "tea", "quantity": 4_294_967_297_u64 }]),
    ] {
        let reply = phone.post("/v1/orders", &json!({ "items": items })).await;
        reply.problem(422, if items.is_null() { "items_invalid" } else { "body_invalid" });
    }
    for sku in ["nothing", "", "TEA", "tea ", "te\0a", "' OR 1=1 --", "茶", &"x".repeat(10_000)] {
        phone.post("/v1/orders", &json!({ "items": [{ "sku": sku }] })).await.problem(422, "product_unknown");
    }
    world.sell(&DEMO.appid(), "palace", "A palace", OrderAmount::MAX.get()).await;
    let body = json!({ "items": [{ "sku": "palace", "quantity": 999 }] });
    phone.post("/v1/orders", &body).await.problem(422, "amount_invalid");
    assert_eq!(orders(world).await, 0);
}

async fn a_product_that_is_gone_is_refused_and_old_orders_keep_their_price(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sell(&DEMO.appid(), "tea", "明前龙井", 1).await;
    let gone = zhanggui::product::remove(world.database(), &DEMO.appid(), "tea", world.clock.now()).await.unwrap();
    assert!(gone);
    phone.post("/v1/orders", &json!({ "items": [{ "sku": "tea" }] })).await.problem(422, "product_unknown");
    phone.pay(&order).await;
    world.settle().await;
    let seen = phone.see(&order).await;
    assert_eq!((&seen["state"], &seen["amount"]), (&json!("paid"), &json!(12_800)));
    assert_eq!(seen["items"][0]["price"], 12_800);
    assert_eq!(world.sim.ledger().paid().next().unwrap().total_fen.get(), 12_800);
}

async fn lesson_24_an_amount_is_a_whole_number_of_fen_within_bounds(world: &mut World) {
    let phone = world.phone("li").await;
    let till = world.merchant(Scope::ALL).await;
    let openid = phone.wechat.openid().as_str();
    let send = async |amount: &str| {
        let body = format!(r#"{{"amount":{amount},"description":"tea","openid":"{openid}"}}"#);
        till.order(&serde_json::from_str::<Value>(&body).unwrap()).await
    };
    for amount in ["0", "-1", "19.9", "1990.0", "1e3", "2147483648", "9223372036854775808", "1e400", "-0.1"] {
        // Numbers that JSON values of this program cannot hold are sent as they are.
        let body = format!(r#"{{"amount":{amount},"description":"tea","openid":"{openid}"}}"#);
        let request = till.http.request(reqwest::Method::POST, "/v1/orders").bearer_auth(&till.key);
        let request = request.header("content-type", "application/json").body(body);
        let reply = crate::support::Reply::of(request).await;
        match amount {
            "1e400" => reply.problem(400, "body_not_json"),
            _ => reply.problem(422, "amount_invalid"),
        };
    }
    for amount in ["\"1990\"", "\"19.90\"", "true", "[1]", "{}"] {
        send(amount).await.problem(422, "body_invalid");
    }
    assert_eq!(orders(world).await, 0);
    for amount in ["1", "1990", "2147483647"] {
        let order = send(amount).await.json(201);
        assert_eq!(order["amount"].to_string(), amount);
        phone.pay(order["id"].as_str().unwrap()).await;
    }
    world.settle().await;
    let paid = world.sim.ledger().paid().map(|payment| payment.total_fen.get()).sum::<i64>();
    assert_eq!(paid, 1 + 1990 + 2_147_483_647);
}

async fn a_description_that_wechat_would_refuse_is_refused_here(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    let long = "茶".repeat(42) + "ab";
    assert_eq!(long.len(), 128);
    for description in ["", &long, "tea 🍵", "𠮷", "a\nb", "a\tb", "\0", "\u{7f}", "\u{85}"] {
        let body = json!({ "amount": 1, "description": description, "openid": "oLi" });
        till.order(&body).await.problem(422, "description_invalid");
    }
    till.order(&json!({ "amount": 1, "openid": "oLi" })).await.problem(422, "description_invalid");
    assert_eq!(orders(world).await, 0);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM customer").await, 0);
}

async fn what_a_key_sends_is_checked_as_a_whole(world: &mut World) {
    let till = world.merchant(Scope::ALL).await;
    let good = json!({ "amount": 1, "description": "tea", "openid": "oLi" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, code) in [
        (with("items", json!([{ "sku": "tea" }])), "body_invalid"),
        (json!({ "openid": "oLi" }), "body_invalid"),
        (with("attach", json!("x".repeat(128))), "body_invalid"),
        (with("attach", json!("")), "body_invalid"),
        (with("attach", json!("\0")), "body_invalid"),
        (with("reference", json!("")), "body_invalid"),
        (with("reference", json!("x".repeat(65))), "body_invalid"),
        (with("reference", json!("a\0")), "body_invalid"),
        (with("expires_in_min", json!(4)), "body_invalid"),
        (with("expires_in_min", json!(10_081)), "body_invalid"),
        (with("expires_in_min", json!(-5)), "body_invalid"),
        (with("openid", json!("")), "customer_unknown"),
        (with("openid", json!("o Li")), "customer_unknown"),
        (with("openid", json!("\0")), "customer_unknown"),
        (json!({ "amount": 1, "description": "tea" }), "customer_unknown"),
        (with("currency", json!("USD")), "amount_invalid"),
        (with("appid", json!(OTHER.appid)), "app_unknown"),
        (with("discount", json!(1)), "body_invalid"),
    ] {
        till.order(&body).await.problem(422, code);
    }
    assert_eq!(orders(world).await, 0);
    till.order(&good).await.json(201);
    let order = till.order(&with("expires_in_min", json!(5))).await.json(201);
    assert_eq!(order["expires_at"], "2026-01-22T06:35:00Z");
}

async fn somebody_elses_order_is_not_there(world: &mut World) {
    let (li, zhang) = (world.phone("li").await, world.phone("zhang").await);
    let order = li.order("tea").await;
    let unknown = "ord_019be4d0602074368bd5513df6f80b32";
    let before = world.state().await;
    let without_id = |mut body: Value| {
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    for (method, tail) in [("GET", ""), ("GET", "?refresh=true"), ("POST", "/pay")] {
        let mut bodies = Vec::new();
        for id in [order.as_str(), unknown, "ord_", "1", "ord_x' OR 1=1", "pay_019be4d0602074368bd5513df6f80b32", "%00"]
        {
            let path = format!("/v1/orders/{id}{tail}");
            let reply = if method == "GET" { zhang.get(&path).await } else { zhang.post(&path, &json!({})).await };
            bodies.push(without_id(reply.problem(404, "order_not_found")));
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    }
    assert!(world.state().await == before);
}

/// What the XML, the signature, and both databases have to survive.
async fn a_text_with_any_character_that_is_allowed_reaches_wechat_unchanged(world: &mut World) {
    let phone = world.phone("li").await;
    let till = world.merchant(Scope::ALL).await;
    for text in ["a]]>b", "<a>&amp;\"'", "]]]]><![CDATA[>", "a=b&key=c", "  blanks  ", "\u{feff}é漢字…", "%00\\0$1 --"]
    {
        Body::parse(text).unwrap();
        let body = json!({
            "amount": 5, "description": text, "attach": text, "openid": phone.wechat.openid().as_str(),
        });
        let order = till.order(&body).await.json(201);
        assert_eq!((&order["description"], &order["attach"]), (&json!(text), &json!(text)));
        let id = order["id"].as_str().unwrap();
        phone.pay(id).await;
        let sent = world.calls("/pay/unifiedorder").pop().unwrap();
        let sent = weixin::xml::Fields::parse(sent.as_bytes()).unwrap();
        assert_eq!((sent.get("body"), sent.get("attach")), (Some(text), Some(text)));
        world.settle().await;
        assert_eq!(phone.see(id).await["state"], "paid", "{text:?}");
    }
}

/// The ids on a page, and its cursor.
fn ids(page: &Value) -> (Vec<String>, Value) {
    let orders = page["orders"].as_array().unwrap();
    (orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect(), page["after"].clone())
}

/// So many orders of an amount, a second apart, the newest first.
async fn ordered(world: &World, till: &Merchant, openid: &str, count: usize) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..count {
        world.clock.advance_s(1);
        let body = json!({ "amount": 5, "description": "茶", "openid": openid, "appid": DEMO.appid });
        made.insert(0, till.order(&body).await.json(201)["id"].as_str().unwrap().to_owned());
    }
    made
}

async fn orders_are_listed_by_pages_the_newest_first(world: &mut World) {
    let till = world.merchant(&[Scope::Read, Scope::Orders]).await;
    let none = till.get("/v1/orders").await.json(200);
    assert_eq!(none, json!({ "orders": [], "after": null, "has_more": false }));
    let made = ordered(world, &till, "oLi", 5).await;
    let (mut seen, mut path) = (Vec::new(), "/v1/orders?limit=2".to_owned());
    loop {
        let page = till.get(&path).await.json(200);
        let (ids, after) = ids(&page);
        seen.extend(ids);
        if page["has_more"] == false {
            break;
        }
        // What comes meanwhile is in front and moves nothing.
        ordered(world, &till, "oLi", 1).await;
        path = format!("/v1/orders?limit=2&after={}", after.as_str().unwrap());
    }
    assert_eq!(seen, made);
    let page = till.get("/v1/orders").await.json(200);
    assert_eq!(page["orders"].as_array().unwrap().len(), 7);
    assert_eq!(page["orders"][6], till.get(&format!("/v1/orders/{}", made[4])).await.json(200), "as one alone");
    let end = till.get(&format!("/v1/orders?after={}", made[4])).await.json(200);
    assert_eq!(end, json!({ "orders": [], "after": made[4], "has_more": false }));
}

async fn orders_are_listed_by_state_and_customer(world: &mut World) {
    let till = world.merchant(&[Scope::Read, Scope::Orders]).await;
    let phone = world.phone("li").await;
    let paid = world.paid_order(&phone, "tea").await;
    let of_wang = ordered(world, &till, "oWang", 2).await;
    let closed = ordered(world, &till, "oWang", 1).await;
    till.post(&format!("/v1/orders/{}/close", closed[0]), &json!({})).await.json(200);
    let list = async |query: &str| ids(&till.get(&format!("/v1/orders?{query}")).await.json(200)).0;
    assert_eq!(list("state=paid").await, [paid.as_str()]);
    assert_eq!(list("state=open").await, of_wang);
    assert_eq!(list("state=closed").await, closed);
    assert!(list("state=closing").await.is_empty());
    assert_eq!(list("openid=oWang").await, [closed, of_wang.clone()].concat());
    assert_eq!(list(&format!("openid=oWang&state=open&limit=1&after={}", of_wang[0])).await, of_wang[1..]);
    assert_eq!(list(&format!("openid={}", phone.wechat.openid())).await, [paid.as_str()]);
    assert!(list("openid=oNobody").await.is_empty());
    // The same openid at another app is somebody else.
    world.reconfigure(|shop| shop.with_other = true).await;
    let (demo, other) = (DEMO.appid, OTHER.appid);
    till.get("/v1/orders?openid=oWang").await.problem(422, "app_unknown");
    assert_eq!(list(&format!("openid=oWang&state=open&appid={demo}")).await, of_wang);
    assert!(list(&format!("openid=oWang&appid={other}")).await.is_empty());
    assert!(list(&format!("appid={other}")).await.is_empty());
    assert_eq!(list(&format!("appid={demo}")).await.len(), 4);
    assert_eq!(list("").await.len(), 4);
}

async fn a_customer_lists_their_own_orders_and_no_others(world: &mut World) {
    let (li, wang) = (world.phone("li").await, world.phone("wang").await);
    let first = li.order("tea").await;
    world.clock.advance_s(1);
    wang.order("tea").await;
    let second = li.order("cup").await;
    let page = li.get("/v1/orders").await.json(200);
    assert_eq!(ids(&page), (vec![second, first], page["after"].clone()));
    for query in ["openid=oWang", "appid=wxfake0000000001"] {
        li.get(&format!("/v1/orders?{query}")).await.problem(400, "query_invalid");
    }
    let blind = world.merchant(&[Scope::Orders]).await;
    blind.get("/v1/orders").await.problem(403, "forbidden");
    let stranger = Merchant { key: "zgs_x".to_owned(), http: li.http.clone() };
    stranger.get("/v1/orders").await.problem(401, "unauthorized");
}

async fn a_list_of_orders_that_cannot_be_is_refused(world: &mut World) {
    let till = world.merchant(&[Scope::Read]).await;
    for (query, status, code) in [
        ("limit=0", 400, "query_invalid"),
        ("limit=201", 400, "query_invalid"),
        ("limit=many", 400, "query_invalid"),
        ("state=eaten", 400, "query_invalid"),
        ("state=", 400, "query_invalid"),
        ("openid=%E8%8C%B6", 400, "query_invalid"),
        ("openid=%00", 400, "query_invalid"),
        ("page=2", 400, "query_invalid"),
        ("after=ord_", 400, "cursor_unknown"),
        ("after=evt_019be4d0602074368bd5513df6f80b32", 400, "cursor_unknown"),
        ("appid=wxunknown", 422, "app_unknown"),
    ] {
        till.get(&format!("/v1/orders?{query}")).await.problem(status, code);
    }
}
