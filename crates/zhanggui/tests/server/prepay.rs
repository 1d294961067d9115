//! Pressing "pay": one payment, one number, the same bytes, whatever WeChat and the network do.

use serde_json::json;
use weixin::{
    pay::v2::{
        Call as _, SignType,
        close_order::CloseOrder,
        order_query::OrderQuery,
        request_payment::RequestPayment,
        unified_order::{ERR_CODES, Refusal, UnifiedOrder},
    },
    xml::Fields,
};
use weixin_simulator::{Choice, Fault, FaultKind, NOTIFICATION};

use crate::support::{DEMO, Phone, Reply, World, on_both_databases};

on_both_databases!(
    a_second_press_gives_the_same_prepay_id_freshly_signed,
    fifty_presses_at_once_make_one_payment_and_one_call,
    lesson_25_an_old_prepay_id_is_asked_for_again_with_the_same_number_and_the_same_bytes,
    a_press_in_the_last_minutes_of_an_order_gives_the_prepay_id_that_is_there,
    a_refusal_after_an_earlier_try_never_makes_a_second_number,
    an_order_that_wechat_never_confirmed_expires_when_wechat_no_longer_takes_its_bytes,
    a_paid_order_cannot_be_paid_again,
    an_expired_order_cannot_be_paid,
    a_press_after_a_restart_continues_the_same_payment,
    the_phone_gets_the_sign_type_with_which_the_order_was_made,
    wechat_is_told_the_address_of_the_customer,
    an_answer_that_proves_nothing_changes_nothing_and_the_next_press_continues,
    every_documented_code_is_followed_by_the_right_number,
    a_payment_that_wechat_knows_as_paid_is_found_paid_by_the_press,
    a_payment_that_was_closed_at_wechat_is_followed_by_a_new_one,
    ; on_postgres:
    presses_at_two_servers_make_one_payment,
);

const UNIFIED_ORDER: &str = UnifiedOrder::PATH;

