//! What the simulator does wrong when it is told to.

use weixin::{
    pay::v2::{SignType, SignatureError, unified_order, verify},
    xml::Fields,
};
use weixin_simulator::{Fault, FaultKind};

use crate::{
    envelope::{failure, refusal},
    support::{Reply, Stage, key, session_path},
};

const PATH: &str = "/pay/unifiedorder";

async fn raw(stage: &Stage, number: &str) -> Reply {
    let message = weixin::pay::v2::signed(stage.order(number), &key(), SignType::Md5).to_xml();
    stage.http("POST", PATH, &[], message.as_bytes()).await
}

/// Whether the order of that number exists at WeChat.
fn exists(stage: &Stage, number: &str) -> bool {
    stage.sim.ledger().payment(number).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_trouble_answers_pages_and_nothing_happens() {
    let stage = Stage::new().await;
    for (kind, status) in [(FaultKind::Status(502), 502), (FaultKind::Html, 200), (FaultKind::Empty, 200)] {
        stage.sim.inject(Fault::on(PATH, kind.clone()));
        let answer = raw(&stage, "ORD000001").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body.is_empty(), kind == FaultKind::Empty);
        assert!(Fields::parse(&answer.body).is_err());
        assert!(!exists(&stage, "ORD000001"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_the_effect_open() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::NoAnswerBefore));
    stage.sim.inject(Fault::on(PATH, FaultKind::NoAnswerAfter));
    let answer = raw(&stage, "BEFORE0001").await;
    assert_eq!((answer.status, answer.body.len()), (0, 0));
    assert!(!exists(&stage, "BEFORE0001"));
    let answer = raw(&stage, "AFTER00001").await;
    assert_eq!((answer.status, answer.body.len()), (0, 0));
    assert!(exists(&stage, "AFTER00001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_shorter_than_it_says() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::HalfAnswer));
    let answer = raw(&stage, "ORD000001").await;
    assert_eq!(answer.status, 200);
    let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answer.body.len(), promised / 2);
    assert!(exists(&stage, "ORD000001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_can_be_missing_or_wrong() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::Unsigned));
    let answer = stage.unified(stage.order("ORD000001")).await;
    assert!(answer.get("prepay_id").is_some());
    assert_eq!(verify(answer, &key(), SignType::Md5).unwrap_err(), SignatureError::Missing);
    stage.sim.inject(Fault::on(PATH, FaultKind::WrongSignature));
    let answer = stage.unified(stage.order("ORD000001")).await;
    assert_eq!(verify(answer, &key(), SignType::Md5).unwrap_err(), SignatureError::Mismatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_code_can_be_provoked() {
    let stage = Stage::new().await;
    for code in unified_order::ERR_CODES {
        stage.sim.inject(Fault::on(PATH, FaultKind::ErrCode(code.as_str().to_owned())));
        assert_eq!(refusal(&stage.unified(stage.order("ORD000001")).await).0, code.as_str());
    }
    assert!(!exists(&stage, "ORD000001"));
    for code in weixin::mini_program::code2session::ERR_CODES {
        stage.sim.inject(Fault::on("/sns/jscode2session", FaultKind::Errcode(code.0)));
        assert_eq!(stage.get(&session_path("x")).await.json()["errcode"], code.0);
    }
    stage.sim.inject(Fault::on(PATH, FaultKind::Fail("系统繁忙，请稍后再试".to_owned())));
    assert_eq!(failure(&stage.unified(stage.order("ORD000001")).await), "系统繁忙，请稍后再试");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_systemerror_may_come_after_the_effect() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned())));
    assert_eq!(refusal(&stage.unified(stage.order("ORD000001")).await).0, "SYSTEMERROR");
    assert!(exists(&stage, "ORD000001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_code_does_not_hide_a_wrong_signature() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::ErrCode("SYSTEMERROR".to_owned())));
    let mut order = stage.order("ORD000001");
    order.set("sign", "wrong");
    let answer = stage.post_xml(PATH, order.to_xml().as_bytes()).await;
    assert_eq!(failure(&answer), "签名错误，请检查后再试");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_whole() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::Hang(20)));
    assert!(stage.unified(stage.order("ORD000001")).await.get("prepay_id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_can_be_forgotten() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::new(FaultKind::Html).times(5));
    stage.sim.clear_faults();
    stage.prepay(stage.order("ORD000001")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_shows_faults_and_hides_secrets() {
    let stage = Stage::new().await;
    stage.sim.inject(Fault::on(PATH, FaultKind::NoAnswerAfter));
    raw(&stage, "ORD000001").await;
    stage.get(&session_path(stage.li.login().as_str())).await;
    let wire = stage.sim.wire();
    assert_eq!(wire.iter().map(|exchange| exchange.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(wire[0].note.as_deref(), Some("fault: NoAnswerAfter"));
    assert_eq!(wire[0].status, None);
    assert!(wire[1].path.contains("secret=[redacted]"));
    assert!(wire[1].answer.contains(r#""session_key":"[redacted]""#), "{}", wire[1].answer);
    assert_eq!(stage.sim.wire_since(1).len(), 1);
    assert_eq!(*stage.sim.follow_wire().borrow(), 2);
}
