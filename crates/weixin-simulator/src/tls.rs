//! The TLS listener, which asks for the merchant's certificate, as `api.mch.weixin.qq.com` does for `/secapi`.
//!
//! Whoever proves to have the key of the certificate that is shown gets through the handshake; whether the certificate
//! is any good is answered in HTTP, like WeChat's gateway does.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> (client certificates).

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

const CERTIFICATE_PEM: &str = include_str!("../fixtures/tls_server_cert.pem");
const KEY_PEM: &str = include_str!("../fixtures/tls_server_key.pem");

/// What makes TLS out of a connection.
pub(crate) fn acceptor() -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |_| Error::General("a fixture of the simulator is malformed".to_owned());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE_PEM.as_bytes()).map_err(unusable)?;
    let key = PrivateKeyDer::from_pem_slice(KEY_PEM.as_bytes()).map_err(unusable)?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyCertificate(provider)))
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes every certificate whose key is proven to be there, and those who have none.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
