//! The faults of all endpoints strike these, too.

use weixin_simulator::{Fault, FaultKind};

use super::{text, token_of};
use crate::support::{Reply, Stage};

const PATH: &str = "/cgi-bin/message/custom/send";

async fn struck(stage: &Stage, kind: FaultKind) -> Reply {
    let path = format!("{PATH}?access_token={}", token_of(stage, weixin_simulator::DEMO_APPID).await);
    stage.sim.inject(Fault::on(PATH, kind));
    let body = text(stage, "您好").to_string();
    stage.http("POST", &path, &[("Content-Type", "application/json")], body.as_bytes()).await
}

fn sent(stage: &Stage) -> usize {
    stage.sim.ledger().conversation(stage.li.openid()).unwrap().sent.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_no_effect_and_what_does() {
    let stage = Stage::new().await;
    stage.li.send_text("有人吗");
    assert_eq!(struck(&stage, FaultKind::Errcode(-1)).await.json()["errcode"], -1);
    assert_eq!(struck(&stage, FaultKind::Status(502)).await.status, 502);
    assert!(struck(&stage, FaultKind::Html).await.body.starts_with(b"<html>"));
    assert!(struck(&stage, FaultKind::Empty).await.body.is_empty());
    assert_eq!(struck(&stage, FaultKind::NoAnswerBefore).await.status, 0);
    assert_eq!(sent(&stage), 0);
    assert_eq!(struck(&stage, FaultKind::NoAnswerAfter).await.status, 0);
    assert_eq!(sent(&stage), 1, "delivered, though nobody was told");
    assert!(serde_json::from_slice::<serde_json::Value>(&struck(&stage, FaultKind::HalfAnswer).await.body).is_err());
    assert_eq!(struck(&stage, FaultKind::Hang(1)).await.json()["errcode"], 0);
    assert_eq!(sent(&stage), 3);
}
