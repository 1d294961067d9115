//! What comes to the callback address, and what of it is believed.

use weixin::{ApiV2Key, pay::v2::SignType};
use weixin_simulator::{Fault, FaultKind, NOTIFICATION};

use crate::support::{DEMO, OTHER, Phone, World, on_both_databases};

on_both_databases!(
    lesson_01_a_notification_without_a_signature_changes_nothing,
    lesson_02_a_field_that_nobody_knows_does_not_break_the_signature,
    lesson_03_only_the_agreed_hash_is_believed,
    lesson_10_the_merchant_is_chosen_by_the_address_only,
    lesson_11_a_missing_field_crashes_nothing,
    lesson_12_the_raw_bytes_are_verified_and_not_their_form,
    lesson_16_what_was_not_taken_is_never_answered_with_200,
    lesson_26_every_field_is_compared_with_the_order,
    a_forged_notification_changes_nothing,
    a_notification_of_an_unknown_order_is_kept_for_a_person,
    a_hundred_copies_at_once_are_one_transition_and_one_piece_of_evidence,
    a_copy_after_everything_is_settled_is_answered_and_counted,
    what_is_spoiled_on_its_way_is_repeated_and_taken,
    external_entities_and_entity_bombs_are_refused_unread,
);

/// An order that waits for the customer.
async fn waiting(world: &World) -> (Phone, String) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    (phone, order)
}

async fn lesson_01_a_notification_without_a_signature_changes_nothing(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    let before = world.state().await;
    for forged in [
        letter.clone().without("sign"),
        letter.clone().with("sign", ""),
        letter.clone().without("sign").without("return_code"),
        letter.clone().without("sign").without("result_code"),
        letter.clone().without("sign").without("sign_type"),
        letter.without("sign").with("return_code", "FAIL"),
    ] {
        attacker.notify(DEMO.mchid, forged.xml()).await.refused(400);
    }
    assert!(world.state().await == before);
}

async fn lesson_02_a_field_that_nobody_knows_does_not_break_the_signature(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::UnknownField));
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(world.sim.next_due(), None);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM evidence WHERE source = 'notification'").await, 1);
}

async fn lesson_03_only_the_agreed_hash_is_believed(world: &mut World) {
    for (agreed, other) in [(SignType::HmacSha256, SignType::Md5), (SignType::Md5, SignType::HmacSha256)] {
        world.reconfigure(|shop| shop.sign_type = agreed).await;
        let (phone, order) = waiting(world).await;
        let (attacker, letter) = (world.attacker(), world.letter(&order).await);
        let before = world.state().await;
        for wrong in [
            letter.clone().with("sign_type", other.as_str()).signed_with(&DEMO.key(), other),
            letter.clone().without("sign_type").signed_with(&DEMO.key(), other),
            letter.clone().signed_with(&DEMO.key(), other),
        ] {
            attacker.notify(DEMO.mchid, wrong.xml()).await.refused(400);
        }
        assert!(world.state().await == before);
        phone.pay(&order).await;
        world.settle().await;
        assert_eq!(phone.see(&order).await["state"], "paid");
    }
}

