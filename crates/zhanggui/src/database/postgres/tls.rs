//! TLS to PostgreSQL by rustls: verified (`sslmode=require` and stricter) or only encrypted (`sslmode=prefer`).

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::OpenError;

/// Verifies the server's certificate and host name against `roots`, or against the machine's certificates without it.
pub(super) fn verified(roots: Option<&Path>) -> Result<MakeRustlsConnect, OpenError> {
    let file = match roots {
        Some(file) => file,
        None => MACHINE_ROOTS.iter().map(Path::new).find(|file| file.exists()).ok_or_else(|| {
            failed(
                "this machine has no trusted certificates in a known place; add sslrootcert=FILE to the database URL",
            )
        })?,
    };
    let unreadable = |error| failed(format!("{} cannot be read as PEM certificates: {error}", file.display()));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        // Bundles of operating systems hold a few certificates that rustls does not read; they are left out.
        store.add_parsable_certificates([certificate.map_err(unreadable)?]);
    }
    if store.is_empty() {
        return Err(failed(format!("{} contains no certificate", file.display())));
    }
    let config = builder()?.with_root_certificates(store).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Encrypts against listeners, without knowing who the server is.
pub(super) fn unverified() -> Result<MakeRustlsConnect, OpenError> {
    let verifier = Arc::new(AnyServer(Arc::new(aws_lc_rs::default_provider())));
    let config = builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, OpenError> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))
}

fn failed(reason: impl Into<String>) -> OpenError {
    OpenError::Tls { reason: reason.into() }
}

/// `sslmode=prefer` speaks without encryption to a server that asks for it, so that checking a certificate would prove nothing;
/// libpq does not check either, and many servers carry a certificate that they signed themselves.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Where operating systems keep their trusted certificates in one PEM file.
const MACHINE_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
