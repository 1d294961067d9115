//! A merchant's server that speaks TLS and may show a certificate.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use weixin::{
    pay::v2::{SignType, signed},
    xml::Fields,
};
use weixin_simulator::{DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM, DEMO_TLS_AUTHORITY_PEM};

use crate::support::{Reply, Stage, key, reply};

/// A certificate and its key, in PEM.
pub(crate) type Identity = (&'static str, &'static str);

pub(crate) const DEMO: Identity = (DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM);
/// Of no merchant.
pub(crate) const STRANGER: Identity =
    (include_str!("../../fixtures/platform_2_cert.pem"), include_str!("../../fixtures/platform_2_key.pem"));

impl Stage {
    /// Signs, posts over TLS showing this certificate, and gives what comes back.
    pub(crate) async fn secapi(&self, path: &str, fields: &Fields, identity: Option<Identity>) -> Reply {
        let sign_type = fields.get("sign_type").map_or(SignType::Md5, |word| SignType::from_wire(word).unwrap());
        let body = signed(fields.clone(), &key(), sign_type).to_xml();
        let address = self.sim.tls_base_url().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let message = format!("{head}Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        tokio::task::spawn_blocking(move || reply(exchange(address, message.as_bytes(), identity))).await.unwrap()
    }
}

fn exchange(address: SocketAddr, message: &[u8], identity: Option<Identity>) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(DEMO_TLS_AUTHORITY_PEM.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let name = ServerName::from(address.ip());
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(message).unwrap();
    let mut bytes = Vec::new();
    // A connection that breaks is one of the things that are tested.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
