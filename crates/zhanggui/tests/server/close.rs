//! Closing an order: at WeChat first, then here, whatever is lost on the way and however fast the customer is.

use serde_json::json;
use weixin::pay::v2::{Call as _, close_order::CloseOrder, order_query::OrderQuery, unified_order::UnifiedOrder};
use weixin_simulator::{Choice, Fault, FaultKind};
use zhanggui::{api_key::Scope, config::Api};

use crate::support::{Phone, World, on_both_databases};

on_both_databases!(
    an_order_is_closed_at_wechat_before_it_is_closed_here,
    an_order_that_nobody_tried_to_pay_is_closed_without_wechat,
    an_order_that_expires_is_closed_at_wechat_before_it_is_closed_here,
    lesson_20_money_that_comes_while_an_order_closes_makes_it_paid,
    lesson_20_an_order_that_expired_here_and_not_at_wechat_is_paid,
    lesson_22_a_lost_answer_to_close_is_asked_for,
    nothing_is_closed_here_while_wechat_cannot_be_reached,
    a_paid_order_is_not_closed,
    nobody_can_begin_to_pay_while_an_order_closes,
    an_order_that_wechat_never_got_is_closed_when_nothing_can_arrive_any_more,
    an_order_whose_first_answer_was_lost_is_closed_at_wechat,
    a_closing_that_wechat_never_decides_is_given_to_a_person_and_goes_on,
    closing_again_changes_nothing,
    fifty_people_close_at_once,
    only_the_customer_and_the_merchants_systems_can_close,
    a_restart_in_the_middle_of_closing_loses_nothing,
);

const CLOSE_V3: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}/close";

/// An order that waits for its customer, and the open payment sheet.
async fn waiting(world: &mut World, api: Api) -> (Phone, String, weixin::pay::RequestPayment) {
    if world.shop.api != api {
        world.pay_by(api).await;
    }
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let sheet = phone.parameters(&order).await;
    (phone, order, sheet)
}

async fn trade_state(world: &World, order: &str) -> String {
    let number = world.out_trade_no(order).await;
    world.sim.ledger().payment(&number).map_or("unknown".to_owned(), |payment| payment.trade_state.to_string())
}

async fn an_order_is_closed_at_wechat_before_it_is_closed_here(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, sheet) = waiting(world, api).await;
        let closed = phone.close(&order).await.json(200);
        assert_eq!((&closed["state"], &closed["close_reason"]), (&json!("closed"), &json!("cancelled")));
        assert_eq!(trade_state(world, &order).await, "CLOSED");
        assert_eq!(world.payments(&order).await[0].1, "closed");
        phone.wechat.request_payment(&sheet, Choice::Pay).unwrap_err();
        phone.press(&order).await.problem(409, "order_closed");
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM job").await, 0, "nothing is left to do");
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM evidence WHERE source = 'close'").await, 2);
}

async fn an_order_that_nobody_tried_to_pay_is_closed_without_wechat(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    assert_eq!(phone.close(&order).await.json(200)["state"], "closed");
    assert_eq!((world.queries(), world.closes()), (0, 0));
}

async fn an_order_that_expires_is_closed_at_wechat_before_it_is_closed_here(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        world.reconfigure(|shop| (shop.api, shop.expires_in_min) = (api, 5)).await;
        let (phone, order, _) = waiting(world, api).await;
        world.clock.advance_s(299);
        world.run_jobs().await;
        assert_eq!(world.order_state(&order).await, "open");
        world.clock.advance_s(1);
        world.run_jobs().await;
        let seen = phone.see(&order).await;
        assert_eq!((&seen["state"], &seen["close_reason"]), (&json!("closed"), &json!("expired")));
        assert_eq!(trade_state(world, &order).await, "CLOSED");
    }
}

