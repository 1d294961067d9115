//! The merchant's client certificate (`apiclient_cert`), which WeChat Pay asks for before it takes a refund of API v2.
//!
//! It comes from the merchant platform as two PEM files or as one p12 file with the merchant's number as its password.
//! The same certificate signs the requests of API v3. What can be wrong with it is told before anything is sent.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4013053053> (merchant API certificate).

use std::{error::Error, fmt};

use jiff::Timestamp;
use p12_keystore::{Pkcs12Archive, error::Error as P12Error};
use reqwest::Identity;
use secrecy::{ExposeSecret, SecretString};
use weixin::{
    MchId,
    pay::v3::{Certificate, KeyError, SerialNo, SigningKey},
};
use x509_cert::der::pem::{LineEnding, encode_string};

/// A certificate with the private key that belongs to it.
#[derive(Clone)]
pub struct ClientCertificate {
    certificate: Certificate,
    /// Key and certificate, as the TLS library reads them.
    pem: SecretString,
}

impl ClientCertificate {
    /// Reads the contents of `apiclient_cert.pem` and `apiclient_key.pem`.
    ///
    /// # Errors
    /// One of them is something else, or they do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, ClientCertificateError> {
        let certificate_pem = pem_text(certificate).map_err(|wrong| wrong.error(What::Certificate))?;
        let key_pem = pem_text(key).map_err(|wrong| wrong.error(What::Key))?;
        let certificate = Certificate::from_pem(certificate_pem).map_err(ClientCertificateError::Certificate)?;
        let key = SigningKey::from_pem(key_pem).map_err(ClientCertificateError::Key)?;
        if !key.matches(&certificate.key) {
            return Err(ClientCertificateError::KeyMismatch);
        }
        let pem = SecretString::from(format!("{}\n{}\n", key_pem.trim(), certificate_pem.trim()));
        Ok(Self { certificate, pem })
    }

    /// Reads the content of `apiclient_cert.p12`. WeChat's password is the merchant's number.
    ///
    /// # Errors
    /// It is something else, the password is wrong, or there is no certificate with its key in it.
    pub fn from_p12(p12: &[u8], password: &str) -> Result<Self, ClientCertificateError> {
        if p12.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(ClientCertificateError::PemInsteadOfP12);
        }
        let archive = Pkcs12Archive::from_pkcs12(p12, password).map_err(|error| match error {
            P12Error::MacError(_) => ClientCertificateError::WrongPassword,
            other => ClientCertificateError::NotP12(Box::new(other)),
        })?;
        let key = archive.keys.first().ok_or(ClientCertificateError::NothingInP12("private key"))?;
        if archive.certs.is_empty() {
            return Err(ClientCertificateError::NothingInP12("certificate"));
        }
        let key_pem = to_pem("PRIVATE KEY", key.key.as_der()).map(SecretString::from);
        let key_pem = key_pem.map_err(ClientCertificateError::Key)?;
        // The others are those of the authorities that signed it.
        let mut mismatch = ClientCertificateError::KeyMismatch;
        for bag in &archive.certs {
            let pem = to_pem("CERTIFICATE", bag.cert.as_der()).map_err(ClientCertificateError::Certificate)?;
            match Self::from_pem(pem.as_bytes(), key_pem.expose_secret().as_bytes()) {
                Ok(certificate) => return Ok(certificate),
                Err(ClientCertificateError::KeyMismatch) => {}
                Err(error) => mismatch = error,
            }
        }
        Err(mismatch)
    }

    /// Whether WeChat Pay would take it from this merchant at this time.
    ///
    /// # Errors
    /// It belongs to another merchant, or is not good at this time.
    pub fn check(&self, mchid: &MchId, now: Timestamp) -> Result<(), ClientCertificateError> {
        let name = self.certificate.common_name().unwrap_or_default();
        if name != mchid.as_str() {
            return Err(ClientCertificateError::OtherMerchant { found: name.to_owned(), expected: mchid.clone() });
        }
        let Certificate { not_before, not_after, .. } = self.certificate;
        if now > not_after {
            return Err(ClientCertificateError::Expired { not_after });
        }
        if now < not_before {
            return Err(ClientCertificateError::NotYetValid { not_before });
        }
        Ok(())
    }

    /// Whether it is the certificate of this serial number, with which requests of API v3 are signed.
    ///
    /// # Errors
    /// It has another number.
    pub fn check_serial_no(&self, serial_no: &SerialNo) -> Result<(), ClientCertificateError> {
        if self.certificate.serial_no == *serial_no {
            return Ok(());
        }
        let (found, expected) = (self.certificate.serial_no.clone(), serial_no.clone());
        Err(ClientCertificateError::OtherSerialNo { found, expected })
    }

    /// What stands in it.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn identity(&self) -> Result<Identity, reqwest::Error> {
        Identity::from_pem(self.pem.expose_secret().as_bytes())
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("serial_no", &self.certificate.serial_no).finish_non_exhaustive()
    }
}

