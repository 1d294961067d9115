//! Paying by API v3: orders, answers, key modes, and both versions side by side.

use weixin::pay::v3::jsapi;
use weixin_simulator::{Choice, Fault, FaultKind, KeyMode, NOTIFICATION};
use zhanggui::config::Api;

use crate::support::{DEMO, Signer, World, on_both_databases};

on_both_databases!(
    a_v3_notification_is_proof_and_settles_the_order_at_once,
    a_second_press_gives_the_same_prepay_id_and_asks_nobody,
    fifty_presses_at_once_are_one_payment,
    lesson_25_an_old_prepay_id_is_asked_for_again_with_the_same_bytes,
    a_lost_notification_heals_when_the_customer_returns,
    a_merchant_with_platform_certificates_downloads_them_once,
    certificates_and_public_key_work_side_by_side_during_the_change_over,
    a_probe_is_refused_and_the_true_notification_is_taken,
    a_definitive_refusal_ends_the_payment_and_the_next_press_has_a_new_number,
    lesson_16_a_failure_is_never_answered_with_2xx,
    what_proves_nothing_leaves_the_payment_as_it_is_with_the_same_number,
    an_answer_that_cannot_be_believed_leaves_the_payment_as_it_is,
    a_payment_keeps_the_version_that_it_was_made_with,
);

async fn pay_by_v3(world: &mut World) {
    world.reconfigure(|shop| shop.api = Api::V3).await;
}

async fn a_v3_notification_is_proof_and_settles_the_order_at_once(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    assert_eq!(phone.parameters(&order).await.sign_type, "RSA");
    phone.pay(&order).await;
    assert_eq!(world.order_state(&order).await, "open", "the phone's word changes nothing");
    assert_eq!(world.deliver().await, 1);
    assert_eq!(phone.see(&order).await["state"], "paid", "without a query");
    assert_eq!(world.run_jobs().await, 0);
    assert_eq!(world.sim.next_due(), None, "WeChat was told that we know");
}

async fn a_second_press_gives_the_same_prepay_id_and_asks_nobody(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let (first, second) = (phone.parameters(&order).await, phone.parameters(&order).await);
    assert_eq!(first.package, second.package);
    assert_ne!(first.pay_sign, second.pay_sign);
    assert_eq!(world.calls(jsapi::PATH).len(), 1);
}

async fn fifty_presses_at_once_are_one_payment(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let mut presses = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (phone, order) = (phone.clone(), order.clone());
        presses.spawn(async move { phone.parameters(&order).await.package });
    }
    let packages: std::collections::BTreeSet<_> = presses.join_all().await.into_iter().collect();
    assert_eq!(packages.len(), 1);
    assert_eq!(world.payments(&order).await.len(), 1);
    assert_eq!(world.calls(jsapi::PATH).len(), 1);
}

async fn lesson_25_an_old_prepay_id_is_asked_for_again_with_the_same_bytes(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.press(&order).await.json(200);
    world.clock.advance_s(2 * 60 * 60);
    phone.pay(&order).await;
    let calls = world.calls(jsapi::PATH);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], calls[1]);
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_lost_notification_heals_when_the_customer_returns(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    let seen = phone.refresh(&order).await;
    assert_eq!((&seen["state"], &seen["refreshed"]), (&"paid".into(), &true.into()));
}

async fn a_merchant_with_platform_certificates_downloads_them_once(world: &mut World) {
    world.sim.set_key_mode(&DEMO.mchid(), KeyMode::Certificates).unwrap();
    world
        .reconfigure(|shop| {
            shop.api = Api::V3;
            shop.public_key = false;
        })
        .await;
    let phone = world.phone("li").await;
    for _ in 0..3 {
        let order = phone.order("tea").await;
        phone.pay(&order).await;
        world.deliver().await;
        assert_eq!(phone.see(&order).await["state"], "paid");
    }
    assert_eq!(world.calls("/v3/certificates").len(), 1);
}

async fn certificates_and_public_key_work_side_by_side_during_the_change_over(world: &mut World) {
    world.sim.set_key_mode(&DEMO.mchid(), KeyMode::Both).unwrap();
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    // WeChat takes turns: a certificate, the public key, and so on.
    for _ in 0..4 {
        let order = phone.order("tea").await;
        phone.pay(&order).await;
        world.deliver().await;
        assert_eq!(phone.see(&order).await["state"], "paid");
    }
    let serials: std::collections::BTreeSet<_> = world
        .rows("SELECT DISTINCT verified_by FROM evidence", &[])
        .await
        .iter()
        .map(|row| row.text("verified_by").unwrap().to_owned())
        .collect();
    assert_eq!(serials.len(), 2, "{serials:?}");
    assert_eq!(world.calls("/v3/certificates").len(), 1, "fetched when the first certificate was named");
}

