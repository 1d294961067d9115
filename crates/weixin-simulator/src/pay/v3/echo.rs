//! `POST /v3/security/echo`: says it back, the sealed part sealed for the merchant, and once more to an address if one
//! is given.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4014551946>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use weixin::{
    MchId, NotifyUrl,
    pay::v3::{Code, echo::Echo},
};

use super::{
    Call, Done,
    refusal::{Place, Refusal, internal},
    schema::{Field, malformed, optional, text},
};
use crate::{
    pay::{Subject, notify::Notification},
    world::World,
};

const FIELDS: &[Field] = &[
    text("echo_message", "回显消息", 1, 1024),
    optional(text("encrypted_echo_message", "加密回显消息", 1, 1024)),
    optional(text("notify_url", "回调地址", 1, 256)),
];

/// What is said once more to the merchant's address.
#[derive(Serialize, Deserialize)]
pub(crate) struct EchoToTell {
    pub(crate) mchid: MchId,
    pub(crate) at: Timestamp,
    /// The plaintext of the notification.
    pub(crate) plain: String,
    pub(crate) notification: Option<Notification>,
}

impl World {
    /// Answers. The header `Wechatpay-Serial` must name the key that seals and signs.
    pub(super) fn echo(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        if call.request.header("wechatpay-serial").is_none() {
            let text = "HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)";
            return Err(Refusal::new(400, Code::ParamError, text, internal::ILLEGAL_PARAMETER));
        }
        let body = call.body(FIELDS)?;
        let sealed = body.text(&["encrypted_echo_message"]);
        let sealed = sealed.map(|sealed| {
            let wrong = || malformed(Place::Body, "/encrypted_echo_message", "加密回显消息", sealed);
            let plain = call.caller.signer.key().decrypt(sealed).map_err(|_| wrong())?;
            let merchant = self.merchants_v3.get(call.caller.mchid.as_str());
            let certificate = merchant.and_then(|merchant| merchant.certificate(&call.caller.serial_no));
            certificate.and_then(|known| known.certificate.key.encrypt(&plain).ok()).ok_or_else(wrong)
        });
        let echo = Echo {
            echo_message: body.text(&["echo_message"]).unwrap_or_default().to_owned(),
            encrypted_echo_message: sealed.transpose()?,
        };
        if let Some(url) = body.text(&["notify_url"]) {
            let url = NotifyUrl::parse(url).map_err(|_| malformed(Place::Body, "/notify_url", "回调地址", url))?;
            self.tell_echo(call, &echo, url);
        }
        Ok(Done::Json(json!(echo).to_string()))
    }

    fn tell_echo(&mut self, call: &Call<'_>, echo: &Echo, url: NotifyUrl) {
        let key = format!("{}/{}", call.subject, call.now);
        let notification = Notification::new(url.to_string(), call.now);
        if let Some(due_at) = notification.due_at() {
            self.due.insert((due_at, Subject::Echo(key.clone())));
        }
        // The page has another name for the sealed message here.
        let mut plain = json!({ "echo_message": echo.echo_message });
        if let Some(sealed) = &echo.encrypted_echo_message {
            plain["encrypt_echo_message"] = sealed.as_str().into();
        }
        let told = EchoToTell {
            mchid: call.caller.mchid.clone(),
            at: call.now,
            plain: plain.to_string(),
            notification: Some(notification),
        };
        self.echoes.insert(key, told);
    }
}
