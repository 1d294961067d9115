//! Money that goes back: in parts or whole, once, whatever is lost on the way.

use serde_json::json;
use weixin::{
    Fen, NotifyUrl,
    pay::v2::{Call as _, SignType, refund::RefundRequest, refund_query::RefundQuery},
};
use weixin_simulator::{Fault, FaultKind, NOTIFICATION, RefundEnding};
use zhanggui::{
    api_key::{NewKey, Scope},
    config::Api,
    database::Realm,
    params,
};

use crate::support::{DEMO, Merchant, Phone, World, on_both_databases};

on_both_databases!(
    a_part_and_then_the_rest_go_back,
    a_refund_is_found_by_polling_when_its_notification_is_lost,
    a_refund_is_asked_for_on_its_schedule,
    lesson_22_an_unknown_outcome_is_tried_again_with_the_same_number,
    lesson_22_a_refund_that_is_not_found_has_not_failed,
    lesson_22_a_refusal_is_not_believed_while_an_earlier_try_can_arrive,
    lesson_23_twenty_refunds_at_once_never_give_back_more_than_was_paid,
    lesson_23_a_crash_after_the_request_loses_nothing,
    a_request_that_is_repeated_with_its_reference_is_one_refund,
    a_balance_that_is_too_low_blocks_until_somebody_tops_it_up,
    an_abnormal_refund_is_for_a_person_and_can_still_succeed,
    a_closed_refund_releases_its_money,
    a_refused_refund_releases_its_money,
    a_refusal_of_a_refund_that_wechat_took_is_no_refusal,
    an_answer_that_does_not_say_how_far_a_refund_is_does_not_end_its_tries,
    evidence_names_the_hash_with_which_the_refund_was_frozen,
    a_refund_that_was_made_on_the_merchant_platform_counts,
    a_refund_that_was_made_elsewhere_counts_when_the_answer_lags_behind_its_notification,
    a_refund_that_was_made_elsewhere_is_asked_for_until_it_has_ended,
    a_success_elsewhere_that_does_not_say_when_is_for_a_person,
    a_forged_v2_notification_is_asked_for_and_changes_nothing,
    a_hundred_copies_of_a_notification_are_one_refund,
    a_statement_that_does_not_fit_the_refund_goes_into_quarantine,
    two_refunds_of_one_payment_are_a_minute_apart,
    refunds_that_cannot_be_are_refused,
    a_reason_that_wechat_cannot_carry_is_refused,
    only_keys_with_the_scope_give_money_back,
    a_key_gives_back_no_more_in_a_day_than_it_may,
    a_repeated_idempotency_key_is_one_refund_and_one_answer,
    lesson_28_without_the_certificate_of_api_v2_money_goes_back_by_api_v3,
    a_refund_that_wechat_never_takes_is_given_to_a_person_and_goes_on,
);

const APPLY_V3: &str = "/v3/refund/domestic/refunds";
const QUERY_V3: &str = "/v3/refund/domestic/refunds/{out_refund_no}";

/// Where a refund is applied for and asked for.
fn paths(api: Api) -> (&'static str, &'static str) {
    match api {
        Api::V2 => (RefundRequest::PATH, RefundQuery::PATH),
        Api::V3 => (APPLY_V3, QUERY_V3),
    }
}

/// A paid order of 12800 fen by this version, and a system that may give its money back.
async fn paid(world: &mut World, api: Api) -> (Phone, String, Merchant) {
    if world.shop.api != api {
        world.pay_by(api).await;
    }
    let phone = world.phone("li").await;
    let order = world.paid_order(&phone, "tea").await;
    (phone, order, world.merchant(Scope::ALL).await)
}

async fn refunds_of(world: &World, order: &str) -> i64 {
    world.number_of("SELECT COUNT(*) AS n FROM refund WHERE order_id = $1", params![order]).await
}

/// The refund is applied for, the money arrives, WeChat tells, and the server asks if it was told in API v2.
async fn arrive(world: &World) {
    world.run_jobs().await;
    world.clock.advance_s(3);
    world.settle().await;
}

