//! Message push held against values that were made with other people's software (`tests/vectors/miniprogram.json`; ids
//! with `official` are printed in WeChat's documentation).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use weixin::{
    AppId, EncodingAesKey, PushToken,
    push::{
        Answer, Content, Delivery, Event, Fields, FieldsError, Format, Message, Mode, OpenError, Push, PushError,
        Query, Receiver, Transfer, open, seal, signature, verify_url,
    },
};

fn file() -> Value {
    serde_json::from_str(include_str!("vectors/miniprogram.json")).unwrap()
}

/// All vectors of a kind; their number is held against the summary of the file, so that none is skipped.
fn all(kind: &str) -> Vec<Value> {
    let file = file();
    let vectors = file[kind].as_array().unwrap().clone();
    assert_eq!(vectors.len() as u64, file["summary"]["cases"][kind].as_u64().unwrap());
    vectors
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{} has no {name}", vector["id"]))
}

/// The query as it stands in an address, and read from there.
fn query(vector: &Value) -> Query {
    let mut writer = form_urlencoded::Serializer::new(String::new());
    for (name, value) in vector["query"].as_object().unwrap() {
        writer.append_pair(name, value.as_str().unwrap());
    }
    Query::parse(&writer.finish())
}

fn receiver(account: &str, mode: Mode) -> Receiver {
    let account = &file()["accounts"][account];
    Receiver {
        appid: AppId::parse(text(account, "appid")).unwrap(),
        mode,
        tokens: vec![PushToken::parse(text(account, "token")).unwrap()],
        aes_keys: vec![EncodingAesKey::parse(text(account, "encoding_aes_key")).unwrap()],
    }
}

fn receiver_of(vector: &Value) -> Receiver {
    receiver(text(vector, "account"), Mode::from_word(text(vector, "configured_mode")).unwrap())
}

/// The time at which the vector was made, so that it is fresh.
fn made_at(vector: &Value) -> i64 {
    text(&vector["query"], "timestamp").parse().unwrap()
}

fn receive(vector: &Value) -> Result<Push, PushError> {
    let pushed = receiver_of(vector).receive(&query(vector), text(vector, "body").as_bytes(), made_at(vector));
    pushed.map(weixin::Verified::into_inner)
}

#[test]
fn the_question_for_the_address_is_answered_only_to_those_who_know_the_token() {
    for vector in all("url_verification") {
        let (query, tokens) = (query(&vector), [PushToken::parse(text(&vector, "token")).unwrap()]);
        let answer = verify_url(&query, &tokens);
        match text(&vector["expect"], "result") {
            "accept" => assert_eq!(answer, Ok(text(&vector["expect"], "response_body")), "{}", vector["id"]),
            _ => assert_eq!(reason(answer.unwrap_err()), text(&vector["expect"], "reason"), "{}", vector["id"]),
        }
        let parts = [text(&vector, "token"), text(&vector["query"], "timestamp"), text(&vector["query"], "nonce")];
        if let Some(expected) = vector["computed_signature"].as_str() {
            assert_eq!(signature(&parts), expected, "{}", vector["id"]);
        }
    }
}

/// The word that the vectors have for a refusal.
fn reason(error: PushError) -> &'static str {
    match error {
        PushError::MissingParameter(_) => "missing_parameter",
        PushError::SignatureMismatch => "signature_mismatch",
        PushError::MsgSignatureMismatch => "msg_signature_mismatch",
        PushError::EncryptionRequired => "encryption_required",
        PushError::MissingEncrypt => "missing_encrypt",
        PushError::Open(OpenError::Base64) => "bad_base64",
        PushError::Open(OpenError::BlockLength) => "bad_block_length",
        PushError::Open(OpenError::Padding) => "bad_padding",
        PushError::Open(OpenError::Length) => "bad_length",
        PushError::Open(OpenError::OtherApp) => "appid_mismatch",
        PushError::Fields(FieldsError::Dtd) | PushError::Envelope(FieldsError::Dtd) => "xml_doctype",
        other => panic!("{other:?} has no word"),
    }
}

