use super::*;
use crate::explain::callback;

fn case(name: &str) -> Value {
    let all = vectors(V3);
    all["callbacks"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone()
}

fn explained(name: &str) -> Explanation {
    let case = case(name);
    let header = |name: &'static str| case["headers"][name].as_str();
    let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
    callback(header, text(&case, "body").as_bytes(), &keys(), &mchid(MCHID), now).unwrap()
}

#[test]
fn a_line_of_the_log_tells_the_cause_and_no_content() {
    let late = explained("callback-stale").summary();
    assert!(late.contains("five minutes") && late.contains("[untimely]") && !late.contains('\n'), "{late}");
    let tampered = explained("callback-tampered").summary();
    assert!(tampered.contains("[message_changed]") && !tampered.contains("ciphertext"), "{tampered}");
    assert!(explained("callback-signtest-probe").is_probe());
    assert!(explained("callback-transaction-success").is_good());
}

#[test]
fn a_stranger_cannot_write_into_the_log() {
    let header = |name: &'static str| {
        Some(match name {
            "Wechatpay-Serial" => "A\u{1b}[31m\r\nFAKE LINE",
            "Wechatpay-Timestamp" => "1",
            "Wechatpay-Signature-Type" => "WECHATPAY2-SHA256-RSA2048",
            _ => "\u{7}x",
        })
    };
    let explanation = callback(header, b"{}", &keys(), &mchid(MCHID), Timestamp::UNIX_EPOCH).unwrap();
    assert!(!explanation.summary().contains(char::is_control), "{}", explanation.summary());
}

#[test]
fn xml_goes_the_way_of_v2_and_nonsense_has_no_explanation() {
    let now = Timestamp::UNIX_EPOCH;
    let xml = b"<xml><return_code>SUCCESS</return_code><sign>00000000000000000000000000000000</sign></xml>";
    let explanation = callback(|_| None, xml, &keys(), &mchid(V2_MCHID), now).unwrap();
    assert_eq!(explanation.version, crate::explain::Version::V2);
    assert!(callback(|_| None, b"hello", &keys(), &mchid(V2_MCHID), now).is_none());
}
