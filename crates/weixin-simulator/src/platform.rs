//! The keys of WeChat Pay itself: what answers and notifications of API v3 are signed with.
//!
//! Two platform certificates, so that a change of certificates can be played, and one key pair that plays "WeChat
//! Pay's public key" for every merchant, under an id of its own for each. All are fixtures and protect nothing.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012153196> (keys and certificates) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012068829> (change of platform certificates).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use weixin::{
    MchId,
    pay::v3::{Certificate, KeyId, PublicKeyId, SerialNo, SigningKey},
};

/// The platform certificate that WeChat Pay signs with at first. Fake; see `fixtures/README.md`.
pub const DEMO_PLATFORM_CERTIFICATE_PEM: &str = include_str!("../fixtures/platform_1_cert.pem");
/// The platform certificate to which [`Rotation`] changes over. Fake.
pub const DEMO_PLATFORM_CERTIFICATE_2_PEM: &str = include_str!("../fixtures/platform_2_cert.pem");
/// "WeChat Pay's public key" (`pub_key.pem`), the same for all merchants of the simulator. Fake.
pub const DEMO_PUBLIC_KEY_PEM: &str = include_str!("../fixtures/pub_key.pem");

/// Which keys WeChat Pay uses with a merchant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum KeyMode {
    /// Platform certificates only, as for merchants who joined long ago.
    Certificates,
    /// WeChat Pay's public key only, as for merchants who joined since late 2024.
    #[default]
    PublicKey,
    /// The change-over: answers are signed as the request's `Wechatpay-Serial` says, notifications take turns.
    Both,
}

impl KeyMode {
    pub(crate) fn has_certificates(self) -> bool {
        self != Self::PublicKey
    }

    pub(crate) fn has_public_key(self) -> bool {
        self != Self::Certificates
    }
}

/// How far the change from the first to the second platform certificate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// Only the first one exists.
    #[default]
    FirstOnly,
    /// Both are in `/v3/certificates`; the first one signs.
    BothPublished,
    /// Both are in `/v3/certificates`; the second one signs.
    SecondSigns,
    /// The first one is gone.
    SecondOnly,
}

impl Rotation {
    /// What `/v3/certificates` tells.
    pub(crate) fn published(self) -> &'static [PlatformCertificate] {
        let all = &PLATFORM.certificates;
        match self {
            Self::FirstOnly => &all[..1],
            Self::BothPublished | Self::SecondSigns => all,
            Self::SecondOnly => &all[1..],
        }
    }

    /// What signs unless the request asks for another one.
    pub(crate) fn signing(self) -> &'static PlatformCertificate {
        match self {
            Self::FirstOnly | Self::BothPublished => &PLATFORM.certificates[0],
            Self::SecondSigns | Self::SecondOnly => &PLATFORM.certificates[1],
        }
    }
}

/// A platform certificate with its private key.
pub(crate) struct PlatformCertificate {
    pub(crate) pem: &'static str,
    pub(crate) certificate: Certificate,
    key: SigningKey,
}

struct Platform {
    certificates: [PlatformCertificate; 2],
    public_key: SigningKey,
    stranger: SigningKey,
}

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let certificate = |pem, key| PlatformCertificate {
        pem,
        certificate: fixture(Certificate::from_pem(pem)),
        key: fixture(SigningKey::from_pem(key)),
    };
    Platform {
        certificates: [
            certificate(DEMO_PLATFORM_CERTIFICATE_PEM, include_str!("../fixtures/platform_1_key.pem")),
            certificate(DEMO_PLATFORM_CERTIFICATE_2_PEM, include_str!("../fixtures/platform_2_key.pem")),
        ],
        public_key: fixture(SigningKey::from_pem(include_str!("../fixtures/platform_public_key_private.pem"))),
        stranger: fixture(SigningKey::from_pem(include_str!("../fixtures/stranger_key.pem"))),
    }
});

/// The serial number of a platform certificate that was never published.
const STRANGER_SERIAL: &str = "6FA4E000000000000000000000000000000000FF";

/// Who signs a message of WeChat Pay.
#[derive(Clone)]
pub(crate) enum Signer {
    /// A platform certificate.
    Certificate(&'static PlatformCertificate),
    /// WeChat Pay's public key, under the name that the merchant knows.
    PublicKey(PublicKeyId),
    /// Somebody whom no merchant knows.
    Stranger,
}

impl Signer {
    /// What `Wechatpay-Serial` says.
    pub(crate) fn id(&self) -> KeyId {
        match self {
            Self::Certificate(platform) => KeyId::Certificate(platform.certificate.serial_no.clone()),
            Self::PublicKey(id) => KeyId::PublicKey(id.clone()),
            Self::Stranger => KeyId::Certificate(fixture(SerialNo::parse(STRANGER_SERIAL))),
        }
    }

    /// The private key.
    pub(crate) fn key(&self) -> &'static SigningKey {
        match self {
            Self::Certificate(platform) => &platform.key,
            Self::PublicKey(_) => &PLATFORM.public_key,
            Self::Stranger => &PLATFORM.stranger,
        }
    }
}

/// The id of WeChat Pay's public key for a merchant, in the form of real ones: `01`, the merchant, a day, a number.
pub(crate) fn public_key_id(mchid: &MchId) -> PublicKeyId {
    fixture(PublicKeyId::parse(format!("PUB_KEY_ID_01{mchid}2026010100000000000001")))
}

/// The fixtures are well formed; a test holds them to it.
fn fixture<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| unreachable!("a fixture of the simulator is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_belong_together() {
        for platform in &PLATFORM.certificates {
            assert!(platform.key.matches(&platform.certificate.key));
        }
        let mchid = MchId::parse("1600000001").expect("a merchant");
        let public = weixin::pay::v3::VerifyingKey::from_public_key_pem(public_key_id(&mchid), DEMO_PUBLIC_KEY_PEM);
        assert!(PLATFORM.public_key.matches(&public.expect("a public key")));
        assert_eq!(Signer::Stranger.id().as_str(), STRANGER_SERIAL);
    }

    #[test]
    fn a_change_of_certificates_has_four_steps() {
        let serials = |rotation: Rotation| -> Vec<char> {
            let all = rotation.published().iter();
            all.filter_map(|platform| platform.certificate.serial_no.as_str().chars().last()).collect()
        };
        assert_eq!(serials(Rotation::FirstOnly), ['1']);
        assert_eq!(serials(Rotation::BothPublished), ['1', '2']);
        assert_eq!(serials(Rotation::SecondSigns), ['1', '2']);
        assert_eq!(serials(Rotation::SecondOnly), ['2']);
        assert!(Rotation::BothPublished.signing().certificate.serial_no.as_str().ends_with('1'));
        assert!(Rotation::SecondSigns.signing().certificate.serial_no.as_str().ends_with('2'));
    }
}