#[test]
fn a_push_is_read_as_others_read_it_and_a_bad_one_is_refused_for_the_same_reason() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in all("message_inbound") {
        let (id, expect) = (&vector["id"], &vector["expect"]);
        let received = receive(&vector);
        if text(expect, "result") == "reject" {
            refused += 1;
            let found = reason(received.unwrap_err());
            match text(expect, "reason") {
                // Noise: whichever check meets it first.
                "bad_padding_or_appid" => assert!(["bad_padding", "bad_length", "appid_mismatch"].contains(&found)),
                expected => assert_eq!(found, expected, "{id}"),
            }
            continue;
        }
        accepted += 1;
        if expect["parse"] == "empty" {
            // Opens, and there is nothing inside.
            assert_eq!(received, Err(PushError::Fields(FieldsError::Malformed)), "{id}");
            continue;
        }
        let push = received.unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(push.format.as_str(), text(&vector, "format"), "{id}");
        assert_eq!(String::from_utf8(push.plaintext.clone()).unwrap(), text(expect, "plaintext"), "{id}");
        check_fields(&push, expect, id);
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 30 && refused > 20);
}

#[test]
fn a_sealed_push_that_cannot_be_read_is_never_called_genuine() {
    let noise: [&[u8]; 6] = [b"", b"{", b"<xml>", b"<!DOCTYPE a><xml/>", b"\xff\xfe", b"{\"Encrypt\":7}"];
    let mut refused = 0;
    for vector in all("message_inbound") {
        // The query is WeChat's own and fresh; whoever has seen it can send it with anything.
        let query = query(&vector);
        for body in noise.into_iter().filter(|_| query.msg_signature.is_some() && query.timestamp.is_some()) {
            let error = receiver_of(&vector).receive(&query, body, made_at(&vector)).unwrap_err();
            assert!(error.is_about_authenticity(), "{}: {body:?} {error:?}", vector["id"]);
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused}");
}

fn check_fields(push: &Push, expect: &Value, id: &Value) {
    for (name, expected) in expect["fields"].as_object().unwrap() {
        if name == "list" {
            let found: Vec<Value> = match &push.message.content {
                Content::Event(Event::SubscribePopup(choices) | Event::SubscribeChange(choices)) => choices
                    .iter()
                    .map(|c| serde_json::json!({ "TemplateId": c.template_id, "SubscribeStatusString": c.status, "PopupScene": "0" }))
                    .collect(),
                Content::Event(Event::SubscribeSent(results)) => results
                    .iter()
                    .map(|r| {
                        serde_json::json!({
                            "TemplateId": r.template_id, "MsgID": r.msg_id,
                            "ErrorCode": r.error_code.to_string(), "ErrorStatus": r.error_status,
                        })
                    })
                    .collect(),
                other => panic!("{id}: {other:?}"),
            };
            assert_eq!(Value::from(found), *expected, "{id}");
        } else {
            assert_eq!(push.message.fields.text(name).as_deref(), expected.as_str(), "{id} {name}");
        }
    }
    match &push.message.content {
        Content::Text { content } => assert_eq!(Some(content), push.message.fields.text("Content").as_ref(), "{id}"),
        Content::Event(Event::EnterSession { session_from }) => {
            assert_eq!(Some(session_from), push.message.fields.text("SessionFrom").as_ref(), "{id}");
        }
        Content::Image { media_id, .. } => assert!(!media_id.is_empty(), "{id}"),
        _ => {}
    }
}

#[test]
fn a_sealed_text_is_the_same_to_the_byte() {
    let mut sealed = 0;
    for vector in all("message_inbound").iter().filter(|vector| vector["crypto"]["random_hex"].is_string()) {
        // The negative ones are broken on purpose.
        if text(&vector["expect"], "result") != "accept" || vector["derived_from"].is_string() {
            continue;
        }
        sealed += 1;
        let random: [u8; 16] = hex::decode(text(&vector["crypto"], "random_hex")).unwrap().try_into().unwrap();
        let receiver = receiver_of(vector);
        let plaintext = text(&vector["expect"], "plaintext").as_bytes();
        let encrypt = seal(&receiver.aes_keys[0], &receiver.appid, random, plaintext);
        assert_eq!(encrypt, text(&vector["crypto"], "encrypt"), "{}", vector["id"]);
        assert_eq!(open(&receiver.aes_keys[0], &receiver.appid, &encrypt).unwrap(), plaintext);
    }
    assert!(sealed > 25, "{sealed}");
}

#[test]
fn a_sealed_answer_is_the_same_to_the_byte() {
    for vector in all("message_outbound") {
        let receiver = receiver(text(&vector, "account"), Mode::Secure);
        let random: [u8; 16] = hex::decode(text(&vector, "random_hex")).unwrap().try_into().unwrap();
        let (expect, plaintext) = (&vector["expect"], text(&vector, "plaintext"));
        let encrypt = seal(&receiver.aes_keys[0], &receiver.appid, random, plaintext.as_bytes());
        assert_eq!(encrypt, text(expect, "Encrypt"), "{}", vector["id"]);
        let parts = [receiver.tokens[0].expose(), text(&vector, "timestamp"), text(&vector, "nonce"), &encrypt];
        assert_eq!(signature(&parts), text(expect, "MsgSignature"), "{}", vector["id"]);
    }
}

/// Our own answers, written to a push of the vectors' account, are the vectors' bytes.
#[test]
fn an_answer_of_ours_is_what_others_write() {
    let mut written = 0;
    for vector in all("message_outbound") {
        let (id, plaintext) = (text(&vector, "id"), text(&vector, "plaintext"));
        let format = Format::from_word(text(&vector, "format")).unwrap();
        let kf_account = id.ends_with("kfaccount").then(|| "kf2001@gh_1f2e3d4c5b6a".to_owned());
        let answer = if id.starts_with("out-transfer") {
            Answer::Transfer(Transfer {
                to_user_name: "oZ8kT5JmQ7sXb0aYwP3nLdR6uVcE".to_owned(),
                from_user_name: "gh_1f2e3d4c5b6a".to_owned(),
                create_time_s: 1_760_000_101,
                kf_account,
            })
        } else if id.starts_with("out-xpay-ack") {
            Answer::Ack { err_code: 0, err_msg: "success".to_owned() }
        } else {
            continue;
        };
        written += 1;
        let receiver = receiver(text(&vector, "account"), Mode::Secure);
        let mut push = any_push(format, &receiver);
        push.nonce = text(&vector, "nonce").to_owned();
        let random: [u8; 16] = hex::decode(text(&vector, "random_hex")).unwrap().try_into().unwrap();
        let timestamp_s: i64 = text(&vector, "timestamp").parse().unwrap();
        let body = answer.write(&receiver, &push, timestamp_s, random);
        let fields = Fields::read(&body, format).unwrap();
        for name in ["Encrypt", "MsgSignature", "TimeStamp", "Nonce"] {
            assert_eq!(fields.text(name).as_deref(), vector["expect"][name].as_str(), "{id} {name}");
        }
        assert_eq!(Answer::read(body.as_bytes(), format, true, &receiver), Ok(answer.clone()), "{id}");
        push.answer_keys = None;
        assert_eq!(answer.write(&receiver, &push, timestamp_s, random), plaintext, "{id}");
    }
    assert_eq!(written, 5);
}

const NOW_S: i64 = 1_760_000_100;

fn delivery(receiver: &Receiver, format: Format, content: &Fields) -> Delivery {
    Delivery::new(receiver, format, content, NOW_S, "415670741", [7; 16])
}

fn hello() -> Fields {
    Fields::new()
        .with("ToUserName", "gh_1f2e3d4c5b6a")
        .with("FromUserName", "oZ8kT5JmQ7sXb0aYwP3nLdR6uVcE")
        .with("CreateTime", NOW_S)
        .with("MsgType", "text")
        .with("Content", "hello")
        .with("MsgId", 23_637_352_235_060_880)
}

fn any_push(format: Format, receiver: &Receiver) -> Push {
    let Delivery { query, body } = delivery(receiver, format, &hello());
    receiver.receive(&query, body.as_bytes(), NOW_S).unwrap().into_inner()
}

#[test]
fn what_wechats_side_writes_is_read_in_every_mode_and_form() {
    for mode in [Mode::Plain, Mode::Compatible, Mode::Secure] {
        for format in [Format::Xml, Format::Json] {
            let receiver = receiver("shop", mode);
            let push = any_push(format, &receiver);
            assert_eq!(push.message.msg_id.as_deref(), Some("23637352235060880"));
            assert_eq!(push.answer_keys.is_some(), mode != Mode::Plain);
        }
    }
}

#[test]
fn a_clear_push_to_a_sealed_address_is_refused_in_both_sealed_modes() {
    let clear = delivery(&receiver("shop", Mode::Plain), Format::Json, &hello());
    for mode in [Mode::Compatible, Mode::Secure] {
        let refused = receiver("shop", mode).receive(&clear.query, clear.body.as_bytes(), NOW_S);
        assert_eq!(refused.unwrap_err(), PushError::EncryptionRequired);
    }
}

#[test]
fn two_tokens_and_two_keys_work_during_a_rotation_and_the_answer_uses_the_ones_of_the_push() {
    let (old, new) = (receiver("shop", Mode::Secure), receiver("doc", Mode::Secure));
    let appid = old.appid.clone();
    let both = Receiver {
        appid: appid.clone(),
        mode: Mode::Secure,
        tokens: vec![new.tokens[0].clone(), old.tokens[0].clone()],
        aes_keys: vec![new.aes_keys[0].clone(), old.aes_keys[0].clone()],
    };
    let new = Receiver { appid, ..new };
    for sender in [&old, &new] {
        let Delivery { query, body } = delivery(sender, Format::Xml, &hello());
        let push = both.receive(&query, body.as_bytes(), NOW_S).unwrap();
        let answer = Answer::Transfer(Transfer::of(&push.message, NOW_S)).write(&both, &push, NOW_S, [1; 16]);
        assert!(matches!(Answer::read(answer.as_bytes(), Format::Xml, true, sender), Ok(Answer::Transfer(_))));
    }
    let nobody = receiver("tail", Mode::Secure);
    let Delivery { query, body } = delivery(&nobody, Format::Xml, &hello());
    assert_eq!(both.receive(&query, body.as_bytes(), NOW_S).unwrap_err(), PushError::MsgSignatureMismatch);
}

#[test]
fn a_push_grows_old_and_a_clear_one_sooner() {
    for (mode, age_s_max) in [(Mode::Plain, 600), (Mode::Secure, 7 * 24 * 3600)] {
        let receiver = receiver("shop", mode);
        let Delivery { query, body } = delivery(&receiver, Format::Json, &hello());
        let at = |now_s| receiver.receive(&query, body.as_bytes(), now_s).map(|_| ());
        assert_eq!(at(NOW_S + age_s_max), Ok(()));
        assert_eq!(at(NOW_S + age_s_max + 1), Err(PushError::Stale));
        assert_eq!(at(NOW_S - 600), Ok(()));
        assert_eq!(at(NOW_S - 601), Err(PushError::Stale));
    }
}

/// The keys of all vectors whose id has this part.
fn keys_of(part: &str) -> Vec<String> {
    let vectors = all("message_inbound");
    let named = vectors.iter().filter(|vector| text(vector, "id").contains(part));
    let keys: Vec<_> =
        named.filter_map(|vector| receive(vector).ok()).map(|push| push.message.dedupe_key(&push.plaintext)).collect();
    assert!(keys.iter().all(|key| (1..=128).contains(&key.len())));
    keys
}

#[test]
fn two_reports_without_their_number_are_two_reports() {
    let key = |event: &str, fill: fn(Fields) -> Fields| {
        let fields = Fields::new().with("FromUserName", "oFake").with("CreateTime", 7).with("MsgType", "event");
        let fields = fill(fields.with("Event", event));
        let plaintext = fields.write(Format::Json);
        Message::from_fields(fields).unwrap().dedupe_key(plaintext.as_bytes())
    };
    let keys = [
        key("subscribe_msg_sent_event", |fields| fields),
        key("subscribe_msg_sent_event", |fields| fields.with("Something", "else")),
        key("subscribe_msg_sent_event", |fields| fields.with("List", Fields::new().with("TemplateId", "t1"))),
        key("subscribe_msg_sent_event", |fields| fields.with("List", Fields::new().with("TemplateId", "t2"))),
        key("wxa_media_check", |fields| fields.with("trace_id", "").with("errcode", 0)),
        key("wxa_media_check", |fields| fields.with("trace_id", "").with("errcode", 1)),
    ];
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len(), "{keys:?}");
}

