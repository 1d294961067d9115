//! Callbacks of API v3: what is believed, and what strangers can cause.

use std::sync::{Arc, Mutex, mpsc};

use weixin::pay::v3::{PROBE_PREFIX, SignatureHeaders, VerifyError};
use weixin_client::{CallErrorV3, Refreshed};

use crate::{
    events,
    fixture_v3::{NOW_S, Signer, VECTORS, certificates, reply, text},
    shop_v3::{BOTH, CALLBACK, HOUR, NOT_FOUND, NOW, Shop, unknown},
};

#[tokio::test]
async fn lesson_13_a_thousand_forged_callbacks_cause_one_download() {
    for wechat_is_there in [true, false] {
        let shop = Arc::new(Shop::with_certificates());
        shop.gives_certificates(&["PLATFORM_1"]);
        shop.close().await.unwrap();
        shop.clock.advance_s(300);
        if !wechat_is_there {
            shop.is_away();
        }
        let headers = Arc::new(shop.forger(1).headers(CALLBACK));
        let forged = |number: usize| {
            let serial = format!("{number:040X}");
            let (shop, headers) =
                (Arc::clone(&shop), SignatureHeaders { serial: serial.clone(), ..(*headers).clone() });
            async move {
                let result = shop.client.verify_callback(&shop.merchant, &headers, CALLBACK).await.map(drop);
                assert_eq!(result, Err(VerifyError::UnknownKey { serial }));
            }
        };
        let together: Vec<_> = (1..=500).map(|number| tokio::spawn(forged(number))).collect();
        for callback in together {
            callback.await.unwrap();
        }
        for number in 501..=1000 {
            forged(number).await;
        }
        assert_eq!(shop.downloads(), 2, "the first one was wanted");
        shop.callback(&shop.platform_1()).await.unwrap();
        shop.clock.advance_s(299);
        shop.callback(&shop.forger(1)).await.unwrap_err();
        assert_eq!(shop.downloads(), 2);
        shop.clock.advance_s(1);
        shop.callback(&shop.forger(1)).await.unwrap_err();
        assert_eq!(shop.downloads(), 3);
    }
}

#[tokio::test]
async fn callbacks_under_a_new_certificate_wait_for_one_download_together() {
    let shop = Arc::new(Shop::with_certificates());
    shop.gives_certificates(&BOTH);
    let together: Vec<_> = (0..8)
        .map(|_| {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.callback(&shop.platform_2()).await })
        })
        .collect();
    for callback in together {
        callback.await.unwrap().unwrap();
    }
    assert_eq!(shop.downloads(), 1);
}

#[tokio::test]
async fn lesson_13_forged_callbacks_do_not_keep_a_merchant_from_its_first_certificates() {
    let shop = Shop::with_certificates();
    shop.callback(&shop.forger(1)).await.unwrap_err();
    assert_eq!(shop.downloads(), 1);
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.clock.advance_s(30);
    shop.close().await.unwrap();
}

#[tokio::test]
async fn a_download_goes_on_when_the_one_who_caused_it_goes_away() {
    let shop = Shop::with_certificates();
    let (arrived, has_arrived) = tokio::sync::oneshot::channel();
    let (go, gate) = mpsc::channel::<()>();
    let arrived = Mutex::new(Some(arrived));
    shop.gives(move |signer| {
        if let Some(arrived) = arrived.lock().unwrap().take() {
            arrived.send(()).unwrap();
            gate.recv().unwrap();
        }
        signer.reply(certificates(&["PLATFORM_1"]))
    });
    let (client, merchant, headers) = (shop.client.clone(), shop.merchant.clone(), shop.platform_1().headers(CALLBACK));
    let callback = tokio::spawn(async move { client.verify_callback(&merchant, &headers, CALLBACK).await.map(drop) });
    has_arrived.await.unwrap();
    callback.abort();
    assert!(callback.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Fresh, "it waited for the download");
    shop.callback(&shop.platform_1()).await.unwrap();
    assert_eq!(shop.downloads(), 1);
}

#[tokio::test]
async fn a_public_key_that_is_not_configured_is_not_downloaded_but_told() {
    events::record();
    let shop = Shop::with_certificates();
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.close().await.unwrap();
    shop.clock.advance_s(300);
    let public = Signer::public_key(&shop.clock);
    shop.signs(Signer::public_key(&shop.clock));
    let error = shop.close().await.unwrap_err();
    let CallErrorV3::NotAuthentic(why) = error else { panic!("{error:?}") };
    assert_eq!(Err(why), unknown(&public));
    for _ in 0..9 {
        assert_eq!(shop.callback(&public).await, unknown(&public));
    }
    let odd = SignatureHeaders { serial: "PUB_KEY_ID_x\n".to_owned(), ..public.headers(CALLBACK) };
    shop.client.verify_callback(&shop.merchant, &odd, CALLBACK).await.unwrap_err();
    assert_eq!(shop.downloads(), 1);
    let log = events::recorded();
    assert_eq!(log.matches("WARN").count(), 1, "strangers can cause it, too: {log}");
    assert!(log.contains(public.id.as_str()), "{log}");
    shop.clock.advance_s(300);
    shop.callback(&public).await.unwrap_err();
    assert_eq!(events::recorded().matches("WARN").count(), 1);
}

