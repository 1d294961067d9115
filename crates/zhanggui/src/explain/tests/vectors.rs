//! The vectors that were made and checked with other people's SDKs.

use super::*;

fn seconds(case: &Value) -> Option<i64> {
    case["now"].as_i64()
}

fn raw(first_line: &str, case: &Value) -> String {
    let headers = case["headers"].as_object().unwrap().iter();
    let headers: String = headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap())).collect();
    format!("{first_line}\r\n{headers}\r\n{}", text(case, "body"))
}

fn v3_keys() -> Keys {
    let mut keys = keys();
    keys.merchants.retain(|merchant| merchant.mchid.as_ref().is_some_and(|mchid| mchid.as_str() == MCHID));
    keys
}

#[test]
fn requests_of_the_vectors_are_good() {
    for case in vectors(V3)["request_signing"].as_array().unwrap() {
        // The whole body of the upload is not in the vectors.
        let message = format!(
            "{} {} HTTP/1.1\r\nAuthorization: {}\r\n\r\n{}",
            text(case, "method"),
            text(case, "path_and_query"),
            text(case, "authorization"),
            text(case, "signed_body")
        );
        let explanation = explained_at(&message, &v3_keys(), None);
        assert!(explanation.is_good(), "{}: {}", case["name"], explanation.to_text(Length::Full));
        let signed = explanation.signed.unwrap();
        assert_eq!(signed.text(Length::Full), text(case, "message"));
        assert_eq!(signed.bytes(), text(case, "message").len());
    }
}

#[test]
fn requests_that_wechat_refuses_are_explained() {
    for case in vectors(V3)["request_verification"].as_array().unwrap() {
        let line = format!("{} {} HTTP/1.1", text(case, "method"), text(case, "path_and_query"));
        let explanation = explained_at(&raw(&line, case), &v3_keys(), seconds(case));
        let expected = match text(case, "name") {
            "good" | "good-fields-reordered" | "good-at-299-seconds" => None,
            "stale-timestamp" | "future-timestamp" => Some(Code::Untimely),
            "no-authorization" => Some(Code::AuthorizationMissing),
            "wrong-scheme" => Some(Code::AuthorizationScheme),
            "missing-signature-field" => Some(Code::AuthorizationMalformed),
            "unknown-merchant-serial" => Some(Code::SerialNotOfKey),
            "other-key" | "body-changed" => Some(Code::OtherKey),
            "query-not-signed" => Some(Code::QueryLeftOut),
            "trailing-line-feed-missing" => Some(Code::LastLineFeedMissing),
            "mchid-mismatch" => Some(Code::MchidDiffers),
            name => panic!("a new vector: {name}"),
        };
        let shown = explanation.to_text(Length::Full);
        assert_eq!(explanation.first(), expected, "{}: {shown}", case["name"]);
        assert_eq!(explanation.is_good(), case["expect"]["ok"] == true);
    }
}

#[test]
fn answers_and_callbacks_of_the_vectors_are_explained() {
    let all = vectors(V3);
    let cases = all["message_verification"].as_array().unwrap().iter().chain(all["callbacks"].as_array().unwrap());
    for case in cases {
        let line = if case["kind"] == "callback" { "POST /wechat/pay/1900000109 HTTP/1.1" } else { "HTTP/1.1 200 OK" };
        let mut keys = v3_keys();
        let trusted: Vec<_> = case["trusted_keys"].as_array().unwrap().iter().map(|name| name.as_str()).collect();
        let id = |name: &str| match vectors(V3)["keys"][name].clone() {
            key if key["serial_no"].is_string() => text(&key, "serial_no").to_owned(),
            key => text(&key, "public_key_id").to_owned(),
        };
        let trusted: Vec<_> = trusted.into_iter().flatten().map(id).collect();
        keys.merchants[0].wechat.retain(|key| trusted.iter().any(|id| id == key.id().as_str()));
        let explanation = explained_at(&raw(line, case), &keys, seconds(case));
        let expected = match text(case, "name") {
            _ if case["expect"] == "ok" => None,
            "response-tampered-body" | "response-timestamp-header-changed" | "callback-tampered" => {
                Some(Code::MessageChanged)
            }
            "response-reserialised-body" => Some(Code::BodyReserialised),
            "response-trimmed-body" => Some(Code::BodyEnd),
            "response-stale" | "response-future" | "callback-stale" => Some(Code::Untimely),
            "response-unknown-serial" | "callback-unknown-serial" => Some(Code::SerialUnknown),
            "response-serial-of-other-key" => Some(Code::SerialNotOfKey),
            "response-merchant-serial" => Some(Code::MerchantsOwnSerial),
            "response-other-signature-type" => Some(Code::SignatureType),
            name if name.contains("signtest") => Some(Code::Probe),
            name if name.contains("missing") => Some(Code::HeaderMissing),
            name => panic!("a new vector: {name}"),
        };
        let shown = explanation.to_text(Length::Full);
        assert_eq!(explanation.first(), expected, "{}: {shown}", case["name"]);
        assert_eq!(explanation.is_good(), case["expect"] == "ok", "{}", case["name"]);
    }
}

#[test]
fn parameters_of_the_vectors_are_good() {
    for case in vectors(V3)["pay_sign"].as_array().unwrap() {
        let mut parameters = case["request_payment_params"].clone();
        parameters["appId"] = case["appId"].clone();
        let explanation = explained_at(&parameters.to_string(), &v3_keys(), None);
        assert!(explanation.is_good(), "{}", explanation.to_text(Length::Full));
    }
}

#[test]
fn messages_of_v2_are_judged_as_the_vectors_say() {
    let all = vectors(V2);
    let mut count = 0;
    for case in all["vectors"].as_array().unwrap().iter().filter(|case| case["kind"] == "verify_xml") {
        let mut keys = keys();
        keys.merchants[0].api_v2_key = Some(ApiV2Key::parse(text(case, "key")).unwrap());
        keys.merchants[0].sign_type = Some(SignType::from_wire(text(case, "sign_type")).unwrap());
        let explanation = explained_at(text(&case["inputs"], "xml"), &keys, None);
        let shown = explanation.to_text(Length::Full);
        assert_eq!(explanation.is_good(), case["expected"]["valid"] == true, "{}: {shown}", case["name"]);
        let expected = match text(case, "name") {
            "payment_notify_added_field" => Some(Code::FieldNotSigned),
            "payment_notify_without_sign" | "payment_notify_empty_sign" => Some(Code::SignatureMissing),
            "payment_notify_tampered_amount" | "payment_notify_wrong_key" => Some(Code::OtherKey),
            _ => None,
        };
        assert_eq!(explanation.first(), expected, "{}: {shown}", case["name"]);
        count += 1;
    }
    assert!(count > 30);
}