#[test]
fn every_try_of_virtual_payment_is_one_push() {
    let key = |event: &str, retries: i64, order: &str| {
        let fields = Fields::new().with("FromUserName", "oFake").with("CreateTime", 7).with("MsgType", "event");
        let fields = fields.with("Event", event).with("RetryTimes", retries).with("BusinessCode", order);
        let plaintext = fields.write(Format::Json);
        Message::from_fields(fields).unwrap().dedupe_key(plaintext.as_bytes())
    };
    for event in ["xpay_wxpay_callback_notify", "xpay_of_tomorrow", "xpay_refund_notify", "xpay_complaint_notify"] {
        assert_eq!(key(event, 0, "a"), key(event, 14, "a"));
        assert_ne!(key(event, 0, "a"), key(event, 0, "b"));
    }
    assert_ne!(key("something_else", 0, "a"), key("something_else", 1, "a"));
}

#[test]
fn a_repeat_has_the_same_key_in_every_mode_and_form() {
    for part in ["xml-text", "json-text", "enter-session"] {
        let mut keys = keys_of(part);
        keys.retain(|key| !key.ends_with("81") && !key.ends_with("84"));
        assert!(keys.len() >= 3, "{part}: {keys:?}");
        assert!(keys.iter().all(|key| *key == keys[0]), "{part}: {keys:?}");
    }
}