async fn a_probe_is_refused_and_the_true_notification_is_taken(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Probe));
    world.deliver().await;
    assert_eq!(phone.see(&order).await["state"], "open");
    world.clock.advance_s(15);
    world.deliver().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_definitive_refusal_ends_the_payment_and_the_next_press_has_a_new_number(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    for (status, code) in
        [(400, "PARAM_ERROR"), (403, "NO_AUTH"), (400, "APPID_MCHID_NOT_MATCH"), (400, "MCH_NOT_EXISTS")]
    {
        let order = phone.order("tea").await;
        world.sim.inject(Fault::on(jsapi::PATH, FaultKind::V3Error { status, code: code.to_owned() }));
        let problem = phone.press(&order).await.problem(502, "wechat_refused");
        assert_eq!(problem["wechat"]["code"], code);
        world.clock.advance_s(1);
        phone.press(&order).await.json(200);
        let payments = world.payments(&order).await;
        let states: Vec<_> = payments.iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(states, ["rejected", "awaiting"], "{code}");
        assert_ne!(payments[0].0, payments[1].0);
    }
}

/// API v3 reads the status: 200 with an error in the body would count as received, and the payment would be lost.
async fn lesson_16_a_failure_is_never_answered_with_2xx(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.press(&order).await.json(200);
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let wrong_amount = letter.clone().telling(|told| told.total = Some(weixin::Fen::new(1)));
    attacker.notify_v3(DEMO.mchid, &wrong_amount.signed_by(Signer::PublicKey)).await.refused(409);
    attacker.notify_v3(DEMO.mchid, &letter.signed_by(Signer::Stranger)).await.refused(401);
    attacker.notify_v3("1999999999", &letter.signed_by(Signer::PublicKey)).await.refused(404);
    world.expect_attention("amount_mismatch");
    world.run_jobs().await;
}

async fn what_proves_nothing_leaves_the_payment_as_it_is_with_the_same_number(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let faults = [
        FaultKind::V3Error { status: 500, code: "SYSTEM_ERROR".to_owned() },
        FaultKind::V3ErrorAfter { status: 500, code: "SYSTEM_ERROR".to_owned() },
        FaultKind::V3Error { status: 429, code: "FREQUENCY_LIMITED".to_owned() },
        FaultKind::V3Error { status: 503, code: "SERVICE_UNAVAILABLE".to_owned() },
        FaultKind::V3Error { status: 400, code: "A_NEW_CODE".to_owned() },
        FaultKind::Status(502),
        FaultKind::NoAnswerBefore,
        FaultKind::NoAnswerAfter,
        FaultKind::HalfAnswer,
    ];
    for fault in faults {
        let order = phone.order("tea").await;
        // Both the main host and the back-up host.
        world.sim.inject(Fault::on(jsapi::PATH, fault.clone()).times(2));
        let reply = phone.press(&order).await;
        assert_eq!(reply.status, 503, "{fault:?}: {}", reply.text());
        world.sim.clear_faults();
        assert_eq!(world.payments(&order).await[0].1, "submitting", "{fault:?}");
        phone.press(&order).await.json(200);
        assert_eq!(world.payments(&order).await.len(), 1, "{fault:?}: the same number");
    }
}

async fn an_answer_that_cannot_be_believed_leaves_the_payment_as_it_is(world: &mut World) {
    pay_by_v3(world).await;
    let phone = world.phone("li").await;
    let faults =
        [FaultKind::Unsigned, FaultKind::WrongSignature, FaultKind::Stale, FaultKind::UnknownSerial, FaultKind::Html];
    for fault in faults {
        let order = phone.order("tea").await;
        world.sim.inject(Fault::on(jsapi::PATH, fault.clone()));
        phone.press(&order).await.problem(503, "wechat_unavailable");
        assert_eq!(world.payments(&order).await[0].1, "submitting", "{fault:?}");
        phone.press(&order).await.json(200);
        assert_eq!(world.payments(&order).await.len(), 1, "{fault:?}");
    }
}

async fn a_payment_keeps_the_version_that_it_was_made_with(world: &mut World) {
    let phone = world.phone("li").await;
    let (old, older) = (phone.order("tea").await, phone.order("cup").await);
    let old_sheet = phone.parameters(&old).await;
    assert_eq!(old_sheet.sign_type, "HMAC-SHA256");
    phone.press(&older).await.json(200);

    pay_by_v3(world).await;
    let phone = crate::support::Phone { http: world.node().http.clone(), ..phone };
    let new = phone.order("tea").await;
    assert_eq!(phone.parameters(&new).await.sign_type, "RSA");
    assert_eq!(phone.parameters(&old).await.sign_type, "HMAC-SHA256", "the sheet of an old payment");
    phone.wechat.request_payment(&old_sheet, Choice::Pay).unwrap();
    phone.pay(&new).await;
    // One XML and one JSON at the same address; the XML is confirmed by a query.
    assert_eq!(world.deliver().await, 2);
    assert_eq!(world.run_jobs().await, 1);
    for order in [&old, &new] {
        assert_eq!(phone.see(order).await["state"], "paid");
    }
}
