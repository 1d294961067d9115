//! The platform certificates, opened with the APIv3 key.

use weixin::pay::v3::{
    SignatureHeaders,
    certificates::{self, Certificates},
};
use weixin_simulator::{
    DEMO_PLATFORM_CERTIFICATE_2_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, KeyMode, MerchantV3Setup, Rotation,
};

use crate::{
    support::Stage,
    v3::{CERTIFICATES, code, platform, refusal, v3_key},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_with_a_public_key_has_no_certificates() {
    let stage = Stage::new().await;
    let (status, code, message, _) = refusal(&stage.v3("GET", CERTIFICATES, "").await);
    assert_eq!((status, code.as_str()), (404, "RESOURCE_NOT_EXISTS"));
    assert!(message.starts_with("无可用的平台证书"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_can_be_opened_and_then_verified() {
    let stage = Stage::new().await;
    for key_mode in [KeyMode::Certificates, KeyMode::Both] {
        stage.key_mode(key_mode);
        let reply = stage.v3("GET", CERTIFICATES, "").await;
        assert_eq!(reply.status, 200);
        let headers = SignatureHeaders::read(|name| reply.header(name)).unwrap();
        let (_, opened) = certificates::bootstrap(&headers, &reply.body, &v3_key(), stage.sim.now()).unwrap();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].serial_no, platform(DEMO_PLATFORM_CERTIFICATE_PEM).serial_no);
        assert!(opened[0].serial_no.as_str().starts_with('0'), "a zero that programs lose");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_certificates_shows_both_for_a_while() {
    let stage = Stage::new().await;
    stage.key_mode(KeyMode::Certificates);
    let old = platform(DEMO_PLATFORM_CERTIFICATE_PEM).serial_no;
    let new = platform(DEMO_PLATFORM_CERTIFICATE_2_PEM).serial_no;
    for (rotation, expected, signs) in [
        (Rotation::FirstOnly, vec![&old], &old),
        (Rotation::BothPublished, vec![&new, &old], &old),
        (Rotation::SecondSigns, vec![&new, &old], &new),
        (Rotation::SecondOnly, vec![&new], &new),
    ] {
        stage.sim.set_rotation(rotation);
        let reply = stage.v3("GET", CERTIFICATES, "").await;
        let told: Certificates = serde_json::from_value(stage.good(&reply)).unwrap();
        let opened = told.open(&v3_key()).unwrap();
        // The newest stands first: that one seals.
        assert_eq!(opened.iter().map(|certificate| &certificate.serial_no).collect::<Vec<_>>(), expected);
        assert_eq!(stage.verify(&reply).unwrap(), signs.as_str());
        for sealed in &told.data {
            assert_eq!(sealed.encrypt_certificate.associated_data, "certificate");
            assert_eq!(sealed.encrypt_certificate.nonce.len(), 12);
            assert!(sealed.effective_time.ends_with("+08:00"), "{}", sealed.effective_time);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_v3_key_nothing_can_be_sealed() {
    let stage = Stage::new().await;
    let merchant = MerchantV3Setup { key: None, key_mode: KeyMode::Certificates, ..MerchantV3Setup::demo() };
    stage.sim.add_merchant_v3(&merchant);
    let (status, code, message, _) = refusal(&stage.v3("GET", CERTIFICATES, "").await);
    assert_eq!((status, code.as_str(), message.as_str()), (401, "SIGN_ERROR", "商户未设置APIv3密钥。"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_algorithms_have_no_certificates() {
    let stage = Stage::new().await;
    stage.key_mode(KeyMode::Certificates);
    for (kind, status) in [("RSA", 200), ("ALL", 200), ("SM2", 404), ("DSA", 400)] {
        let path = format!("{CERTIFICATES}?algorithm_type={kind}");
        let reply = stage.v3("GET", &path, "").await;
        assert_eq!(reply.status, status, "{kind}");
        if status != 200 {
            code(&reply);
        }
    }
}
