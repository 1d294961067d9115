use std::process::Output;

use weixin::{
    ApiV2Key, MchId, NonceStr,
    pay::{
        v2::{SignType, sign},
        v3::{Authorization, Credential, Method, SerialNo, Signed, SigningKey},
    },
    xml::Fields,
};
use weixin_simulator::{
    DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_MCHID, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_SERIAL, DEMO_PUBLIC_KEY_ID,
};

use crate::place::{Place, json, printed};

fn place() -> Place {
    Place::new("http://127.0.0.1:1")
}

fn xml() -> String {
    let mut fields: Fields = [("mch_id", DEMO_MCHID), ("body", "tea")].into_iter().collect();
    let key = ApiV2Key::parse(DEMO_API_V2_KEY).unwrap();
    let signature = sign(&fields, &key, SignType::Md5);
    fields.set("sign", signature);
    fields.to_xml()
}

fn request(signed_path: &str, sent_path: &str) -> String {
    let credential = Credential {
        mchid: MchId::parse(DEMO_MCHID).unwrap(),
        serial_no: SerialNo::parse(DEMO_MERCHANT_SERIAL).unwrap(),
        key: SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap(),
    };
    let now = "2026-03-01T10:00:00+08:00".parse().unwrap();
    let signed = Signed::new(Method::Get, signed_path, b"");
    let header = Authorization::sign(&credential, &signed, now, NonceStr::from_random([1; 16])).to_header();
    format!("GET {sent_path} HTTP/1.1\r\nHost: h\r\nAuthorization: {header}\r\n\r\n")
}

#[track_caller]
fn ends_with(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let all = format!("{output:?}");
    assert!(!all.contains(DEMO_API_V2_KEY) && !all.contains(DEMO_API_V3_KEY), "a key was printed: {all}");
}

#[test]
fn a_good_message_ends_with_0() {
    let place = place();
    place.write("message.xml", xml());
    let output = place.run(&["explain-signature", "message.xml"]);
    ends_with(&output, 0);
    let text = printed(&output);
    assert!(text.contains("body=tea&mch_id=") && text.contains("key=[redacted]"), "{text}");
    assert!(text.contains("the signature is good"), "{text}");
}

#[test]
fn a_bad_message_ends_with_1_and_names_the_cause() {
    let place = place();
    let output = place.run_with(&["explain-signature", "-"], xml().to_string().replace("tea", "coffee").as_bytes());
    ends_with(&output, 1);
    let query = "/v3/pay/transactions/out-trade-no/T2026030101?mchid=1600000001";
    let wrong = request("/v3/pay/transactions/out-trade-no/T2026030101", query);
    let output = place.run_with(&["explain-signature", "--json"], wrong.as_bytes());
    ends_with(&output, 1);
    let explanation = json(&output);
    assert_eq!(explanation["causes"][0]["code"], "query_left_out");
    assert_eq!(explanation["good"], false);
    assert_eq!(explanation["version"], "v3");
}

#[test]
fn keys_can_be_given_without_a_configuration() {
    let place = place();
    std::fs::remove_file(place.path().join("zhanggui.toml")).unwrap();
    place.write("message.xml", xml());
    ends_with(&place.run(&["explain-signature", "message.xml", "--api-v2-key-file", "api_v2.key"]), 0);
    let path = "/v3/certificates";
    place.write("request.http", request(path, path));
    let certificate = ["explain-signature", "request.http", "--certificate-file", "apiclient_cert.pem"];
    ends_with(&place.run(&certificate), 0);
    let late = [&certificate[..], &["--now", "2026-03-01T10:06:00+08:00"]].concat();
    let output = place.run(&late);
    ends_with(&output, 1);
    assert!(printed(&output).contains("[untimely]"));
    let public = ["explain-signature", "request.http", "--public-key-file", "pub_key.pem"];
    ends_with(&place.run(&[&public[..], &["--public-key-id", DEMO_PUBLIC_KEY_ID]].concat()), 1);
}

#[test]
fn a_message_can_be_given_in_parts() {
    let place = place();
    let path = "/v3/certificates";
    let whole = request(path, path);
    let header = whole.lines().find(|line| line.starts_with("Authorization")).unwrap();
    let parts = ["explain-signature", "--method", "GET", "--path", path, "--header", header];
    ends_with(&place.run(&parts), 0);
    place.write("body.json", "{}");
    let output = place.run(&[&parts[..], &["--body", "body.json"]].concat());
    ends_with(&output, 1);
    assert!(printed(&output).contains("[body_left_out]"), "{}", printed(&output));
}

#[test]
fn a_long_text_is_cut_unless_all_is_wanted() {
    let place = place();
    let path = format!("/v3/bill/{}", "x".repeat(300));
    let message = request(&path, &path);
    let short = place.run_with(&["explain-signature"], message.as_bytes());
    let full = place.run_with(&["explain-signature", "--full"], message.as_bytes());
    ends_with(&short, 0);
    assert!(printed(&short).contains('…') && !printed(&short).contains(&path));
    assert!(printed(&full).contains(&path));
}

#[test]
fn what_cannot_be_read_ends_with_2_and_says_what_is_expected() {
    let place = place();
    let nonsense = place.run_with(&["explain-signature"], b"hello");
    ends_with(&nonsense, 2);
    assert!(String::from_utf8_lossy(&nonsense.stderr).contains("neither XML"));
    ends_with(&place.run(&["explain-signature", "no-such-file"]), 2);
    std::fs::remove_file(place.path().join("zhanggui.toml")).unwrap();
    place.write("message.xml", xml());
    let without_keys = place.run(&["explain-signature", "message.xml"]);
    ends_with(&without_keys, 1);
    assert!(printed(&without_keys).contains("signed text") && printed(&without_keys).contains("[key_missing]"));
    place.write("api_v2.key", "too short");
    let output = place.run(&["explain-signature", "message.xml", "--api-v2-key-file", "api_v2.key"]);
    ends_with(&output, 2);
    assert!(!format!("{output:?}").contains("too short"));
}

#[test]
fn a_blank_around_a_key_in_a_file_is_told() {
    let place = place();
    place.write("message.xml", xml());
    place.write("api_v2.key", format!("{DEMO_API_V2_KEY} \n"));
    let output = place.run(&["explain-signature", "message.xml", "--api-v2-key-file", "api_v2.key"]);
    ends_with(&output, 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("blanks around the key"));
}
