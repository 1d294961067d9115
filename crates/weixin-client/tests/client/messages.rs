//! Messages to customers: sent at most once, and what is known afterwards (lesson 32).

use tokio::task::JoinSet;
use weixin::mini_program::{
    Again, BusinessId, ErrCode,
    custom_send::{self, Message},
    message_text::MessageText,
    subscribe_send, typing,
};
use weixin_client::{ApiError, Hosts, SendError};

use crate::{
    app_calls::{BROKEN, Caller, STABLE_TOKEN, calls, openid, wechat, wechat_with_a_stale_token},
    fixture::{app, assert_silent, impatient_transport, transport},
    peer::{Peer, Received, Reply},
};

const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

fn message() -> custom_send::Request {
    custom_send::Request::new(openid(), Message::Text(MessageText::parse("谢谢 needle").unwrap()))
}

fn subscribe_message() -> subscribe_send::Request {
    let mut data = subscribe_send::TemplateData::default();
    data.set("thing1", "蓝色杯子 needle").unwrap();
    subscribe_send::Request {
        touser: openid(),
        template_id: subscribe_send::TemplateId::parse("TEMPLATE_ID").unwrap(),
        page: None,
        data,
        miniprogram_state: subscribe_send::MiniprogramState::Formal,
        lang: subscribe_send::Lang::ZhCn,
    }
}

impl Caller {
    async fn send(&self) -> Result<(), SendError> {
        self.client.custom_send(&self.tokens, &app(), &message()).await
    }

    async fn send_subscribe(&self) -> Result<Option<String>, SendError> {
        let answer = self.client.subscribe_send(&self.tokens, &app(), &subscribe_message()).await;
        answer.map(|answer| answer.msg_id)
    }

    async fn type_(&self) -> Result<(), ApiError> {
        let command = typing::Command::Typing;
        let request = typing::Request { touser: openid(), command, business_id: BusinessId::parse("1").ok() };
        self.client.typing(&self.tokens, &app(), &request).await
    }
}

/// Both kinds of messages at a WeChat that answers like this.
async fn failures(answer: impl Fn(&Received) -> Reply + Clone + Send + 'static) -> [SendError; 2] {
    let (first, second) = (wechat(answer.clone()), wechat(answer));
    [Caller::of(&first).send().await.unwrap_err(), Caller::of(&second).send_subscribe().await.unwrap_err()]
}

