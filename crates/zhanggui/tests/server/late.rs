//! Money for an order that is closed, or paid already: it goes back by itself, once, or is accepted where the operator
//! wants that. Never is an order paid twice and the money kept.

use serde_json::json;
use weixin::pay::RequestPayment;
use weixin_simulator::{Choice, Fault, FaultKind, NOTIFICATION};
use zhanggui::{api_key::Scope, config::Api};

use crate::support::{DEMO, Merchant, Phone, World, on_both_databases};

on_both_databases!(
    lesson_19_the_second_payment_of_an_order_goes_back,
    lesson_19_a_second_payment_goes_back_where_late_money_is_accepted_too,
    lesson_20_money_for_a_closed_order_goes_back,
    money_for_a_closed_order_makes_it_paid_where_the_operator_accepts_it,
    late_money_goes_back_once_however_often_it_is_told,
    late_money_goes_back_after_a_crash_at_any_moment,
    late_money_that_nobody_tells_is_found_and_goes_back,
    another_payment_is_closed_when_an_order_is_paid,
    lesson_21_what_happened_is_told_after_a_crash,
    a_contradiction_after_a_success_is_for_a_person,
);

/// WeChat says that the payment of the order is closed, and lets the customer pay it all the same.
async fn called_closed(world: &World, phone: &Phone, order: &str) {
    world.sim.inject(Fault::on("query", FaultKind::TradeState("CLOSED".to_owned())));
    phone.refresh(order).await;
    assert_eq!(world.payments(order).await.last().unwrap().1, "closed");
}

/// An open order with two sheets that can both be paid.
async fn two_sheets(world: &World, phone: &Phone) -> (String, [RequestPayment; 2]) {
    let order = phone.order("tea").await;
    let first = phone.parameters(&order).await;
    called_closed(world, phone, &order).await;
    world.clock.advance_s(1);
    (order.clone(), [first, phone.parameters(&order).await])
}

/// The money arrives, and the server is told.
async fn arrive(world: &World) {
    world.settle().await;
    world.clock.advance_s(3);
    world.settle().await;
}

async fn owner(world: &World) -> Merchant {
    world.merchant(Scope::ALL).await
}

async fn second_payment_goes_back(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        world.pay_by(api).await;
        let phone = world.phone("li").await;
        let (order, [first, second]) = two_sheets(world, &phone).await;
        phone.wechat.request_payment(&first, Choice::Pay).unwrap();
        phone.wechat.request_payment(&second, Choice::Pay).unwrap();
        arrive(world).await;
        arrive(world).await;
        world.expect_attention("second_payment");
        let seen = phone.see(&order).await;
        assert_eq!((&seen["state"], &seen["refunded"]), (&json!("paid"), &json!(0)), "one payment is kept");
        let ledger = world.sim.ledger();
        let net: i64 = world
            .payments(&order)
            .await
            .iter()
            .map(|(number, _)| ledger.payment(number).unwrap().total_fen.get() - ledger.refunded_fen(number).get())
            .sum();
        assert_eq!(net, 12_800, "the customer has paid once");
        let told = owner(world).await.told(&order).await;
        assert_eq!(
            told,
            ["order.created", "order.paid", "refund.created", "payment.late", "refund.succeeded"],
            "{}",
            api.as_str()
        );
    }
}

async fn lesson_19_the_second_payment_of_an_order_goes_back(world: &mut World) {
    second_payment_goes_back(world).await;
}

async fn lesson_19_a_second_payment_goes_back_where_late_money_is_accepted_too(world: &mut World) {
    world.reconfigure(|shop| shop.late_money = "accept").await;
    second_payment_goes_back(world).await;
}

/// A closed order, and a sheet that can be paid all the same.
async fn closed_with_a_sheet(world: &World) -> (Phone, String, RequestPayment) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let sheet = phone.parameters(&order).await;
    called_closed(world, &phone, &order).await;
    assert_eq!(phone.close(&order).await.json(200)["state"], "closed");
    (phone, order, sheet)
}

async fn lesson_20_money_for_a_closed_order_goes_back(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        world.pay_by(api).await;
        let (phone, order, sheet) = closed_with_a_sheet(world).await;
        phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
        arrive(world).await;
        arrive(world).await;
        world.expect_attention("late_payment");
        assert_eq!(phone.see(&order).await["state"], "closed");
        let number = world.out_trade_no(&order).await;
        let ledger = world.sim.ledger();
        assert_eq!(ledger.refunded_fen(&number).get(), 12_800);
        assert_eq!(ledger.refund(&number).unwrap().out_refund_no.as_str(), number, "the payment's own number");
        let till = owner(world).await;
        let page = till.get(&format!("/v1/events?subject={order}&types=payment.late")).await.json(200);
        let data = &page["events"][0]["data"];
        assert_eq!((&data["outcome"], &data["order"]["state"]), (&json!("refunded"), &json!("closed")));
        assert_eq!((&data["refund"]["cause"], &data["refund"]["amount"]), (&json!("late_payment"), &json!(12_800)));
        assert_eq!(data["payment"]["out_trade_no"], number);
    }
}