async fn lesson_20_money_that_comes_while_an_order_closes_makes_it_paid(world: &mut World) {
    for (api, close) in [(Api::V2, CloseOrder::PATH), (Api::V3, CLOSE_V3)] {
        let (phone, order, sheet) = waiting(world, api).await;
        // WeChat is away when the customer gives the order up, and the payment sheet is still open.
        world.sim.inject(Fault::on(close, FaultKind::Status(503)).times(2));
        assert_eq!(phone.close(&order).await.json(200)["state"], "closing");
        phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
        world.settle().await;
        let paid = phone.see(&order).await;
        assert_eq!((&paid["state"], &paid["close_reason"]), (&json!("paid"), &json!(null)), "the customer was faster");
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM job").await, 0);
        world.sim.clear_faults();
    }
}

async fn lesson_20_an_order_that_expired_here_and_not_at_wechat_is_paid(world: &mut World) {
    world.reconfigure(|shop| (shop.api, shop.expires_in_min) = (Api::V3, 5)).await;
    let (phone, order, sheet) = waiting(world, Api::V3).await;
    world.clock.advance_s(300);
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    // The expiry comes before the notification: the order closes, and WeChat says that it is paid.
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(world.closes(), 0, "it was asked for first");
    world.deliver().await;
}

async fn lesson_22_a_lost_answer_to_close_is_asked_for(world: &mut World) {
    for (api, close) in [(Api::V2, CloseOrder::PATH), (Api::V3, CLOSE_V3)] {
        for fault in [FaultKind::NoAnswerAfter, FaultKind::HalfAnswer, FaultKind::WrongSignature, FaultKind::Unsigned] {
            let (phone, order, _) = waiting(world, api).await;
            world.sim.inject(Fault::on(close, fault.clone()).times(2));
            assert_eq!(phone.close(&order).await.json(200)["state"], "closed", "{api:?} {fault:?}");
            world.sim.clear_faults();
            assert_eq!(trade_state(world, &order).await, "CLOSED");
        }
    }
}

async fn nothing_is_closed_here_while_wechat_cannot_be_reached(world: &mut World) {
    for (api, close, query) in [
        (Api::V2, CloseOrder::PATH, OrderQuery::PATH),
        (Api::V3, CLOSE_V3, "/v3/pay/transactions/out-trade-no/{out_trade_no}"),
    ] {
        let (phone, order, _) = waiting(world, api).await;
        for path in [close, query] {
            world.sim.inject(Fault::on(path, FaultKind::Status(502)).times(1000));
        }
        assert_eq!(phone.close(&order).await.json(200)["state"], "closing");
        for _ in 0..10 {
            world.clock.advance_s(600);
            world.run_jobs().await;
            assert_eq!(world.order_state(&order).await, "closing");
        }
        assert_eq!(trade_state(world, &order).await, "NOTPAY");
        world.sim.clear_faults();
        world.clock.advance_s(1800);
        world.run_jobs().await;
        assert_eq!(
            (world.order_state(&order).await.as_str(), trade_state(world, &order).await.as_str()),
            ("closed", "CLOSED")
        );
    }
}

async fn a_paid_order_is_not_closed(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, sheet) = waiting(world, api).await;
        phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
        // The server does not know yet, and finds out.
        phone.close(&order).await.problem(409, "order_paid");
        assert_eq!(phone.see(&order).await["state"], "paid");
        phone.close(&order).await.problem(409, "order_paid");
        assert_eq!(world.closes(), 0);
        world.settle().await;
    }
}

async fn nobody_can_begin_to_pay_while_an_order_closes(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V3).await;
    world.sim.inject(Fault::on(CLOSE_V3, FaultKind::Status(503)).times(2));
    assert_eq!(phone.close(&order).await.json(200)["state"], "closing");
    let calls = world.calls(weixin::pay::v3::jsapi::PATH).len();
    phone.press(&order).await.problem(409, "order_closed");
    assert_eq!(world.calls(weixin::pay::v3::jsapi::PATH).len(), calls);
    world.sim.clear_faults();
    world.clock.advance_s(30);
    world.run_jobs().await;
    assert_eq!(world.order_state(&order).await, "closed");
}