fn refusal(code: i64) -> String {
    format!(r#"{{"errcode":{code},"errmsg":"no rid: 61725984-6126f6f9-040f19c4"}}"#)
}

#[tokio::test]
async fn a_message_goes_as_plain_json_of_known_length_with_the_token_in_the_query() {
    let peer = wechat(|_| Reply::text(OK));
    Caller::of(&peer).send().await.unwrap();
    let request = calls(&peer).remove(0);
    let line = "POST /cgi-bin/message/custom/send?access_token=needletoken-1 HTTP/1.1\r\n";
    assert!(request.head.starts_with(line), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    assert_eq!(custom_send::Request::from_json(&request.body), Ok(message()));
    assert!(String::from_utf8(request.body).unwrap().contains("谢谢"), "the characters go as they are");
}

#[tokio::test]
async fn lesson_32_a_message_whose_answer_is_lost_is_sent_once_and_unknown() {
    for broken in BROKEN {
        for subscribe in [false, true] {
            let (main, backup) = (wechat(broken), wechat(|_| Reply::text(OK)));
            let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
            let error = match subscribe {
                false => caller.send().await.unwrap_err(),
                true => caller.send_subscribe().await.unwrap_err(),
            };
            assert!(matches!(error, SendError::Unknown(_)) && !error.is_unsent(), "{error:?}");
            assert_eq!((calls(&main).len(), calls(&backup).len()), (1, 0), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_reached_nobody_may_be_sent_again() {
    let tokens = wechat(|_| Reply::Close);
    let nobody = Hosts::new(&Peer::absent(), None).unwrap();
    let error = Caller::new(transport(), tokens.hosts(), nobody).send().await.unwrap_err();
    assert!(matches!(error, SendError::NotAccepted { again: Again::Later, .. }), "{error:?}");
    // Where nobody listens, the back-up host is as good as the main host.
    let backup = wechat(|_| Reply::text(OK));
    let hosts = Hosts::new(&Peer::absent(), Some(&backup.url())).unwrap();
    Caller::new(transport(), tokens.hosts(), hosts).send().await.unwrap();
    assert_eq!(calls(&backup).len(), 1);
}

#[tokio::test]
async fn a_message_without_a_token_is_not_sent_whatever_became_of_the_token() {
    let refused: fn(&Received) -> Reply = |_| Reply::text(r#"{"errcode":40125,"errmsg":"invalid appsecret"}"#);
    for broken in BROKEN.into_iter().chain([refused]) {
        let (tokens, messages) = (Peer::start(broken), wechat(|_| Reply::text(OK)));
        let error = Caller::new(impatient_transport(), tokens.hosts(), messages.hosts()).send().await.unwrap_err();
        assert!(matches!(error, SendError::NotAccepted { again: Again::Later, .. }), "{error:?}");
        assert!(calls(&messages).is_empty());
    }
}

#[tokio::test]
async fn lesson_29_a_message_with_a_stale_token_is_sent_once_more_with_another_one() {
    let peer = wechat_with_a_stale_token(|_| Reply::text(OK));
    Caller::of(&peer).send().await.unwrap();
    let sent = calls(&peer);
    assert_eq!((sent.len(), peer.count(STABLE_TOKEN)), (2, 2));
    assert_eq!(sent[0].body, sent[1].body);
}

#[tokio::test]
async fn lesson_29_a_message_whose_tokens_are_all_stale_is_not_accepted_and_no_storm() {
    for code in [40001, 40014, 42001] {
        let peer = wechat(move |_| Reply::text(refusal(code)));
        let error = Caller::of(&peer).send().await.unwrap_err();
        assert!(matches!(error, SendError::NotAccepted { again: Again::Later, .. }), "{error:?}");
        assert_eq!(error.errcode(), Some(ErrCode(code)));
        assert_eq!(calls(&peer).len(), 2);
    }
}

#[tokio::test]
async fn a_message_that_is_lost_after_a_stale_token_is_unknown() {
    let peer = wechat_with_a_stale_token(|_| Reply::Close);
    let error = Caller::of(&peer).send().await.unwrap_err();
    assert!(matches!(error, SendError::Unknown(ApiError::NoAnswer(_))), "{error:?}");
    assert_eq!(calls(&peer).len(), 2);
}

#[tokio::test]
async fn a_busy_wechat_may_be_asked_once_more_and_a_rate_limit_later() {
    for (code, expected) in [(-1, Again::Once), (45009, Again::Later), (45011, Again::Later), (43108, Again::Later)] {
        for error in failures(move |_| Reply::text(refusal(code))).await {
            let SendError::NotAccepted { again, cause } = &error else { panic!("{error:?}") };
            assert_eq!((*again, cause.errcode()), (expected, Some(ErrCode(code))));
        }
    }
}

#[tokio::test]
async fn lesson_33_a_refused_message_keeps_wechats_code() {
    for code in [45015, 45047, 40003, 40007, 43101, 44004, 45002, 45162, 47003, 48001, 48002, 50002, 70000, 12345] {
        for error in failures(move |_| Reply::text(refusal(code))).await {
            let SendError::Refused { errcode, errmsg } = &error else { panic!("{error:?}") };
            assert_eq!(*errcode, ErrCode(code));
            assert!(errmsg.contains("rid: 61725984"), "{errmsg}");
        }
    }
    for error in failures(|_| Reply::text(refusal(-217))).await {
        assert!(matches!(error, SendError::Unknown(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_subscribe_message_has_the_number_that_its_event_will_have() {
    let peer = wechat(|_| Reply::text(r#"{"errcode":0,"errmsg":"ok","msgid":3404917237361352714}"#));
    let msg_id = Caller::of(&peer).send_subscribe().await.unwrap();
    assert_eq!(msg_id.as_deref(), Some("3404917237361352714"));
    assert_eq!(subscribe_send::Request::from_json(&calls(&peer)[0].body), Ok(subscribe_message()));
}

#[tokio::test]
async fn messages_are_sent_side_by_side_over_one_token() {
    let peer = wechat(|_| Reply::text(OK));
    let caller = std::sync::Arc::new(Caller::of(&peer));
    let mut sending = JoinSet::new();
    for _ in 0..20 {
        let caller = std::sync::Arc::clone(&caller);
        sending.spawn(async move { caller.send().await });
    }
    for sent in sending.join_all().await {
        sent.unwrap();
    }
    assert_eq!((calls(&peer).len(), peer.count(STABLE_TOKEN)), (20, 1));
}

#[tokio::test]
async fn typing_goes_to_the_path_of_mini_programs_and_to_the_short_one_if_that_is_unknown() {
    let peer = wechat(|_| Reply::text(OK));
    Caller::of(&peer).type_().await.unwrap();
    assert_eq!(calls(&peer).iter().map(Received::path).collect::<Vec<_>>(), [typing::PATH]);
    for unknown in [40066, 48001] {
        let peer = wechat(move |request| match request.path() {
            typing::SHORT_PATH => Reply::text(OK),
            _ => Reply::text(refusal(unknown)),
        });
        Caller::of(&peer).type_().await.unwrap();
        let sent = calls(&peer);
        assert_eq!(sent.iter().map(Received::path).collect::<Vec<_>>(), [typing::PATH, typing::SHORT_PATH]);
        assert_eq!(sent[0].body, sent[1].body);
    }
}

#[tokio::test]
async fn typing_that_is_refused_or_lost_is_not_asked_for_again() {
    let broken: fn(&Received) -> Reply = |_| Reply::text(refusal(45081));
    for broken in BROKEN.into_iter().chain([broken]) {
        let (main, backup) = (wechat(broken), wechat(|_| Reply::text(OK)));
        let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
        caller.type_().await.unwrap_err();
        assert_eq!((calls(&main).len(), calls(&backup).len()), (1, 0));
    }
}

#[tokio::test]
async fn no_error_shows_the_token_the_text_or_the_address() {
    for broken in BROKEN {
        let peer = wechat(broken);
        let caller = Caller::new(impatient_transport(), peer.hosts(), peer.hosts());
        assert_silent(&caller.send().await.unwrap_err());
        assert_silent(&caller.send_subscribe().await.unwrap_err());
    }
    let echo = wechat(|request| {
        let errmsg = request.target().replace('?', " ");
        Reply::text(format!(r#"{{"errcode":45015,"errmsg":"{errmsg}"}}"#))
    });
    let error = Caller::of(&echo).send().await.unwrap_err();
    assert!(error.to_string().contains("[redacted]"), "{error}");
    assert_silent(&error);
}
