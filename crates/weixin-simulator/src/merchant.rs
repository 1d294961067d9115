//! A merchant, as WeChat Pay knows it: its keys, its certificates, and how WeChat Pay signs for it. Both versions of
//! the interface are set up apart; a merchant may have one without the other.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weixin::{
    ApiV2Key, ApiV3Key, FieldError, MchId,
    pay::v3::{Certificate, KeyError, SerialNo},
};

use crate::{
    KeyMode, MerchantSetup, MerchantV3Setup,
    platform::{Signer, public_key_id},
    world::{Switches, World},
};

/// A merchant of API v2.
#[derive(Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) mchid: MchId,
    #[serde(serialize_with = "expose_api_v2_key", deserialize_with = "read_api_v2_key")]
    pub(crate) api_v2_key: ApiV2Key,
    pub(crate) name: String,
}

/// A merchant of API v3.
#[derive(Serialize, Deserialize)]
pub(crate) struct MerchantV3 {
    pub(crate) mchid: MchId,
    #[serde(serialize_with = "expose_api_v3_key", deserialize_with = "read_api_v3_key")]
    pub(crate) key: Option<ApiV3Key>,
    pub(crate) certificates: Vec<MerchantCertificate>,
    pub(crate) key_mode: KeyMode,
    /// How many notifications were signed for it; decides whose turn it is with [`KeyMode::Both`].
    notified: u64,
}

impl MerchantV3 {
    /// The certificate of that serial number, in whatever standing.
    pub(crate) fn certificate(&self, serial_no: &SerialNo) -> Option<&MerchantCertificate> {
        self.certificates.iter().find(|known| known.serial_no() == serial_no)
    }

    /// Who signs an answer when the request does not say.
    pub(crate) fn signer(&self, switches: &Switches) -> Signer {
        match self.key_mode.has_certificates() {
            true => Signer::Certificate(switches.rotation.signing()),
            false => Signer::PublicKey(public_key_id(&self.mchid)),
        }
    }

    /// Who signs the next notification.
    pub(crate) fn notification_signer(&mut self, switches: &Switches) -> Signer {
        self.notified += 1;
        match self.key_mode {
            KeyMode::Both if self.notified.is_multiple_of(2) => Signer::PublicKey(public_key_id(&self.mchid)),
            _ => self.signer(switches),
        }
    }
}

impl World {
    /// Adds a merchant of API v2, or replaces its settings.
    pub(crate) fn set_up_merchant(&mut self, setup: &MerchantSetup) {
        let MerchantSetup { mchid, api_v2_key, name } = setup.clone();
        self.merchants.insert(mchid.to_string(), Merchant { mchid, api_v2_key, name });
    }

    /// Adds a merchant of API v3, or replaces its settings.
    pub(crate) fn set_up_merchant_v3(&mut self, setup: &MerchantV3Setup) {
        let MerchantV3Setup { mchid, key, certificates, key_mode } = setup.clone();
        let notified = self.merchants_v3.get(mchid.as_str()).map_or(0, |merchant| merchant.notified);
        let merchant = MerchantV3 { mchid: mchid.clone(), key, certificates, key_mode, notified };
        self.merchants_v3.insert(mchid.to_string(), merchant);
    }
}

/// A certificate of a merchant: the public half, which is all that WeChat Pay has of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "CertificateFile", into = "CertificateFile")]
pub struct MerchantCertificate {
    pem: String,
    standing: Standing,
    pub(crate) certificate: Certificate,
}

/// Whether a certificate may still be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    #[default]
    Good,
    /// The merchant has revoked it.
    Revoked,
    /// The merchant has a newer one, and the old one was switched off.
    Replaced,
}

impl MerchantCertificate {
    /// Reads `apiclient_cert.pem`.
    ///
    /// # Errors
    /// The text is not a certificate with an RSA key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let certificate = Certificate::from_pem(pem)?;
        Ok(Self { pem: pem.to_owned(), standing: Standing::Good, certificate })
    }

    /// The same certificate in another standing.
    #[must_use]
    pub fn standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Its serial number.
    pub fn serial_no(&self) -> &SerialNo {
        &self.certificate.serial_no
    }

    pub(crate) fn is(&self, standing: Standing) -> bool {
        self.standing == standing
    }
}

/// A certificate in the state file and in the control API.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateFile {
    pem: String,
    #[serde(default)]
    standing: Standing,
}

impl TryFrom<CertificateFile> for MerchantCertificate {
    type Error = KeyError;

    fn try_from(file: CertificateFile) -> Result<Self, KeyError> {
        Ok(Self::from_pem(&file.pem)?.standing(file.standing))
    }
}

impl From<MerchantCertificate> for CertificateFile {
    fn from(certificate: MerchantCertificate) -> Self {
        Self { pem: certificate.pem, standing: certificate.standing }
    }
}

fn expose_api_v2_key<S: Serializer>(key: &ApiV2Key, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

fn read_api_v2_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiV2Key, D::Error> {
    read_secret(deserializer, ApiV2Key::parse)
}

fn expose_api_v3_key<S: Serializer>(key: &Option<ApiV3Key>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(ApiV3Key::expose).serialize(serializer)
}

fn read_api_v3_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ApiV3Key>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(ApiV3Key::parse).transpose().map_err(serde::de::Error::custom)
}

/// Reads a secret of the state file.
pub(crate) fn read_secret<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(String) -> Result<T, FieldError>,
) -> Result<T, D::Error> {
    parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
