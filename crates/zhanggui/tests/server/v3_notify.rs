//! What may come in at the callback address in API v3, and what must not be believed.

use weixin::{Fen, OutTradeNo};
use weixin_simulator::KeyMode;
use zhanggui::config::Api;

use crate::support::{DEMO, OTHER, Phone, Signer, World, on_both_databases};

on_both_databases!(
    lesson_05_forged_stale_and_unsigned_notifications_change_nothing,
    lesson_12_a_body_that_was_changed_on_the_way_is_refused,
    a_good_signature_with_other_facts_goes_into_quarantine,
    another_merchants_authentic_notification_is_refused,
    lesson_13_a_thousand_forged_callbacks_cause_at_most_one_download,
    a_hundred_copies_are_one_transition_and_one_row,
    broken_json_under_a_good_signature_crashes_nothing,
    a_version_whose_keys_are_missing_is_not_acknowledged,
);

/// An order that waits for its customer, by API v3.
async fn waiting(world: &mut World) -> (Phone, String) {
    world.reconfigure(|shop| shop.api = Api::V3).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.press(&order).await.json(200);
    (phone, order)
}

async fn lesson_05_forged_stale_and_unsigned_notifications_change_nothing(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let good = letter.signed_by(Signer::PublicKey);
    let before = world.state().await;
    let forged = [
        letter.signed_by(Signer::Stranger),
        letter.signed_by(Signer::Unknown),
        letter.clone().signed_at(-301).signed_by(Signer::PublicKey),
        letter.clone().signed_at(301).signed_by(Signer::PublicKey),
        good.clone().with_header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc"),
        good.clone().with_header("Wechatpay-Signature", "not base64!"),
        good.clone().with_header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"),
        good.clone().with_header("Wechatpay-Nonce", "another"),
        good.clone().with_header("Wechatpay-Timestamp", "soon"),
        good.clone().with_header("Wechatpay-Serial", "3FA4E0000000000000000000000000000000DE30"),
        good.clone().without_header("Wechatpay-Timestamp"),
        good.clone().without_header("Wechatpay-Nonce"),
        good.clone().without_header("Wechatpay-Serial"),
        good.clone().without_header("Wechatpay-Signature"),
    ];
    for letter in forged {
        attacker.notify_v3(DEMO.mchid, &letter).await.refused(401);
        assert_eq!(world.state().await, before, "{:?}", letter.headers);
    }
    let bare = crate::support::SealedLetter { headers: Vec::new(), body: good.body };
    attacker.notify_v3(DEMO.mchid, &bare).await.refused(401);
    assert_eq!(world.state().await, before);
}

async fn lesson_12_a_body_that_was_changed_on_the_way_is_refused(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let good = letter.signed_by(Signer::PublicKey);
    let reserialised: serde_json::Value = serde_json::from_str(&good.body).unwrap();
    let before = world.state().await;
    for body in [
        serde_json::to_string_pretty(&reserialised).unwrap(),
        format!("{}\n", good.body),
        format!(" {}", good.body),
        good.body.replace("TRANSACTION.SUCCESS", "TRANSACTION.SUCCESs"),
        good.body[..good.body.len() - 1].to_owned(),
        String::new(),
    ] {
        attacker.notify_v3(DEMO.mchid, &good.clone().with_body(body)).await.refused(401);
        assert_eq!(world.state().await, before);
    }
    // Flipped ciphertext under a good signature: the tag does not fit.
    let mut envelope = reserialised;
    let ciphertext = envelope["resource"]["ciphertext"].as_str().unwrap().to_owned();
    let first = if ciphertext.starts_with('A') { "B" } else { "A" };
    envelope["resource"]["ciphertext"] = format!("{first}{}", &ciphertext[1..]).into();
    let flipped = letter.signed_body(Signer::PublicKey, envelope.to_string());
    attacker.notify_v3(DEMO.mchid, &flipped).await.refused(400);
    assert_eq!(world.state().await, before);
}

async fn a_good_signature_with_other_facts_goes_into_quarantine(world: &mut World) {
    let (phone, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let wrong = [
        letter.clone().telling(|told| told.total = Some(Fen::new(1))),
        letter.clone().telling(|told| told.appid = OTHER.appid()),
        letter.clone().telling(|told| told.openid = Some(weixin::OpenId::parse("somebody-else").unwrap())),
        letter.clone().telling(|told| told.currency = Some("USD".to_owned())),
        letter.clone().telling(|told| told.transaction_id = None),
        letter.clone().telling(|told| told.out_trade_no = OutTradeNo::parse("unknown-number").unwrap()),
    ];
    for letter in wrong {
        attacker.notify_v3(DEMO.mchid, &letter.signed_by(Signer::PublicKey)).await.refused(409);
        assert_eq!(phone.see(&order).await["state"], "open");
    }
    for reason in
        ["amount_mismatch", "app_mismatch", "payer_mismatch", "currency_mismatch", "incomplete", "unknown_payment"]
    {
        world.expect_attention(reason);
    }
    // The query decides: WeChat says that nothing was paid.
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["state"], "open");
}

