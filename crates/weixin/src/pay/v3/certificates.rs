//! `GET /v3/certificates`: the platform certificates, sealed with the APIv3 key. 404 is normal for merchants who have
//! WeChat Pay's public key instead.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012551764>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Call, Certificate, Code, KeyError, Method,
    aead::{OpenError, Sealed},
    transaction::rfc3339,
};
use crate::{ApiV3Key, Verified};

/// The path below the host.
pub const PATH: &str = "/v3/certificates";

/// Asks for the platform certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetCertificates;

impl Call for GetCertificates {
    const METHOD: Method = Method::Get;
    type Answer = Certificates;

    fn path(&self) -> String {
        PATH.to_owned()
    }
}

/// One certificate, two while they are being changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// The sealed certificates.
    pub data: Vec<SealedCertificate>,
}

/// A certificate on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCertificate {
    /// Its serial number.
    pub serial_no: String,
    /// From when it is used.
    pub effective_time: String,
    /// Until when it is good.
    pub expire_time: String,
    /// The PEM, sealed.
    pub encrypt_certificate: Sealed,
}

impl SealedCertificate {
    /// Seals a certificate as WeChat does.
    ///
    /// # Errors
    /// The nonce has not twelve characters.
    pub fn seal(certificate: &Certificate, pem: &str, key: &ApiV3Key, nonce: &str) -> Result<Self, OpenError> {
        Ok(Self {
            serial_no: certificate.serial_no.to_string(),
            effective_time: rfc3339(certificate.not_before),
            expire_time: rfc3339(certificate.not_after),
            encrypt_certificate: Sealed::seal(key, nonce, "certificate", pem.as_bytes())?,
        })
    }
}

impl Certificates {
    /// Opens all certificates, the newest first. One that cannot be opened spoils the whole answer: a set is replaced
    /// by a whole one or not at all.
    ///
    /// # Errors
    /// The APIv3 key is wrong, or something is not a certificate.
    pub fn open(&self, key: &ApiV3Key) -> Result<Vec<Certificate>, CertificatesError> {
        let open = |sealed: &SealedCertificate| {
            let pem = sealed.encrypt_certificate.open(key)?;
            let pem = String::from_utf8(pem).map_err(|_| KeyError::NotPem)?;
            let certificate = Certificate::from_pem(&pem)?;
            let named = super::SerialNo::parse(&sealed.serial_no).ok();
            if named.as_ref() != Some(&certificate.serial_no) {
                return Err(CertificatesError::OtherSerial);
            }
            let effective: Timestamp = sealed.effective_time.parse().unwrap_or(certificate.not_before);
            Ok((effective, certificate))
        };
        let mut opened: Vec<_> = self.data.iter().map(open).collect::<Result<_, _>>()?;
        opened.sort_by_key(|(effective, _)| std::cmp::Reverse(*effective));
        Ok(opened.into_iter().map(|(_, certificate)| certificate).collect())
    }
}

/// The first answer of all: it is signed, but by a certificate that only it contains. It is opened first, which only
/// somebody with the APIv3 key can make possible, and then verified with what was in it.
///
/// # Errors
/// It cannot be opened, or its own certificates do not verify it.
pub fn bootstrap<'a>(
    headers: &super::SignatureHeaders,
    body: &'a [u8],
    key: &ApiV3Key,
    now: Timestamp,
) -> Result<(Verified<&'a [u8]>, Vec<Certificate>), CertificatesError> {
    let unverified: Certificates = serde_json::from_slice(body).map_err(|_| CertificatesError::NotJson)?;
    let certificates = unverified.open(key)?;
    let trusted = certificates.iter().cloned().collect();
    let verified = super::verify(headers, body, &trusted, now)?;
    Ok((verified, certificates))
}

/// Why there are no certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificatesError {
    /// Not the JSON of the page.
    #[error("the answer is not a list of certificates")]
    NotJson,
    /// The APIv3 key does not open it.
    #[error("a certificate cannot be opened")]
    Sealed(#[from] OpenError),
    /// What was sealed is not a certificate.
    #[error("a certificate cannot be read")]
    Key(#[from] KeyError),
    /// The serial number beside the certificate is not the one in it.
    #[error("a certificate has another serial number than the one beside it")]
    OtherSerial,
    /// None of the certificates in the answer signed it.
    #[error("the answer is not signed by one of its own certificates")]
    NotVerified(#[from] super::VerifyError),
}

/// Status and code of the refusals that the page documents for this endpoint.
pub const ERR_CODES: &[(u16, Code)] =
    &[(404, Code::ResourceNotExists), (401, Code::SignError), (429, Code::FrequencyLimited), (500, Code::SystemError)];