async fn an_order_that_wechat_never_got_is_closed_when_nothing_can_arrive_any_more(world: &mut World) {
    for (api, create) in [(Api::V2, UnifiedOrder::PATH), (Api::V3, weixin::pay::v3::jsapi::PATH)] {
        world.pay_by(api).await;
        let phone = world.phone("li").await;
        let order = phone.order("tea").await;
        world.sim.inject(Fault::on(create, FaultKind::NoAnswerBefore).times(2));
        phone.press(&order).await.problem(503, "wechat_unavailable");
        world.sim.clear_faults();
        assert_eq!(phone.close(&order).await.json(200)["state"], "closing", "it may still be on its way");
        world.clock.advance_s(2 * 60 * 60);
        world.run_jobs().await;
        assert_eq!(world.order_state(&order).await, "closing");
        world.clock.advance_s(1800);
        world.run_jobs().await;
        assert_eq!(world.order_state(&order).await, "closed");
        assert_eq!(trade_state(world, &order).await, "unknown");
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM evidence WHERE trade_state = 'NOT_FOUND'").await, 2);
}

async fn an_order_whose_first_answer_was_lost_is_closed_at_wechat(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sim.inject(Fault::on(weixin::pay::v3::jsapi::PATH, FaultKind::NoAnswerAfter).times(2));
    phone.press(&order).await.problem(503, "wechat_unavailable");
    assert_eq!(phone.close(&order).await.json(200)["state"], "closed");
    assert_eq!(trade_state(world, &order).await, "CLOSED");
}

async fn a_closing_that_wechat_never_decides_is_given_to_a_person_and_goes_on(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V2).await;
    world.sim.inject(Fault::on(CloseOrder::PATH, FaultKind::ErrCode("TRADE_STATE_ERROR".to_owned())).times(1000));
    assert_eq!(phone.close(&order).await.json(200)["state"], "closing");
    for _ in 0..24 {
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM attention").await, 0);
        world.clock.advance_s(1800);
        world.run_jobs().await;
    }
    world.expect_attention("closing_stuck");
    world.sim.clear_faults();
    world.clock.advance_s(1800);
    world.run_jobs().await;
    assert_eq!(world.order_state(&order).await, "closed");
}

async fn closing_again_changes_nothing(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V3).await;
    let first = phone.close(&order).await.json(200);
    let (state, calls) = (world.state().await, world.closes());
    assert_eq!(phone.close(&order).await.json(200), first);
    assert_eq!((world.state().await, world.closes()), (state, calls));
}

async fn fifty_people_close_at_once(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V3).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (phone, order) = (phone.clone(), order.clone());
        crowd.spawn(async move { phone.close(&order).await.json(200)["state"].clone() });
    }
    assert!(crowd.join_all().await.iter().all(|state| state == "closed"));
    assert_eq!(world.closes(), 1);
}

async fn only_the_customer_and_the_merchants_systems_can_close(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V3).await;
    let wang = world.phone("wang").await;
    wang.close(&order).await.problem(404, "order_not_found");
    phone.close("ord_0").await.problem(404, "order_not_found");
    let (reader, till) = (world.merchant(&[Scope::Read]).await, world.merchant(&[Scope::Orders]).await);
    let path = format!("/v1/orders/{order}/close");
    reader.post(&path, &json!({})).await.problem(403, "forbidden");
    phone.http.post(&path, None, &json!({})).await.problem(401, "unauthorized");
    assert_eq!(world.order_state(&order).await, "open");
    assert_eq!(till.post(&path, &json!({})).await.json(200)["state"], "closed");
}

async fn a_restart_in_the_middle_of_closing_loses_nothing(world: &mut World) {
    let (phone, order, _) = waiting(world, Api::V3).await;
    world.sim.inject(Fault::on(CLOSE_V3, FaultKind::NoAnswerBefore));
    assert_eq!(phone.close(&order).await.json(200)["state"], "closing");
    world.restart().await;
    world.clock.advance_s(30);
    world.run_jobs().await;
    assert_eq!(
        (world.order_state(&order).await.as_str(), trade_state(world, &order).await.as_str()),
        ("closed", "CLOSED")
    );
}
