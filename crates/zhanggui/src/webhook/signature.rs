//! Secrets and signatures of webhooks, as <https://www.standardwebhooks.com> has them: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::clock::{Entropy, random};

const PREFIX: &str = "whsec_";

/// What we and an endpoint know.
#[derive(Clone)]
pub(super) struct Secret(SecretSlice<u8>);

impl Secret {
    /// A new one: 256 bits.
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self::from_bytes(random::<32>(entropy).to_vec())
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// One in the form of [`Secret::text`].
    #[cfg(feature = "simulator")]
    pub(super) fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.strip_prefix(PREFIX)?).ok().filter(|bytes| !bytes.is_empty()).map(Self::from_bytes)
    }

    /// The bytes, to be sealed.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// What the endpoint's operator is shown, once.
    pub(super) fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.expose()))
    }
}

/// The header `webhook-signature`: one signature for each secret.
pub(super) fn sign(secrets: &[Secret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signature = |secret: &Secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{id}.{timestamp_s}.").as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    };
    secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_entropy;

    /// From the specification's own test suite.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = Secret::from_bytes(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(secret.text(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let header = sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_rotation_both_secrets_sign() {
        let entropy = system_entropy();
        let (new, old) = (Secret::new(&entropy), Secret::new(&entropy));
        let alone = |secret: &Secret| sign(std::slice::from_ref(secret), "evt_1", 1, b"{}");
        assert_ne!(alone(&new), alone(&old));
        assert_eq!(sign(&[new.clone(), old.clone()], "evt_1", 1, b"{}"), format!("{} {}", alone(&new), alone(&old)));
    }
}
