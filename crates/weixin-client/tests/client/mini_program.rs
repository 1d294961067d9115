//! Log-in and tokens at `api.weixin.qq.com`.

use weixin::{AccessToken, mini_program::ErrCode};
use weixin_client::{ApiError, Hosts, MiniProgramClient, NoAnswerKind, Transport, Unreadable};

use crate::{
    fixture::{
        APP_SECRET, JS_CODE, TOKEN, appid, assert_silent, impatient_transport, js_code, print, secret, transport,
    },
    peer::{Peer, Received, Reply},
};

const SESSION: &str = r#"{"session_key":"HyVFkGl5F5OQWJZZaNzBBg==","openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE"}"#;

async fn log_in(transport: Transport, hosts: Hosts) -> Result<weixin::mini_program::code2session::Response, ApiError> {
    MiniProgramClient::new(transport, hosts).code2session(&appid(), &secret(), js_code()).await
}

/// Logs in at a WeChat that answers this.
async fn log_in_with(body: &'static str) -> Result<weixin::mini_program::code2session::Response, ApiError> {
    log_in(transport(), Peer::start(move |_| Reply::text(body)).hosts()).await
}

#[tokio::test]
async fn a_js_code_becomes_a_customer_whatever_the_content_type_says() {
    let peer = Peer::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", SESSION.len());
        Reply::Raw(format!("{head}{SESSION}").into_bytes())
    });
    let session = log_in(transport(), peer.hosts()).await.unwrap();
    assert_eq!(session.openid.as_str(), "oGZUI0egBJY1zhBYw2KhdUfwVJJE");
    assert_eq!(session.session_key.expose(), "HyVFkGl5F5OQWJZZaNzBBg==");
    let request = peer.received().remove(0);
    let query = format!("appid={}&secret={APP_SECRET}&js_code={JS_CODE}&grant_type=authorization_code", appid());
    assert!(request.head.starts_with(&format!("GET /sns/jscode2session?{query} HTTP/1.1\r\n")), "{}", request.head);
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn lesson_30_js_code_is_sent_once() {
    let mains: [fn(&Received) -> Reply; 7] = [
        |_| Reply::Silence,
        |_| Reply::Close,
        |_| Reply::half(SESSION),
        |_| Reply::Raw(b"garbage".to_vec()),
        |_| Reply::status("502 Bad Gateway"),
        |_| Reply::text(r#"{"errcode":-1,"errmsg":"system error rid: 61725984-6126f6f9-040f19c4"}"#),
        |_| Reply::text(r#"{"errcode":40029,"errmsg":"invalid code"}"#),
    ];
    for main in mains {
        let (main, backup) = (Peer::start(main), Peer::start(|_| Reply::text(SESSION)));
        let error = log_in(impatient_transport(), main.hosts_with_backup(&backup)).await.unwrap_err();
        assert_eq!((main.received().len(), backup.received().len()), (1, 0), "{error:?}");
        if let ApiError::NoAnswer(no_answer) = &error {
            assert!(no_answer.may_have_been_sent());
        }
    }
}

/// The usual cause of a silent repetition: the connection was kept from an earlier call and dies under the request.
#[tokio::test]
async fn lesson_30_js_code_is_sent_once_also_over_a_used_connection() {
    let mut calls = 0;
    let peer = Peer::start(move |_| {
        calls += 1;
        if calls == 1 { Reply::text(SESSION) } else { Reply::Close }
    });
    let transport = transport();
    log_in(transport.clone(), peer.hosts()).await.unwrap();
    let error = log_in(transport, peer.hosts()).await.unwrap_err();
    assert!(matches!(&error, ApiError::NoAnswer(error) if error.kind() == NoAnswerKind::BrokenOff), "{error:?}");
    assert_eq!(peer.received().len(), 2);
}

#[tokio::test]
async fn a_js_code_goes_to_the_backup_host_if_there_was_no_connection_to_the_main_host() {
    let backup = Peer::start(|_| Reply::text(SESSION));
    let hosts = Hosts::new(&Peer::absent(), Some(&backup.url())).unwrap();
    log_in(transport(), hosts).await.unwrap();
    let untrusted = Peer::start_tls(|_| Reply::text(SESSION));
    log_in(transport(), untrusted.hosts_with_backup(&backup)).await.unwrap();
    assert_eq!((untrusted.received().len(), backup.received().len()), (0, 2));
}

#[tokio::test]
async fn a_refusal_carries_code_and_sentence_and_errcode_zero_is_none() {
    let body = r#"{"errcode":40163,"errmsg":"code been used, rid: 61725984-6126f6f9-040f19c4"}"#;
    let error = log_in_with(body).await.unwrap_err();
    assert_eq!(error.errcode(), Some(ErrCode::CODE_USED));
    assert!(error.to_string().contains("rid: 61725984"), "{error}");
    let fine = r#"{"errcode":0,"errmsg":"ok","session_key":"HyVFkGl5F5OQWJZZaNzBBg==","openid":"o1","unionid":"u1"}"#;
    assert!(log_in_with(fine).await.unwrap().unionid.is_some());
}

#[tokio::test]
async fn what_is_not_the_expected_json_is_unreadable() {
    for body in ["", "OK", "<html>502</html>", "{}", r#"{"openid":"o1"}"#, r#"{"session_key":"x","openid":"o1"}"#, "[]"]
    {
        let error = log_in_with(body).await.unwrap_err();
        assert!(matches!(error, ApiError::Unreadable(Unreadable::Json)), "{body} {error:?}");
    }
}

#[tokio::test]
async fn lesson_30_session_key_is_never_printed() {
    let session = log_in_with(SESSION).await.unwrap();
    assert!(!format!("{session:?}").contains("HyVFkGl5F5OQWJZZaNzBBg"));
    // The same key where the reader stumbles over it.
    let error = log_in_with(r#"{"session_key":"HyVFkGl5F5OQWJZZaNzBBg","openid":"o1"}"#).await.unwrap_err();
    assert!(!print(&error).contains("HyVFkGl5F5OQWJZZaNzBBg"), "{error:?}");
}

#[tokio::test]
async fn no_error_shows_a_secret_or_the_address_that_holds_it() {
    let hostile: [fn(&Received) -> Reply; 7] = [
        |_| Reply::Silence,
        |_| Reply::Close,
        |request| Reply::half(&format!("{SESSION}{}", request.head)),
        |request| Reply::Raw(request.head.clone().into_bytes()),
        |request| Reply::Raw(format!("HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n", request.head).into_bytes()),
        |request| Reply::text(format!("{request:?}")),
        |request| {
            Reply::text(format!(r#"{{"errcode":40001,"errmsg":{:?}}}"#, format!("{} {:?}", request.head, request.body)))
        },
    ];
    let token = AccessToken::parse(TOKEN).unwrap();
    for answer in hostile {
        let peer = Peer::start(answer);
        let client = MiniProgramClient::new(impatient_transport(), peer.hosts());
        for error in [
            client.code2session(&appid(), &secret(), js_code()).await.unwrap_err(),
            client.stable_token(&appid(), &secret()).await.unwrap_err(),
            client.callback_ip(&token).await.unwrap_err(),
        ] {
            let text = print(&error);
            for needle in [APP_SECRET, JS_CODE, TOKEN] {
                assert!(!text.contains(needle), "{needle} in {text}");
            }
            if !matches!(error, ApiError::Refused { .. }) {
                assert_silent(&error);
            }
        }
    }
    let nobody = MiniProgramClient::new(transport(), Hosts::new(&Peer::absent(), None).unwrap());
    assert_silent(&nobody.callback_ip(&token).await.unwrap_err());
}

#[tokio::test]
async fn a_token_is_asked_for_in_normal_mode_with_json_of_known_length() {
    let peer = Peer::start(|_| Reply::text(format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#)));
    let client = MiniProgramClient::new(transport(), peer.hosts());
    let answer = client.stable_token(&appid(), &secret()).await.unwrap();
    assert_eq!((answer.access_token.expose(), answer.expires_in_s), (TOKEN, 7200));
    let request = peer.received().remove(0);
    assert!(request.head.starts_with("POST /cgi-bin/stable_token HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.contains(r#""force_refresh":false"#) && body.contains(APP_SECRET), "{body}");
}

#[tokio::test]
async fn reads_and_tokens_may_be_asked_for_twice() {
    let main = Peer::start(|_| Reply::Close);
    let backup = Peer::start(|request| match request.path() {
        "/cgi-bin/getcallbackip" => Reply::text(r#"{"ip_list":["101.226.103.0/25"]}"#),
        _ => Reply::text(format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#)),
    });
    let client = MiniProgramClient::new(transport(), main.hosts_with_backup(&backup));
    client.stable_token(&appid(), &secret()).await.unwrap();
    let answer = client.callback_ip(&AccessToken::parse(TOKEN).unwrap()).await.unwrap();
    assert_eq!(answer.ip_list, ["101.226.103.0/25"]);
    let backup = backup.received();
    assert_eq!(main.received()[0].body, backup[0].body);
    assert!(backup[1].head.starts_with(&format!("GET /cgi-bin/getcallbackip?access_token={TOKEN} ")));
}
