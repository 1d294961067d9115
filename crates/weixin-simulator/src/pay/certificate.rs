//! The merchant's certificate, which WeChat Pay wants to see over TLS before it takes a refund of API v2.
//!
//! Any certificate gets through the TLS handshake; what is wrong with it is told as the real gateway tells it: pages of
//! HTML with status 400, or an unsigned refusal.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> (client certificates).

use jiff::Timestamp;
use weixin::{MchId, pay::v3::Certificate};

use crate::{Standing, answer::Answer, server::Request, world::World};

/// The page of the gateway, if it does not let the request in.
pub(super) fn refused_at_the_gate(world: &World, request: &Request) -> Option<Answer> {
    match shown(request) {
        None if request.certificate.is_none() => Some(Answer::titled_page(400, "No required SSL certificate was sent")),
        Some(certificate) if is_registered(world, &certificate) => None,
        _ => Some(Answer::titled_page(400, "The SSL certificate error")),
    }
}

/// What is wrong with a certificate that is known.
pub(super) fn complaint(request: &Request, mchid: &MchId, now: Timestamp) -> Option<&'static str> {
    let certificate = shown(request)?;
    if now > certificate.not_after {
        return Some("证书已过期");
    }
    (certificate.common_name() != Some(mchid.as_str())).then_some("商户号与API证书不匹配")
}

fn shown(request: &Request) -> Option<Certificate> {
    Certificate::from_der(request.certificate.as_ref()?).ok()
}

/// Whether it is a certificate of some merchant, in good standing.
fn is_registered(world: &World, shown: &Certificate) -> bool {
    let mut merchants = world.merchants_v3.values();
    merchants.any(|merchant| {
        let known = merchant.certificate(&shown.serial_no).filter(|known| known.is(Standing::Good));
        known.is_some_and(|known| known.certificate.key.fingerprint() == shown.key.fingerprint())
    })
}
