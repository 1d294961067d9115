//! Which keys are trusted, and when certificates are downloaded.

use std::{collections::BTreeSet, sync::Arc};

use weixin::{
    ApiV3Key,
    pay::v3::{
        SignatureHeaders, VerifyError,
        certificates::{self as page, CertificatesError},
    },
};
use weixin_client::{CallErrorV3, Hosts, PayV3Client, Refreshed, Unreadable};

use crate::{
    fixture::{assert_silent, transport},
    fixture_v3::{NOW_S, Signer, VECTORS, certificates, certificates_sealed, merchant_with_certificates, reply, text},
    peer::{Peer, Received, Reply},
    shop_v3::{BOTH, CLOSE, Download, HOUR, NOT_FOUND, NOW, Shop, unknown},
};

#[tokio::test]
async fn the_first_call_of_a_merchant_with_certificates_gets_them_first() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&BOTH);
    shop.close().await.unwrap();
    shop.close().await.unwrap();
    let paths: Vec<_> = shop.peer.received().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, [page::PATH, CLOSE, CLOSE]);
    assert_eq!(shop.peer.received()[0].header("wechatpay-serial"), None);
    assert_eq!(shop.merchant.trust.answer_key(), None);
    assert_eq!(shop.trusted(), [shop.platform_1(), shop.platform_2()].map(|signer| signer.id.to_string()).into());
}

#[tokio::test]
async fn certificates_made_with_other_peoples_software_are_trusted() {
    let shop = Shop::with_certificates();
    let case = &VECTORS["certificates_response"];
    assert_eq!(case["now"], NOW_S);
    let headers = case["headers"].as_object().unwrap();
    let headers = SignatureHeaders::read(|name| headers.get(name).and_then(|value| value.as_str())).unwrap();
    shop.gives(move |_| reply("200 OK", Some(&headers), text(case, "body")));
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Replaced { certificates: 2 });
    let serials = case["expect_serials"].as_array().unwrap().iter().map(|serial| serial.as_str().unwrap().to_owned());
    assert_eq!(shop.trusted(), serials.collect());
}

#[tokio::test]
async fn calls_that_come_together_download_once() {
    let shop = Arc::new(Shop::with_certificates());
    shop.gives_certificates(&["PLATFORM_1"]);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let shop = Arc::clone(&shop);
                async move { shop.close().await }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((shop.downloads(), shop.calls()), (1, 8));
}

#[tokio::test]
async fn without_any_key_nothing_is_sent_and_the_reason_is_shared_for_a_while() {
    let shop = Arc::new(Shop::with_certificates());
    let calls: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let shop = Arc::clone(&shop);
                async move { shop.close().await }
            })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let CallErrorV3::NoKeys(cause) = &error else { panic!("{error:?}") };
        assert!(matches!(**cause, CallErrorV3::NoAnswer(_)), "{error:?}");
        assert!(error.outcome_is_unknown(), "it may have been sent earlier");
        assert_silent(&error);
    }
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.clock.advance_s(29);
    shop.close().await.unwrap_err();
    assert_eq!((shop.downloads(), shop.calls()), (1, 0));
    shop.clock.advance_s(1);
    shop.close().await.unwrap();
    assert_eq!((shop.downloads(), shop.calls()), (2, 1));
}

#[tokio::test]
async fn a_refused_download_is_not_taken_for_a_refusal_of_the_call() {
    let shop = Shop::with_certificates();
    shop.gives(|_| reply("404 Not Found", None, NOT_FOUND));
    let error = shop.close().await.unwrap_err();
    let CallErrorV3::NoKeys(cause) = &error else { panic!("{error:?}") };
    assert!(matches!(**cause, CallErrorV3::Refused { status: 404, .. }), "{error:?}");
    assert!(error.outcome_is_unknown());
    shop.clock.advance_s(30);
    let error = shop.refresh(HOUR).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::Refused { status: 404, .. }), "without a public key it is wrong: {error:?}");
}

