//! Which key signs an answer, the headers around it, and probes.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use weixin::pay::v3::{KeyId, SignatureHeaders, VerifyError};
use weixin_simulator::{
    DEMO_PLATFORM_CERTIFICATE_2_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_ID, Fault, FaultKind, KeyMode,
    Rotation,
};

use crate::{
    support::{Stage, options},
    v3::{JSAPI, platform, query_path, refusal},
};

fn first() -> String {
    platform(DEMO_PLATFORM_CERTIFICATE_PEM).serial_no.to_string()
}

fn second() -> String {
    platform(DEMO_PLATFORM_CERTIFICATE_2_PEM).serial_no.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_headers_of_real_ones() {
    let stage = Stage::new().await;
    let reply = stage.place_v3(&stage.order_v3("ORD000001")).await;
    for (name, value) in [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Server", "nginx"),
        ("Cache-Control", "no-cache, must-revalidate"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Language", "zh-CN"),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    let id = reply.header("Request-ID").unwrap();
    assert!(id.starts_with("08") && id.ends_with("-0") && id.len() == 46, "{id}");
    let nonce = reply.header("Wechatpay-Nonce").unwrap();
    assert!(nonce.len() == 32 && nonce.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{nonce}");
    assert_eq!(reply.header("Wechatpay-Signature").unwrap().len(), 344);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_the_request_names_signs_the_answer() {
    let stage = Stage::new().await;
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let path = query_path("ORD000001");
    let (first, second) = (first(), second());
    let public = DEMO_PUBLIC_KEY_ID;
    // Mode, rotation, what is asked for, who signs (or nobody).
    let cases = [
        (KeyMode::PublicKey, Rotation::FirstOnly, None, Some(public)),
        (KeyMode::PublicKey, Rotation::FirstOnly, Some(public), Some(public)),
        (KeyMode::PublicKey, Rotation::FirstOnly, Some(first.as_str()), None),
        (KeyMode::Certificates, Rotation::FirstOnly, None, Some(first.as_str())),
        (KeyMode::Certificates, Rotation::FirstOnly, Some(first.as_str()), Some(first.as_str())),
        (KeyMode::Certificates, Rotation::FirstOnly, Some(second.as_str()), None),
        (KeyMode::Certificates, Rotation::FirstOnly, Some(public), None),
        (KeyMode::Both, Rotation::FirstOnly, None, Some(first.as_str())),
        (KeyMode::Both, Rotation::FirstOnly, Some(public), Some(public)),
        (KeyMode::Both, Rotation::FirstOnly, Some("PUB_KEY_ID_0100000000000000000000000000000000"), None),
        (KeyMode::Both, Rotation::FirstOnly, Some("nonsense"), None),
        (KeyMode::Certificates, Rotation::BothPublished, None, Some(first.as_str())),
        (KeyMode::Certificates, Rotation::BothPublished, Some(second.as_str()), Some(second.as_str())),
        (KeyMode::Certificates, Rotation::SecondSigns, None, Some(second.as_str())),
        (KeyMode::Certificates, Rotation::SecondSigns, Some(first.as_str()), Some(first.as_str())),
        (KeyMode::Certificates, Rotation::SecondOnly, None, Some(second.as_str())),
        (KeyMode::Certificates, Rotation::SecondOnly, Some(first.as_str()), None),
    ];
    for (key_mode, rotation, asked, expected) in cases {
        stage.key_mode(key_mode);
        stage.sim.set_rotation(rotation);
        let reply = match asked {
            Some(serial) => stage.v3_with_serial("GET", &path, "", serial).await,
            None => stage.v3("GET", &path, "").await,
        };
        let case = format!("{key_mode:?} {rotation:?} {asked:?}");
        match expected {
            Some(expected) => assert_eq!(stage.verify(&reply).as_deref(), Ok(expected), "{case}"),
            None => {
                let (status, code, message, _) = refusal(&reply);
                let expected = (400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误");
                assert_eq!((status, code.as_str(), message.as_str()), expected, "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_without_its_leading_zero_means_the_same_certificate() {
    let stage = Stage::new().await;
    stage.key_mode(KeyMode::Certificates);
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let serial = first().trim_start_matches('0').to_ascii_lowercase();
    assert_eq!(serial.len(), 39);
    let reply = stage.v3_with_serial("GET", &query_path("ORD000001"), "", &serial).await;
    assert_eq!(stage.verify(&reply), Ok(first()));
    assert_eq!(reply.header("Wechatpay-Serial").unwrap().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_takes_effect_and_its_repeat_is_never_one() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(JSAPI, FaultKind::Probe).times(2));
    let order = stage.order_v3("ORD000001");
    let reply = stage.place_v3(&order).await;
    assert_eq!(stage.verify(&reply), Err(VerifyError::Probe));
    assert!(stage.sim.ledger().payment("ORD000001").is_some());
    stage.good(&stage.place_v3(&order).await);
    // The second one waits for another request.
    let reply = stage.place_v3(&stage.order_v3("ORD000002")).await;
    assert_eq!(stage.verify(&reply), Err(VerifyError::Probe));
    assert!(stage.sim.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_decides_which_answers_are_probes() {
    let story = async |seed: u64| {
        let stage = Stage::with(options(seed)).await;
        stage.sim.set_probe_per_mille(300);
        let (mut probes, mut base64) = (BTreeSet::new(), 0);
        for number in 0..60 {
            stage.advance_s(1);
            let order = stage.order_v3(&format!("ORD{number:06}"));
            let reply = stage.place_v3(&order).await;
            assert_eq!(reply.status, 200);
            if stage.verify(&reply) == Err(VerifyError::Probe) {
                probes.insert(number);
                base64 += usize::from(STANDARD.decode(reply.header("Wechatpay-Signature").unwrap()).is_ok());
                assert!(stage.sim.wire().last().unwrap().note.as_deref() == Some("probe"));
                stage.good(&stage.place_v3(&order).await);
            }
        }
        assert!((6..30).contains(&probes.len()), "{probes:?}");
        assert!((1..probes.len()).contains(&base64), "{base64} of {}", probes.len());
        probes
    };
    let first = story(7).await;
    assert_eq!(first, story(7).await);
    assert_ne!(first, story(8).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_can_be_probed_but_no_refusal_is() {
    let stage = Stage::new().await;
    stage.sim.set_probe_per_mille(1000);
    let reply = stage.v3("GET", &query_path("ORD000001"), "").await;
    assert_eq!(refusal(&reply).1, "ORDER_NOT_EXIST");
    let reply = stage.place_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(stage.verify(&reply), Err(VerifyError::Probe));
    let headers = SignatureHeaders::read(|name| reply.header(name)).unwrap();
    assert_eq!(KeyId::parse(&headers.serial).unwrap().as_str(), DEMO_PUBLIC_KEY_ID);
    stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(stage.verify(&stage.place_v3(&stage.order_v3("ORD000001")).await), Err(VerifyError::Probe));
}
