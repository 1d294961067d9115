//! WeChat's own agents: what they see, and who holds the session.

use weixin::push::{Format, Mode};
use weixin_simulator::{AgentError, Handover, SESSION_LAPSES_AFTER_S, Session, Speaker};

use super::{Reply, conversation, secure};
use crate::support::{Stage, appid};

fn texts(stage: &Stage) -> Vec<(String, Handover)> {
    let line = |line: weixin_simulator::AgentLine| {
        let text = match line.said {
            Some(weixin_simulator::Said::Text { content }) => content,
            other => format!("{other:?} {:?}", line.event),
        };
        (text, line.by)
    };
    stage.sim.agents(&appid()).unwrap().lines(stage.li.openid()).unwrap().into_iter().map(line).collect()
}

async fn say(stage: &Stage, text: &str) -> String {
    let msg_id = stage.li.send_text(text);
    stage.sim.deliver_due().await;
    msg_id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trap_with_push_on_agents_see_nothing() {
    let stage = Stage::new().await;
    say(&stage, "before").await;
    assert_eq!(texts(&stage), [("before".to_owned(), Handover::PushOff)]);
    stage.sim.agents(&appid()).unwrap().close(stage.li.openid()).unwrap();
    let server = super::Server::new([Reply::Success]);
    server.switch_on(&stage, Mode::Plain, Format::Xml).await;
    say(&stage, "after").await;
    assert_eq!(texts(&stage).len(), 1);
    assert!(stage.sim.agents(&appid()).unwrap().waiting().is_empty());
    assert_eq!(server.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_pushed_still_and_each_message_must_be_forwarded_again() {
    let (stage, server) = secure([Reply::Transfer, Reply::Success, Reply::Transfer]).await;
    for text in ["一", "二", "三"] {
        say(&stage, text).await;
    }
    assert_eq!(server.received().len(), 3);
    assert_eq!(texts(&stage), [("一".to_owned(), Handover::Forwarded), ("三".to_owned(), Handover::Forwarded)]);
    let waiting = stage.sim.agents(&appid()).unwrap().waiting();
    assert_eq!((waiting.len(), &waiting[0].openid), (1, stage.li.openid()));
    assert_eq!(waiting[0].since, crate::support::start_time());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_session_is_not_pushed_until_it_is_closed() {
    let (stage, server) = secure([Reply::Transfer]).await;
    let (agents, li) = (stage.sim.agents(&appid()).unwrap(), stage.li.openid());
    assert_eq!(agents.take(li, "xiaowang"), Err(AgentError::NotWaiting));
    say(&stage, "一").await;
    agents.take(li, "xiaowang").unwrap();
    say(&stage, "二").await;
    agents.answer(li, "您好").unwrap();
    assert_eq!(server.received().len(), 1);
    assert_eq!(texts(&stage)[1], ("二".to_owned(), Handover::InSession));
    assert_eq!(stage.li.chat()[2].by, Speaker::Agent("xiaowang".to_owned()));
    agents.close(li).unwrap();
    assert_eq!(agents.answer(li, "再见"), Err(AgentError::NotTaken));
    say(&stage, "三").await;
    assert_eq!(server.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_closes_ends_after_half_an_hour() {
    let (stage, server) = secure([Reply::Transfer]).await;
    let (agents, li) = (stage.sim.agents(&appid()).unwrap(), stage.li.openid());
    say(&stage, "一").await;
    agents.take(li, "xiaowang").unwrap();
    stage.advance_s(SESSION_LAPSES_AFTER_S);
    say(&stage, "二").await;
    assert_eq!(server.received().len(), 1, "the last moment is the agent's");
    stage.advance_s(1);
    assert_eq!(conversation(&stage).session, Session::Nobody);
    say(&stage, "三").await;
    assert_eq!(server.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_to_an_agent_waits_for_that_one() {
    let (stage, _server) = secure([Reply::TransferTo("kf2001@fake")]).await;
    let (agents, li) = (stage.sim.agents(&appid()).unwrap(), stage.li.openid());
    say(&stage, "一").await;
    assert_eq!(agents.take(li, "kf2002@fake"), Err(AgentError::WaitsForAnother("kf2001@fake".to_owned())));
    agents.take(li, "kf2001@fake").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_event_is_an_odd_entry() {
    let (stage, _server) = secure([Reply::Transfer]).await;
    stage.li.enter_session("from");
    stage.sim.deliver_due().await;
    let line = &conversation(&stage).forwarded[0];
    assert_eq!((line.event.as_deref(), &line.said, &line.msg_id), (Some("user_enter_tempsession"), &None, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_have_the_same_allowance_and_unknown_customers_are_refused() {
    let (stage, _server) = secure([Reply::Transfer]).await;
    let (agents, li) = (stage.sim.agents(&appid()).unwrap(), stage.li.openid());
    say(&stage, "一").await;
    agents.take(li, "xiaowang").unwrap();
    for _ in 0..5 {
        agents.answer(li, "您好").unwrap();
    }
    assert!(matches!(agents.answer(li, "还在吗"), Err(AgentError::NotAllowed(_))));
    let stranger = weixin::OpenId::parse("oNobody").unwrap();
    assert!(matches!(agents.close(&stranger), Err(AgentError::UnknownCustomer(_))));
}
