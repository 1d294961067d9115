use weixin::{
    pay::v2::{SignType, hash},
    xml::Fields,
};

use super::*;

const PLAIN: [(&str, &str); 8] = [
    ("appid", "wx0123456789abcdef"),
    ("mch_id", V2_MCHID),
    ("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"),
    ("sign_type", "HMAC-SHA256"),
    ("body", "tea"),
    ("attach", ""),
    ("coupon_fee", "0"),
    ("Detail", "a & <b>  "),
];

/// The text of the pairs as it is right, without key.
fn joined(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}&")).collect()
}

fn right() -> Vec<(&'static str, &'static str)> {
    let mut pairs: Vec<_> = PLAIN.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort_unstable();
    pairs
}

fn xml(pairs: &[(&str, &str)], sign: &str) -> String {
    let mut fields: Fields = pairs.iter().copied().collect();
    fields.set("sign", sign);
    fields.to_xml()
}

/// A request that was signed over this text with this key.
fn signed_text(text: &str, key: &str) -> String {
    xml(&PLAIN, &hash(&format!("{text}key={key}"), key, SignType::HmacSha256))
}

fn signed_pairs(pairs: &[(&str, &str)]) -> String {
    signed_text(&joined(pairs), V2_KEY)
}

#[test]
fn a_good_request_is_good() {
    good(&signed_pairs(&right()));
    let explanation = explained(&signed_pairs(&right()));
    let shown = explanation.to_text(Length::Full);
    assert!(shown.contains("&key=[redacted]") && shown.contains("HMAC-SHA256") && shown.contains(V2_MCHID), "{shown}");
    let signed = explanation.signed.unwrap();
    assert_eq!(signed.bytes(), joined(&right()).len() + "key=".len() + 32);
}

#[test]
fn wrong_texts_are_recognised() {
    let mut with_empty = right();
    with_empty.push(("attach", ""));
    with_empty.sort_unstable();
    first(&signed_pairs(&with_empty), Code::EmptyFieldSigned);
    let mut no_case = right();
    no_case.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    first(&signed_pairs(&no_case), Code::SortIgnoresCase);
    let unsorted: Vec<_> = PLAIN.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    first(&signed_pairs(&unsorted), Code::NotSorted);
    let no_zero: Vec<_> = right().into_iter().filter(|(_, value)| *value != "0").collect();
    first(&signed_pairs(&no_zero), Code::ZeroDropped);
    let no_body: Vec<_> = right().into_iter().filter(|(name, _)| *name != "body").collect();
    first(&signed_pairs(&no_body), Code::FieldNotSigned);
    let changed = |to: &'static str| -> Vec<_> {
        right().into_iter().map(|(name, value)| (name, if name == "Detail" { to } else { value })).collect()
    };
    first(&signed_pairs(&changed("a &amp; &lt;b&gt;  ")), Code::ValuesXmlEscaped);
    first(&signed_pairs(&changed("a%20%26%20%3Cb%3E%20%20")), Code::ValuesUrlEncoded);
    first(&signed_pairs(&changed("a+%26+%3Cb%3E++")), Code::ValuesUrlEncoded);
    first(&signed_pairs(&changed("a & <b>")), Code::ValuesTrimmed);
}

#[test]
fn the_field_that_was_left_out_is_named() {
    let no_body: Vec<_> = right().into_iter().filter(|(name, _)| *name != "body").collect();
    assert_eq!(explained(&signed_pairs(&no_body)).causes[0].detail.as_deref(), Some("body"));
}

/// The place of the signature was there already, and still empty.
#[test]
fn an_empty_sign_that_was_signed_is_recognised() {
    let mut pairs = right();
    pairs.push(("sign", ""));
    pairs.sort_unstable();
    first(&signed_pairs(&pairs), Code::SignFieldSigned);
}

#[test]
fn wrong_ways_of_appending_the_key_are_recognised() {
    let text = joined(&right());
    let text = text.trim_end_matches('&');
    for wrong in [
        text.to_owned(),
        format!("{text}&{V2_KEY}"),
        format!("{text}{V2_KEY}"),
        format!("{text}key={V2_KEY}"),
        format!("{text}&KEY={V2_KEY}"),
        format!("{text}&key={V2_KEY}&"),
        format!("key={V2_KEY}&{text}"),
    ] {
        first(&xml(&PLAIN, &hash(&wrong, V2_KEY, SignType::HmacSha256)), Code::KeyAppendedWrongly);
    }
    let mut sorted = right();
    sorted.push(("key", V2_KEY));
    sorted.sort_unstable();
    let wrong = joined(&sorted);
    first(&xml(&PLAIN, &hash(wrong.trim_end_matches('&'), V2_KEY, SignType::HmacSha256)), Code::KeyAppendedWrongly);
}

