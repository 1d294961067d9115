//! Merchants and platforms of API v3, with the keys of the protocol crate's vectors. They protect nothing.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    ApiV3Key, MchId, NonceStr,
    pay::v3::{
        Certificate, Credential, KeyId, PublicKeyId, SerialNo, SignatureHeaders, SigningKey, VerifyingKey,
        certificates::{Certificates, SealedCertificate},
        sign_message,
    },
};
use weixin_client::{Hosts, MerchantV3, PayV3Client, TrustStore};

use crate::{
    fixture::{TestClock, transport},
    peer::Reply,
};

pub(crate) static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../weixin/tests/vectors/pay-v3.json")).unwrap());

/// The moment of most vectors: 2026-03-01, both platform certificates are good.
pub(crate) const NOW_S: i64 = 1_772_330_422;

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

pub(crate) fn case(kind: &str, name: &str) -> &'static Value {
    VECTORS[kind].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()
}

fn key(name: &str, field: &str) -> &'static str {
    text(&VECTORS["keys"][name], field)
}

fn private(name: &str) -> SigningKey {
    SigningKey::from_pem(key(name, "private_key_pem")).unwrap()
}

pub(crate) fn public_key() -> VerifyingKey {
    let id = PublicKeyId::parse(key("PUBLIC_KEY", "public_key_id")).unwrap();
    VerifyingKey::from_public_key_pem(id, key("PUBLIC_KEY", "public_key_pem")).unwrap()
}

/// The merchant's own key, as WeChat knows it.
pub(crate) fn merchant_key() -> VerifyingKey {
    let id = KeyId::parse(key("MERCHANT", "serial_no")).unwrap();
    private("MERCHANT").public(id).unwrap()
}

pub(crate) fn api_v3_key() -> ApiV3Key {
    ApiV3Key::parse(VECTORS["keys"]["apiv3_key"].as_str().unwrap()).unwrap()
}

/// A merchant who trusts the public key, or nothing yet.
fn merchant(public_key: Option<VerifyingKey>) -> MerchantV3 {
    let credential = Credential {
        mchid: MchId::parse(key("MERCHANT", "mchid")).unwrap(),
        serial_no: SerialNo::parse(key("MERCHANT", "serial_no")).unwrap(),
        key: private("MERCHANT"),
    };
    MerchantV3 {
        credential: Arc::new(credential),
        api_v3_key: api_v3_key(),
        trust: Arc::new(TrustStore::new(public_key)),
    }
}

pub(crate) fn merchant_with_public_key() -> MerchantV3 {
    merchant(Some(public_key()))
}

pub(crate) fn merchant_with_certificates() -> MerchantV3 {
    merchant(None)
}

pub(crate) fn client(hosts: Hosts, clock: &TestClock) -> PayV3Client {
    PayV3Client::new(transport(), hosts, clock.clock())
}

pub(crate) fn nonce() -> NonceStr {
    NonceStr::parse("593BEC0C930BF1AFEB40B4A08C8FB243").unwrap()
}

/// Somebody who signs as WeChat does.
pub(crate) struct Signer {
    key: SigningKey,
    pub(crate) id: KeyId,
    clock: TestClock,
}

impl Signer {
    fn new(key: SigningKey, id: &str, clock: &TestClock) -> Self {
        Self { key, id: KeyId::parse(id).unwrap(), clock: clock.clone() }
    }

    pub(crate) fn platform_1(clock: &TestClock) -> Self {
        Self::new(private("PLATFORM_1"), key("PLATFORM_1", "serial_no"), clock)
    }

    pub(crate) fn platform_2(clock: &TestClock) -> Self {
        Self::new(private("PLATFORM_2"), key("PLATFORM_2", "serial_no"), clock)
    }

    pub(crate) fn public_key(clock: &TestClock) -> Self {
        Self::new(private("PUBLIC_KEY"), key("PUBLIC_KEY", "public_key_id"), clock)
    }

    /// Not WeChat, but uses this name.
    pub(crate) fn stranger(id: &str, clock: &TestClock) -> Self {
        Self::new(private("STRANGER"), id, clock)
    }

    pub(crate) fn headers(&self, body: &[u8]) -> SignatureHeaders {
        self.headers_at(self.clock.now(), body)
    }

    pub(crate) fn headers_at(&self, now: Timestamp, body: &[u8]) -> SignatureHeaders {
        sign_message(&self.key, &self.id, now, "cert1c2d3e4a5b60718293a4b5c6d7e8".to_owned(), body)
    }

    /// A signed answer of status 200.
    pub(crate) fn reply(&self, body: impl AsRef<[u8]>) -> Reply {
        reply("200 OK", Some(&self.headers(body.as_ref())), body)
    }
}

/// An answer with these signature headers.
pub(crate) fn reply(status: &str, headers: Option<&SignatureHeaders>, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nRequest-ID: 08F5-0\r\n");
    for (name, value) in headers.iter().flat_map(|headers| headers.to_pairs()) {
        head += &format!("{name}: {value}\r\n");
    }
    // An answer of 204 has no length.
    let length = if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    Reply::Raw([head.as_bytes(), length.as_bytes(), b"\r\n", body].concat())
}

/// The body of an answer with these platform certificates, sealed with the merchant's key of API v3.
pub(crate) fn certificates(names: &[&str]) -> String {
    certificates_sealed(names, &api_v3_key())
}

pub(crate) fn certificates_sealed(names: &[&str], api_v3_key: &ApiV3Key) -> String {
    let seal = |name: &&str| {
        let pem = key(name, "certificate_pem");
        SealedCertificate::seal(&Certificate::from_pem(pem).unwrap(), pem, api_v3_key, "d215b0511e9c").unwrap()
    };
    serde_json::to_string(&Certificates { data: names.iter().map(seal).collect() }).unwrap()
}

/// The private key and the APIv3 key, for searching them in what is printed.
pub(crate) fn secrets() -> [String; 3] {
    let private = key("MERCHANT", "private_key_pem").lines().nth(1).unwrap().to_owned();
    let public = key("PUBLIC_KEY", "public_key_pem").lines().nth(1).unwrap().to_owned();
    [private, public, api_v3_key().expose().to_owned()]
}