async fn a_part_and_then_the_rest_go_back(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, till) = paid(world, api).await;
        let body = json!({ "amount": 2_800, "currency": "CNY", "reason": "少发一罐", "reference": "R-1" });
        let made = till.refund(&order, &body).await.json(201);
        assert_eq!(
            (&made["state"], &made["amount"], &made["order"]),
            (&json!("submitting"), &json!(2_800), &json!(order))
        );
        assert_eq!((&made["reason"], &made["cause"]), (&json!("少发一罐"), &json!("requested")));
        let refund = made["id"].as_str().unwrap();
        world.run_jobs().await;
        assert_eq!(till.see_refund(refund).await["state"], "processing", "accepted is not done");
        assert_eq!(phone.see(&order).await["refunded"], 0);
        arrive(world).await;
        let seen = till.see_refund(refund).await;
        assert_eq!(seen["state"], "succeeded");
        assert!(seen["succeeded_at"].is_string());
        let seen = phone.see(&order).await;
        assert_eq!((&seen["state"], &seen["refunded"]), (&json!("paid"), &json!(2_800)));

        let rest = till.refund(&order, &json!({})).await.json(201);
        assert_eq!(rest["amount"], 10_000, "everything that is left");
        world.clock.advance_s(60);
        arrive(world).await;
        assert_eq!(phone.see(&order).await["refunded"], 12_800);
        till.refund(&order, &json!({})).await.problem(409, "refund_too_much");
        let told = till.told(&order).await;
        let expected = ["refund.created", "refund.succeeded", "refund.created", "refund.succeeded"];
        assert_eq!(told, [&["order.created", "order.paid"][..], &expected].concat());
        let number = world.out_trade_no(&order).await;
        assert_eq!(world.sim.ledger().refunded_fen(&number), Fen::new(12_800));
    }
}

async fn a_refund_is_found_by_polling_when_its_notification_is_lost(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, till) = paid(world, api).await;
        world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost).times(1000));
        let refund = till.refund_fen(&order, 100).await;
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "processing");
        world.clock.advance_s(7);
        world.run_jobs().await;
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
        assert_eq!(phone.see(&order).await["refunded"], 100);
        world.sim.clear_faults();
    }
}

async fn a_refund_is_asked_for_on_its_schedule(world: &mut World) {
    let (_, order, till) = paid(world, Api::V3).await;
    world.sim.set_refund_after_s(30 * 24 * 3600);
    till.refund_fen(&order, 100).await;
    world.run_jobs().await;
    let mut ages_s = Vec::new();
    let mut age_s = 0;
    for step_s in [1; 70].into_iter().chain([10; 90]).chain([100; 145]) {
        world.clock.advance_s(step_s);
        age_s += step_s;
        let before = world.sim.wire().len();
        world.run_jobs().await;
        ages_s.extend(vec![age_s; world.sim.wire().len() - before]);
    }
    assert_eq!(ages_s, [10, 30, 60, 300, 900, 3670, 7270, 10_870, 14_470]);
    // After a week once a day.
    world.clock.advance_s(8 * 24 * 3600);
    world.run_jobs().await;
    let before = world.sim.wire().len();
    for _ in 0..24 {
        world.clock.advance_s(3600);
        world.run_jobs().await;
    }
    assert_eq!(world.sim.wire().len() - before, 1);
}

async fn lesson_22_an_unknown_outcome_is_tried_again_with_the_same_number(world: &mut World) {
    let v3 = |status, code: &str| FaultKind::V3ErrorAfter { status, code: code.to_owned() };
    let cases = [
        (Api::V2, FaultKind::NoAnswerAfter),
        (Api::V2, FaultKind::HalfAnswer),
        (Api::V2, FaultKind::WrongSignature),
        (Api::V2, FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned())),
        (Api::V2, FaultKind::Status(502)),
        (Api::V3, FaultKind::NoAnswerAfter),
        (Api::V3, FaultKind::HalfAnswer),
        (Api::V3, FaultKind::WrongSignature),
        (Api::V3, FaultKind::Unsigned),
        (Api::V3, v3(500, "SYSTEM_ERROR")),
        (Api::V3, v3(429, "FREQUENCY_LIMITED")),
        (Api::V3, FaultKind::Html),
    ];
    for (api, fault) in cases {
        let (phone, order, till) = paid(world, api).await;
        let (apply, _) = paths(api);
        world.sim.inject(Fault::on(apply, fault.clone()));
        let refund = till.refund_fen(&order, 500).await;
        world.run_jobs().await;
        assert_eq!(till.see_refund(&refund).await["state"], "submitting", "{fault:?}: nobody knows");
        till.refund(&order, &json!({ "amount": 12_301 })).await.problem(409, "refund_too_much");
        world.clock.advance_s(1);
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded", "{fault:?}");
        assert_eq!(phone.see(&order).await["refunded"], 500, "{fault:?}");
        let number = world.out_trade_no(&order).await;
        let ledger = world.sim.ledger();
        let of_order = ledger.refunds.iter().filter(|refund| refund.out_trade_no.as_str() == number);
        assert_eq!(of_order.count(), 1, "{fault:?}: one number");
    }
    // The same bytes each time.
    let mut bodies = world.calls(APPLY_V3);
    bodies.sort_unstable();
    bodies.dedup();
    let refunds = world.sim.ledger().refunds.len();
    let of_v2 = world.rows("SELECT id FROM refund WHERE api = 'v2'", &[]).await.len();
    assert_eq!(bodies.len(), refunds - of_v2);
}

