//! Telling the merchant by API v3: verified and opened with `weixin::pay::v3`, as the merchant's server would.

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    Verified,
    pay::v3::{
        SignatureHeaders, VerifyError,
        notification::{self, Event, Notification, NotificationError},
        verify,
    },
};
use weixin_simulator::{
    DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_ID, Fault, FaultKind, KeyMode, MerchantV3Setup, NOTIFICATION,
    NotificationState,
};

use crate::{
    support::{Merchant, Received, Stage, http_answer, mchid, start_time},
    v3::{platform, trusted, v3_key},
};

pub(crate) fn header<'a>(received: &'a Received, name: &str) -> Option<&'a str> {
    received.original_head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

pub(crate) fn verified(received: &Received, now: Timestamp) -> Result<Verified<&[u8]>, VerifyError> {
    let headers = SignatureHeaders::read(|name| header(received, name))?;
    verify(&headers, &received.body, &trusted(), now)
}

pub(crate) fn opened(received: &Received, now: Timestamp) -> Result<Verified<Notification>, NotificationError> {
    notification::read(verified(received, now).unwrap(), &mchid(), &v3_key())
}

fn envelope(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

async fn paid_at(stage: &Stage, number: &str, merchant: &Merchant) {
    let mut order = stage.order_v3(number);
    order["notify_url"] = merchant.url.as_str().into();
    stage.paid_v3(&order).await;
}

fn state(stage: &Stage, number: &str) -> NotificationState {
    stage.sim.ledger().payment(number).unwrap().notification.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_is_told_in_json_signed_and_sealed() {
    let (stage, merchant) = (Stage::new().await, Merchant::answering([Some(http_answer("204 No Content", ""))]));
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    order["attach"] = "shop=7".into();
    stage.paid_v3(&order).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    let received = &merchant.received()[0];
    for (name, value) in [
        ("Content-Type", "application/json"),
        ("Accept", "*/*"),
        ("User-Agent", "Mozilla/4.0"),
        ("Pragma", "no-cache"),
        ("Wechatpay-Serial", DEMO_PUBLIC_KEY_ID),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
    ] {
        assert_eq!(header(received, name), Some(value));
    }
    assert_eq!(header(received, "Wechatpay-Nonce").unwrap().len(), 32);
    let body = envelope(received);
    assert_eq!(
        (&body["event_type"], &body["resource_type"]),
        (&"TRANSACTION.SUCCESS".into(), &"encrypt-resource".into())
    );
    assert_eq!((&body["summary"], &body["create_time"]), (&"支付成功".into(), &"2026-01-22T14:30:01+08:00".into()));
    assert_eq!(body["id"].as_str().unwrap().len(), 36);
    let told = opened(received, stage.sim.now()).unwrap();
    let Event::Paid(paid) = &told.event else { panic!("{told:?}") };
    assert_eq!((paid.total.unwrap().get(), paid.success_time), (3000, Some(start_time())));
    assert_eq!((paid.openid.as_ref(), paid.attach.as_ref().unwrap().as_str()), (Some(stage.li.openid()), "shop=7"));
    assert_eq!(state(&stage, "ORD000001"), NotificationState::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_2xx_is_enough_and_nothing_else() {
    let stage = Stage::new().await;
    for (index, (status, accepted)) in [
        ("200 OK", true),
        ("201 Created", true),
        ("204 No Content", true),
        ("302 Found", false),
        ("400 Bad Request", false),
        ("500 Internal Server Error", false),
    ]
    .into_iter()
    .enumerate()
    {
        let merchant = Merchant::answering([Some(http_answer(status, ""))]);
        let number = format!("ORD{index:06}");
        paid_at(&stage, &number, &merchant).await;
        stage.sim.deliver_due().await;
        assert_eq!(state(&stage, &number) == NotificationState::Accepted, accepted, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_signed_anew_and_says_the_same() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    paid_at(&stage, "ORD000001", &merchant).await;
    let mut attempts = stage.sim.deliver_due().await;
    for pause_s in weixin::pay::v2::notification::RETRY_PAUSES_S {
        stage.advance_s(i64::from(pause_s) - 1);
        assert_eq!(stage.sim.deliver_due().await, 0, "too early");
        stage.advance_s(1);
        attempts += stage.sim.deliver_due().await;
        let received = merchant.received();
        let (last, before) = (&received[received.len() - 1], &received[received.len() - 2]);
        let now = opened(last, stage.sim.now()).unwrap();
        let then = opened(before, stage.sim.now() - jiff::SignedDuration::from_secs(i64::from(pause_s))).unwrap();
        assert_eq!(*now, *then, "the id, too");
        for name in ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"] {
            assert_ne!(header(last, name), header(before, name), "{name}");
        }
    }
    assert_eq!(attempts, 16);
    assert_eq!(state(&stage, "ORD000001"), NotificationState::GivenUp);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_mode_decides_who_signs_and_both_take_turns() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let serial = platform(DEMO_PLATFORM_CERTIFICATE_PEM).serial_no.to_string();
    let (certificate, public) = (serial.as_str(), DEMO_PUBLIC_KEY_ID);
    let mut expected = Vec::new();
    for (key_mode, signers) in [
        (KeyMode::Certificates, [certificate, certificate]),
        (KeyMode::PublicKey, [public, public]),
        (KeyMode::Both, [certificate, public]),
    ] {
        stage.key_mode(key_mode);
        for signer in signers {
            paid_at(&stage, &format!("ORD{:06}", expected.len()), &merchant).await;
            stage.sim.deliver_due().await;
            expected.push(signer);
        }
    }
    let received = merchant.received();
    let signers: Vec<_> = received.iter().map(|received| header(received, "Wechatpay-Serial").unwrap()).collect();
    assert_eq!(signers, expected);
    received.iter().for_each(|received| drop(opened(received, stage.sim.now()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_v3_key_nobody_is_told() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    paid_at(&stage, "ORD000001", &merchant).await;
    stage.sim.add_merchant_v3(&MerchantV3Setup { key: None, ..MerchantV3Setup::demo() });
    assert_eq!(stage.sim.deliver_due().await, 0);
    assert_eq!(state(&stage, "ORD000001"), NotificationState::NoApiV3Key);
    assert_eq!(stage.sim.next_due(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_can_be_lost_doubled_and_late() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    for kind in [FaultKind::Lost, FaultKind::Twice, FaultKind::Delay(40)] {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    paid_at(&stage, "LOST000001", &merchant).await;
    assert_eq!((stage.sim.deliver_due().await, merchant.received().len()), (1, 0));
    paid_at(&stage, "TWICE00001", &merchant).await;
    assert_eq!((stage.sim.deliver_due().await, merchant.received().len()), (1, 2));
    paid_at(&stage, "LATE000001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 0);
    stage.advance_s(40);
    assert_eq!(stage.sim.deliver_due().await, 2, "the lost one again and the late one");
    for received in merchant.received().iter().skip(2) {
        opened(received, stage.sim.now()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_forgery_is_noticed_and_the_true_one_comes_later() {
    let stage = Stage::new().await;
    let unknown = VerifyError::UnknownKey { serial: "6FA4E000000000000000000000000000000000FF".to_owned() };
    let cases = [
        (FaultKind::TamperedBody, VerifyError::Mismatch),
        (FaultKind::TamperedAmount, VerifyError::Mismatch),
        (FaultKind::WrongSignature, VerifyError::Mismatch),
        (FaultKind::Unsigned, VerifyError::MissingHeader("Wechatpay-Timestamp")),
        (FaultKind::Stale, VerifyError::Untimely { skew_s: 600 }),
        (FaultKind::UnknownSerial, unknown),
        (FaultKind::Probe, VerifyError::Probe),
    ];
    for (index, (kind, expected)) in cases.into_iter().enumerate() {
        let merchant = Merchant::bad();
        stage.sim.inject(Fault::on(NOTIFICATION, kind.clone()));
        paid_at(&stage, &format!("ORD{index:06}"), &merchant).await;
        stage.sim.deliver_due().await;
        let forged = merchant.received()[0].clone();
        assert_eq!(verified(&forged, stage.sim.now()).unwrap_err(), expected, "{kind:?}");
        stage.advance_s(15);
        stage.sim.deliver_due().await;
        let good = opened(&merchant.received()[1], stage.sim.now()).unwrap();
        assert_eq!(envelope(&forged)["id"], good.id.as_str());
    }
    assert!(stage.sim.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_properly_signed_notification_can_still_be_wrong() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    for kind in [FaultKind::WrongAmount, FaultKind::OtherMerchant, FaultKind::UnknownField] {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    paid_at(&stage, "ORD000001", &merchant).await;
    for pause_s in [0, 15, 15] {
        stage.advance_s(pause_s);
        stage.sim.deliver_due().await;
    }
    let (received, now) = (merchant.received(), stage.sim.now());
    assert_eq!(opened(&received[0], now).unwrap().paid().unwrap().total.unwrap().get(), 3001);
    assert_eq!(opened(&received[1], now).unwrap_err(), NotificationError::OtherMerchant);
    assert_eq!(opened(&received[2], now).unwrap().paid().unwrap().total.unwrap().get(), 3000);
    assert_eq!(envelope(&received[2])["zz_unknown_field"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_amounts_and_merchants_reach_api_v2_too() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    for kind in [FaultKind::WrongAmount, FaultKind::OtherMerchant, FaultKind::TamperedBody] {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    // Not for API v2: it waits.
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Stale));
    let mut order = stage.order("ORD000001");
    order.set("notify_url", merchant.url.as_str());
    stage.paid(order).await;
    for pause_s in [0, 15, 15, 30] {
        stage.advance_s(pause_s);
        stage.sim.deliver_due().await;
    }
    let seen = merchant.received().into_iter().map(|received| {
        let fields = received.fields();
        let (total, mchid) = (fields.get("total_fee").unwrap().to_owned(), fields.get("mch_id").unwrap().to_owned());
        let key = crate::support::key();
        (total, mchid, weixin::pay::v2::verify(fields, &key, weixin::pay::v2::SignType::Md5).is_ok())
    });
    let expected = [
        ("3001", "1600000001", true),
        ("3000", "1900000109", true),
        ("3001", "1600000001", false),
        ("3000", "1600000001", true),
    ];
    let expected = expected.map(|(total, mchid, good)| (total.to_owned(), mchid.to_owned(), good));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert_eq!(stage.sim.faults().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_come_by_chance_but_never_on_a_repeat() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    stage.sim.set_probe_per_mille(1000);
    // The answers are probed, too: the order is made without looking at them.
    let mut order = stage.order_v3("ORD000001");
    order["notify_url"] = merchant.url.as_str().into();
    let answer = stage.place_v3(&order).await.json();
    stage.pay_v3(&weixin::PrepayId::parse(answer["prepay_id"].as_str().unwrap()).unwrap()).unwrap();
    stage.sim.deliver_due().await;
    stage.advance_s(15);
    stage.sim.deliver_due().await;
    let received = merchant.received();
    assert_eq!(verified(&received[0], stage.sim.now()).unwrap_err(), VerifyError::Probe);
    opened(&received[1], stage.sim.now()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_shows_both_signatures() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    paid_at(&stage, "ORD000001", &merchant).await;
    stage.sim.deliver_due().await;
    let wire = stage.sim.wire();
    let named = |headers: &[(String, String)], name: &str| headers.iter().any(|(known, _)| known == name);
    assert!(named(&wire[0].headers, "authorization") && named(&wire[0].answer_headers, "Wechatpay-Signature"));
    assert!(named(&wire[0].answer_headers, "Request-ID"));
    assert!(named(&wire[1].headers, "Wechatpay-Signature") && wire[1].request.contains("ciphertext"));
    assert!(!format!("{wire:?}").contains("PRIVATE KEY"));
}
