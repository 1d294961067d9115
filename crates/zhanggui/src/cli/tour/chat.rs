//! The second half of the story: a customer writes, and somebody answers.

use serde_json::json;
use weixin::mini_program::custom_send;
use weixin_simulator::{DEMO_APPID, Direction, Exchange, Fault, FaultKind, PUSH, Speaker};

use super::{
    Report, Stage,
    stage::Customer,
    story::{Ending, expect, expect_answer, step},
};

/// Tells the story until a step without which it cannot go on has gone wrong.
pub(super) async fn tell(stage: &Stage, report: &mut Report) {
    let mei = step!(
        report,
        stage,
        "Mei writes in the chat: the message is written down and goes on to WeChat's own agents",
        forwarded(stage).await
    );
    step!(
        report,
        stage,
        "WeChat pushes a message twice: both times it gets the same bytes, and it is one message",
        twice(stage, &mei).await
    );
    let conversation = step!(
        report,
        stage,
        "The desk takes the conversation: Mei's next message stays here",
        taken(stage, &mei).await
    );
    step!(
        report,
        stage,
        "The desk answers; WeChat takes four more until Mei writes again",
        answered(stage, &mei, &conversation).await
    );
    step!(
        report,
        stage,
        "The desk posts the same reply again over a weak link: nothing is sent",
        posted_again(stage, &mei, &conversation).await
    );
    step!(
        report,
        stage,
        "WeChat's answer to a reply is lost: it is unknown, and never sent again by itself",
        unknown(stage, &mei, &conversation).await
    );
    step!(
        report,
        stage,
        "The desk hands Mei back: the next message goes to WeChat's agents again",
        handed_back(stage, &mei, &conversation).await
    );
    step!(
        report,
        stage,
        "What Mei has seen and what the server believes agree",
        agree(stage, &mei, &conversation).await
    );
}

/// How many messages WeChat's agents have got.
fn with_agents(stage: &Stage, mei: &Customer) -> usize {
    stage.ledger().conversation(mei.openid()).map_or(0, |entry| entry.forwarded.len())
}

/// What Mei has read from the server.
fn read_by(mei: &Customer) -> Vec<String> {
    let from_server = mei.phone().chat().into_iter().filter(|line| line.by == Speaker::Server);
    from_server.filter_map(|line| line.text().map(str::to_owned)).collect()
}

async fn write(stage: &Stage, mei: &Customer, text: &str) -> Result<(), String> {
    mei.phone().send_text(text);
    let pushed = stage.let_wechat_notify().await?;
    expect(pushed == 1, || format!("{pushed} pushes"))
}

async fn forwarded(stage: &Stage) -> Ending<Customer> {
    let mei = stage.customer("Mei")?;
    write(stage, &mei, "你好，我的咖啡到哪里了？").await?;
    expect(with_agents(stage, &mei) == 1, || "the agents have nothing".to_owned())?;
    Ok(("the agents' tool shows it; without the server's answer it would show nothing".to_owned(), mei))
}

async fn twice(stage: &Stage, mei: &Customer) -> Ending<()> {
    let before = stage.wire_since(0).last().map_or(0, |exchange| exchange.sequence);
    stage.simulator.inject(Fault::on(PUSH, FaultKind::Twice));
    write(stage, mei, "在吗？").await?;
    let pushed = |exchange: &&Exchange| {
        exchange.direction == Direction::FromWechat && exchange.path.contains(&format!("/wechat/push/{DEMO_APPID}"))
    };
    let wire = stage.wire_since(before);
    let answers: Vec<&str> = wire.iter().filter(pushed).map(|exchange| exchange.answer.as_str()).collect();
    expect(answers.len() == 2 && answers[0] == answers[1], || format!("answers {answers:?}"))?;
    expect(with_agents(stage, mei) == 2, || format!("the agents have {}", with_agents(stage, mei)))?;
    Ok((format!("{} bytes, twice", answers[0].len()), ()))
}

