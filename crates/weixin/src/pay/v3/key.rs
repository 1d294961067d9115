//! Keys of API v3: parsed once, named by serial number or public key id.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012153196> (keys and certificates).

use std::fmt;

use aws_lc_rs::{
    digest,
    encoding::{AsDer as _, PublicKeyX509Der},
    error::Unspecified,
    rand::SystemRandom,
    rsa::{
        OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use x509_cert::der::{Decode as _, Encode as _, pem};

use crate::{FieldError, MchId, id::checked_text};

checked_text! {
    /// The id of WeChat Pay's public key for a merchant.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012153196>.
    PublicKeyId, "public_key_id", "must be PUB_KEY_ID_ followed by digits",
    |text| text.strip_prefix("PUB_KEY_ID_").is_some_and(|digits| {
        (8..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The serial number of a certificate: 40 hexadecimal digits in capitals, leading zeros included. Programs that print
/// the number without its zeros, or in small letters, mean the same certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNo(String);

impl SerialNo {
    /// Reads a serial number in any of its spellings.
    ///
    /// # Errors
    /// Not 1 to 40 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let digits = text.trim_start_matches('0');
        let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal || text.len() > 40 {
            return Err(FieldError::new(
                "serial_no",
                "must be the serial number of a certificate, 40 hexadecimal digits",
            ));
        }
        Ok(Self(format!("{:0>40}", digits.to_ascii_uppercase())))
    }

    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SerialNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SerialNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `Wechatpay-Serial` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyId {
    /// A platform certificate; it can be downloaded.
    Certificate(SerialNo),
    /// WeChat Pay's public key; it is configured by hand.
    PublicKey(PublicKeyId),
}

impl KeyId {
    /// Reads the header.
    ///
    /// # Errors
    /// Neither a serial number nor a public key id.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        if text.starts_with("PUB_KEY_ID_") {
            return PublicKeyId::parse(text).map(Self::PublicKey);
        }
        SerialNo::parse(text).map(Self::Certificate)
    }

    /// The text of the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Certificate(serial) => serial.as_str(),
            Self::PublicKey(id) => id.as_str(),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A private RSA key, parsed once: the merchant's, or the platform's in the simulator.
pub struct SigningKey {
    pair: RsaKeyPair,
    decrypting: OaepPrivateDecryptingKey,
}

impl SigningKey {
    /// Reads PKCS#8 in PEM, as the certificate tool writes `apiclient_key.pem`.
    ///
    /// # Errors
    /// The text is not a private key, or not RSA of at least 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = decode_pem(text)?;
        match label.as_str() {
            "PRIVATE KEY" => {}
            "RSA PRIVATE KEY" => return Err(KeyError::Pkcs1),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            _ => return Err(KeyError::Label { expected: "PRIVATE KEY", found: label }),
        }
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| KeyError::NotRsa)?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| KeyError::NotRsa)?;
        let decrypting = OaepPrivateDecryptingKey::new(decrypting).map_err(|_| KeyError::NotRsa)?;
        Ok(Self { pair, decrypting })
    }

    /// Signs with RSA PKCS#1 v1.5 and SHA-256; base64.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        // Fails on a key that cannot sign, which parsing has refused.
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("a parsed key signs");
        STANDARD.encode(signature)
    }

    /// Whether the public key belongs to this private key.
    pub fn matches(&self, public: &VerifyingKey) -> bool {
        self.public_der().is_ok_and(|der| der == public.der)
    }

    /// The public half under a name, as the other side knows it.
    ///
    /// # Errors
    /// The library cannot write the key.
    pub fn public(&self, id: KeyId) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_der(id, self.public_der()?)
    }

    /// Opens what was sealed with the public half (RSAES-OAEP with SHA-1); base64.
    ///
    /// # Errors
    /// Another key, another padding, or not base64: all alike.
    pub fn decrypt(&self, ciphertext: &str) -> Result<Vec<u8>, KeyError> {
        let ciphertext = STANDARD.decode(ciphertext).map_err(|_| KeyError::NotDecrypted)?;
        let mut plain = vec![0; self.decrypting.min_output_size()];
        let plain = self
            .decrypting
            .decrypt(&OAEP_SHA1_MGF1SHA1, &ciphertext, &mut plain, None)
            .map_err(|_| KeyError::NotDecrypted)?;
        Ok(plain.to_vec())
    }

    fn public_der(&self) -> Result<Vec<u8>, KeyError> {
        let der: Result<PublicKeyX509Der<'_>, Unspecified> = self.pair.public_key().as_der();
        der.map(|der| der.as_ref().to_vec()).map_err(|_| KeyError::NotRsa)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// A public RSA key under the name by which messages call it, parsed once.
#[derive(Clone)]
pub struct VerifyingKey {
    id: KeyId,
    der: Vec<u8>,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// Reads a SubjectPublicKeyInfo in PEM, as the merchant platform gives `pub_key.pem`.
    ///
    /// # Errors
    /// The text is not a public key, or not RSA of at least 2048 bits.
    pub fn from_public_key_pem(id: PublicKeyId, text: &str) -> Result<Self, KeyError> {
        let (label, der) = decode_pem(text)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::Label { expected: "PUBLIC KEY", found: label });
        }
        Self::from_der(KeyId::PublicKey(id), der)
    }

    fn from_der(id: KeyId, der: Vec<u8>) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).map_err(|_| KeyError::NotRsa)?;
        Ok(Self { id, der, key })
    }

    /// Its name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// SHA-256 over the public key (SubjectPublicKeyInfo) in hexadecimal digits: tells keys apart, whatever they are
    /// called. The same as `openssl pkey -pubin -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.der))
    }

    /// Whether the base64 signature (RSA PKCS#1 v1.5, SHA-256) belongs to the message.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| self.key.verify_sig(message, &signature).is_ok())
    }

    /// Seals a sensitive field for the owner of the private half (RSAES-OAEP with SHA-1); base64.
    ///
    /// # Errors
    /// More than 214 bytes for a key of 2048 bits.
    ///
    /// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4013053257> (sensitive fields).
    pub fn encrypt(&self, plain: &[u8]) -> Result<String, KeyError> {
        let key = PublicEncryptingKey::from_der(&self.der).map_err(|_| KeyError::NotRsa)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| KeyError::NotRsa)?;
        let mut sealed = vec![0; key.ciphertext_size()];
        let sealed = key.encrypt(&OAEP_SHA1_MGF1SHA1, plain, &mut sealed, None).map_err(|_| KeyError::TooLong)?;
        Ok(STANDARD.encode(sealed))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.id).finish()
    }
}

