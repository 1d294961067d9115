//! Lesson 28: every way in which a merchant's certificate can be the wrong one is told apart, and told clearly.

use jiff::Timestamp;
use weixin::{MchId, pay::v3::SerialNo};
use weixin_client::{ClientCertificate, ClientCertificateError as Wrong};
use weixin_simulator::{
    DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_P12, DEMO_MERCHANT_SERIAL,
    DEMO_PUBLIC_KEY_PEM,
};

use crate::fixture::print;

const PEM: &[u8] = DEMO_MERCHANT_CERTIFICATE_PEM.as_bytes();
const KEY: &[u8] = DEMO_MERCHANT_KEY_PEM.as_bytes();
const MODERN_P12: &[u8] = include_bytes!("tls/modern.p12");
const P12_WITHOUT_KEY: &[u8] = include_bytes!("tls/without-key.p12");
const EXPIRED: &[u8] = include_bytes!("tls/expired.pem");
const FUTURE: &[u8] = include_bytes!("tls/future.pem");
const OTHER_MERCHANT: &[u8] = include_bytes!("tls/other-merchant.pem");
/// A key of nobody.
const STRANGER_KEY: &[u8] = include_bytes!("../../../weixin-simulator/fixtures/stranger_key.pem");

fn mchid() -> MchId {
    MchId::parse(DEMO_MCHID).unwrap()
}

fn now() -> Timestamp {
    "2026-01-22T06:30:00Z".parse().unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap().1
}

#[test]
fn lesson_28_a_p12_and_two_pem_files_are_the_same_certificate() {
    let pem = ClientCertificate::from_pem(PEM, KEY).unwrap();
    // The old one has RC2 and triple DES, as the merchant platform still writes them.
    for p12 in [DEMO_MERCHANT_P12, MODERN_P12] {
        let p12 = ClientCertificate::from_p12(p12, DEMO_MCHID).unwrap();
        assert_eq!(p12.certificate().serial_no, pem.certificate().serial_no);
        p12.check(&mchid(), now()).unwrap();
    }
    pem.check(&mchid(), now()).unwrap();
    pem.check_serial_no(&SerialNo::parse(DEMO_MERCHANT_SERIAL).unwrap()).unwrap();
}

#[test]
fn lesson_28_each_wrong_file_is_told_apart() {
    type Expected = fn(&Wrong) -> bool;
    let (certificate_der, key_der) = (der(DEMO_MERCHANT_CERTIFICATE_PEM), der(DEMO_MERCHANT_KEY_PEM));
    let cases: [(&[u8], &[u8], Expected, &str); 9] = [
        (&certificate_der, KEY, |wrong| matches!(wrong, Wrong::DerCertificate), "openssl x509 -inform DER"),
        (PEM, &key_der, |wrong| matches!(wrong, Wrong::DerKey), "openssl pkey -inform DER"),
        (DEMO_MERCHANT_P12, KEY, |wrong| matches!(wrong, Wrong::P12InsteadOfPem), "is a p12"),
        (MODERN_P12, KEY, |wrong| matches!(wrong, Wrong::P12InsteadOfPem), "is a p12"),
        (KEY, KEY, |wrong| matches!(wrong, Wrong::Certificate(_)), "PRIVATE KEY"),
        (PEM, PEM, |wrong| matches!(wrong, Wrong::Key(_)), "CERTIFICATE"),
        (PEM, DEMO_PUBLIC_KEY_PEM.as_bytes(), |wrong| matches!(wrong, Wrong::Key(_)), "PUBLIC KEY"),
        (b"\xff\xfe", KEY, |wrong| matches!(wrong, Wrong::Certificate(_)), "is not PEM"),
        (PEM, STRANGER_KEY, |wrong| matches!(wrong, Wrong::KeyMismatch), "does not belong"),
    ];
    for (certificate, key, expected, words) in cases {
        let wrong = ClientCertificate::from_pem(certificate, key).unwrap_err();
        assert!(expected(&wrong), "{wrong:?}");
        assert!(print(&wrong).contains(words), "{words}: {}", print(&wrong));
    }
}

#[test]
fn lesson_28_each_wrong_p12_is_told_apart() {
    let wrong = |p12: &[u8], password: &str| ClientCertificate::from_p12(p12, password).unwrap_err();
    for p12 in [DEMO_MERCHANT_P12, MODERN_P12] {
        for password in ["", "1600000002", " 1600000001"] {
            assert!(matches!(wrong(p12, password), Wrong::WrongPassword), "{password:?}");
        }
    }
    assert!(wrong(DEMO_MERCHANT_P12, "").to_string().contains("mchid"), "what the password is, is told");
    assert!(matches!(wrong(PEM, DEMO_MCHID), Wrong::PemInsteadOfP12));
    assert!(matches!(wrong(P12_WITHOUT_KEY, DEMO_MCHID), Wrong::NothingInP12("private key")));
    let half = &MODERN_P12[..MODERN_P12.len() / 2];
    for nonsense in [b"".as_slice(), b"nonsense", half, &der(DEMO_MERCHANT_CERTIFICATE_PEM)] {
        assert!(matches!(wrong(nonsense, DEMO_MCHID), Wrong::NotP12(_)));
    }
}

#[test]
fn lesson_28_a_certificate_of_another_merchant_or_time_is_told_before_anything_is_sent() {
    let wrong = |pem: &[u8]| ClientCertificate::from_pem(pem, KEY).unwrap().check(&mchid(), now()).unwrap_err();
    let other = wrong(OTHER_MERCHANT);
    assert!(matches!(&other, Wrong::OtherMerchant { found, .. } if found == "1900000109"), "{other:?}");
    let expired = wrong(EXPIRED);
    assert!(matches!(&expired, Wrong::Expired { .. }), "{expired:?}");
    assert!(expired.to_string().contains("2025-01-01"), "{expired}");
    assert!(matches!(wrong(FUTURE), Wrong::NotYetValid { .. }));
    let certificate = ClientCertificate::from_pem(PEM, KEY).unwrap();
    let serial_no = SerialNo::parse("3FA4E0000000000000000000000000000000DE31").unwrap();
    assert!(matches!(certificate.check_serial_no(&serial_no), Err(Wrong::OtherSerialNo { .. })));
}

#[test]
fn a_private_key_is_never_printed() {
    let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
    let shown = format!("{certificate:?}");
    assert!(shown.contains(DEMO_MERCHANT_SERIAL) && shown.len() < 120, "{shown}");
    let secret = &DEMO_MERCHANT_KEY_PEM[60..90];
    for (certificate, key) in [(KEY, KEY), (KEY, PEM), (PEM, STRANGER_KEY)] {
        assert!(!print(&ClientCertificate::from_pem(certificate, key).unwrap_err()).contains(secret));
    }
}