#[tokio::test]
async fn lesson_14_probes_wake_nobody_up() {
    events::record();
    let shop = Shop::with_public_key();
    let mut headers = Signer::public_key(&shop.clock).headers(CALLBACK);
    headers.signature = format!("{PROBE_PREFIX}{}", headers.signature);
    for _ in 0..2 {
        let result = shop.client.verify_callback(&shop.merchant, &headers, CALLBACK).await;
        assert_eq!(result.map(drop), Err(VerifyError::Probe));
    }
    // The list of certificates can be a probe, too.
    let mut probes = 1;
    let once = Mutex::new(move || std::mem::replace(&mut probes, 0) == 1);
    shop.gives(move |signer| {
        let mut headers = signer.headers(certificates(&BOTH).as_bytes());
        if once.lock().unwrap()() {
            headers.signature = format!("{PROBE_PREFIX}AAAA");
        }
        reply("200 OK", Some(&headers), certificates(&BOTH))
    });
    assert_eq!(shop.refresh(NOW).await.unwrap(), Refreshed::Replaced { certificates: 2 });
    assert_eq!(shop.downloads(), 2);
    let log = events::recorded();
    assert_eq!(
        (log.matches("INFO").count(), log.matches("WARN").count(), log.matches("ERROR").count()),
        (3, 0, 0),
        "{log}"
    );
}

#[tokio::test]
async fn lesson_05_callbacks_are_verified_and_fresh() {
    for case in VECTORS["callbacks"].as_array().unwrap() {
        let shop = Shop::with_public_key();
        let known: &[&str] = if case["trusted_keys"].as_array().unwrap().len() == 3 { &BOTH } else { &["PLATFORM_1"] };
        // The platform signs the list at the moment of the callback.
        shop.clock.advance_s(case["now"].as_i64().unwrap() - NOW_S);
        shop.gives_certificates(known);
        shop.refresh(NOW).await.unwrap();
        let headers = case["headers"].as_object().unwrap();
        let headers = SignatureHeaders::read(|name| headers.get(name).and_then(|value| value.as_str())).unwrap();
        let body = text(case, "body").as_bytes();
        let verified = shop.client.verify_callback(&shop.merchant, &headers, body).await;
        assert_eq!(verified.is_ok(), case["expect"] == "ok", "{}", case["name"]);
        if let Ok(verified) = verified {
            assert_eq!(verified.into_inner(), body);
            shop.clock.advance_s(301);
            let replayed = shop.client.verify_callback(&shop.merchant, &headers, body).await;
            assert!(matches!(replayed, Err(VerifyError::Untimely { .. })), "{}", case["name"]);
        }
        assert_eq!(shop.downloads(), 1);
    }
}

#[tokio::test]
async fn lesson_05_a_callback_signed_by_nobody_known_is_refused() {
    let shop = Shop::with_public_key();
    shop.gives(|_| reply("404 Not Found", None, NOT_FOUND));
    let public = Signer::public_key(&shop.clock);
    // The merchant's own certificate is none of WeChat's.
    let own = Signer::stranger(shop.merchant.credential.serial_no.as_str(), &shop.clock);
    assert_eq!(shop.callback(&own).await, unknown(&own));
    let forged = Signer::stranger(public.id.as_str(), &shop.clock);
    assert_eq!(shop.callback(&forged).await, Err(VerifyError::Mismatch));
    for serial in ["", "0", "xyz", "-", "PUB_KEY_ID_"] {
        let headers = SignatureHeaders { serial: serial.to_owned(), ..public.headers(CALLBACK) };
        let result = shop.client.verify_callback(&shop.merchant, &headers, CALLBACK).await;
        assert!(matches!(result, Err(VerifyError::UnknownKey { .. })), "{serial}");
    }
    assert_eq!(shop.downloads(), 1, "once for what looks like a certificate");
}

#[tokio::test]
async fn lesson_12_a_callback_is_verified_over_the_raw_bytes() {
    let shop = Shop::with_public_key();
    let headers = Signer::public_key(&shop.clock).headers(CALLBACK);
    let reserialised = serde_json::from_slice::<serde_json::Value>(CALLBACK).unwrap().to_string();
    assert_eq!(reserialised.as_bytes(), CALLBACK, "by chance the same, so a blank is added");
    for changed in [format!("{reserialised}\n"), reserialised.replace(':', ": "), r#"{"id":"\u638c\u67dc"}"#.to_owned()]
    {
        let result = shop.client.verify_callback(&shop.merchant, &headers, changed.as_bytes()).await;
        assert_eq!(result.map(drop), Err(VerifyError::Mismatch), "{changed}");
    }
}
