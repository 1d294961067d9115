//! The same seed gives the same bytes, and the state outlives the process.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use weixin_simulator::{DEMO_APPID, NotificationState, Options, Simulator, StartError};

use crate::support::{Merchant, Stage, options, session_path, start_time};

/// Everything that went over the wire in a short story. The port is the only thing that may differ.
async fn story(seed: u64, crowd: bool) -> Vec<(String, String, String)> {
    let stage = Stage::with(options(seed)).await;
    let code = stage.li.login();
    stage.get(&session_path(code.as_str())).await;
    if crowd {
        // Others act at the same time; what Li gets does not change.
        let wang = stage.sim.phone(&crate::support::appid(), "wang").unwrap();
        stage.get(&session_path(wang.login().as_str())).await;
        stage.prepay(stage.order("OTHER00001")).await;
    }
    stage.paid(stage.order("ORD000001")).await;
    stage.sim.deliver_due().await;
    stage.query("ORD000001").await;
    let ours = stage
        .sim
        .wire()
        .into_iter()
        .filter(|exchange| exchange.path.contains(code.as_str()) || exchange.request.contains("ORD000001"));
    ours.map(|exchange| (exchange.path, exchange.request, exchange.answer)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_bytes() {
    let first = story(42, false).await;
    assert_eq!(first.len(), 4);
    assert_eq!(first, story(42, false).await);
    assert_ne!(first, story(43, false).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_changes_nobody_elses_values() {
    assert_eq!(story(42, false).await, story(42, true).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_file_carries_everything_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let with_file = || Options { state_file: Some(path.clone()), ..options(1) };
    let merchant = Merchant::bad();

    let stage = Stage::with(with_file()).await;
    let code = stage.li.login();
    stage.advance_s(60);
    let mut order = stage.order("ORD000001");
    order.set("notify_url", merchant.url.as_str());
    stage.paid(order).await;
    stage.sim.deliver_due().await;
    let open = stage.prepay(stage.order("OPEN000001")).await;
    let before = stage.sim.ledger();
    stage.sim.shutdown().await;

    let stage = Stage::with(with_file()).await;
    assert_eq!(stage.sim.ledger(), before);
    assert_eq!(stage.get(&session_path(code.as_str())).await.json()["openid"], stage.li.openid().as_str());
    stage.advance_s(15);
    assert_eq!(stage.sim.deliver_due().await, 1, "the repeat is still due");
    stage.pay(&open).unwrap();
    assert_eq!(stage.sim.now().duration_since(start_time()).as_secs(), 75);
    let ledger = stage.sim.ledger();
    assert!(matches!(ledger.payment("OPEN000001").unwrap().notification, Some(NotificationState::Pending { .. })));
}

#[tokio::test]
async fn what_a_request_changes_while_the_simulator_stops_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let with_file = || Options { state_file: Some(directory.path().join("state.json")), ..options(1) };
    let stage = Stage::with(with_file()).await;
    let body = format!(r#"{{"appid":"{DEMO_APPID}","customer":"the last one"}}"#);
    let mut stream = TcpStream::connect(stage.sim.base_url().strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /_sim/wx/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100", "the request is under way");
    let ((), sent) = tokio::join!(stage.sim.shutdown(), stream.write_all(body.as_bytes()));
    sent.unwrap();

    let stage = Stage::with(with_file()).await;
    let status = stage.get_json("/_sim/status").await;
    assert!(status["customers"].to_string().contains("the last one"), "{status}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_state_file_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let stage = Stage::with(Options { state_file: Some(path.clone()), ..options(1) }).await;
    stage.sim.shutdown().await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_state_file_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    std::fs::write(&path, "{").unwrap();
    let refused = Simulator::start(Options { state_file: Some(path.clone()), ..options(1) }).await;
    assert!(matches!(refused, Err(StartError::State(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"{");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Simulator::start(Options { listen: address.parse().unwrap(), ..options(1) }).await;
        assert!(matches!(refused, Err(StartError::NotLoopback(_))), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_with_its_address() {
    let stage = Stage::new().await;
    let listen = stage.sim.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    let refused = Simulator::start(Options { listen, ..options(1) }).await.unwrap_err();
    assert!(refused.to_string().starts_with(&format!("{listen} is in use by another program; ")), "{refused}");
}