/// What a file was expected to be.
#[derive(Clone, Copy)]
enum What {
    Certificate,
    Key,
}

/// What bytes are instead of PEM.
enum NotPem {
    Der,
    P12,
    Other,
}

impl NotPem {
    fn error(self, what: What) -> ClientCertificateError {
        match (self, what) {
            (Self::P12, _) => ClientCertificateError::P12InsteadOfPem,
            (Self::Der, What::Certificate) => ClientCertificateError::DerCertificate,
            (Self::Der, What::Key) => ClientCertificateError::DerKey,
            (Self::Other, What::Certificate) => ClientCertificateError::Certificate(KeyError::NotPem),
            (Self::Other, What::Key) => ClientCertificateError::Key(KeyError::NotPem),
        }
    }
}

fn pem_text(bytes: &[u8]) -> Result<&str, NotPem> {
    // ASN.1: a sequence of more than 255 bytes; that of a p12 begins with its version, 3.
    match bytes {
        [0x30, 0x82, _, _, 2, 1, 3, ..] => Err(NotPem::P12),
        [0x30, 0x80..=0x84, ..] => Err(NotPem::Der),
        bytes => std::str::from_utf8(bytes).map_err(|_| NotPem::Other),
    }
}

fn to_pem(label: &'static str, der: &[u8]) -> Result<String, KeyError> {
    encode_string(label, LineEnding::LF, der).map_err(|_| KeyError::NotPem)
}

/// Why a certificate cannot be shown to WeChat Pay. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub enum ClientCertificateError {
    /// The certificate is none.
    #[error("the client certificate (apiclient_cert.pem) cannot be used")]
    Certificate(#[source] KeyError),
    /// The private key is none.
    #[error("the private key of the client certificate (apiclient_key.pem) cannot be used")]
    Key(#[source] KeyError),
    /// The binary form of a certificate.
    #[error(
        "the client certificate is DER, the binary form; convert it: openssl x509 -inform DER -in FILE -out apiclient_cert.pem"
    )]
    DerCertificate,
    /// The binary form of a key.
    #[error(
        "the private key of the client certificate is DER, the binary form; convert it: openssl pkey -inform DER -in FILE -out apiclient_key.pem"
    )]
    DerKey,
    /// A p12 where PEM was expected.
    #[error("the file is a p12 (apiclient_cert.p12), which holds certificate and key; give it as the p12")]
    P12InsteadOfPem,
    /// PEM where a p12 was expected.
    #[error("the file is PEM and not a p12; give apiclient_cert.pem and apiclient_key.pem as PEM")]
    PemInsteadOfP12,
    /// The password does not open the p12.
    #[error("the password of the p12 is wrong; WeChat's password is the merchant's number (mchid)")]
    WrongPassword,
    /// Not a p12, or one of a kind that nobody can read.
    #[error("the p12 (apiclient_cert.p12) cannot be read")]
    NotP12(#[source] Box<dyn Error + Send + Sync>),
    /// The p12 lacks something.
    #[error("there is no {0} in the p12; download apiclient_cert.p12 again from the merchant platform")]
    NothingInP12(&'static str),
    /// Certificate and key are of different pairs.
    #[error(
        "the private key does not belong to the client certificate; take both files from the same download of the merchant platform"
    )]
    KeyMismatch,
    /// The certificate of another merchant, or of somebody who is no merchant.
    #[error("the client certificate belongs to {found:?} and not to the merchant {expected}")]
    OtherMerchant {
        /// The name in the certificate.
        found: String,
        /// Whose it should be.
        expected: MchId,
    },
    /// Another certificate than the one that the configuration names.
    #[error("the client certificate has the serial number {found}, but {expected} is configured")]
    OtherSerialNo {
        /// Its number.
        found: SerialNo,
        /// The configured one.
        expected: SerialNo,
    },
    /// Its time is over.
    #[error("the client certificate has expired ({not_after}); renew it in the merchant platform")]
    Expired {
        /// When that was.
        not_after: Timestamp,
    },
    /// Its time has not come; often the clock of the machine is wrong.
    #[error("the client certificate is not valid before {not_before}; is the clock of this machine right?")]
    NotYetValid {
        /// When it will be.
        not_before: Timestamp,
    },
}