async fn lesson_22_a_refund_that_is_not_found_has_not_failed(world: &mut World) {
    for (api, fault) in [
        (Api::V2, FaultKind::ErrCode("ORDERNOTEXIST".to_owned())),
        (Api::V3, FaultKind::V3Error { status: 404, code: "RESOURCE_NOT_EXISTS".to_owned() }),
    ] {
        let (_, order, till) = paid(world, api).await;
        world.sim.inject(Fault::on(paths(api).0, fault).times(3));
        let refund = till.refund_fen(&order, 500).await;
        for pause_s in [1, 3, 10] {
            world.run_jobs().await;
            assert_eq!(till.see_refund(&refund).await["state"], "submitting");
            world.clock.advance_s(pause_s);
        }
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
    }
}

async fn lesson_22_a_refusal_is_not_believed_while_an_earlier_try_can_arrive(world: &mut World) {
    let (_, order, till) = paid(world, Api::V3).await;
    // The first try is lost on its way; what comes after it is refused by somebody.
    world.sim.inject(Fault::on(APPLY_V3, FaultKind::NoAnswerBefore));
    let no = FaultKind::V3Error { status: 403, code: "NO_AUTH".to_owned() };
    world.sim.inject(Fault::on(APPLY_V3, no).times(1000));
    let refund = till.refund_fen(&order, 500).await;
    let mut waited_s = 0;
    while till.see_refund(&refund).await["state"] == "submitting" {
        world.run_jobs().await;
        world.clock.advance_s(1);
        waited_s += 1;
        assert!(waited_s < 3600);
    }
    assert!(waited_s > 600, "{waited_s} s");
    assert_eq!(till.see_refund(&refund).await["state"], "rejected");
    world.expect_attention("refund_rejected");
    world.sim.clear_faults();
}

async fn lesson_23_twenty_refunds_at_once_never_give_back_more_than_was_paid(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    let mut wishes = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (till, order) = (till.clone(), order.clone());
        // Twenty times 960 are one and a half times what was paid.
        wishes.spawn(async move { till.refund(&order, &json!({ "amount": 960 })).await });
    }
    let replies = wishes.join_all().await;
    let accepted = replies.iter().filter(|reply| reply.status == 201).count();
    replies.iter().filter(|reply| reply.status != 201).for_each(|reply| drop(reply.problem(409, "refund_too_much")));
    for _ in 0..20 {
        arrive(world).await;
        world.clock.advance_s(60);
    }
    let number = world.out_trade_no(&order).await;
    let given = world.sim.ledger().refunded_fen(&number).get();
    println!("20 wishes for 960 of 12800 fen: {accepted} accepted, {given} fen given back");
    assert_eq!((accepted, given), (13, 13 * 960));
    assert_eq!(phone.see(&order).await["refunded"], given);
}

async fn lesson_23_a_crash_after_the_request_loses_nothing(world: &mut World) {
    let (_, order, till) = paid(world, Api::V3).await;
    let refund = till.refund_fen(&order, 500).await;
    world.restart().await;
    let till = Merchant { http: world.node().http.clone(), ..till };
    assert_eq!(till.see_refund(&refund).await["state"], "submitting");
    arrive(world).await;
    assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
}

async fn a_request_that_is_repeated_with_its_reference_is_one_refund(world: &mut World) {
    let (_, order, till) = paid(world, Api::V3).await;
    let body = json!({ "amount": 500, "reference": "R/2026/7" });
    let first = till.refund(&order, &body).await.json(201);
    let again = till.refund(&order, &body).await.json(200);
    assert_eq!(first["id"], again["id"]);
    till.refund(&order, &json!({ "amount": 501, "reference": "R/2026/7" })).await.problem(409, "refund_reference_used");
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (till, order) = (till.clone(), order.clone());
        let body = json!({ "amount": 700, "reference": "R/2026/8" });
        crowd.spawn(async move { till.refund(&order, &body).await });
    }
    let replies = crowd.join_all().await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 49);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM refund").await, 2);
    arrive(world).await;
}

async fn a_balance_that_is_too_low_blocks_until_somebody_tops_it_up(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (_, order, till) = paid(world, api).await;
        world.sim.set_balance(&DEMO.mchid(), Some(Fen::ZERO));
        let refund = till.refund_fen(&order, 500).await;
        for _ in 0..10 {
            world.run_jobs().await;
            let seen = till.see_refund(&refund).await;
            assert_eq!((&seen["state"], &seen["blocked"]), (&json!("submitting"), &json!(true)));
            world.clock.advance_s(900);
        }
        world.expect_attention("refund_blocked");
        world.sim.set_balance(&DEMO.mchid(), None);
        world.clock.advance_s(3600);
        arrive(world).await;
        let seen = till.see_refund(&refund).await;
        assert_eq!((&seen["state"], &seen["blocked"]), (&json!("succeeded"), &json!(null)));
    }
}