#[test]
fn wrong_keys_are_recognised() {
    let text = joined(&right());
    first(&signed_text(&text, V3_KEY), Code::ApiV3KeyUsed);
    first(&signed_text(&text, OTHER_V2_KEY), Code::OtherMerchantsKey);
    first(&signed_text(&text, &V2_KEY.to_uppercase()), Code::KeyCaseChanged);
    for stray in [format!("{V2_KEY}\n"), format!("{V2_KEY}\r\n"), format!("{V2_KEY} "), format!(" {V2_KEY}")] {
        first(&signed_text(&text, &stray), Code::KeyWithStrayBlank);
    }
    let unknown = explained(&signed_text(&text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_eq!(unknown.first(), Some(Code::OtherKey));
    assert_eq!(unknown.causes[0].certainty, Certainty::Possible);
}

#[test]
fn small_letters_are_recognised() {
    let good = hash(&format!("{}key={V2_KEY}", joined(&right())), V2_KEY, SignType::HmacSha256);
    first(&xml(&PLAIN, &good.to_lowercase()), Code::HexInSmallLetters);
}

#[test]
fn another_hash_than_the_named_one_is_recognised() {
    let md5 = hash(&format!("{}key={V2_KEY}", joined(&right())), "", SignType::Md5);
    first(&xml(&PLAIN, &md5), Code::HashNotOfSignType);
    let silent: Vec<_> = PLAIN.into_iter().filter(|(name, _)| *name != "sign_type").collect();
    let silent_right: Vec<_> = right().into_iter().filter(|(name, _)| *name != "sign_type").collect();
    let hmac = hash(&format!("{}key={V2_KEY}", joined(&silent_right)), V2_KEY, SignType::HmacSha256);
    first(&xml(&silent, &hmac), Code::SignTypeNotSent);
}

#[test]
fn a_field_that_was_signed_and_not_sent_is_recognised() {
    let silent: Vec<_> = PLAIN.into_iter().filter(|(name, _)| *name != "sign_type").collect();
    let mut pairs: Vec<_> = right().into_iter().filter(|(name, _)| *name != "sign_type").collect();
    pairs.push(("sign_type", "MD5"));
    pairs.sort_unstable();
    first(&xml(&silent, &hash(&format!("{}key={V2_KEY}", joined(&pairs)), "", SignType::Md5)), Code::FieldNotSent);
}

#[test]
fn a_notification_with_another_hash_than_configured_is_recognised() {
    let pairs = [("mch_id", V2_MCHID), ("result_code", "SUCCESS"), ("return_code", "SUCCESS")];
    let md5 = hash(&format!("{}key={V2_KEY}", joined(&pairs)), "", SignType::Md5);
    first(&xml(&pairs, &md5), Code::HashNotAsConfigured);
    let hmac = hash(&format!("{}key={V2_KEY}", joined(&pairs)), V2_KEY, SignType::HmacSha256);
    good(&xml(&pairs, &hmac));
    // A message cannot choose its hash itself, neither with the fitting word nor with another one.
    let says = [pairs[0], pairs[1], pairs[2], ("sign_type", "MD5")];
    let text = format!("{}key={V2_KEY}", joined(&says));
    first(&xml(&says, &hash(&text, "", SignType::Md5)), Code::HashNotAsConfigured);
    first(&xml(&says, &hash(&text, V2_KEY, SignType::HmacSha256)), Code::HashNotOfSignType);
}

#[test]
fn a_merchant_that_is_not_here_is_named() {
    let mut pairs = PLAIN;
    pairs[1].1 = "1699999999";
    let mut sorted: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    sorted.sort_unstable();
    let digest = hash(&format!("{}key={V2_KEY}", joined(&sorted)), V2_KEY, SignType::HmacSha256);
    let explanation = explained(&xml(&pairs, &digest));
    assert_eq!(explanation.first(), Some(Code::MerchantNotConfigured));
    assert_eq!(explanation.causes[1].code, Code::OtherMerchantsKey, "the key that fits is found, too");
}

#[test]
fn a_message_for_another_merchant_than_asked_is_refused_although_it_fits() {
    let input = Input::recognise(signed_pairs(&right()).as_bytes()).unwrap();
    let other = mchid("1600000002");
    let explanation = explain(&input, &keys(), Circumstances { mchid: Some(&other), now: None });
    assert_eq!(explanation.first(), Some(Code::OtherMerchantsKey));
    assert!(!explanation.is_good());
}

#[test]
fn two_mistakes_at_once_are_found() {
    let mut no_case = right();
    no_case.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let explanation = explained(&signed_text(&joined(&no_case), &format!("{V2_KEY}\n")));
    let codes: Vec<_> = explanation.causes.iter().map(|cause| cause.code).collect();
    assert_eq!(codes, [Code::KeyWithStrayBlank, Code::SortIgnoresCase]);
}

#[test]
fn without_a_signature_nothing_is_tried() {
    first("<xml><mch_id>1600000001</mch_id></xml>", Code::SignatureMissing);
    let failure = explained("<xml><return_code>FAIL</return_code><return_msg>x</return_msg></xml>");
    assert!(failure.causes[0].detail.as_deref().unwrap().contains("normal"));
}

#[test]
fn without_the_key_nothing_is_believed() {
    let mut keys = keys();
    keys.merchants[0].api_v2_key = None;
    let explanation = explained_at(&signed_pairs(&right()), &keys, None);
    assert_eq!((explanation.verdict, explanation.first()), (Verdict::Unchecked, Some(Code::KeyMissing)));
}

#[test]
fn a_message_that_fills_all_limits_is_explained_in_bounded_time() {
    let value = "x".repeat(290);
    let pairs: Vec<_> = (0..190).map(|n| (format!("f{n}"), value.clone())).collect();
    let mut fields: Fields = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.set("mch_id", V2_MCHID).set("sign", "0".repeat(32)).set("return_code", "SUCCESS");
    let explanation = crate::explain::callback(
        |_| None,
        fields.to_xml().as_bytes(),
        &keys(),
        &mchid(V2_MCHID),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(explanation.unwrap().first(), Some(Code::OtherKey));
}
