//! What WeChat knows of a customer, and what it thinks of their texts and pictures.

use weixin::{
    SessionKey,
    mini_program::{
        ErrCode, WebUrl,
        check_session_key::{Claim, Request as KeyRequest},
        media_check_async::{self, MediaType},
        msg_sec_check::{self, CheckedContent, Scene, Suggest},
        phone_number::{self, PhoneCode, PhoneInfo},
    },
};
use weixin_client::{ApiError, Unreadable};

use crate::{
    app_calls::{BROKEN, Caller, calls, openid, wechat, wechat_with_a_stale_token},
    fixture::{app, appid, assert_silent, impatient_transport, print},
    peer::{Received, Reply},
};

const SESSION_KEY: &str = "9hAb/NEYUlkaMBEsmFgzig==";
const OTHER_KEY: &str = "tiihtNczf5v6AKRyjwEUhQ==";

fn key(text: &str) -> SessionKey {
    SessionKey::parse(text).unwrap()
}

impl Caller {
    async fn phone(&self) -> Result<PhoneInfo, ApiError> {
        let request = phone_number::Request { code: PhoneCode::parse("needlecode").unwrap(), openid: Some(openid()) };
        let answer = self.client.phone_number(&self.tokens, &app(), &request).await;
        answer.map(|answer| answer.phone_info)
    }

    async fn check(&self) -> Result<bool, ApiError> {
        let request = KeyRequest { openid: openid(), session_key: key(SESSION_KEY) };
        self.client.is_current_session_key(&self.tokens, &app(), &request).await
    }

    async fn reset(&self) -> Result<SessionKey, ApiError> {
        let request = KeyRequest { openid: openid(), session_key: key(SESSION_KEY) };
        self.client.reset_session_key(&self.tokens, &app(), &request).await
    }

    async fn check_text(&self) -> Result<msg_sec_check::Response, ApiError> {
        let content = CheckedContent::parse("needle 字").unwrap();
        let request =
            msg_sec_check::Request { content, scene: Scene::Comment, openid: openid(), title: None, nickname: None };
        self.client.msg_sec_check(&self.tokens, &app(), &request).await
    }

    async fn check_picture(&self) -> Result<media_check_async::Response, ApiError> {
        let media_url = WebUrl::parse("https://shop.example.com/needle.png").unwrap();
        let request = media_check_async::Request {
            media_url,
            media_type: MediaType::Image,
            scene: Scene::Comment,
            openid: openid(),
        };
        self.client.media_check_async(&self.tokens, &app(), &request).await
    }
}

fn phone_answer(of: &str) -> String {
    format!(
        r#"{{"errcode":0,"errmsg":"ok","phone_info":{{"phoneNumber":"13580006666","purePhoneNumber":"13580006666",
        "countryCode":"86","watermark":{{"timestamp":1637744274,"appid":"{of}"}}}}}}"#
    )
}

#[tokio::test]
async fn lesson_30_the_code_of_a_phone_number_is_sent_once() {
    for broken in BROKEN {
        let (main, backup) = (wechat(broken), wechat(|_| Reply::text(phone_answer(appid().as_str()))));
        let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
        let error = caller.phone().await.unwrap_err();
        assert_eq!((calls(&main).len(), calls(&backup).len()), (1, 0), "{error:?}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_code_becomes_a_phone_number_of_this_app_only() {
    let peer = wechat_with_a_stale_token(|_| Reply::text(phone_answer(appid().as_str())));
    let info = Caller::of(&peer).phone().await.unwrap();
    assert_eq!((info.phone_number.as_str(), info.country_code.as_str()), ("13580006666", "86"));
    let sent = phone_number::Request::from_json(&calls(&peer)[1].body).unwrap();
    assert_eq!((sent.code.as_str(), sent.openid), ("needlecode", Some(openid())));
    let other = wechat(|_| Reply::text(phone_answer("wx0a1b2c3d4e5f6071")));
    let error = Caller::of(&other).phone().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable(Unreadable::Field(_))), "{error:?}");
    assert!(!print(&error).contains("13580006666"), "{error:?}");
}

