use super::*;

const TIME: &str = "1772330420";
const NONCE: &str = "8f1c2d3e4a5b60718293a4b5c6d7e8f0";
const SERIAL: &str = "0C1D2E3F405162738495A6B7C8D9EAFB0C1D2E3F";
const BODY: &str = "{\"id\":\"1\",\"summary\":\"支付/成功\"}";

fn message(serial: &str, signature: &str, body: &str) -> String {
    format!(
        "POST /wechat/pay/1900000109 HTTP/1.1\r\nWechatpay-Timestamp: {TIME}\r\nWechatpay-Nonce: {NONCE}\r\n\
         Wechatpay-Serial: {serial}\r\nWechatpay-Signature: {signature}\r\n\
         Wechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n\r\n{body}"
    )
}

fn over(body: &str) -> String {
    format!("{TIME}\n{NONCE}\n{body}\n")
}

fn signed_by(key: &str, serial: &str, text: &str, body: &str) -> String {
    message(serial, &signing_key(key).sign(text.as_bytes()), body)
}

fn merchant_only() -> Keys {
    let mut keys = keys();
    keys.merchants.retain(|merchant| merchant.mchid.as_ref().is_some_and(|mchid| mchid.as_str() == MCHID));
    keys
}

#[track_caller]
fn first(input: &str, code: Code) -> Explanation {
    let explanation = explained_at(input, &merchant_only(), None);
    assert_eq!(explanation.first(), Some(code), "{}", explanation.to_text(Length::Full));
    assert!(!explanation.is_good());
    explanation
}

#[test]
fn a_good_callback_is_good() {
    let explanation = explained_at(&signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY), &merchant_only(), None);
    assert!(explanation.is_good(), "{explanation:?}");
    assert!(explanation.key.unwrap().contains(SERIAL));
}

#[test]
fn a_body_that_changed_on_the_way_is_recognised() {
    let by = |body: &str| signed_by("PLATFORM_1", SERIAL, &over(BODY), body);
    first(&by("{\"id\": \"1\", \"summary\": \"支付/成功\"}"), Code::BodyReserialised);
    first(&by("{\"id\":\"1\",\"summary\":\"\\u652f\\u4ed8/\\u6210\\u529f\"}"), Code::BodyReserialised);
    first(&by("{\"id\":\"1\",\"summary\":\"支付\\/成功\"}"), Code::BodyReserialised);
    first(&by(&format!("{BODY}\n")), Code::BodyEnd);
    let end = signed_by("PLATFORM_1", SERIAL, &over(&format!("{BODY}\n")), BODY);
    first(&end, Code::BodyEnd);
    let changed = first(&by("{\"id\":\"2\"}"), Code::MessageChanged);
    assert_eq!(changed.causes[0].certainty, Certainty::Possible);
}

#[test]
fn swapped_headers_are_recognised() {
    let good = signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY);
    let swapped = good.replace("-Timestamp:", "-X:").replace("-Nonce:", "-Timestamp:").replace("-X:", "-Nonce:");
    first(&swapped, Code::NonceAndTimeSwapped);
    let text = format!("{NONCE}\n{TIME}\n{BODY}\n");
    first(&signed_by("PLATFORM_1", SERIAL, &text, BODY), Code::NonceAndTimeSwapped);
}

#[test]
fn a_missing_header_is_named() {
    let good = signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY);
    for name in ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"] {
        let explanation = first(&good.replace(&format!("{name}:"), "X-Gone:"), Code::HeaderMissing);
        assert_eq!(explanation.causes[0].detail.as_deref(), Some(name));
    }
    let refusal = first("HTTP/1.1 401 Unauthorized\r\n\r\n{\"code\":\"SIGN_ERROR\"}", Code::HeaderMissing);
    assert!(refusal.causes[0].detail.as_deref().unwrap().contains("normal with status 401"));
}

#[test]
fn another_type_of_signature_is_recognised() {
    let good = signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY);
    first(&good.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3"), Code::SignatureType);
}

#[test]
fn a_probe_is_no_error() {
    let explanation = first(&message(SERIAL, "WECHATPAY/SIGNTEST/abc", BODY), Code::Probe);
    assert!(explanation.is_probe() && explanation.summary().contains("not an error"));
}

#[test]
fn a_late_callback_is_named_before_its_signature() {
    let good = signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY);
    let explanation = explained_at(&good, &merchant_only(), Some(1_772_330_420 + 1200));
    assert_eq!((explanation.first(), explanation.verdict), (Some(Code::Untimely), Verdict::Refused));
}

#[test]
fn unknown_names_are_recognised() {
    let stranger = "00000000000000000000000000000000000000CD";
    let explanation = first(&signed_by("STRANGER", stranger, &over(BODY), BODY), Code::SerialUnknown);
    assert_eq!(explanation.verdict, Verdict::Unchecked);
    let id = "PUB_KEY_ID_0119000001092026010100000000000002";
    first(&signed_by("STRANGER", id, &over(BODY), BODY), Code::PublicKeyNotConfigured);
    first(&signed_by("STRANGER", "nonsense\u{7}", &over(BODY), BODY), Code::SerialUnknown);
    let own = "5C2A90D1E4B7368F00112233445566778899AABB";
    first(&signed_by("MERCHANT", own, &over(BODY), BODY), Code::MerchantsOwnSerial);
}

#[test]
fn a_name_that_is_not_the_signers_is_recognised() {
    let id = "PUB_KEY_ID_0119000001092026010100000000000001";
    first(&signed_by("PLATFORM_1", id, &over(BODY), BODY), Code::SerialNotOfKey);
}

#[test]
fn the_merchants_own_certificate_cannot_check_a_callback() {
    let good = signed_by("PLATFORM_1", SERIAL, &over(BODY), BODY);
    let mut keys = Keys { merchants: Vec::new(), given: vec![GivenKey::certificate(certificate("MERCHANT"))] };
    assert_eq!(explained_at(&good, &keys, None).first(), Some(Code::MerchantsCertificateUsed));
    keys.given = vec![GivenKey::certificate(certificate("PLATFORM_1"))];
    assert!(explained_at(&good, &keys, None).is_good());
}