/// A certificate: its serial number, its dates and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The serial number.
    pub serial_no: SerialNo,
    /// Whose it says it is, for example `CN=1900000109,…` (a merchant) or `CN=Tenpay.com sign,…` (WeChat Pay). Nobody has
    /// checked that.
    pub subject: String,
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// The key in it, named by the serial number.
    pub key: VerifyingKey,
}

impl Certificate {
    /// Reads X.509 in PEM. The chain is not checked: trust in a platform certificate comes from the sealed answer that
    /// carries it.
    ///
    /// # Errors
    /// The text is not a certificate with an RSA key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = decode_pem(text)?;
        if label != "CERTIFICATE" {
            return Err(KeyError::Label { expected: "CERTIFICATE", found: label });
        }
        Self::from_der(&der)
    }

    /// Reads X.509 in DER, as it stands in a TLS handshake. The chain is not checked.
    ///
    /// # Errors
    /// The bytes are not a certificate with an RSA key.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let certificate = x509_cert::Certificate::from_der(der).map_err(|_| KeyError::NotCertificate)?.tbs_certificate;
        let serial = hex::encode_upper(certificate.serial_number.as_bytes());
        let serial_no = SerialNo::parse(&serial).map_err(|_| KeyError::NotCertificate)?;
        let key = certificate.subject_public_key_info.to_der().map_err(|_| KeyError::NotCertificate)?;
        let time = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
            seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or(KeyError::NotCertificate)
        };
        Ok(Self {
            key: VerifyingKey::from_der(KeyId::Certificate(serial_no.clone()), key)?,
            serial_no,
            subject: certificate.subject.to_string(),
            not_before: time(certificate.validity.not_before)?,
            not_after: time(certificate.validity.not_after)?,
        })
    }
}

impl Certificate {
    /// The name in the subject: of a merchant's certificate its number.
    pub fn common_name(&self) -> Option<&str> {
        self.subject.split(',').find_map(|part| part.trim().strip_prefix("CN="))
    }
}

/// Who signs a request: the merchant, and which of its certificates.
#[derive(Debug)]
pub struct Credential {
    /// The merchant.
    pub mchid: MchId,
    /// The serial number of the merchant's certificate (never the platform's).
    pub serial_no: SerialNo,
    /// The private key of that certificate.
    pub key: SigningKey,
}

fn decode_pem(text: &str) -> Result<(String, Vec<u8>), KeyError> {
    let (label, der) = pem::decode_vec(text.trim().as_bytes()).map_err(|_| KeyError::NotPem)?;
    Ok((label.to_owned(), der))
}

/// Why a text is not the key that it should be, or a key cannot do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM.
    #[error("is not PEM: a text between -----BEGIN ...----- and -----END ...----- lines")]
    NotPem,
    /// PEM of another kind.
    #[error("is a PEM of the kind {found}, but {expected} is needed")]
    Label {
        /// What is needed.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The older form of private keys.
    #[error(
        "is a PKCS#1 key (RSA PRIVATE KEY); convert it: openssl pkcs8 -topk8 -nocrypt -in old.pem -out apiclient_key.pem"
    )]
    Pkcs1,
    /// A key behind a password.
    #[error("is encrypted with a password; WeChat's certificate tool writes it without one")]
    Encrypted,
    /// Not RSA, or too short.
    #[error("is not an RSA key of at least 2048 bits")]
    NotRsa,
    /// Not X.509.
    #[error("is not an X.509 certificate")]
    NotCertificate,
    /// The value does not fit into one RSA block.
    #[error("cannot seal so many bytes")]
    TooLong,
    /// Sealed for somebody else, or changed.
    #[error("cannot open the sealed field")]
    NotDecrypted,
}
