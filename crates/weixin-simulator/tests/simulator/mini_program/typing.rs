//! Typing: only shortly after a message, not twice, and ended by a message.

use serde_json::json;

use super::{call, errcode, text};
use crate::support::Stage;

const PATHS: [&str; 2] = ["/cgi-bin/message/custom/business/typing", "/cgi-bin/message/custom/typing"];

async fn typing(stage: &Stage, path: &str, command: &str) -> i64 {
    errcode(&call(stage, path, json!({ "touser": stage.li.openid(), "command": command })).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_refused_at_the_wrong_time() {
    for path in PATHS {
        let stage = Stage::new().await;
        assert_eq!(typing(&stage, path, "Typing").await, 45015, "no window");
        stage.li.enter_session("");
        assert_eq!(typing(&stage, path, "Typing").await, 45080, "nothing was said");
        stage.li.send_text("有人吗");
        assert_eq!(typing(&stage, path, "typing").await, 45072);
        stage.advance_s(30);
        assert_eq!(typing(&stage, path, "Typing").await, 0);
        assert!(stage.li.sees_typing());
        stage.advance_s(14);
        assert_eq!(typing(&stage, path, "Typing").await, 45081);
        stage.advance_s(1);
        assert!(!stage.li.sees_typing());
        assert_eq!(typing(&stage, path, "Typing").await, 45080, "45 seconds after the message");
        let stranger = json!({ "touser": "oNobody", "command": "Typing" });
        assert_eq!(errcode(&call(&stage, path, stranger).await), 40003);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_or_the_command_ends_typing_and_the_allowance_stays() {
    let stage = Stage::new().await;
    stage.li.send_text("有人吗");
    assert_eq!(typing(&stage, PATHS[0], "Typing").await, 0);
    assert_eq!(typing(&stage, PATHS[0], "CancelTyping").await, 0);
    assert!(!stage.li.sees_typing());
    assert_eq!(typing(&stage, PATHS[0], "Typing").await, 0);
    call(&stage, "/cgi-bin/message/custom/send", text(&stage, "您好")).await;
    assert!(!stage.li.sees_typing());
    assert_eq!(typing(&stage, PATHS[0], "Typing").await, 0, "again, after a message");
    let ledger = stage.sim.ledger();
    assert_eq!(ledger.conversation(stage.li.openid()).unwrap().allowance.left, 4);
}
