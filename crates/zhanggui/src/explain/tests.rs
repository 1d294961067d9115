//! Each cause is made on purpose, and the explanation has to name it first; the vectors of others are judged as
//! others judge them.

mod callback;
mod pay_sign;
mod v2;
mod v3_message;
mod v3_request;
mod vectors;

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    ApiV2Key, ApiV3Key, AppId, MchId,
    pay::{
        v2::SignType,
        v3::{Certificate, KeyId, PublicKeyId, SerialNo, SigningKey, VerifyingKey},
    },
};

use super::{
    Certainty, Circumstances, Code, Explanation, GivenKey, Input, Keys, Length, MerchantKeys, Verdict, explain,
};

const V2: &str = include_str!("../../../weixin/tests/vectors/pay-v2.json");
const V3: &str = include_str!("../../../weixin/tests/vectors/pay-v3.json");

const V2_KEY: &str = "0123456789abcdefghijklmnopqrstuv";
const OTHER_V2_KEY: &str = "ZYXWVUTSRQPONMLKJIHGFEDCBA987654";
const V3_KEY: &str = "0123456789abcdefGHIJKLMNOPqrstuv";
const V2_MCHID: &str = "1600000001";
const MCHID: &str = "1900000109";
const APPID: &str = "wx1234567890abcdef";

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {}", value["name"]))
}

fn merchant_key() -> SigningKey {
    SigningKey::from_pem(text(&vectors(V3)["keys"]["MERCHANT"], "private_key_pem")).unwrap()
}

fn signing_key(name: &str) -> SigningKey {
    SigningKey::from_pem(text(&vectors(V3)["keys"][name], "private_key_pem")).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(text(&vectors(V3)["keys"][name], "certificate_pem")).unwrap()
}

fn public_key() -> VerifyingKey {
    let key = &vectors(V3)["keys"]["PUBLIC_KEY"];
    let id = PublicKeyId::parse(text(key, "public_key_id")).unwrap();
    VerifyingKey::from_public_key_pem(id, text(key, "public_key_pem")).unwrap()
}

fn mchid(text: &str) -> MchId {
    MchId::parse(text).unwrap()
}

/// A merchant of API v2, one of API v3, and a stranger among the merchants.
fn keys() -> Keys {
    let v2 = MerchantKeys {
        mchid: Some(mchid(V2_MCHID)),
        api_v2_key: Some(ApiV2Key::parse(V2_KEY).unwrap()),
        sign_type: Some(SignType::HmacSha256),
        api_v3_key: Some(ApiV3Key::parse(V3_KEY).unwrap()),
        appids: vec![AppId::parse("wx0123456789abcdef").unwrap(), AppId::parse("wx0123456789abcde0").unwrap()],
        ..MerchantKeys::default()
    };
    let other = MerchantKeys {
        mchid: Some(mchid("1600000002")),
        api_v2_key: Some(ApiV2Key::parse(OTHER_V2_KEY).unwrap()),
        own: vec![
            signing_key("STRANGER")
                .public(KeyId::Certificate(SerialNo::parse("00000000000000000000000000000000000000AB").unwrap()))
                .unwrap(),
        ],
        ..MerchantKeys::default()
    };
    let v3 = MerchantKeys {
        mchid: Some(mchid(MCHID)),
        appids: vec![AppId::parse(APPID).unwrap(), AppId::parse("wx1234567890abcde0").unwrap()],
        own: vec![certificate("MERCHANT").key],
        wechat: vec![certificate("PLATFORM_1").key, certificate("PLATFORM_2").key, public_key()],
        ..MerchantKeys::default()
    };
    Keys { merchants: vec![v2, other, v3], given: Vec::new() }
}

fn explained_at(input: &str, keys: &Keys, now: Option<i64>) -> Explanation {
    let input = Input::recognise(input.as_bytes()).unwrap();
    let now = now.map(|seconds| Timestamp::from_second(seconds).unwrap());
    let explanation = explain(&input, keys, Circumstances { mchid: None, now });
    tells_no_key(&explanation);
    explanation
}

fn explained(input: &str) -> Explanation {
    explained_at(input, &keys(), None)
}

/// The first cause, and that it was found and not guessed.
#[track_caller]
fn first(input: &str, code: Code) {
    let explanation = explained(input);
    assert_eq!(explanation.first(), Some(code), "{}", explanation.to_text(Length::Full));
    assert_eq!(explanation.causes[0].certainty, Certainty::Found);
    assert_ne!(explanation.verdict, Verdict::Good);
    assert!(explanation.summary().contains(code.as_str()));
}

#[track_caller]
fn good(input: &str) {
    let explanation = explained(input);
    assert!(explanation.is_good(), "{}", explanation.to_text(Length::Full));
    assert!(explanation.causes.is_empty());
}

#[track_caller]
fn tells_no_key(explanation: &Explanation) {
    let all = format!(
        "{} {} {} {explanation:?}",
        explanation.to_text(Length::Full),
        explanation.to_json(Length::Full),
        explanation.summary()
    );
    for key in [V2_KEY, OTHER_V2_KEY, V3_KEY, "PRIVATE"] {
        assert!(!all.contains(key), "{all}");
    }
}

#[test]
fn every_cause_has_words_of_its_own() {
    for (place, code) in Code::ALL.iter().enumerate() {
        assert!(Code::ALL[place + 1..].iter().all(|other| other.as_str() != code.as_str()), "{code}");
        assert!(!code.what().is_empty() && !code.repair().is_empty());
    }
}

#[test]
fn the_page_for_users_names_every_cause() {
    let page = include_str!("../../../../docs/signature-errors.md");
    for code in Code::ALL {
        let row = format!("| `{code}` | {} | {} |", code.what(), code.repair());
        assert!(page.contains(&row), "docs/signature-errors.md lacks the line:\n{row}");
    }
}

#[test]
fn what_cannot_be_read_says_what_is_expected() {
    for (input, words) in [
        ("", "empty"),
        ("hello", "neither XML"),
        ("{\"a\":", "not"),
        ("{\"id\":\"1\"}", "headers are"),
        ("<xml><!DOCTYPE a></xml>", "cannot be a message"),
    ] {
        let error = Input::recognise(input.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