#[test]
fn two_events_of_one_second_have_two_keys() {
    for part in ["media-check", "trade-settlement", "sub-popup"] {
        let keys = keys_of(part);
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        // The single choice of a pop-up stands in the file once, the double one in two forms.
        assert!(different.len() >= 2, "{part}: {keys:?}");
    }
}

#[test]
fn an_answer_that_is_not_for_mini_programs_or_in_another_form_is_none() {
    let receiver = receiver("shop", Mode::Plain);
    let read = |body: &str, format| Answer::read(body.as_bytes(), format, false, &receiver);
    assert_eq!(read("success", Format::Json), Ok(Answer::Success));
    assert_eq!(read("", Format::Xml), Ok(Answer::Success));
    for bad in ["\"success\"", "success\n", "SUCCESS", "ok", "<html></html>", "{\"code\":0}"] {
        assert!(read(bad, Format::Json).is_err() && read(bad, Format::Xml).is_err(), "{bad}");
    }
    let push = any_push(Format::Xml, &receiver);
    let transfer = Answer::Transfer(Transfer::of(&push.message, NOW_S)).write(&receiver, &push, NOW_S, [1; 16]);
    assert!(read(&transfer, Format::Xml).is_ok());
    assert!(read(&transfer, Format::Json).is_err(), "XML where JSON is configured");
    assert!(Answer::read(transfer.as_bytes(), Format::Xml, true, &receiver).is_err(), "clear where it must be sealed");
}