async fn a_second_press_gives_the_same_prepay_id_freshly_signed(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let first = phone.parameters(&order).await;
    world.clock.advance_s(60);
    let second = phone.parameters(&order).await;
    assert_eq!(first.prepay_id(), second.prepay_id());
    assert_ne!(first.nonce_str, second.nonce_str);
    assert_ne!(first.time_stamp, second.time_stamp);
    assert_ne!(first.pay_sign, second.pay_sign);
    assert_eq!(world.calls(UNIFIED_ORDER).len(), 1);
    phone.wechat.request_payment(&first, Choice::Cancel).unwrap_err();
    phone.wechat.request_payment(&second, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

/// Presses so often at once and gives what the phones got.
async fn press_at_once(phones: Vec<Phone>, order: &str) -> Vec<Reply> {
    let mut presses = tokio::task::JoinSet::new();
    for phone in phones {
        let order = order.to_owned();
        presses.spawn(async move { phone.press(&order).await });
    }
    presses.join_all().await
}

async fn fifty_presses_at_once_make_one_payment_and_one_call(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let replies = press_at_once(vec![phone.clone(); 50], &order).await;
    let packages: Vec<_> = replies.iter().map(|reply| reply.json(200)["package"].clone()).collect();
    assert!(packages.iter().all(|package| *package == packages[0]));
    assert_eq!(world.payments(&order).await.len(), 1);
    assert_eq!(world.calls(UNIFIED_ORDER).len(), 1);
}

async fn lesson_25_an_old_prepay_id_is_asked_for_again_with_the_same_number_and_the_same_bytes(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let first = phone.parameters(&order).await;
    // What changes meanwhile must not get into the message.
    world.sell(&DEMO.appid(), "tea", "雨前龙井", 9_900).await;
    world.clock.advance_s(2 * 3600);
    let error = phone.wechat.request_payment(&first, Choice::Pay).unwrap_err();
    assert!(error.to_string().contains("total_fee"), "the phone does not take the old one: {error}");
    let second = phone.parameters(&order).await;
    assert_ne!(first.prepay_id(), second.prepay_id());
    let calls = world.calls(UNIFIED_ORDER);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], calls[1]);
    assert_eq!(world.payments(&order).await.len(), 1);
    phone.wechat.request_payment(&second, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

/// The first number may be payable still: somebody may hold its `prepay_id`.
async fn a_refusal_after_an_earlier_try_never_makes_a_second_number(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let sheet = phone.parameters(&order).await;
    // Shortly before the old prepay_id ends, the press asks WeChat again, and WeChat refuses.
    world.clock.advance_s(116 * 60);
    world.sim.inject(Fault::on(UNIFIED_ORDER, FaultKind::ErrCode("NOAUTH".to_owned())));
    phone.press(&order).await.problem(502, "wechat_refused");
    assert_eq!(world.payments(&order).await[0].1, "submitting");
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(world.payments(&order).await.len(), 1);
}

async fn an_order_that_wechat_never_confirmed_expires_when_wechat_no_longer_takes_its_bytes(world: &mut World) {
    world.reconfigure(|shop| shop.expires_in_min = 120).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sim.inject(Fault::on(UnifiedOrder::PATH, FaultKind::NoAnswerBefore).times(2));
    phone.press(&order).await.problem(503, "wechat_unavailable");
    world.sim.clear_faults();
    world.clock.advance_s(116 * 60);
    phone.press(&order).await.problem(409, "order_expired");
    assert_eq!(world.calls(UnifiedOrder::PATH).len(), 1);
}

/// The order lives as long as the `prepay_id`: near the end WeChat would not take the same message again.
async fn a_press_in_the_last_minutes_of_an_order_gives_the_prepay_id_that_is_there(world: &mut World) {
    world.reconfigure(|shop| shop.expires_in_min = 120).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let first = phone.parameters(&order).await;
    world.clock.advance_s(117 * 60);
    let second = phone.parameters(&order).await;
    assert_eq!(first.prepay_id(), second.prepay_id());
    phone.wechat.request_payment(&second, Choice::Pay).unwrap();
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_paid_order_cannot_be_paid_again(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    world.settle().await;
    phone.press(&order).await.problem(409, "order_paid");
    assert_eq!(world.payments(&order).await.len(), 1);
}

async fn an_expired_order_cannot_be_paid(world: &mut World) {
    let phone = world.phone("li").await;
    let (early, late) = (phone.order("tea").await, phone.order("tea").await);
    phone.parameters(&early).await;
    world.clock.advance_s(24 * 3600);
    phone.press(&early).await.problem(409, "order_expired");
    phone.press(&late).await.problem(409, "order_expired");
    assert_eq!(world.calls(UNIFIED_ORDER).len(), 1);
}

async fn a_press_after_a_restart_continues_the_same_payment(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    world.sim.inject(Fault::on(UNIFIED_ORDER, FaultKind::NoAnswerAfter));
    phone.press(&order).await.problem(503, "wechat_unavailable");
    world.restart().await;
    let first = phone.parameters(&order).await;
    world.restart().await;
    assert_eq!(phone.parameters(&order).await.prepay_id(), first.prepay_id());
    assert_eq!(world.payments(&order).await.len(), 1);
    assert_eq!(world.sim.ledger().payments.len(), 1);
}

async fn the_phone_gets_the_sign_type_with_which_the_order_was_made(world: &mut World) {
    world.reconfigure(|shop| shop.sign_type = SignType::Md5).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    world.reconfigure(|shop| shop.sign_type = SignType::HmacSha256).await;
    let parameters: RequestPayment = phone.parameters(&order).await;
    assert_eq!(parameters.sign_type, "MD5");
    phone.wechat.request_payment(&parameters, Choice::Pay).unwrap();
    // Only the agreed hash is believed in notifications; a query brings the truth.
    assert_eq!(phone.refresh(&order).await["state"], "paid");
}

async fn wechat_is_told_the_address_of_the_customer(world: &mut World) {
    for trusted in [false, true] {
        world.reconfigure(|shop| shop.trust_forwarded_for = trusted).await;
        let phone = world.phone("li").await;
        let order = phone.order("tea").await;
        let request = phone.http.request(reqwest::Method::POST, &format!("/v1/orders/{order}/pay"));
        let request = request.bearer_auth(&phone.token).header("x-forwarded-for", "1.1.1.1, 203.0.113.7");
        Reply::of(request).await.json(200);
        let call = world.calls(UNIFIED_ORDER).pop().unwrap();
        let expected = if trusted { "203.0.113.7" } else { "127.0.0.1" };
        assert_eq!(Fields::parse(call.as_bytes()).unwrap().get("spbill_create_ip"), Some(expected));
    }
}

async fn an_answer_that_proves_nothing_changes_nothing_and_the_next_press_continues(world: &mut World) {
    let phone = world.phone("li").await;
    let unavailable = (503, "wechat_unavailable");
    let mut orders_at_wechat = 0;
    for (fault, effect, (status, code)) in [
        (FaultKind::Status(502), false, unavailable),
        (FaultKind::Html, false, unavailable),
        (FaultKind::Empty, false, unavailable),
        (FaultKind::NoAnswerBefore, false, unavailable),
        (FaultKind::NoAnswerAfter, true, unavailable),
        (FaultKind::HalfAnswer, true, unavailable),
        (FaultKind::Unsigned, true, unavailable),
        (FaultKind::WrongSignature, true, unavailable),
        (FaultKind::Fail("系统繁忙，请稍后再试".to_owned()), false, (502, "wechat_refused")),
        (FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned()), true, (503, "wechat_busy")),
    ] {
        let order = phone.order("tea").await;
        world.sim.inject(Fault::on(UNIFIED_ORDER, fault.clone()));
        let problem = phone.press(&order).await.problem(status, code);
        assert_eq!(problem["wechat"].is_object(), code != "wechat_unavailable", "{fault:?} {problem}");
        let before = world.payments(&order).await;
        assert_eq!(before[0].1, "submitting", "{fault:?}");
        assert_eq!(world.sim.ledger().payments.len(), orders_at_wechat + usize::from(effect), "{fault:?}");
        phone.pay(&order).await;
        orders_at_wechat += 1;
        assert_eq!(world.sim.ledger().payments.len(), orders_at_wechat, "{fault:?}");
        let after = world.payments(&order).await;
        assert_eq!((after.len(), &after[0].0), (1, &before[0].0), "{fault:?}");
        world.settle().await;
        assert_eq!(phone.see(&order).await["state"], "paid", "{fault:?}");
    }
}

async fn every_documented_code_is_followed_by_the_right_number(world: &mut World) {
    let phone = world.phone("li").await;
    for code in ERR_CODES {
        let order = phone.order("tea").await;
        world.sim.inject(Fault::on(UNIFIED_ORDER, FaultKind::ErrCode(code.to_string())));
        let refusal = Refusal::of(code);
        let (status, problem) = match refusal {
            Refusal::Definitive | Refusal::Query => (502, "wechat_refused"),
            Refusal::TryAgain => (503, "wechat_busy"),
        };
        let queries = world.calls(OrderQuery::PATH).len();
        let reply = phone.press(&order).await;
        assert_eq!(reply.problem(status, problem)["wechat"]["code"], code.as_str());
        assert_eq!(reply.headers.contains_key("retry-after"), refusal == Refusal::TryAgain, "{code}");
        let asked = world.calls(OrderQuery::PATH).len() - queries;
        assert_eq!(asked, usize::from(refusal == Refusal::Query), "{code}");

        world.clock.advance_s(1);
        phone.pay(&order).await;
        world.settle().await;
        assert_eq!(phone.see(&order).await["state"], "paid", "{code}");
        let states: Vec<_> = world.payments(&order).await.into_iter().map(|(_, state)| state).collect();
        let expected: &[&str] =
            if refusal == Refusal::Definitive { &["rejected", "succeeded"] } else { &["succeeded"] };
        assert_eq!(states, expected, "{code}");
    }
}

async fn a_payment_that_wechat_knows_as_paid_is_found_paid_by_the_press(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost));
    world.deliver().await;
    // Too late for the old prepay_id, so WeChat is asked for another one, and says ORDERPAID.
    world.clock.advance_s(2 * 3600);
    phone.press(&order).await.problem(409, "order_paid");
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_payment_that_was_closed_at_wechat_is_followed_by_a_new_one(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    let number = world.out_trade_no(&order).await;
    // On the merchant platform, for example.
    let app = &world.node().app;
    let key = weixin_client::MerchantKeyV2 { mchid: DEMO.mchid(), key: DEMO.key(), sign_type: SignType::Md5 };
    let out_trade_no = weixin::OutTradeNo::parse(number).unwrap();
    let close = CloseOrder { appid: DEMO.appid(), mchid: DEMO.mchid(), out_trade_no };
    app.pay_v2.call(&key, &app.nonce_str(), &close).await.unwrap();

    assert_eq!(phone.refresh(&order).await["state"], "open");
    world.clock.advance_s(1);
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    let states: Vec<_> = world.payments(&order).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["closed", "succeeded"]);
}

async fn presses_at_two_servers_make_one_payment(world: &mut World) {
    let phone = world.phone("li").await;
    let second = world.second_node().await;
    let other = Phone { http: second.http.clone(), ..phone.clone() };
    let order = phone.order("tea").await;
    let phones: Vec<_> = (0..20).map(|n| if n % 2 == 0 { phone.clone() } else { other.clone() }).collect();
    for reply in press_at_once(phones, &order).await {
        reply.json(200);
    }
    assert_eq!(world.payments(&order).await.len(), 1);
    assert_eq!(world.sim.ledger().payments.len(), 1);
    other.pay(&order).await;
    world.deliver().await;
    let (here, there) = tokio::join!(world.run_jobs(), second.run_jobs());
    assert!(here + there >= 1);
    assert_eq!(phone.see(&order).await["state"], "paid");
    other.press(&order).await.problem(409, "order_paid");
    assert_eq!(json!(phone.see(&order).await), json!(other.see(&order).await));
    second.stop().await;
}