async fn an_abnormal_refund_is_for_a_person_and_can_still_succeed(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, till) = paid(world, api).await;
        world.sim.set_refund_ending(RefundEnding::Abnormal);
        let refund = till.refund_fen(&order, 500).await;
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "abnormal");
        world.expect_attention("refund_abnormal");
        till.refund(&order, &json!({ "amount": 12_301 })).await.problem(409, "refund_too_much");
        assert_eq!(till.told(&order).await.last().unwrap(), "refund.abnormal");
        // Somebody names another account on the merchant platform.
        let number = till.see_refund(&refund).await["out_refund_no"].as_str().unwrap().to_owned();
        world.sim.end_refund(&DEMO.mchid(), &number, RefundEnding::Success).unwrap();
        world.clock.advance_s(60);
        world.settle().await;
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
        assert_eq!(phone.see(&order).await["refunded"], 500);
        world.sim.set_refund_ending(RefundEnding::Success);
    }
}

async fn a_closed_refund_releases_its_money(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, till) = paid(world, api).await;
        world.sim.set_refund_ending(RefundEnding::Closed);
        let refund = till.refund_fen(&order, 12_800).await;
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "closed");
        world.expect_attention("refund_closed");
        assert_eq!(till.told(&order).await.last().unwrap(), "refund.failed");
        world.sim.set_refund_ending(RefundEnding::Success);
        // Another number is another refund, and now that is right.
        world.clock.advance_s(60);
        till.refund_fen(&order, 12_800).await;
        arrive(world).await;
        assert_eq!(phone.see(&order).await["refunded"], 12_800);
    }
}

async fn a_refused_refund_releases_its_money(world: &mut World) {
    for (api, fault, code) in [
        (Api::V2, FaultKind::ErrCode("USER_ACCOUNT_ABNORMAL".to_owned()), "USER_ACCOUNT_ABNORMAL"),
        (Api::V2, FaultKind::ErrCode("TRADE_OVERDUE".to_owned()), "TRADE_OVERDUE"),
        (
            Api::V3,
            FaultKind::V3Error { status: 403, code: "USER_ACCOUNT_ABNORMAL".to_owned() },
            "USER_ACCOUNT_ABNORMAL",
        ),
        (Api::V3, FaultKind::V3Error { status: 400, code: "PARAM_ERROR".to_owned() }, "PARAM_ERROR"),
        (Api::V3, FaultKind::V3Error { status: 400, code: "INVALID_REQUEST".to_owned() }, "INVALID_REQUEST"),
    ] {
        let (_, order, till) = paid(world, api).await;
        world.sim.inject(Fault::on(paths(api).0, fault));
        let refund = till.refund_fen(&order, 12_800).await;
        world.run_jobs().await;
        let seen = till.see_refund(&refund).await;
        assert_eq!((&seen["state"], &seen["wechat_code"]), (&json!("rejected"), &json!(code)));
        world.expect_attention("refund_rejected");
        assert_eq!(till.told(&order).await.last().unwrap(), "refund.failed");
        world.clock.advance_s(60);
        till.refund_fen(&order, 12_800).await;
        arrive(world).await;
    }
}

async fn a_refusal_of_a_refund_that_wechat_took_is_no_refusal(world: &mut World) {
    for (api, fault) in [
        (Api::V2, FaultKind::ErrCodeAfter("PARAM_ERROR".to_owned())),
        (Api::V3, FaultKind::V3ErrorAfter { status: 400, code: "PARAM_ERROR".to_owned() }),
    ] {
        let (_, order, till) = paid(world, api).await;
        world.sim.inject(Fault::on(paths(api).0, fault));
        let refund = till.refund_fen(&order, 500).await;
        world.run_jobs().await;
        assert_eq!(till.see_refund(&refund).await["state"], "processing", "it was asked for");
        arrive(world).await;
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
    }
}

