//! How answers and notifications are signed, and how their signatures go wrong on purpose.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012365350> (what is signed) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4013053249> (probes).

use jiff::{SignedDuration, Timestamp};
use weixin::pay::v3::{PROBE_PREFIX, SignatureHeaders, sign_message};

use crate::{fault::FaultKind, platform::Signer, random::Seed};

/// How old a stale signature is. Five minutes are allowed.
const STALE_BY: SignedDuration = SignedDuration::from_mins(10);

/// A message that is to be signed.
pub(in super::super) struct Unsigned<'a> {
    pub(in super::super) body: &'a [u8],
    pub(in super::super) signer: &'a Signer,
    pub(in super::super) now: Timestamp,
    pub(in super::super) nonce: String,
}

impl Unsigned<'_> {
    /// The `Wechatpay-*` headers, spoilt as a fault says.
    pub(in super::super) fn sign(self, seed: Seed, fault: Option<&FaultKind>) -> Vec<(&'static str, String)> {
        let Self { body, signer, now, nonce } = self;
        let sign = |signer: &Signer, at| sign_message(signer.key(), &signer.id(), at, nonce.clone(), body);
        let headers = match fault {
            Some(FaultKind::Unsigned) => return Vec::new(),
            // Well formed, under the right name, by the wrong key.
            Some(FaultKind::WrongSignature) => {
                SignatureHeaders { serial: signer.id().to_string(), ..sign(&Signer::Stranger, now) }
            }
            Some(FaultKind::Stale) => sign(signer, now.saturating_sub(STALE_BY).unwrap_or(now)),
            Some(FaultKind::UnknownSerial) => sign(&Signer::Stranger, now),
            Some(FaultKind::Probe) => SignatureHeaders { signature: probe(seed, &nonce), ..sign(signer, now) },
            _ => sign(signer, now),
        };
        headers.to_pairs().map(|(name, value)| (name, value.to_owned())).to_vec()
    }
}

/// The signature of a probe. One half is base64 of the usual length, the other half is not base64 at all.
fn probe(seed: Seed, nonce: &str) -> String {
    let tail = seed.alphanumeric("probe", nonce, 0, 322);
    // 344 characters; the bits that the padding leaves over are zero in an A.
    let valid = format!("{PROBE_PREFIX}{tail}A==");
    if seed.per_mille("probe is base64", nonce, 0) < 500 {
        return valid;
    }
    // 341 characters: "Last unit does not have enough valid bits".
    valid[..341].to_owned()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn half_of_the_probes_are_not_base64() {
        let valid = (0..1000).filter(|number| {
            let probe = probe(Seed(1), &number.to_string());
            assert!(probe.starts_with(PROBE_PREFIX));
            STANDARD.decode(&probe).is_ok()
        });
        let valid = valid.count();
        assert!((400..600).contains(&valid), "{valid}");
    }
}
