//! WeChat's side of message push, letter by letter: for what a faithful WeChat would never send, and for exact copies.

use bytes::Bytes;
use reqwest::{Method, header::CONTENT_TYPE};
use weixin::{
    AppId, EncodingAesKey, PushToken,
    push::{Answer, Delivery, Fields, Format, Mode, Receiver},
};

use super::{Http, PushKeys, Reply};

/// Posts pushes to the address of one app.
#[derive(Clone)]
pub(crate) struct Pusher {
    pub(crate) http: Http,
    pub(crate) appid: String,
    /// What WeChat knows of the app.
    pub(crate) receiver: Receiver,
    pub(crate) format: Format,
}

/// Nobody has this number.
pub(crate) const NO_CUSTOMER: &str = "oNobody0000000000000000000000";

impl Pusher {
    pub(crate) fn new(http: Http, keys: &PushKeys, mode: Mode, format: Format) -> Self {
        let receiver = Receiver {
            appid: AppId::parse(keys.appid).unwrap(),
            mode,
            tokens: vec![PushToken::parse(keys.token).unwrap()],
            aes_keys: vec![EncodingAesKey::parse(keys.aes_key).unwrap()],
        };
        Self { http, appid: keys.appid.to_owned(), receiver, format }
    }

    /// A push of this content, made at this time.
    pub(crate) fn delivery(&self, content: &Fields, now_s: i64) -> Delivery {
        Delivery::new(&self.receiver, self.format, content, now_s, "415670741", [7; 16])
    }

    /// Posts it.
    pub(crate) async fn post(&self, delivery: &Delivery) -> Reply {
        self.post_raw(&delivery.query.to_query_string(), delivery.body.clone()).await
    }

    pub(crate) async fn push(&self, content: &Fields, now_s: i64) -> Reply {
        self.post(&self.delivery(content, now_s)).await
    }

    pub(crate) async fn post_raw(&self, query: &str, body: impl Into<Bytes>) -> Reply {
        let request = self.http.request(Method::POST, &format!("/wechat/push/{}?{query}", self.appid));
        Reply::of(request.header(CONTENT_TYPE, self.format.content_type()).body(body.into())).await
    }

    pub(crate) async fn ask(&self, query: &str) -> Reply {
        Reply::of(self.http.request(Method::GET, &format!("/wechat/push/{}?{query}", self.appid))).await
    }

    /// What WeChat understands of a reply.
    #[track_caller]
    pub(crate) fn understand(&self, reply: &Reply) -> Answer {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sealed = self.receiver.mode != Mode::Plain;
        Answer::read(&reply.body, self.format, sealed, &self.receiver)
            .unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
    }
}

/// A message of a customer without its content.
pub(crate) fn message(openid: &str, msg_id: i64, now_s: i64, kind: &str) -> Fields {
    Fields::new()
        .with("ToUserName", "gh_fake00000001")
        .with("FromUserName", openid)
        .with("CreateTime", now_s)
        .with("MsgType", kind)
        .with("MsgId", msg_id)
}

/// A text of a customer.
pub(crate) fn text_message(openid: &str, msg_id: i64, now_s: i64, text: &str) -> Fields {
    message(openid, msg_id, now_s, "text").with("Content", text)
}
