//! Data that the phone hands over, held against values that were made with other people's software
//! (`tests/vectors/miniprogram.json`; ids with `official` are printed in WeChat's documentation). All keys in it were made
//! for it and protect nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use weixin::{
    AppId, SessionKey,
    mini_program::{
        open_data::{
            self, OpenData, OpenDataError, RawDataError, SIG_METHOD, Sealed, is_user_state_signature,
            raw_data_signature, user_state_signature, verify_raw_data,
        },
        phone_number::PhoneInfo,
    },
};

/// Held against the code by `push_vectors.rs`.
const PUSHES: [&str; 3] = ["url_verification", "message_inbound", "message_outbound"];

/// For interfaces that this crate does not have: virtual payment, and the optional layer of signed and sealed calls.
const WITHOUT_CODE: [&str; 2] = ["virtual_payment_signature", "api_security"];

fn file() -> Value {
    serde_json::from_str(include_str!("vectors/miniprogram.json")).unwrap()
}

/// All vectors of a kind, so many as there must be.
fn all(kind: &str, count: usize) -> Vec<Value> {
    let vectors = file()[kind].as_array().unwrap().clone();
    assert_eq!(vectors.len(), count, "{kind}");
    vectors
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{} has no {name}", vector["id"]))
}

fn is_accepted(vector: &Value) -> bool {
    match text(&vector["expect"], "result") {
        "accept" => true,
        "reject" => false,
        other => panic!("{other}"),
    }
}

fn session_key(vector: &Value) -> SessionKey {
    SessionKey::parse(text(vector, "session_key")).unwrap()
}

fn sealed(vector: &Value) -> Sealed {
    serde_json::from_value(vector.clone()).unwrap()
}

/// Opens the data of a vector. A key that is none is found before.
fn open(vector: &Value) -> Result<OpenData, &'static str> {
    let session_key = SessionKey::parse(text(vector, "session_key")).map_err(|_| "bad_session_key")?;
    let appid = AppId::parse(text(vector, "appid")).unwrap();
    open_data::open(&session_key, &appid, &sealed(vector)).map_err(|error| match error {
        OpenDataError::Base64 => "bad_base64",
        OpenDataError::Iv => "bad_iv",
        OpenDataError::BlockLength => "bad_block_length",
        OpenDataError::Broken => "decrypt_failed",
        OpenDataError::NoWatermark => "watermark_missing",
        OpenDataError::OtherApp => "watermark_appid_mismatch",
        OpenDataError::Content => "content",
    })
}

#[test]
fn encrypted_data_opens_or_fails_as_everywhere_else() {
    for vector in all("open_data", 20) {
        let opened = open(&vector);
        let opened = opened.as_ref().map(OpenData::text).map_err(|reason| *reason);
        let expected = if is_accepted(&vector) {
            Ok(text(&vector["expect"], "plaintext"))
        } else {
            Err(text(&vector["expect"], "reason"))
        };
        assert_eq!(opened, expected, "{}", vector["id"]);
    }
}

#[test]
fn data_is_sealed_byte_for_byte_as_wechat_seals_it() {
    let accepted: Vec<_> = all("open_data", 20).into_iter().filter(is_accepted).collect();
    assert_eq!(accepted.len(), 6);
    for vector in accepted {
        let iv = STANDARD.decode(text(&vector, "iv")).unwrap().try_into().unwrap();
        let sealed_again = open_data::seal(&session_key(&vector), iv, text(&vector["expect"], "plaintext"));
        assert_eq!(sealed_again, sealed(&vector), "{}", vector["id"]);
    }
}

#[test]
fn a_phone_number_is_read_from_opened_data_and_from_nothing_else() {
    let vectors = all("open_data", 20);
    let named =
        |id: &str| vectors.iter().find(|vector| vector["id"] == id).map(|vector| open(vector).unwrap()).unwrap();
    let info: PhoneInfo = named("od-phone-foreign").read().unwrap();
    assert_eq!((info.phone_number.as_str(), info.country_code.as_str()), ("+85251234567", "852"));
    assert_eq!(info.watermark, named("od-phone-foreign").watermark);
    assert_eq!(named("od-group-id").read::<PhoneInfo>(), Err(OpenDataError::Content));
    assert!(!format!("{:?} {info:?}", named("od-phone-foreign")).contains("51234567"));
}

#[test]
fn changed_bytes_fail_alike_wherever_they_were_changed() {
    let vectors = all("open_data", 20);
    let vector = vectors.iter().find(|vector| vector["id"] == "od-phone").unwrap();
    let appid = AppId::parse(text(vector, "appid")).unwrap();
    let bytes = STANDARD.decode(text(vector, "encryptedData")).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x80;
        let changed = Sealed { encrypted_data: STANDARD.encode(changed), ..sealed(vector) };
        assert_eq!(open_data::open(&session_key(vector), &appid, &changed), Err(OpenDataError::Broken), "{at}");
    }
}

/// Why opened data is not `Verified`: who knows the text changes its first block through the vector.
#[test]
fn sealed_data_can_be_changed_by_whoever_knows_it() {
    let vectors = all("open_data", 20);
    let vector = vectors.iter().find(|vector| vector["id"] == "od-group-id").unwrap();
    let appid = AppId::parse(text(vector, "appid")).unwrap();
    let mut iv = STANDARD.decode(text(vector, "iv")).unwrap();
    iv[12] ^= b't' ^ b'x';
    let changed = Sealed { iv: STANDARD.encode(iv), ..sealed(vector) };
    let opened = open_data::open(&session_key(vector), &appid, &changed).unwrap();
    assert_eq!(opened.text(), text(&vector["expect"], "plaintext").replace("\"tGAA", "\"xGAA"));
}

#[test]
fn raw_data_is_verified_byte_for_byte() {
    for vector in all("raw_data_signature", 5) {
        let (key, raw_data) = (session_key(&vector), text(&vector, "rawData"));
        assert_eq!(raw_data_signature(&key, raw_data), text(&vector, "computed_signature"), "{}", vector["id"]);
        let verified = verify_raw_data(&key, raw_data, text(&vector, "signature"));
        let expected = if is_accepted(&vector) { Ok(raw_data) } else { Err(RawDataError) };
        assert_eq!(verified.map(|verified| *verified), expected, "{}", vector["id"]);
        assert_eq!(verify_raw_data(&key, raw_data, ""), Err(RawDataError));
    }
}

#[test]
fn the_user_state_is_signed_with_the_text_of_the_key() {
    for vector in all("user_state_signature", 4) {
        assert_eq!(text(&vector, "sig_method"), SIG_METHOD);
        let (key, data) = (session_key(&vector), text(&vector, "data"));
        let signature = text(&vector, "signature");
        assert_eq!(user_state_signature(&key, data), signature, "{}", vector["id"]);
        assert!(is_user_state_signature(&key, data, signature));
        assert!(!is_user_state_signature(&key, &format!("{data} "), signature));
    }
}

#[test]
fn every_kind_of_vector_is_accounted_for() {
    let file = file();
    let described = ["schema", "about", "peers", "conventions", "accounts", "summary"];
    let here = ["open_data", "raw_data_signature", "user_state_signature"];
    let known = [described.as_slice(), &here, &PUSHES, &WITHOUT_CODE].concat();
    for kind in file.as_object().unwrap().keys() {
        assert!(known.contains(&kind.as_str()), "{kind}");
    }
}