async fn an_answer_that_does_not_say_how_far_a_refund_is_does_not_end_its_tries(world: &mut World) {
    let new_word = || FaultKind::RefundStatus("A_NEW_WORD".to_owned());
    let refused_after = |api| match api {
        Api::V2 => FaultKind::ErrCodeAfter("PARAM_ERROR".to_owned()),
        Api::V3 => FaultKind::V3ErrorAfter { status: 400, code: "PARAM_ERROR".to_owned() },
    };
    // The answer of API v2 tells no state; that of API v3, and the answers to queries, do.
    for (api, on_apply, on_query) in [
        (Api::V3, new_word(), None),
        (Api::V3, refused_after(Api::V3), Some(new_word())),
        (Api::V2, refused_after(Api::V2), Some(new_word())),
    ] {
        let (_, order, till) = paid(world, api).await;
        let (apply, query) = paths(api);
        world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost).times(1000));
        world.sim.inject(Fault::on(apply, on_apply));
        on_query.into_iter().for_each(|fault| world.sim.inject(Fault::on(query, fault)));
        let refund = till.refund_fen(&order, 500).await;
        world.run_jobs().await;
        assert_eq!(till.see_refund(&refund).await["state"], "submitting");
        for pause_s in [1, 10] {
            world.clock.advance_s(pause_s);
            world.run_jobs().await;
        }
        assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
        assert_eq!(world.sim.ledger().refunded_fen(&world.out_trade_no(&order).await), Fen::new(500));
        world.sim.clear_faults();
    }
}

async fn evidence_names_the_hash_with_which_the_refund_was_frozen(world: &mut World) {
    world.reconfigure(|shop| (shop.api, shop.sign_type) = (Api::V2, SignType::Md5)).await;
    let (_, order, till) = paid(world, Api::V2).await;
    till.refund_fen(&order, 500).await;
    world.reconfigure(|shop| shop.sign_type = SignType::HmacSha256).await;
    arrive(world).await;
    let rows = world
        .rows("SELECT source, verified_by FROM evidence WHERE refund_id IS NOT NULL ORDER BY received_ms, source", &[])
        .await;
    let told: Vec<_> = rows.iter().map(|row| (row.text("source").unwrap(), row.text("verified_by").unwrap())).collect();
    assert_eq!(told, [("refund", "v2 MD5"), ("notification", "v2 req_info"), ("query", "v2 HMAC-SHA256")]);
}

async fn a_refund_that_was_made_on_the_merchant_platform_counts(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, till) = paid(world, api).await;
        let address = format!("http://127.0.0.1:{}/wechat/pay/{}", world.port, DEMO.mchid);
        world.sim.set_refund_address(&DEMO.mchid(), Some(NotifyUrl::parse(address).unwrap()));
        let number = world.out_trade_no(&order).await;
        world.sim.refund_at_platform(&DEMO.mchid(), &number, Fen::new(800)).unwrap();
        arrive(world).await;
        assert_eq!(phone.see(&order).await["refunded"], 800);
        let event = till.get(&format!("/v1/events?subject={order}&types=refund.succeeded")).await.json(200);
        let told = &event["events"][0]["data"]["refund"];
        assert_eq!(
            (&told["state"], &told["cause"], &told["amount"]),
            (&json!("external"), &json!("elsewhere"), &json!(800))
        );
        till.refund(&order, &json!({ "amount": 12_001 })).await.problem(409, "refund_too_much");
        world.clock.advance_s(60);
        till.refund_fen(&order, 12_000).await;
        arrive(world).await;
        assert_eq!(phone.see(&order).await["refunded"], 12_800);
    }
}

/// A refund of 800 fen on the merchant platform that WeChat takes an hour for, without telling anybody.
async fn made_elsewhere(world: &World, order: &str) -> weixin::pay::Refund {
    world.sim.set_refund_after_s(3600);
    let trade_no = world.out_trade_no(order).await;
    let number = world.sim.refund_at_platform(&DEMO.mchid(), &trade_no, Fen::new(800)).unwrap();
    world.refund_told(&trade_no, number.as_str(), 800)
}

async fn a_refund_that_was_made_elsewhere_counts_when_the_answer_lags_behind_its_notification(world: &mut World) {
    let unknown = |api| match api {
        Api::V2 => FaultKind::ErrCode("REFUNDNOTEXIST".to_owned()),
        Api::V3 => FaultKind::V3Error { status: 404, code: "RESOURCE_NOT_EXISTS".to_owned() },
    };
    for api in [Api::V2, Api::V3] {
        let (phone, order, _) = paid(world, api).await;
        let told = made_elsewhere(world, &order).await;
        world.sim.inject(Fault::on(paths(api).1, unknown(api)));
        world.attacker().notify(DEMO.mchid, world.refund_letter(&told)).await.accepted();
        // WeChat does not know it yet; then it is under way; then it has arrived.
        for wait_s in [1, 3600] {
            world.run_jobs().await;
            assert_eq!(phone.see(&order).await["refunded"], 0);
            world.clock.advance_s(wait_s);
        }
        world.run_jobs().await;
        assert_eq!(phone.see(&order).await["refunded"], 800);
    }
}

