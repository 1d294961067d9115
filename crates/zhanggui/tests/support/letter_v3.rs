//! A notification of API v3 as WeChat would write it, and everything that can be wrong with it.

use jiff::{SignedDuration, Timestamp};
use weixin::{
    ApiV3Key,
    pay::{
        Transaction,
        v3::{
            Certificate, KeyId, PublicKeyId, SigningKey,
            aead::Sealed,
            notification::{write_paid, write_refunded},
            sign_message,
        },
    },
};
use weixin_simulator::{DEMO_API_V3_KEY, DEMO_PUBLIC_KEY_ID};

use super::{DEMO, Told};

/// Who signs. The private keys are the simulator's fake ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// WeChat Pay's public key pair.
    PublicKey,
    /// The first platform certificate.
    Certificate,
    /// Somebody else, under the name of the public key.
    Stranger,
    /// Somebody else, under a serial number that nobody knows.
    Unknown,
}

impl Signer {
    fn private(self) -> SigningKey {
        let pem = match self {
            Self::PublicKey => include_str!("../../../weixin-simulator/fixtures/platform_public_key_private.pem"),
            Self::Certificate => include_str!("../../../weixin-simulator/fixtures/platform_1_key.pem"),
            Self::Stranger | Self::Unknown => include_str!("../../../weixin-simulator/fixtures/stranger_key.pem"),
        };
        SigningKey::from_pem(pem).unwrap()
    }

    fn id(self) -> KeyId {
        match self {
            Self::PublicKey | Self::Stranger => KeyId::PublicKey(PublicKeyId::parse(DEMO_PUBLIC_KEY_ID).unwrap()),
            Self::Certificate => {
                let pem = include_str!("../../../weixin-simulator/fixtures/platform_1_cert.pem");
                Certificate::from_pem(pem).unwrap().key.id().clone()
            }
            Self::Unknown => KeyId::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap(),
        }
    }
}

/// What is told, before it is sealed and signed.
#[derive(Clone)]
pub(crate) struct LetterV3 {
    pub(crate) transaction: Transaction,
    now: Timestamp,
}

/// A letter on its way.
#[derive(Clone, Debug)]
pub(crate) struct SealedLetter {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

fn api_v3_key() -> ApiV3Key {
    ApiV3Key::parse(DEMO_API_V3_KEY).unwrap()
}

impl LetterV3 {
    pub(crate) fn new(told: &Told<'_>, now: Timestamp) -> Self {
        Self { transaction: told.transaction(&DEMO), now }
    }

    /// Something else is told.
    pub(crate) fn telling(mut self, change: impl FnOnce(&mut Transaction)) -> Self {
        change(&mut self.transaction);
        self
    }

    /// Signed so many seconds away from now.
    pub(crate) fn signed_at(mut self, seconds: i64) -> Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    pub(crate) fn body(&self) -> String {
        write_paid("a-fake-id", &self.transaction, self.now, &api_v3_key(), "nonce-of-12c").unwrap()
    }

    /// Sealed with the merchant's key and signed.
    pub(crate) fn signed_by(&self, key: Signer) -> SealedLetter {
        self.signed_body(key, self.body())
    }

    /// Any body under a good signature.
    pub(crate) fn signed_body(&self, key: Signer, body: String) -> SealedLetter {
        let nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS".to_owned();
        let signed = sign_message(&key.private(), &key.id(), self.now, nonce, body.as_bytes());
        let headers = signed.to_pairs().map(|(name, value)| (name, value.to_owned()));
        SealedLetter { headers: headers.into(), body }
    }

    /// A plaintext of one's own, sealed and signed as it should be.
    pub(crate) fn signed_plaintext(&self, key: Signer, plaintext: &str) -> SealedLetter {
        let mut envelope: serde_json::Value = serde_json::from_str(&self.body()).unwrap();
        let sealed = Sealed::seal(&api_v3_key(), "nonce-of-12d", "transaction", plaintext.as_bytes()).unwrap();
        envelope["resource"]["ciphertext"] = sealed.ciphertext.into();
        envelope["resource"]["nonce"] = sealed.nonce.into();
        self.signed_body(key, envelope.to_string())
    }

    /// The notification of a refund that somebody made on the merchant platform.
    pub(crate) fn refund(&self, refund: &weixin::pay::Refund) -> SealedLetter {
        let body = write_refunded("a-fake-refund-id", &DEMO.mchid(), refund, self.now, &api_v3_key(), "nonce-of-12e");
        self.signed_body(Signer::PublicKey, body.unwrap())
    }
}

impl SealedLetter {
    pub(crate) fn with_body(mut self, body: String) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self = self.without_header(name);
        self.headers.push((name, value.to_owned()));
        self
    }
}