#[tokio::test]
async fn certificates_that_nobody_proves_are_not_trusted() {
    let other_key = ApiV3Key::parse("00000000000000000000000000000000").unwrap();
    let sealed_otherwise = certificates_sealed(&BOTH, &other_key);
    let shop = Shop::with_certificates();
    shop.gives(move |signer| signer.reply(&sealed_otherwise));
    let error = shop.refresh(NOW).await.unwrap_err();
    let why = |error: &CallErrorV3| {
        matches!(error, CallErrorV3::Unreadable(Unreadable::Certificates(CertificatesError::Sealed(_))))
    };
    assert!(why(&error), "the wrong APIv3 key has a name: {error:?}");
    assert_silent(&error);

    // Sealed with our key, but signed by somebody else under a name in it, or under his own.
    let serial = shop.platform_1().id.to_string();
    let strangers =
        [(serial, VerifyError::Mismatch), ("AB".to_owned(), VerifyError::UnknownKey { serial: "AB".to_owned() })];
    for (name, expected) in strangers {
        let mut headers = Signer::stranger(&name, &shop.clock).headers(certificates(&BOTH).as_bytes());
        headers.serial = name;
        shop.gives(move |_| reply("200 OK", Some(&headers), certificates(&BOTH)));
        let error = shop.refresh(NOW).await.unwrap_err();
        assert!(matches!(&error, CallErrorV3::NotAuthentic(why) if *why == expected), "{error:?}");
    }
    shop.gives(|_| reply("200 OK", None, certificates(&BOTH)));
    let error = shop.refresh(NOW).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::NotAuthentic(VerifyError::MissingHeader(_))), "{error:?}");
    assert!(shop.trusted().is_empty());
}

#[tokio::test]
async fn an_old_download_is_not_trusted() {
    let shop = Shop::with_certificates();
    let headers = shop.platform_1().headers(certificates(&BOTH).as_bytes());
    shop.gives(move |_| reply("200 OK", Some(&headers), certificates(&BOTH)));
    shop.clock.advance_s(301);
    let error = shop.refresh(NOW).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::NotAuthentic(VerifyError::Untimely { skew_s: 301 })), "{error:?}");
    assert!(shop.trusted().is_empty());
}

#[tokio::test]
async fn certificates_out_of_their_dates_are_not_added() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&BOTH);
    // The second certificate begins on the first of March, 2026.
    shop.clock.advance_s(-40 * 86_400);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Replaced { certificates: 1 });
    assert_eq!(shop.trusted(), [shop.platform_1().id.to_string()].into());
    // Twenty-five years later all have ended; what was trusted stays, rather than nothing.
    shop.clock.advance_s(25 * 365 * 86_400);
    let error = shop.refresh(HOUR).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::Unreadable(Unreadable::NoCertificate)), "{error:?}");
    assert_eq!(shop.trusted().len(), 1);
}

#[tokio::test]
async fn a_scheduled_refresh_asks_when_the_last_good_answer_is_old_enough() {
    let shop = Shop::with_certificates();
    shop.refresh(HOUR).await.unwrap_err();
    shop.gives_certificates(&["PLATFORM_1"]);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Replaced { certificates: 1 }, "a failure does not count");
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Fresh);
    shop.clock.advance_s(3599);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Fresh);
    assert_eq!(shop.downloads(), 2);
    shop.gives_certificates(&BOTH);
    shop.clock.advance_s(1);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Replaced { certificates: 2 });
    shop.clock.advance_s(-10);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Replaced { certificates: 2 }, "the clock was set back");
    let nonces: BTreeSet<_> =
        shop.peer.received().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(nonces.len(), 4, "no question is like another");
}

#[tokio::test]
async fn an_answer_under_a_new_certificate_is_believed_after_one_download() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.close().await.unwrap();
    shop.clock.advance_s(300);
    // WeChat rotates: calls are signed by the new one, the list still by the old one.
    let old = shop.platform_1();
    shop.gives(move |_| old.reply(certificates(&BOTH)));
    shop.signs(shop.platform_2());
    shop.close().await.unwrap();
    assert_eq!((shop.downloads(), shop.calls()), (2, 2), "the request is not repeated");
    shop.callback(&shop.platform_1()).await.unwrap();
}

#[tokio::test]
async fn a_list_signed_by_a_certificate_that_only_it_contains_is_believed() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.refresh(NOW).await.unwrap();
    shop.signs(shop.platform_2());
    shop.gives_certificates(&["PLATFORM_2"]);
    shop.refresh(NOW).await.unwrap();
    assert_eq!(shop.trusted(), [shop.platform_2().id.to_string()].into(), "WeChat no longer names the old one");
    // A known name with a wrong signature does not get that chance.
    let stranger = Signer::stranger(shop.platform_2().id.as_str(), &shop.clock);
    shop.signs(stranger);
    shop.gives_certificates(&BOTH);
    let error = shop.refresh(NOW).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::NotAuthentic(VerifyError::Mismatch)), "{error:?}");
    assert_eq!(shop.trusted().len(), 1);
}