async fn a_refund_that_was_made_elsewhere_is_asked_for_until_it_has_ended(world: &mut World) {
    let (phone, order, _) = paid(world, Api::V3).await;
    let told = made_elsewhere(world, &order).await;
    let (letter, number) = (world.letter_v3(&order).await, told.out_refund_no.clone());
    let abnormal = weixin::pay::Refund { state: weixin::pay::RefundState::Abnormal, success_time: None, ..told };
    world.expect_attention("refund_abnormal");
    world.attacker().notify_v3(DEMO.mchid, &letter.refund(&abnormal)).await.accepted_v3();
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["refunded"], 0);
    // Somebody names another account on the merchant platform, and nobody tells.
    world.sim.end_refund(&DEMO.mchid(), number.as_str(), RefundEnding::Success).unwrap();
    world.clock.advance_s(600);
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["refunded"], 800);
    // One that was closed is over: nothing is asked for any more.
    world.clock.advance_s(60);
    let told = made_elsewhere(world, &order).await;
    world.sim.end_refund(&DEMO.mchid(), told.out_refund_no.as_str(), RefundEnding::Closed).unwrap();
    world.attacker().notify(DEMO.mchid, world.refund_letter(&told)).await.accepted();
    assert_eq!(world.run_jobs().await, 1);
    world.clock.advance_s(3600);
    assert_eq!(world.run_jobs().await, 0);
    assert_eq!(phone.see(&order).await["refunded"], 800);
}

async fn a_success_elsewhere_that_does_not_say_when_is_for_a_person(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (phone, order, _) = paid(world, api).await;
        let told = made_elsewhere(world, &order).await;
        let success = FaultKind::RefundStatus("SUCCESS".to_owned());
        world.sim.inject(Fault::on(paths(api).1, success));
        world.attacker().notify(DEMO.mchid, world.refund_letter(&told)).await.accepted();
        world.run_jobs().await;
        world.expect_attention("refund_mismatch");
        if api == Api::V3 {
            let timeless = weixin::pay::Refund { success_time: None, ..told };
            let letter = world.letter_v3(&order).await.refund(&timeless);
            world.attacker().notify_v3(DEMO.mchid, &letter).await.refused(409);
        }
        assert_eq!(phone.see(&order).await["refunded"], 0);
    }
}

async fn a_forged_v2_notification_is_asked_for_and_changes_nothing(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V2).await;
    let number = world.out_trade_no(&order).await;
    let mut told = world.refund_told(&number, "made-up-number", 500);
    let attacker = world.attacker();
    attacker.notify(DEMO.mchid, world.refund_letter(&told)).await.accepted();
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["refunded"], 0, "WeChat knows no such refund");
    // The same with the number of a refund that is under way.
    world.sim.set_refund_after_s(3600);
    let refund = till.refund_fen(&order, 500).await;
    world.run_jobs().await;
    let ours = till.see_refund(&refund).await["out_refund_no"].as_str().unwrap().to_owned();
    told = world.refund_told(&number, &ours, 500);
    attacker.notify(DEMO.mchid, world.refund_letter(&told)).await.accepted();
    world.run_jobs().await;
    assert_eq!(till.see_refund(&refund).await["state"], "processing", "WeChat says that it is under way");
    assert_eq!(phone.see(&order).await["refunded"], 0);
    // Under another key it cannot even be opened.
    let sealed = world.refund_letter(&told).replace("<req_info><![CDATA[", "<req_info><![CDATA[AAAA");
    attacker.notify(DEMO.mchid, sealed).await.refused(400);
}

async fn a_hundred_copies_of_a_notification_are_one_refund(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    let refund = till.refund_fen(&order, 500).await;
    world.run_jobs().await;
    world.clock.advance_s(3);
    let number = till.see_refund(&refund).await["out_refund_no"].as_str().unwrap().to_owned();
    let ledger = world.sim.ledger();
    let theirs = ledger.refund(&number).unwrap().clone();
    let told = weixin::pay::Refund {
        refund_id: theirs.refund_id,
        transaction_id: theirs.transaction_id,
        success_time: Some(theirs.arrives_at),
        ..world.refund_told(theirs.out_trade_no.as_str(), &number, 500)
    };
    let letter = world.letter_v3(&order).await.refund(&told);
    let attacker = world.attacker();
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (attacker, letter) = (attacker.clone(), letter.clone());
        copies.spawn(async move { attacker.notify_v3(DEMO.mchid, &letter).await.accepted_v3() });
    }
    copies.join_all().await;
    assert_eq!(phone.see(&order).await["refunded"], 500);
    let told = till.told(&order).await;
    assert_eq!(told.iter().filter(|kind| *kind == "refund.succeeded").count(), 1);
    world.deliver().await;
}

