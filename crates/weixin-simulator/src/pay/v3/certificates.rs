//! `GET /v3/certificates`: the platform certificates, sealed with the APIv3 key.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012551764>.

use serde_json::json;
use weixin::pay::v3::{
    Code,
    certificates::{Certificates, SealedCertificate},
};

use super::{
    Call, Done,
    refusal::{Place, Refusal, internal},
    schema::malformed,
};
use crate::world::World;

const NO_CERTIFICATE: &str = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引https://pay.weixin.qq.com/doc/v3/merchant/4012153196";

impl World {
    /// Answers with what is published. A merchant with WeChat Pay's public key only has no platform certificates.
    pub(super) fn certificates(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let merchant = self.merchants_v3.get(call.caller.mchid.as_str());
        // The signature was found good, so the merchant exists.
        let merchant = merchant.ok_or_else(|| Refusal::no_resource(NO_CERTIFICATE))?;
        match call.request.query("algorithm_type") {
            None | Some("RSA" | "ALL") => {}
            Some("SM2") => return Err(Refusal::no_resource(NO_CERTIFICATE)),
            Some(other) => return Err(malformed(Place::Query, "/algorithm_type", "证书算法类型", other)),
        }
        if !merchant.key_mode.has_certificates() {
            return Err(Refusal::no_resource(NO_CERTIFICATE));
        }
        let key = merchant
            .key
            .as_ref()
            .ok_or_else(|| Refusal::new(401, Code::SignError, "商户未设置APIv3密钥。", internal::OTHER))?;
        let (seed, counter) = (self.seed(), call.now.as_millisecond().unsigned_abs());
        let sealed = self.switches.rotation.published().iter().map(|platform| {
            let subject = format!("{}/{}", call.subject, platform.certificate.serial_no);
            let nonce = seed.alphanumeric("certificate", &subject, counter, 12);
            SealedCertificate::seal(&platform.certificate, platform.pem, key, &nonce)
        });
        // The nonce has twelve characters.
        let data = sealed.collect::<Result<_, _>>().map_err(|_| Refusal::told(500, "SYSTEM_ERROR"))?;
        Ok(Done::Json(json!(Certificates { data }).to_string()))
    }
}