async fn lesson_10_the_merchant_is_chosen_by_the_address_only(world: &mut World) {
    world.reconfigure(|shop| shop.with_other = true).await;
    let (phone, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    let before = world.state().await;
    // The letter of one merchant at the address of another, and the name of one over the signature of another.
    attacker.notify(OTHER.mchid, letter.xml()).await.refused(400);
    let posing = letter.clone().with("mch_id", OTHER.mchid).signed();
    attacker.notify(DEMO.mchid, posing.xml()).await.refused(400);
    attacker.notify(OTHER.mchid, posing.xml()).await.refused(400);
    let stolen = letter.clone().without("sign_type").signed_with(&OTHER.key(), SignType::Md5);
    attacker.notify(OTHER.mchid, stolen.xml()).await.refused(400);
    attacker.notify("1600000009", letter.xml()).await.refused(404);
    attacker.notify("%00", letter.xml()).await.refused(404);
    assert!(world.state().await == before);

    // Nobody's choice of merchant has stuck: both are paid.
    let theirs = world.phone_of(&OTHER, "li").await;
    let green_tea = theirs.order("tea").await;
    phone.pay(&order).await;
    theirs.pay(&green_tea).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    assert_eq!(theirs.see(&green_tea).await["state"], "paid");
}

async fn lesson_11_a_missing_field_crashes_nothing(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    for bytes in ["", "<xml></xml>", "<xml/>", "<xml><return_code>SUCCESS</return_code></xml>", "<", "\0"] {
        attacker.notify(DEMO.mchid, bytes).await.refused(400);
    }
    // The form of API v3, without its signature.
    attacker.notify(DEMO.mchid, "{}").await.refused(401);
    // Even signed: what the order needs is missed, what WeChat may leave out is not.
    for name in ["appid", "mch_id", "out_trade_no"] {
        let reply = attacker.notify(DEMO.mchid, letter.clone().without(name).signed().xml()).await;
        reply.refused(400);
    }
    for name in ["openid", "time_end", "total_fee", "transaction_id"] {
        let reply = attacker.notify(DEMO.mchid, letter.clone().without(name).signed().xml()).await;
        reply.refused(409);
        assert_eq!(phone.see(&order).await["state"], "open", "{name}");
    }
    for name in ["bank_type", "cash_fee", "fee_type", "is_subscribe", "nonce_str", "trade_type", "sign_type"] {
        attacker.notify(DEMO.mchid, letter.clone().without(name).signed().xml()).await.accepted();
    }
    // Documented, never seen: a failure proves nothing about the payment.
    for name in ["result_code", "return_code"] {
        attacker.notify(DEMO.mchid, letter.clone().without(name).signed().xml()).await.accepted();
        attacker.notify(DEMO.mchid, letter.clone().with(name, "FAIL").signed().xml()).await.accepted();
    }
    world.expect_attention("incomplete");
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn lesson_12_the_raw_bytes_are_verified_and_not_their_form(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    for form in [
        letter.clone().reversed().xml(),
        letter.xml().replace("\n", ""),
        letter.xml().replace("\n", "\r\n\t  "),
        letter.xml().replace("<![CDATA[", "").replace("]]>", ""),
        letter.clone().with("device_info", "").xml(),
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", letter.xml()),
    ] {
        attacker.notify(DEMO.mchid, form).await.accepted();
    }
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    // White space inside of a value is part of the value.
    let spaced = letter.xml().replace("<![CDATA[CNY]]>", "<![CDATA[CNY ]]>");
    attacker.notify(DEMO.mchid, spaced).await.refused(400);
}

async fn lesson_16_what_was_not_taken_is_never_answered_with_200(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    let large = "x".repeat(64 * 1024 + 1);
    for (bytes, status) in [
        (large, 400),
        ("not XML".to_owned(), 400),
        (letter.clone().without("sign").xml(), 400),
        (letter.clone().with("total_fee", "1").xml(), 400),
        (letter.clone().with("total_fee", "1").signed().xml(), 409),
        (letter.with("out_trade_no", "1234567890").signed().xml(), 409),
    ] {
        attacker.notify(DEMO.mchid, bytes).await.refused(status);
    }
    world.expect_attention("amount_mismatch");
    world.expect_attention("unknown_payment");
    world.run_jobs().await;
}

async fn lesson_26_every_field_is_compared_with_the_order(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    for (name, value, reason) in [
        ("total_fee", "1", "amount_mismatch"),
        ("fee_type", "HKD", "currency_mismatch"),
        ("appid", OTHER.appid, "app_mismatch"),
        ("openid", "oSomebodyElse", "payer_mismatch"),
    ] {
        // Twice: a person has to look once.
        for _ in 0..2 {
            attacker.notify(DEMO.mchid, letter.clone().with(name, value).signed().xml()).await.refused(409);
        }
        world.expect_attention(reason);
        assert_eq!(world.order_state(&order).await, "open", "{reason}");
    }
    let counted = "SELECT COUNT(*) AS n FROM evidence WHERE verdict = 'quarantined' AND copies = 2";
    assert_eq!(world.number(counted).await, 4);
    // The answer to a query decides.
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    world.deliver().await;
    assert_eq!(world.sim.next_due(), None);
}

async fn a_forged_notification_changes_nothing(world: &mut World) {
    let (phone, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    let before = world.state().await;
    let guessed = ApiV2Key::parse("0".repeat(32)).unwrap();
    for forged in [
        letter.clone().signed_with(&guessed, SignType::HmacSha256),
        letter.clone().with("sign", &"0".repeat(64)),
        letter.clone().with("sign", &"A".repeat(1000)),
        letter.clone().with("total_fee", "1"),
        letter.clone().with("out_trade_no", "somebodyelses"),
        letter.clone().with("transaction_id", "4200000000"),
        letter.clone().with("extra", "1"),
        letter.clone().without("attach").without("bank_type"),
    ] {
        attacker.notify(DEMO.mchid, forged.xml()).await.refused(400);
    }
    let twice = letter.xml().replace("<total_fee>", "<total_fee>1</total_fee><total_fee>");
    attacker.notify(DEMO.mchid, twice).await.refused(400);
    assert!(world.state().await == before);
    assert_eq!(phone.see(&order).await["state"], "open");
}

async fn a_notification_of_an_unknown_order_is_kept_for_a_person(world: &mut World) {
    let (_, order) = waiting(world).await;
    let letter = world.letter(&order).await.with("out_trade_no", "made_elsewhere_1").signed();
    for _ in 0..3 {
        world.attacker().notify(DEMO.mchid, letter.xml()).await.refused(409);
    }
    assert_eq!(world.number("SELECT copies AS n FROM evidence WHERE reason = 'unknown_payment'").await, 3);
    world.expect_attention("unknown_payment");
}

async fn a_hundred_copies_at_once_are_one_transition_and_one_piece_of_evidence(world: &mut World) {
    for confirm_v2 in [true, false] {
        world.reconfigure(|shop| shop.confirm_v2 = confirm_v2).await;
        let (phone, order) = waiting(world).await;
        phone.pay(&order).await;
        let letter = world.letter(&order).await.xml();
        let mut copies = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (attacker, letter) = (world.attacker(), letter.clone());
            copies.spawn(async move { attacker.notify(DEMO.mchid, letter).await });
        }
        for reply in copies.join_all().await {
            reply.accepted();
        }
        assert_eq!(phone.see(&order).await["state"], if confirm_v2 { "open" } else { "paid" });
        assert_eq!(world.run_jobs().await, usize::from(confirm_v2));
        assert_eq!(phone.see(&order).await["state"], "paid");
        let number = world.out_trade_no(&order).await;
        const COPIES: &str = "SELECT copies FROM evidence WHERE source = 'notification' AND out_trade_no = $1";
        let rows = world.rows(COPIES, zhanggui::params![number]).await;
        assert_eq!((rows.len(), rows[0].int("copies").unwrap()), (1, 100));
        world.deliver().await;
    }
}

async fn a_copy_after_everything_is_settled_is_answered_and_counted(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    world.settle().await;
    let letter = world.letter(&order).await.xml();
    for _ in 0..3 {
        world.attacker().notify(DEMO.mchid, letter.clone()).await.accepted();
    }
    assert_eq!(world.run_jobs().await, 0, "there is nothing left to ask");
    assert_eq!(phone.see(&order).await["paid_at"], "2026-01-22T06:30:00Z");
}

async fn what_is_spoiled_on_its_way_is_repeated_and_taken(world: &mut World) {
    for (fault, attempts) in [
        (FaultKind::Unsigned, 2),
        (FaultKind::WrongSignature, 2),
        (FaultKind::TamperedAmount, 2),
        (FaultKind::Lost, 2),
        (FaultKind::Twice, 2),
        (FaultKind::Delay(15), 1),
    ] {
        let (phone, order) = waiting(world).await;
        phone.pay(&order).await;
        world.sim.inject(Fault::on(NOTIFICATION, fault.clone()));
        world.settle().await;
        assert_eq!(phone.see(&order).await["state"] == "paid", fault == FaultKind::Twice, "{fault:?}");
        world.clock.advance_s(15);
        world.settle().await;
        assert_eq!(phone.see(&order).await["state"], "paid", "{fault:?}");
        let number = world.out_trade_no(&order).await;
        let ledger = world.sim.ledger();
        assert_eq!(ledger.payment(&number).unwrap().attempts.len(), attempts, "{fault:?}");
        assert_eq!(world.sim.next_due(), None, "{fault:?}");
    }
}

async fn external_entities_and_entity_bombs_are_refused_unread(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter(&order).await);
    let before = world.state().await;
    let bomb = (1..10).map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)));
    let bomb = format!("<!DOCTYPE xml [<!ENTITY e0 \"x\">{}]>", bomb.collect::<String>());
    let outside = "<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>";
    let remote = format!("<!DOCTYPE xml SYSTEM \"{}/evil.dtd\">", world.sim.base_url());
    for (doctype, entity) in [(bomb.as_str(), "&e9;"), (outside, "&e;"), (remote.as_str(), "x")] {
        let body = letter.clone().xml().replace("<xml>", &format!("{doctype}<xml><attach>{entity}</attach>"));
        attacker.notify(DEMO.mchid, body).await.refused(400);
    }
    let nested = format!("<xml>{}", "<a>".repeat(10_000));
    attacker.notify(DEMO.mchid, nested).await.refused(400);
    assert!(world.state().await == before);
    assert!(world.calls("/evil.dtd").is_empty());
}