async fn a_statement_that_does_not_fit_the_refund_goes_into_quarantine(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    world.sim.set_refund_after_s(3600);
    let refund = till.refund_fen(&order, 500).await;
    world.run_jobs().await;
    let number = till.see_refund(&refund).await["out_refund_no"].as_str().unwrap().to_owned();
    let trade_no = world.out_trade_no(&order).await;
    let good = weixin::pay::Refund {
        transaction_id: world.sim.ledger().payment(&trade_no).unwrap().transaction_id.clone().unwrap(),
        ..world.refund_told(&trade_no, &number, 500)
    };
    let (letter, attacker) = (world.letter_v3(&order).await, world.attacker());
    let wrong = [
        weixin::pay::Refund { refund: Fen::new(501), ..good.clone() },
        weixin::pay::Refund { total: Fen::new(501), ..good.clone() },
        weixin::pay::Refund { transaction_id: weixin::TransactionId::parse("42").unwrap(), ..good.clone() },
        weixin::pay::Refund { success_time: None, ..good.clone() },
    ];
    for told in wrong {
        attacker.notify_v3(DEMO.mchid, &letter.refund(&told)).await.refused(409);
        assert_eq!(till.see_refund(&refund).await["state"], "processing");
    }
    world.expect_attention("refund_mismatch");
    // A refund of a payment that is not ours.
    let stranger = weixin::pay::Refund { out_trade_no: "not-our-number".parse().unwrap(), ..good };
    attacker.notify_v3(DEMO.mchid, &letter.refund(&stranger)).await.refused(409);
    world.expect_attention("refund_elsewhere");
    assert_eq!(phone.see(&order).await["refunded"], 0);
}

async fn two_refunds_of_one_payment_are_a_minute_apart(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    let other = world.paid_order(&phone, "tea").await;
    let (first, second) = (till.refund_fen(&order, 1).await, till.refund_fen(&order, 2).await);
    let elsewhere = till.refund_fen(&other, 3).await;
    world.run_jobs().await;
    let states = async |ids: [&str; 3]| {
        let mut states = Vec::new();
        for id in ids {
            states.push(till.see_refund(id).await["state"].as_str().unwrap().to_owned());
        }
        states.sort_unstable();
        states
    };
    assert_eq!(states([&first, &second, &elsewhere]).await, ["processing", "processing", "submitting"]);
    world.clock.advance_s(60);
    arrive(world).await;
    arrive(world).await;
    assert_eq!(states([&first, &second, &elsewhere]).await, ["succeeded"; 3]);
}

async fn refunds_that_cannot_be_are_refused(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    for amount in ["0", "-1", "1.5", "1e3", "99999999999999999999"] {
        let body = serde_json::from_str(&format!("{{\"amount\": {amount}}}")).unwrap();
        till.refund(&order, &body).await.problem(422, "amount_invalid");
    }
    for body in [
        json!({ "amount": 1, "currency": "USD" }),
        json!({ "amount": "1" }),
        json!({ "fen": 1 }),
        json!({ "amount": 1, "reason": "" }),
        json!({ "amount": 1, "reason": "长".repeat(27) }),
        json!({ "amount": 1, "reference": "x".repeat(65) }),
        json!({ "amount": 1, "reference": "a\u{0}b" }),
    ] {
        let reply = till.refund(&order, &body).await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
    }
    till.refund(&order, &json!({ "amount": 12_801 })).await.problem(409, "refund_too_much");
    till.refund("ord_0", &json!({})).await.problem(404, "order_not_found");
    let unpaid = phone.order("tea").await;
    till.refund(&unpaid, &json!({})).await.problem(409, "order_not_paid");
    phone.close(&unpaid).await.json(200);
    till.refund(&unpaid, &json!({})).await.problem(409, "order_not_paid");
    till.get("/v1/refunds/ref_0").await.problem(404, "refund_not_found");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM refund").await, 0);
    for _ in 0..50 {
        till.refund_fen(&order, 1).await;
    }
    till.refund(&order, &json!({ "amount": 1 })).await.problem(409, "refund_too_many");
    for _ in 0..55 {
        world.run_jobs().await;
        world.clock.advance_s(60);
    }
    world.settle().await;
    let old = world.paid_order(&phone, "tea").await;
    world.clock.advance_s(365 * 24 * 3600 + 1);
    till.refund(&old, &json!({})).await.problem(409, "refund_too_late");
}

async fn a_reason_that_wechat_cannot_carry_is_refused(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (_, order, till) = paid(world, api).await;
        for reason in ["退茶\u{1f375}", "\u{20bb7}", "退\n茶"] {
            let refused = till.refund(&order, &json!({ "amount": 1, "reason": reason })).await;
            let detail = refused.problem(422, "body_invalid")["detail"].clone();
            assert_eq!(detail, "The reason must be 1 to 80 bytes of UTF-8 without emoji and control characters.");
        }
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM refund").await, 0);
    }
}