async fn another_merchants_authentic_notification_is_refused(world: &mut World) {
    let (phone, order) = waiting(world).await;
    let letter = world.letter_v3(&order).await.telling(|told| told.mchid = OTHER.mchid());
    world.attacker().notify_v3(DEMO.mchid, &letter.signed_by(Signer::PublicKey)).await.refused(400);
    // And ours at the address of somebody whom this server does not know.
    let ours = world.letter_v3(&order).await.signed_by(Signer::PublicKey);
    world.attacker().notify_v3(OTHER.mchid, &ours).await.refused(404);
    assert_eq!(phone.see(&order).await["state"], "open");
}

async fn lesson_13_a_thousand_forged_callbacks_cause_at_most_one_download(world: &mut World) {
    world.sim.set_key_mode(&DEMO.mchid(), KeyMode::Both).unwrap();
    let (phone, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let forged = letter.signed_by(Signer::Unknown);
    let mut callbacks = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (attacker, forged) = (attacker.clone(), forged.clone());
        callbacks.spawn(async move { attacker.notify_v3(DEMO.mchid, &forged).await.refused(401) });
    }
    callbacks.join_all().await;
    assert!(world.calls("/v3/certificates").len() <= 1);
    // The true keys still work.
    for key in [Signer::PublicKey, Signer::Certificate] {
        let told = letter.clone().telling(|told| told.total = Some(Fen::new(1)));
        attacker.notify_v3(DEMO.mchid, &told.signed_by(key)).await.refused(409);
    }
    world.expect_attention("amount_mismatch");
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn a_hundred_copies_are_one_transition_and_one_row(world: &mut World) {
    let (phone, order) = waiting(world).await;
    phone.pay(&order).await;
    let letter = world.letter_v3(&order).await.signed_by(Signer::PublicKey);
    let attacker = world.attacker();
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (attacker, letter) = (attacker.clone(), letter.clone());
        copies.spawn(async move { attacker.notify_v3(DEMO.mchid, &letter).await.accepted_v3() });
    }
    copies.join_all().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    let rows = world.rows("SELECT copies FROM evidence WHERE source = 'notification'", &[]).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].int("copies").unwrap(), 100);
    // WeChat's own delivery finds it paid already.
    world.settle().await;
}

async fn broken_json_under_a_good_signature_crashes_nothing(world: &mut World) {
    let (_, order) = waiting(world).await;
    let (attacker, letter) = (world.attacker(), world.letter_v3(&order).await);
    let before = world.state().await;
    let deep = format!("{}{}", "[".repeat(100_000 / 4), "]".repeat(100_000 / 4));
    for body in ["", "{", "null", "[]", "{}", "\"text\"", r#"{"id":1}"#, &deep] {
        attacker.notify_v3(DEMO.mchid, &letter.signed_body(Signer::PublicKey, body.to_owned())).await.refused(400);
    }
    let plain = serde_json::to_string(&letter.transaction).unwrap();
    let doubled = plain.replacen('{', r#"{"trade_state":"SUCCESS","trade_state":"NOTPAY","#, 1);
    for plaintext in [
        "",
        "{}",
        &plain[..100],
        &doubled,
        &plain.replace("\"total\":12800", "\"total\":\"12800\""),
        &plain.replace("\"total\":12800", "\"total\":128.5"),
        &plain.replace("\"mchid\":\"1600000001\"", "\"mchid\":1600000001"),
    ] {
        attacker.notify_v3(DEMO.mchid, &letter.signed_plaintext(Signer::PublicKey, plaintext)).await.refused(400);
    }
    assert_eq!(world.state().await, before);
}

async fn a_version_whose_keys_are_missing_is_not_acknowledged(world: &mut World) {
    let (phone, order) = waiting(world).await;
    let letter = world.letter_v3(&order).await.signed_by(Signer::PublicKey);
    world.reconfigure(|shop| shop.with_other = true).await;
    // The other merchant has keys of API v2 only.
    world.attacker().notify_v3(OTHER.mchid, &letter).await.refused(503);
    let phone = Phone { http: world.node().http.clone(), ..phone };
    assert_eq!(phone.see(&order).await["state"], "open");
}
