//! The shelf, managed through the API and from a table.

use reqwest::Method;
use serde_json::json;
use zhanggui::{api_key::Scope, product};

use crate::support::{DEMO, Merchant, OTHER, World, on_both_databases};

on_both_databases!(
    a_product_is_added_changed_taken_away_and_brought_back,
    only_an_administrator_changes_the_shelf,
    what_cannot_be_sold_is_refused,
    with_several_apps_each_has_its_own_shelf,
    a_table_is_imported_as_a_whole,
);

async fn a_product_is_added_changed_taken_away_and_brought_back(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin, Scope::Read]).await;
    let put = async |body| owner.send(Method::PUT, "/v1/products/cake", &body).await;
    let cake = json!({ "sku": "cake", "name": "抹茶蛋糕", "price": 3200, "active": true });
    assert_eq!(put(json!({ "name": "抹茶蛋糕", "price": 3200 })).await.json(200), cake);
    assert_eq!(owner.get("/v1/products/cake").await.json(200), cake);
    let phone = world.phone("li").await;
    let order = phone.order("cake").await;
    put(json!({ "name": "抹茶蛋糕", "price": 3300 })).await.json(200);
    assert_eq!(phone.see(&order).await["amount"], 3200, "orders that exist keep their price");

    assert_eq!(owner.send(Method::DELETE, "/v1/products/cake", &json!({})).await.status, 204);
    let wanted = json!({ "items": [{ "sku": "cake" }] });
    phone.post("/v1/orders", &wanted).await.problem(422, "product_unknown");
    owner.send(Method::DELETE, "/v1/products/cake", &json!({})).await.problem(404, "product_not_found");
    assert_eq!(owner.get("/v1/products/cake").await.json(200)["active"], false);
    put(json!({ "name": "抹茶蛋糕", "price": 3300, "active": true })).await.json(200);
    phone.post("/v1/orders", &wanted).await.json(201);
    put(json!({ "name": "抹茶蛋糕", "price": 3300, "active": false })).await.json(200);
    phone.post("/v1/orders", &wanted).await.problem(422, "product_unknown");
}

async fn only_an_administrator_changes_the_shelf(world: &mut World) {
    let key = world.merchant(&[Scope::Read, Scope::Orders, Scope::Refunds, Scope::Messages]).await;
    let phone = world.phone("li").await;
    for caller in [key.clone(), Merchant { key: phone.token, ..key.clone() }] {
        let body = json!({ "name": "茶", "price": 1 });
        caller.send(Method::PUT, "/v1/products/tea", &body).await.problem(403, "forbidden");
        caller.send(Method::DELETE, "/v1/products/tea", &json!({})).await.problem(403, "forbidden");
    }
    assert_eq!(key.get("/v1/products/tea").await.json(200)["price"], 12_800);
}

async fn what_cannot_be_sold_is_refused(world: &mut World) {
    let owner = world.merchant(&[Scope::Admin, Scope::Read]).await;
    for (sku, body, code) in [
        ("cake", json!({ "name": "", "price": 1 }), "product_invalid"),
        ("cake", json!({ "name": "蛋糕🍰", "price": 1 }), "product_invalid"),
        ("cake", json!({ "name": "蛋糕", "price": 0 }), "product_invalid"),
        ("cake", json!({ "name": "蛋糕", "price": -1 }), "product_invalid"),
        ("cake", json!({ "name": "蛋糕", "price": 2_147_483_648_i64 }), "product_invalid"),
        ("a%20b", json!({ "name": "蛋糕", "price": 1 }), "product_invalid"),
        ("%E8%8C%B6", json!({ "name": "蛋糕", "price": 1 }), "product_invalid"),
        ("cake", json!({ "name": "蛋糕", "price": 19.9 }), "body_invalid"),
        ("cake", json!({ "name": "蛋糕", "price": 1, "stock": 3 }), "body_invalid"),
        ("cake", json!({ "price": 1 }), "body_invalid"),
    ] {
        owner.send(Method::PUT, &format!("/v1/products/{sku}"), &body).await.problem(422, code);
    }
    for sku in ["cake", "%00", "a'%20OR%201=1"] {
        owner.get(&format!("/v1/products/{sku}")).await.problem(404, "product_not_found");
        let path = format!("/v1/products/{sku}");
        owner.send(Method::DELETE, &path, &json!({})).await.problem(404, "product_not_found");
    }
}

async fn with_several_apps_each_has_its_own_shelf(world: &mut World) {
    world.reconfigure(|shop| shop.with_other = true).await;
    let owner = world.merchant(&[Scope::Admin, Scope::Read]).await;
    let body = json!({ "name": "茶", "price": 1 });
    owner.send(Method::PUT, "/v1/products/tea", &body).await.problem(422, "app_unknown");
    owner.send(Method::PUT, &format!("/v1/products/tea?appid={}", OTHER.appid), &body).await.json(200);
    let price =
        async |appid: &str| owner.get(&format!("/v1/products/tea?appid={appid}")).await.json(200)["price"].clone();
    assert_eq!((price(DEMO.appid).await, price(OTHER.appid).await), (json!(12_800), json!(1)));
}

async fn a_table_is_imported_as_a_whole(world: &mut World) {
    let offers = product::read_csv("sku,name,price,active\ntea,明前龙井,99.00,\ncake,抹茶蛋糕,32.00,no\n").unwrap();
    product::set_all(world.database(), &DEMO.appid(), offers, world.clock.now()).await.unwrap();
    let shelf = product::offers(world.database(), &DEMO.appid()).await.unwrap();
    let shelf: Vec<_> =
        shelf.iter().map(|offer| (&*offer.product.sku, offer.product.price.get(), offer.is_active)).collect();
    assert_eq!(shelf, [("cake", 3200, false), ("cup", 1, true), ("tea", 9900, true)]);
}