async fn money_for_a_closed_order_makes_it_paid_where_the_operator_accepts_it(world: &mut World) {
    world.reconfigure(|shop| (shop.api, shop.late_money) = (Api::V3, "accept")).await;
    let (phone, order, sheet) = closed_with_a_sheet(world).await;
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    world.settle().await;
    world.expect_attention("late_payment");
    let seen = phone.see(&order).await;
    assert_eq!((&seen["state"], &seen["close_reason"]), (&json!("paid"), &json!(null)));
    let told = owner(world).await.told(&order).await;
    assert_eq!(told, ["order.created", "order.closed", "order.paid", "payment.late"]);
    assert_eq!(world.sim.ledger().refunds.len(), 0);
}

async fn late_money_goes_back_once_however_often_it_is_told(world: &mut World) {
    world.pay_by(Api::V3).await;
    let (phone, order, sheet) = closed_with_a_sheet(world).await;
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    let letter = world.letter_v3(&order).await.signed_by(crate::support::Signer::PublicKey);
    let attacker = world.attacker();
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (attacker, letter) = (attacker.clone(), letter.clone());
        copies.spawn(async move { attacker.notify_v3(DEMO.mchid, &letter).await.accepted_v3() });
    }
    copies.join_all().await;
    for _ in 0..3 {
        arrive(world).await;
    }
    world.expect_attention("late_payment");
    assert_eq!(world.sim.ledger().refunds.len(), 1);
    assert_eq!(world.calls("/v3/refund/domestic/refunds").len(), 1);
}

async fn late_money_goes_back_after_a_crash_at_any_moment(world: &mut World) {
    world.pay_by(Api::V3).await;
    let (phone, order, sheet) = closed_with_a_sheet(world).await;
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    world.deliver().await;
    // WeChat was told that we know; then the server dies before it gives anything back.
    world.restart().await;
    world.sim.inject(Fault::on("refund", FaultKind::NoAnswerAfter));
    world.run_jobs().await;
    // And again after WeChat has taken the refund, before that is known.
    world.restart().await;
    world.clock.advance_s(1);
    arrive(world).await;
    world.expect_attention("late_payment");
    let number = world.out_trade_no(&order).await;
    assert_eq!(world.sim.ledger().refunded_fen(&number).get(), 12_800);
    assert_eq!(world.sim.ledger().refunds.len(), 1);
}

async fn late_money_that_nobody_tells_is_found_and_goes_back(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let (order, [first, second]) = two_sheets(world, &phone).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost).times(1_000_000));
    phone.wechat.request_payment(&second, Choice::Pay).unwrap();
    assert_eq!(phone.refresh(&order).await["state"], "paid");
    // The first payment is closed as far as anybody knows. Only WeChat's word brings its money up.
    phone.wechat.request_payment(&first, Choice::Pay).unwrap();
    world.sim.clear_faults();
    world.clock.advance_s(15);
    arrive(world).await;
    world.expect_attention("second_payment");
    let number = &world.payments(&order).await[0].0;
    assert_eq!(world.sim.ledger().refunded_fen(number).get(), 12_800);
}

/// The first payment was called closed and is paid; the second one is still open on the phone.
async fn another_payment_is_closed_when_an_order_is_paid(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let (order, [first, second]) = two_sheets(world, &phone).await;
    phone.wechat.request_payment(&first, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    let states: Vec<_> = world.payments(&order).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["succeeded", "closed"]);
    phone.wechat.request_payment(&second, Choice::Pay).unwrap_err();
}

async fn lesson_21_what_happened_is_told_after_a_crash(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    // The state and the event are one transaction: WeChat's notification is answered when both are durable.
    world.deliver().await;
    world.restart().await;
    let till = owner(world).await;
    assert_eq!(till.told(&order).await, ["order.created", "order.paid"]);
    let page = till.get(&format!("/v1/events?subject={order}&types=order.paid")).await.json(200);
    let data = &page["events"][0]["data"];
    assert_eq!((&data["order"]["state"], &data["late"]), (&json!("paid"), &json!(false)));
    assert_eq!(data["payment"]["out_trade_no"], world.out_trade_no(&order).await);
    assert_eq!(world.deliver().await, 0, "WeChat does not come again");
}

async fn a_contradiction_after_a_success_is_for_a_person(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let order = world.paid_order(&phone, "tea").await;
    world.clock.advance_s(60);
    let letter = world.letter_v3(&order).await;
    let not_paid = letter.telling(|told| told.trade_state = weixin::pay::TradeState::NotPay);
    world.attacker().notify_v3(DEMO.mchid, &not_paid.signed_by(crate::support::Signer::PublicKey)).await.refused(409);
    world.expect_attention("contradiction");
    assert_eq!(phone.see(&order).await["state"], "paid", "a success is never taken back");
}
