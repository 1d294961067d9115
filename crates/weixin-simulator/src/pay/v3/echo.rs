//! `POST /v3/security/echo`: says it back, the sealed part sealed for the merchant.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4014551946>.

use serde_json::json;
use weixin::pay::v3::{Code, echo::Echo};

use super::{
    Call, Done,
    refusal::{Place, Refusal, internal},
    schema::{Field, malformed, optional, text},
};
use crate::world::World;

const FIELDS: &[Field] =
    &[text("echo_message", "回显消息", 1, 1024), optional(text("encrypted_echo_message", "加密回显消息", 1, 1024))];

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
        Ok(Done::Json(json!(echo).to_string()))
    }
}
