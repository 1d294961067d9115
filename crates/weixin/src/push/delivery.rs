//! A push from WeChat's side: what stands in the query string and in the body.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use super::{Fields, Format, Mode, Query, Receiver, seal, signature};

/// One push on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The parameters of the address.
    pub query: Query,
    /// The body.
    pub body: String,
}

impl Delivery {
    /// Writes a push with the first token and key of the receiver. The nonce and the random bytes must be fresh; `now_s` is
    /// the time in seconds since 1970.
    pub fn new(
        receiver: &Receiver,
        format: Format,
        content: &Fields,
        now_s: i64,
        nonce: &str,
        random: [u8; 16],
    ) -> Self {
        let timestamp = now_s.to_string();
        let token = receiver.tokens.first().map_or("", |token| token.expose());
        let mut query = Query {
            signature: Some(signature(&[token, &timestamp, nonce])),
            openid: content.text("FromUserName"),
            nonce: Some(nonce.to_owned()),
            ..Query::default()
        };
        let sealing = receiver.aes_keys.first().filter(|_| receiver.mode != Mode::Plain);
        let body = match sealing {
            None => content.write(format),
            Some(key) => {
                let encrypt = seal(key, &receiver.appid, random, content.write(format).as_bytes());
                query.encrypt_type = Some("aes".to_owned());
                query.msg_signature = Some(signature(&[token, &timestamp, nonce, &encrypt]));
                let clear = match receiver.mode {
                    Mode::Secure => Fields::new().with("ToUserName", content.text("ToUserName").unwrap_or_default()),
                    Mode::Plain | Mode::Compatible => content.clone(),
                };
                clear.with("Encrypt", encrypt).write(format)
            }
        };
        query.timestamp = Some(timestamp);
        Self { query, body }
    }
}