#[tokio::test]
async fn a_refusal_that_repeats_the_code_or_the_token_is_blotted_out() {
    let peer = wechat(|request| {
        let errmsg = format!("{} {}", request.target(), String::from_utf8_lossy(&request.body).replace('"', ""));
        Reply::text(format!(r#"{{"errcode":40029,"errmsg":"{errmsg}"}}"#))
    });
    let text = print(&Caller::of(&peer).phone().await.unwrap_err());
    assert!(!text.contains("needle") && text.contains("[redacted]"), "{text}");
    let error = Caller::of(&peer).check().await.unwrap_err();
    let signature = calls(&peer)[1].target().split("signature=").nth(1).unwrap()[..64].to_owned();
    assert!(!print(&error).contains(&signature), "{error:?}");
}

#[tokio::test]
async fn a_session_key_is_asked_about_without_being_sent() {
    for (current, expected) in [(Some(SESSION_KEY), true), (Some(OTHER_KEY), false), (None, false)] {
        let peer = wechat(move |request| {
            let query = request.target().split_once('?').unwrap().1;
            let checked = Claim::from_query(query).unwrap().check(current.map(key).as_ref());
            Reply::text(format!(r#"{{"errcode":{},"errmsg":""}}"#, checked.err().unwrap_or(ErrCode(0)).0))
        });
        assert_eq!(Caller::of(&peer).check().await.unwrap(), expected);
        let request = calls(&peer).remove(0);
        assert!(request.head.starts_with("GET /wxa/checksession?"), "{}", request.head);
        assert!(!request.head.contains("9hAb"), "{}", request.head);
    }
}

#[tokio::test]
async fn whether_a_session_key_is_current_is_not_guessed() {
    let busy: fn(&Received) -> Reply = |_| Reply::text(r#"{"errcode":-1,"errmsg":"system error"}"#);
    let stranger: fn(&Received) -> Reply = |_| Reply::text(r#"{"errcode":40003,"errmsg":"invalid openid"}"#);
    for broken in BROKEN.into_iter().chain([busy, stranger]) {
        let peer = wechat(broken);
        let error = Caller::new(impatient_transport(), peer.hosts(), peer.hosts()).check().await.unwrap_err();
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_session_key_is_reset_once_and_never_printed() {
    let answer = |of: &str| format!(r#"{{"errcode":0,"errmsg":"ok","openid":"{of}","session_key":"{OTHER_KEY}"}}"#);
    let (good, stranger) = (answer(openid().as_str()), answer("o-somebody-else"));
    let peer = wechat(move |_| Reply::text(good.clone()));
    assert_eq!(Caller::of(&peer).reset().await.unwrap(), key(OTHER_KEY));
    assert!(calls(&peer)[0].head.starts_with("GET /wxa/resetusersessionkey?"));
    let peer = wechat(move |_| Reply::text(stranger.clone()));
    let error = Caller::of(&peer).reset().await.unwrap_err();
    assert!(!print(&error).contains("tiiht"), "{error:?}");
    for broken in BROKEN {
        let (main, backup) = (wechat(broken), wechat(|_| Reply::Close));
        let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
        assert_silent(&caller.reset().await.unwrap_err());
        assert_eq!((calls(&main).len(), calls(&backup).len()), (1, 0));
    }
}

#[tokio::test]
async fn no_answer_to_a_content_check_is_not_a_good_one() {
    for broken in BROKEN {
        let peer = wechat(broken);
        let caller = Caller::new(impatient_transport(), peer.hosts(), peer.hosts());
        assert_silent(&caller.check_text().await.unwrap_err());
        assert_silent(&caller.check_picture().await.unwrap_err());
    }
    let peer = wechat(|_| Reply::text(r#"{"errcode":61010,"errmsg":"code is expired"}"#));
    assert_eq!(Caller::of(&peer).check_text().await.unwrap_err().errcode(), Some(ErrCode::NO_RECENT_VISIT));
}

#[tokio::test]
async fn a_text_has_a_verdict_and_a_picture_a_number() {
    let verdict = r#"{"errcode":0,"errmsg":"ok","result":{"suggest":"review","label":20003},"trace_id":"60ae120f"}"#;
    let peer = wechat(move |_| Reply::text(verdict));
    let caller = Caller::of(&peer);
    let response = caller.check_text().await.unwrap();
    assert_eq!((response.result.suggest, response.result.label), (Suggest::Review, 20003));
    assert_eq!(caller.check_picture().await.unwrap().trace_id, "60ae120f");
    let sent = calls(&peer);
    assert_eq!((sent[0].path(), sent[1].path()), (msg_sec_check::PATH, media_check_async::PATH));
    assert!(msg_sec_check::Request::from_json(&sent[0].body).is_ok());
    assert!(media_check_async::Request::from_json(&sent[1].body).is_ok());
}
