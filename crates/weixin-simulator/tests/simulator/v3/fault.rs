//! What can go wrong with answers of API v3 when the simulator is told to.

use weixin::pay::v3::{Code, VerifyError};
use weixin_simulator::{Fault, FaultKind};

use crate::{
    support::{Reply, Stage},
    v3::{JSAPI, code, query_path, refusal},
};

async fn place(stage: &Stage, number: &str, kind: FaultKind) -> Reply {
    stage.sim.inject(Fault::on(JSAPI, kind));
    stage.place_v3(&stage.order_v3(number)).await
}

fn exists(stage: &Stage, number: &str) -> bool {
    stage.sim.ledger().payment(number).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_come_unsigned_wrong_stale_or_from_a_stranger() {
    let stage = Stage::new().await;
    let unknown = VerifyError::UnknownKey { serial: "6FA4E000000000000000000000000000000000FF".to_owned() };
    for (number, kind, expected) in [
        ("ORD000001", FaultKind::Unsigned, VerifyError::MissingHeader("Wechatpay-Timestamp")),
        ("ORD000002", FaultKind::WrongSignature, VerifyError::Mismatch),
        ("ORD000003", FaultKind::Stale, VerifyError::Untimely { skew_s: 600 }),
        ("ORD000004", FaultKind::UnknownSerial, unknown),
        ("ORD000005", FaultKind::Probe, VerifyError::Probe),
    ] {
        let reply = place(&stage, number, kind.clone()).await;
        assert_eq!((reply.status, stage.verify(&reply)), (200, Err(expected)), "{kind:?}");
        assert!(exists(&stage, number), "it took effect");
        stage.prepay_v3(&stage.order_v3(number)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_trouble_answers_pages_and_nothing_happens() {
    let stage = Stage::new().await;
    for (kind, status) in
        [(FaultKind::Status(502), 502), (FaultKind::Html, 200), (FaultKind::Empty, 200), (FaultKind::NoAnswerBefore, 0)]
    {
        let reply = place(&stage, "ORD000001", kind.clone()).await;
        assert_eq!(reply.status, status, "{kind:?}");
        assert!(stage.verify(&reply).is_err() && !exists(&stage, "ORD000001"), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_lost_cut_or_slow_after_the_effect() {
    let stage = Stage::new().await;
    for (number, kind, status) in [
        ("ORD000001", FaultKind::NoAnswerAfter, 0),
        ("ORD000002", FaultKind::HalfAnswer, 200),
        ("ORD000003", FaultKind::Hang(20), 200),
    ] {
        let reply = place(&stage, number, kind.clone()).await;
        assert_eq!(reply.status, status, "{kind:?}");
        assert_eq!(stage.verify(&reply).is_ok(), kind == FaultKind::Hang(20), "{kind:?}");
        assert!(exists(&stage, number), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_code_can_be_provoked() {
    let stage = Stage::new().await;
    for known in Code::ALL {
        let told = FaultKind::V3Error { status: 400, code: known.as_str().to_owned() };
        let reply = place(&stage, "ORD000001", told).await;
        assert_eq!(code(&reply), (400, known.as_str().to_owned()));
    }
    // Old spellings stay as they are told.
    let told = FaultKind::V3Error { status: 429, code: "RATELIMITEXCEEDED".to_owned() };
    assert_eq!(code(&place(&stage, "ORD000001", told).await), (429, "RATELIMITEXCEEDED".to_owned()));
    assert!(!exists(&stage, "ORD000001"));
    let told = FaultKind::V3ErrorAfter { status: 500, code: "SYSTEM_ERROR".to_owned() };
    assert_eq!(code(&place(&stage, "ORD000001", told).await), (500, "SYSTEM_ERROR".to_owned()));
    assert!(exists(&stage, "ORD000001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_code_does_not_hide_a_wrong_signature() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(JSAPI, FaultKind::V3Error { status: 500, code: "SYSTEM_ERROR".to_owned() }));
    let reply = stage.send("POST", JSAPI, &[], "{}").await;
    assert_eq!(code(&reply), (401, "SIGN_ERROR".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_a_number_is_named_by_its_pattern_or_its_number() {
    let stage = Stage::new().await;
    let error = || FaultKind::V3Error { status: 429, code: "FREQUENCY_LIMITED".to_owned() };
    stage.sim.inject(Fault::on("/v3/pay/transactions/out-trade-no/{out_trade_no}", error()));
    stage.sim.inject(Fault::on("/v3/pay/transactions/out-trade-no/ORD000002", error()));
    let ask = async |number: &str| stage.v3("GET", &query_path(number), "").await;
    let limited = ask("ORD000001").await;
    assert_eq!((limited.status, refusal(&limited).3.as_deref()), (429, Some("268447840")));
    assert_eq!(ask("ORD000001").await.status, 404);
    assert_eq!(ask("ORD000002").await.status, 429);
    assert!(stage.sim.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_bytes() {
    let story = async |seed: u64| {
        let stage = Stage::with(crate::support::options(seed)).await;
        stage.paid_v3(&stage.order_v3("ORD000001")).await;
        stage.sim.deliver_due().await;
        stage.query_v3("ORD000001").await;
        let wire = stage.sim.wire().into_iter();
        wire.map(|exchange| {
            let headers = exchange.headers.into_iter().filter(|(name, _)| name != "host");
            (exchange.request, exchange.answer, exchange.answer_headers, headers.collect::<Vec<_>>())
        })
        .collect::<Vec<_>>()
    };
    let first = story(42).await;
    assert_eq!(first.len(), 3);
    assert_eq!(first, story(42).await);
    assert_ne!(first, story(43).await);
}
