//! The checks that every request of API v3 meets, in WeChat's order as far as it is known: `Accept` and `User-Agent`,
//! the form of `Authorization`, the clock, the merchant and its certificate, the signature, the key that is to sign
//! the answer.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012365336> (signing requests) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012365337> (why a signature is refused).

use jiff::Timestamp;
use weixin::{
    MchId,
    pay::v3::{Authorization, AuthorizationError, Code, KeyId, SerialNo, Signed, request_message},
};

use super::{
    endpoint::Endpoint,
    refusal::{Mismatch, Refusal, internal},
};
use crate::{
    merchant::{MerchantV3, Standing},
    platform::{Signer, public_key_id},
    server::Request,
    world::{Switches, World},
};

const MALFORMED: &str = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》";
/// The same, at the paths of orders.
const MALFORMED_AT_ORDERS: &str = "签名信息错误，验签失败";
const SCHEME: &str = "HTTP头Authorization认证类型不正确";
const CLOCK: &str = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟";
const NO_CERTIFICATE: &str = "商户未申请过证书。";
const SERIAL: &str = "商户证书序列号有误。请使用签名私钥匹配的证书序列号";
const EXPIRED: &str = "商户证书已过期";
const REVOKED: &str = "商户证书已作废";
const REPLACED: &str = "商户已更换证书，请使用新证书";
const SIGNATURE: &str = "签名错误";

/// Who calls, proven, and who signs the answer.
pub(super) struct Caller {
    pub(super) mchid: MchId,
    /// The certificate that the request was signed with.
    pub(super) serial_no: SerialNo,
    pub(super) signer: Signer,
}

/// Checks everything that does not depend on the endpoint.
pub(super) fn read(world: &World, now: Timestamp, request: &Request, endpoint: Endpoint) -> Result<Caller, Refusal> {
    let without = |name| request.header(name).is_none_or(str::is_empty);
    if !endpoint.is_of_orders() && (without("accept") || without("user-agent")) {
        return Err(Refusal::invalid_request("Http头缺少Accept或User-Agent"));
    }
    let authorization = authorization(request, endpoint)?;
    if !authorization.is_timely(now) {
        return Err(Refusal::sign_error(CLOCK));
    }
    let merchant = world.merchants_v3.get(authorization.mchid.as_str());
    check_signature(merchant, now, request, &authorization)?;
    // The signature was found good, so the merchant exists.
    let merchant = merchant.ok_or_else(|| Refusal::sign_error(SERIAL))?;
    let signer = answer_signer(merchant, &world.switches, request)?;
    Ok(Caller { mchid: authorization.mchid, serial_no: authorization.serial_no, signer })
}

fn authorization(request: &Request, endpoint: Endpoint) -> Result<Authorization, Refusal> {
    let malformed = || Refusal::sign_error(if endpoint.is_of_orders() { MALFORMED_AT_ORDERS } else { MALFORMED });
    let header = request.header("authorization").ok_or_else(malformed)?;
    let authorization = Authorization::parse(header).map_err(|error| match error {
        AuthorizationError::Scheme => Refusal::sign_error(SCHEME),
        AuthorizationError::Malformed | AuthorizationError::Field(_) => malformed(),
    })?;
    // Blanks after the commas are refused, and seconds are digits.
    let blanks = header.matches(' ').count() > 1;
    let timestamp = &authorization.timestamp;
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    if blanks || !digits { Err(malformed()) } else { Ok(authorization) }
}

/// The certificate, and the signature that it must have made. WeChat tells what it would have signed itself.
fn check_signature(
    merchant: Option<&MerchantV3>,
    now: Timestamp,
    request: &Request,
    authorization: &Authorization,
) -> Result<(), Refusal> {
    let signed = Signed { method: &request.method, path: request.path_and_query(), body: &request.body };
    let message = request_message(&signed, &authorization.timestamp, authorization.nonce_str.as_str());
    let refuse = |text: &str, field, issue| {
        let about = Mismatch { field, issue, method: signed.method, url: signed.path, message: &message };
        Err(Refusal::sign_error_about(text, &about))
    };
    let serial = |text: &str| refuse(text, "serial_no", "serial_no not match");
    let Some(merchant) = merchant else { return serial(SERIAL) };
    if merchant.certificates.is_empty() {
        return Err(Refusal::sign_error(NO_CERTIFICATE));
    }
    let Some(certificate) = merchant.certificate(&authorization.serial_no) else { return serial(SERIAL) };
    if certificate.is(Standing::Revoked) {
        return serial(REVOKED);
    }
    if certificate.is(Standing::Replaced) {
        return serial(REPLACED);
    }
    if now > certificate.certificate.not_after {
        return serial(EXPIRED);
    }
    if !authorization.verifies(&signed, &certificate.certificate.key) {
        return refuse(SIGNATURE, "signature", "sign not match");
    }
    Ok(())
}

/// The key that `Wechatpay-Serial` names; without the header the merchant's usual one.
fn answer_signer(merchant: &MerchantV3, switches: &Switches, request: &Request) -> Result<Signer, Refusal> {
    let Some(serial) = request.header("wechatpay-serial") else { return Ok(merchant.signer(switches)) };
    let signer = match KeyId::parse(serial) {
        Ok(KeyId::PublicKey(id)) if merchant.key_mode.has_public_key() && id == public_key_id(&merchant.mchid) => {
            Some(Signer::PublicKey(id))
        }
        Ok(KeyId::Certificate(serial_no)) if merchant.key_mode.has_certificates() => {
            let mut published = switches.rotation.published().iter();
            published.find(|platform| platform.certificate.serial_no == serial_no).map(Signer::Certificate)
        }
        _ => None,
    };
    let text = "平台证书序列号Wechatpay-Serial错误";
    signer.ok_or_else(|| Refusal::new(400, Code::ParamError, text, internal::ILLEGAL_PARAMETER))
}