async fn only_keys_with_the_scope_give_money_back(world: &mut World) {
    let (phone, order, till) = paid(world, Api::V3).await;
    let refund = till.refund_fen(&order, 500).await;
    arrive(world).await;
    let path = format!("/v1/orders/{order}/refunds");
    phone.post(&path, &json!({ "amount": 1 })).await.problem(403, "forbidden");
    let orders = world.merchant(&[Scope::Read, Scope::Orders]).await;
    orders.refund(&order, &json!({ "amount": 1 })).await.problem(403, "forbidden");
    phone.http.post(&path, None, &json!({})).await.problem(401, "unauthorized");
    assert_eq!(orders.see_refund(&refund).await["state"], "succeeded");
    phone.get(&format!("/v1/refunds/{refund}")).await.problem(403, "forbidden");
    let refunds = world.merchant(&[Scope::Refunds]).await;
    refunds.get(&format!("/v1/refunds/{refund}")).await.problem(403, "forbidden");
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM refund").await, 1);
}

async fn a_key_gives_back_no_more_in_a_day_than_it_may(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (_, order, owner) = paid(world, api).await;
        let (refunds_per_day, scopes) = (Some(Fen::new(5_000)), vec![Scope::Refunds]);
        let limited = NewKey { name: "counter".to_owned(), scopes, refunds_per_day, ..NewKey::default() };
        let counter = world.merchant_with(Realm::Simulated, limited).await;
        let ask = async |amount: i64, reference: &str| {
            counter.refund(&order, &json!({ "amount": amount, "reference": reference })).await
        };
        ask(5_001, "a").await.problem(403, "refund_cap_reached");
        ask(3_000, "b").await.json(201);
        ask(2_001, "c").await.problem(403, "refund_cap_reached");
        assert_eq!(refunds_of(world, &order).await, 1, "nothing of a refused one is kept");
        ask(3_000, "b").await.json(200);
        ask(2_000, "d").await.json(201);
        ask(1, "e").await.problem(403, "refund_cap_reached");
        // Another key has its own limit, or none.
        owner.refund_fen(&order, 1_000).await;
        for _ in 0..3 {
            arrive(world).await;
            world.clock.advance_s(60);
        }
        world.clock.advance_s(24 * 3600);
        ask(1, "e").await.json(201);
        arrive(world).await;
    }
}

async fn a_repeated_idempotency_key_is_one_refund_and_one_answer(world: &mut World) {
    for api in [Api::V2, Api::V3] {
        let (_, order, till) = paid(world, api).await;
        let path = format!("/v1/orders/{order}/refunds");
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (till, path) = (till.clone(), path.clone());
            crowd.spawn(async move { till.once(&path, "k1", r#"{"amount":500}"#).await.status });
        }
        assert!(crowd.join_all().await.iter().all(|status| [201, 409].contains(status)));
        let first = till.once(&path, "k1", r#"{"amount":500}"#).await;
        arrive(world).await;
        // The refund has gone on; the answer has not.
        let again = till.once(&path, "k1", r#"{ "amount": 500 }"#).await;
        assert_eq!((first.status, &first.body), (again.status, &again.body), "the same bytes");
        till.once(&path, "k1", r#"{"amount":501}"#).await.problem(422, "idempotency_key_used");
        // A request whose body was lost on the way gives nothing back.
        till.once(&path, "k2", "").await.problem(400, "body_not_json");
        let bodiless = till.http.request(reqwest::Method::POST, &path).bearer_auth(&till.key);
        crate::support::Reply::of(bodiless).await.problem(415, "content_type_wrong");
        assert_eq!(refunds_of(world, &order).await, 1);
    }
}

async fn lesson_28_without_the_certificate_of_api_v2_money_goes_back_by_api_v3(world: &mut World) {
    world.reconfigure(|shop| (shop.api, shop.certificate) = (Api::V2, false)).await;
    let phone = world.phone("li").await;
    let order = world.paid_order(&phone, "tea").await;
    let till = world.merchant(Scope::ALL).await;
    let refund = till.refund_fen(&order, 500).await;
    arrive(world).await;
    assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
    assert_eq!((world.calls(APPLY_V3).len(), world.calls(RefundRequest::PATH).len()), (1, 0));
}

async fn a_refund_that_wechat_never_takes_is_given_to_a_person_and_goes_on(world: &mut World) {
    let (_, order, till) = paid(world, Api::V3).await;
    world.sim.inject(Fault::on(APPLY_V3, FaultKind::Status(503)).times(1000));
    let refund = till.refund_fen(&order, 500).await;
    for _ in 0..24 {
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM attention").await, 0);
        world.run_jobs().await;
        world.clock.advance_s(1800);
    }
    world.expect_attention("refund_stuck");
    assert_eq!(till.see_refund(&refund).await["state"], "submitting");
    world.sim.clear_faults();
    world.clock.advance_s(1800);
    arrive(world).await;
    assert_eq!(till.see_refund(&refund).await["state"], "succeeded");
}
