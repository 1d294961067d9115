//! From the log-in to the paid order, as it should go.

use serde_json::json;
use weixin::pay::v2::{Call as _, SignType, unified_order::UnifiedOrder};
use weixin_simulator::Choice;

use crate::support::{OTHER, World, on_both_databases};

on_both_databases!(
    a_customer_logs_in_orders_pays_and_the_order_is_paid,
    a_merchant_who_signs_with_md5_is_paid_too,
    two_apps_and_two_merchants_live_in_one_server,
    a_customer_who_cancels_can_still_pay,
    a_merchants_own_system_sets_the_amount_and_the_customer_pays_it,
);

async fn a_customer_logs_in_orders_pays_and_the_order_is_paid(world: &mut World) {
    let products = world.node().http.get("/v1/products", None).await.json(200);
    assert_eq!(products["products"][1], json!({ "sku": "tea", "name": "明前龙井", "price": 12_800 }));
    let phone = world.phone("li").await;

    let body = json!({ "items": [{ "sku": "tea", "quantity": 2 }, { "sku": "cup" }] });
    let order = phone.post("/v1/orders", &body).await.json(201);
    assert_eq!((&order["amount"], &order["state"]), (&json!(25_601), &json!("open")));
    assert_eq!(order["description"], "明前龙井 x2, 青瓷茶杯");
    let id = order["id"].as_str().unwrap();

    phone.pay(id).await;
    assert_eq!(world.order_state(id).await, "open", "the phone's word changes nothing");
    world.clock.advance_s(3);
    assert_eq!(world.deliver().await, 1);
    assert_eq!(phone.see(id).await["state"], "open", "a notification is a hint");
    assert_eq!(world.run_jobs().await, 1);

    let order = phone.see(id).await;
    assert_eq!(order["state"], "paid");
    assert_eq!(order["paid_at"], "2026-01-22T06:30:00Z");
    assert_eq!(world.calls(UnifiedOrder::PATH).len(), 1);
    assert_eq!(world.sim.next_due(), None, "WeChat was told that we know");
}

async fn a_merchant_who_signs_with_md5_is_paid_too(world: &mut World) {
    world.reconfigure(|shop| shop.sign_type = SignType::Md5).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    assert_eq!(phone.parameters(&order).await.sign_type, "MD5");
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn two_apps_and_two_merchants_live_in_one_server(world: &mut World) {
    world.reconfigure(|shop| shop.with_other = true).await;
    let ours = world.phone("li").await;
    let theirs = world.phone_of(&OTHER, "li").await;
    assert_ne!(ours.customer, theirs.customer);
    let (tea, green_tea) = (ours.order("tea").await, theirs.order("tea").await);
    ours.pay(&tea).await;
    theirs.pay(&green_tea).await;
    assert_eq!(world.deliver().await, 2);
    world.run_jobs().await;
    assert_eq!(ours.see(&tea).await["amount"], 12_800);
    let paid = theirs.see(&green_tea).await;
    assert_eq!((&paid["state"], &paid["amount"], &paid["appid"]), (&json!("paid"), &json!(990), &json!(OTHER.appid)));

    // The same person is somebody else in the other app.
    theirs.get(&format!("/v1/orders/{tea}")).await.problem(404, "order_not_found");
    let nobody = json!({ "code": ours.wechat.login().as_str() });
    ours.http.post("/v1/login", None, &nobody).await.problem(422, "app_unknown");
    ours.http.get("/v1/products", None).await.problem(422, "app_unknown");
}

async fn a_customer_who_cancels_can_still_pay(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let parameters = phone.parameters(&order).await;
    let error = phone.wechat.request_payment(&parameters, Choice::Cancel).unwrap_err();
    assert_eq!(error.to_string(), "requestPayment:fail cancel");
    let seen = phone.refresh(&order).await;
    assert_eq!((&seen["state"], &seen["refreshed"]), (&json!("open"), &json!(true)));
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_merchants_own_system_sets_the_amount_and_the_customer_pays_it(world: &mut World) {
    let phone = world.phone("li").await;
    let till = world.merchant(zhanggui::api_key::Scope::ALL).await;
    let body = json!({
        "amount": 1990, "currency": "CNY", "description": "修表", "attach": "till-7", "reference": "R/2026/1",
        "openid": phone.wechat.openid().as_str(),
    });
    let order = till.order(&body).await.json(201);
    let id = order["id"].as_str().unwrap();
    assert_eq!(order["customer"], phone.customer);
    // Only the customer pays; the till looks on.
    till.http.post(&format!("/v1/orders/{id}/pay"), Some(&till.key), &json!({})).await.problem(403, "forbidden");
    phone.pay(id).await;
    world.settle().await;
    let order = till.get(&format!("/v1/orders/{id}")).await.json(200);
    assert_eq!((&order["state"], &order["reference"]), (&json!("paid"), &json!("R/2026/1")));
    assert_eq!(order["attach"], "till-7");
}