#[tokio::test]
async fn lesson_13_an_unknown_serial_keeps_the_old_set_until_the_new_one_is_whole() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.refresh(NOW).await.unwrap();
    let before = shop.trusted();
    let broken = certificates(&BOTH).replace("6F1E", "6F1F");
    let other_key = ApiV3Key::parse("00000000000000000000000000000000").unwrap();
    let sealed_otherwise = certificates_sealed(&BOTH, &other_key);
    let bad: [Download; 12] = [
        Box::new(|_| Reply::Close),
        Box::new(|_| Reply::status("502 Bad Gateway")),
        Box::new(|_| Reply::text("<html>")),
        Box::new(|_| reply("404 Not Found", None, NOT_FOUND)),
        Box::new(|_| reply("202 Accepted", None, "")),
        Box::new(|_| Reply::half(&certificates(&BOTH))),
        Box::new(|_| reply("200 OK", None, certificates(&BOTH))),
        Box::new(|signer| signer.reply(r#"{"data":[]}"#)),
        Box::new(|signer| signer.reply("{}")),
        Box::new(move |signer| signer.reply(&broken)),
        Box::new(move |signer| signer.reply(&sealed_otherwise)),
        Box::new(|signer| reply("200 OK", Some(&signer.headers(b"")), certificates(&BOTH))),
    ];
    for (number, bad) in (1..).zip(bad) {
        *shop.download.lock().unwrap() = Some(bad);
        shop.clock.advance_s(300);
        let forger = shop.forger(number);
        assert_eq!(shop.callback(&forger).await, unknown(&forger), "{number}");
        shop.refresh(NOW).await.unwrap_err();
        assert_eq!(shop.downloads(), 1 + 2 * number, "{number}");
        assert_eq!(shop.trusted(), before, "{number}");
        shop.callback(&shop.platform_1()).await.unwrap();
        shop.close().await.unwrap();
    }
}

#[tokio::test]
async fn lesson_15_a_merchant_without_platform_certificates_starts_and_works_with_the_public_key() {
    let shop = Shop::with_public_key();
    shop.gives(|_| reply("404 Not Found", None, NOT_FOUND));
    shop.close().await.unwrap();
    shop.callback(&Signer::public_key(&shop.clock)).await.unwrap();
    assert_eq!(shop.downloads(), 0, "nobody needs them");
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::NoCertificates);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::NoCertificates);
    // Remembered, longer than the pause between downloads on demand.
    for number in 1..9 {
        shop.clock.advance_s(400);
        shop.callback(&shop.forger(number)).await.unwrap_err();
    }
    assert_eq!(shop.downloads(), 1);
    shop.clock.advance_s(400);
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::NoCertificates);
    assert_eq!(shop.downloads(), 2);
    assert_eq!(shop.trusted(), [Signer::public_key(&shop.clock).id.to_string()].into());
    shop.close().await.unwrap();
}

#[tokio::test]
async fn lesson_15_certificates_and_public_key_work_side_by_side() {
    let shop = Shop::with_public_key();
    shop.gives_certificates(&BOTH);
    let public = Signer::public_key(&shop.clock);
    assert_eq!(shop.merchant.trust.answer_key(), Some(public.id.clone()));
    // The first callback under a certificate brings the certificates.
    shop.callback(&shop.platform_1()).await.unwrap();
    assert_eq!(shop.refresh(HOUR).await.unwrap(), Refreshed::Fresh);
    assert_eq!(shop.downloads(), 1);
    for signer in [Signer::platform_1, Signer::platform_2, Signer::public_key] {
        shop.callback(&signer(&shop.clock)).await.unwrap();
        shop.signs(signer(&shop.clock));
        shop.close().await.unwrap();
    }
    assert_eq!(shop.trusted().len(), 3);
    for request in shop.peer.received() {
        assert_eq!(request.header("wechatpay-serial"), Some(public.id.as_str()), "on every request");
    }
    // Should WeChat one day have no certificates any more, an unsigned word does not take them away.
    shop.gives(|_| reply("404 Not Found", None, ""));
    assert_eq!(shop.refresh(NOW).await.unwrap(), Refreshed::NoCertificates);
    assert_eq!(shop.trusted().len(), 3);
}

#[tokio::test]
async fn merchants_do_not_wait_for_each_other_and_do_not_share_trust() {
    let shop = Shop::with_certificates();
    shop.gives_certificates(&["PLATFORM_1"]);
    shop.close().await.unwrap();
    let other = merchant_with_certificates();
    assert!(other.trust.current().is_empty());
    let answer = |_: &Received| Reply::status("500 Oops");
    let away = Peer::start(answer);
    let client = PayV3Client::new(transport(), Hosts::new(&away.url(), None).unwrap(), shop.clock.clock());
    client.refresh(&other, NOW).await.unwrap_err();
    shop.clock.advance_s(300);
    shop.callback(&shop.forger(1)).await.unwrap_err();
    assert_eq!((shop.downloads(), away.count(page::PATH)), (2, 1));
}