async fn taken(stage: &Stage, mei: &Customer) -> Ending<String> {
    let list = stage.desk("GET", "/v1/conversations", None).await?;
    expect_answer(&list, 200)?;
    let id = list.body["conversations"][0]["id"].as_str().unwrap_or_default().to_owned();
    let handed =
        stage.desk("POST", &format!("/v1/conversations/{id}/handler"), Some(json!({ "handler": "desk" }))).await?;
    expect_answer(&handed, 200)?;
    write(stage, mei, "我想改地址").await?;
    expect(with_agents(stage, mei) == 2, || "it was forwarded".to_owned())?;
    let shown = stage.desk("GET", &format!("/v1/conversations/{id}"), None).await?;
    expect(shown.body["unread"] == 1, || format!("unread {}", shown.body["unread"]))?;
    Ok((format!("{id}: one unread, waiting since {}", shown.text("waiting_since")), id))
}

async fn reply(stage: &Stage, id: &str, client_id: &str, text: &str) -> Result<super::stage::Answer, String> {
    let body = json!({ "client_id": client_id, "type": "text", "text": text });
    stage.desk("POST", &format!("/v1/conversations/{id}/messages"), Some(body)).await
}

async fn answered(stage: &Stage, mei: &Customer, id: &str) -> Ending<()> {
    let answer = reply(stage, id, "reply-1", "好的，请告诉我新地址。").await?;
    expect_answer(&answer, 201)?;
    expect(answer.text("state") == "sent", || format!("state {}", answer.text("state")))?;
    expect(read_by(mei) == ["好的，请告诉我新地址。"], || format!("Mei reads {:?}", read_by(mei)))?;
    let shown = stage.desk("GET", &format!("/v1/conversations/{id}"), None).await?;
    let left = &shown.body["reply_allowance"]["left"];
    expect(*left == 4, || format!("{left} replies left"))?;
    Ok((format!("Mei reads it; {left} replies left"), ()))
}

async fn posted_again(stage: &Stage, mei: &Customer, id: &str) -> Ending<()> {
    let calls = |stage: &Stage| {
        stage.wire_since(0).iter().filter(|exchange| exchange.path.starts_with(custom_send::PATH)).count()
    };
    let before = calls(stage);
    let answer = reply(stage, id, "reply-1", "好的，请告诉我新地址。").await?;
    expect_answer(&answer, 200)?;
    expect(calls(stage) == before && read_by(mei).len() == 1, || "it was sent again".to_owned())?;
    Ok((format!("the same reply: {}", answer.text("id")), ()))
}

async fn unknown(stage: &Stage, mei: &Customer, id: &str) -> Ending<()> {
    stage.simulator.inject(Fault::on(custom_send::PATH, FaultKind::NoAnswerAfter));
    let answer = reply(stage, id, "reply-2", "已为您修改。").await?;
    expect_answer(&answer, 201)?;
    expect(answer.text("state") == "unknown", || format!("state {}", answer.text("state")))?;
    let again = reply(stage, id, "reply-2", "已为您修改。").await?;
    expect(again.text("state") == "unknown" && read_by(mei).len() == 2, || format!("Mei reads {:?}", read_by(mei)))?;
    Ok(("Mei has read it once; a person decides whether to say it again".to_owned(), ()))
}

async fn handed_back(stage: &Stage, mei: &Customer, id: &str) -> Ending<()> {
    let handed =
        stage.desk("POST", &format!("/v1/conversations/{id}/handler"), Some(json!({ "handler": "wechat" }))).await?;
    expect_answer(&handed, 200)?;
    write(stage, mei, "谢谢！").await?;
    expect(with_agents(stage, mei) == 3, || "the agents do not have it".to_owned())?;
    Ok(("forwarding exists only as the answer to a message, so it holds from the next one on".to_owned(), ()))
}

async fn agree(stage: &Stage, mei: &Customer, id: &str) -> Ending<()> {
    let page = stage.desk("GET", &format!("/v1/conversations/{id}/messages"), None).await?;
    let messages = page.body["messages"].as_array().cloned().unwrap_or_default();
    let count = |direction: &str| messages.iter().filter(|message| message["direction"] == direction).count();
    let ledger = stage.ledger();
    let entry = ledger.conversation(mei.openid()).ok_or("WeChat knows no conversation")?;
    expect(count("in") == entry.messages.len(), || {
        format!("{} here, {} at WeChat", count("in"), entry.messages.len())
    })?;
    expect(count("out") == entry.sent.len(), || format!("{} here, {} at WeChat", count("out"), entry.sent.len()))?;
    expect(entry.failures() == 0, || format!("Mei saw {} failures", entry.failures()))?;
    Ok((format!("{} messages of Mei, {} replies, no failure in the chat", count("in"), count("out")), ()))
}
