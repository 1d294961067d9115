use super::*;

const TIME: &str = "1772330400";
const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
const SERIAL: &str = "5C2A90D1E4B7368F00112233445566778899AABB";
const BODY: &str = "{\"mchid\":\"1900000109\",\"description\":\"茶/a\",\"amount\":{\"total\":1}}";
const PATH: &str = "/v3/pay/transactions/jsapi";

fn header(serial: &str, signature: &str) -> String {
    format!(
        "Authorization: WECHATPAY2-SHA256-RSA2048 mchid=\"{MCHID}\",nonce_str=\"{NONCE}\",timestamp=\"{TIME}\",\
         serial_no=\"{serial}\",signature=\"{signature}\""
    )
}

/// A request with this body and this path, signed over that text.
fn request(method: &str, path: &str, body: &str, signed: &str) -> String {
    let signature = merchant_key().sign(signed.as_bytes());
    format!("{method} {path} HTTP/1.1\r\nHost: api.mch.weixin.qq.com\r\n{}\r\n\r\n{body}", header(SERIAL, &signature))
}

/// A POST with the usual body, signed over that text.
fn post(signed: &str) -> String {
    request("POST", PATH, BODY, signed)
}

fn over_body(body: &str) -> String {
    format!("POST\n{PATH}\n{TIME}\n{NONCE}\n{body}\n")
}

#[test]
fn a_good_request_is_good() {
    good(&post(&over_body(BODY)));
    let shown = explained(&post(&over_body(BODY))).to_text(Length::Short);
    assert!(shown.contains("POST\\n\n  /v3/pay/transactions/jsapi\\n"), "line feeds are visible: {shown}");
    assert!(shown.contains(SERIAL), "{shown}");
}

#[test]
fn wrong_lines_are_recognised() {
    first(&post(&format!("POST\n{PATH}\n{NONCE}\n{TIME}\n{BODY}\n")), Code::NonceAndTimeSwapped);
    first(&post(&format!("{PATH}\nPOST\n{TIME}\n{NONCE}\n{BODY}\n")), Code::LineOrder);
    first(&post(&format!("POST\n{PATH}\n{TIME}\n{NONCE}\n{BODY}")), Code::LastLineFeedMissing);
    first(&post(&over_body(BODY).replace('\n', "\r\n")), Code::LineEndings);
    first(&post(&over_body(BODY).replace('\n', "\\n")), Code::LineEndings);
    first(&post(&over_body(BODY).replace("POST", "post")), Code::MethodCase);
}

#[test]
fn wrong_paths_are_recognised() {
    let get = |path: &str, signed: &str| request("GET", path, "", &format!("GET\n{signed}\n{TIME}\n{NONCE}\n\n"));
    let query = "/v3/pay/transactions/out-trade-no/a%7Cb?mchid=1900000109";
    good(&get(query, query));
    first(&get(query, "/v3/pay/transactions/out-trade-no/a%7Cb"), Code::QueryLeftOut);
    first(&get(query, "/v3/pay/transactions/out-trade-no/a|b?mchid=1900000109"), Code::PathReencoded);
    let bar = query.replace("%7C", "|");
    first(&get(&bar, query), Code::PathReencoded);
    first(&get(query, &format!("https://api.mch.weixin.qq.com{query}")), Code::HostSigned);
    let missing = request("GET", query, "", &format!("GET\n{query}\n{TIME}\n{NONCE}\n"));
    first(&missing, Code::LastLineFeedMissing);
}

#[test]
fn a_whole_address_in_the_first_line_is_read_as_its_path() {
    let path = "/v3/certificates";
    let signed = format!("GET\n{path}\n{TIME}\n{NONCE}\n\n");
    good(&request("GET", &format!("https://api.mch.weixin.qq.com{path}"), "", &signed));
}

#[test]
fn wrong_bodies_are_recognised() {
    let escaped = BODY.replace('茶', "\\u8336");
    let spaced = "{\"mchid\": \"1900000109\", \"description\": \"\\u8336/a\", \"amount\": {\"total\": 1}}";
    let php = escaped.replace("/a", "\\/a");
    let sorted = "{\"amount\":{\"total\":1},\"description\":\"茶/a\",\"mchid\":\"1900000109\"}";
    for other in [escaped.as_str(), spaced, &php, sorted] {
        first(&post(&over_body(other)), Code::BodyReserialised);
    }
    first(&request("POST", PATH, spaced, &over_body(BODY)), Code::BodyReserialised);
    first(&post(&over_body(&format!("{BODY}\n"))), Code::BodyEnd);
    first(&request("POST", PATH, &format!("{BODY}\n"), &over_body(BODY)), Code::BodyEnd);
    first(&post(&over_body("")), Code::BodyLeftOut);
    let lines = "{\n\"a\":1\n}";
    first(&request("POST", PATH, &lines.replace('\n', "\r\n"), &over_body(lines)), Code::BodyLineFeeds);
    let get = request("GET", "/v3/certificates", "", &format!("GET\n/v3/certificates\n{TIME}\n{NONCE}\n{{}}\n"));
    first(&get, Code::BodyNotSent);
}

#[test]
fn of_an_upload_only_meta_is_signed() {
    let meta = "{\"filename\":\"x.png\",\"sha256\":\"00\"}";
    let body = format!("--x\r\nContent-Disposition: form-data; name=\"meta\"\r\n\r\n{meta}\r\n--x--\r\n");
    let upload = |signed: &str| {
        let signature = merchant_key().sign(signed.as_bytes());
        let header = header(SERIAL, &signature);
        format!("POST {PATH} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n{header}\r\n\r\n{body}")
    };
    good(&upload(&over_body(meta)));
    first(&upload(&over_body(&body)), Code::UploadNotMeta);
}

#[test]
fn a_changed_body_is_only_possible() {
    let explanation = explained(&request("POST", PATH, &BODY.replace(":1", ":2"), &over_body(BODY)));
    let codes: Vec<_> = explanation.causes.iter().map(|cause| (cause.code, cause.certainty)).collect();
    assert_eq!(codes, [(Code::OtherKey, Certainty::Possible), (Code::MessageChanged, Certainty::Possible)]);
}

fn with_serial(serial: &str) -> String {
    let signature = merchant_key().sign(over_body(BODY).as_bytes());
    format!("POST {PATH} HTTP/1.1\r\n{}\r\n\r\n{BODY}", header(serial, &signature))
}

#[test]
fn wrong_serial_numbers_are_recognised() {
    first(&with_serial("0C1D2E3F405162738495A6B7C8D9EAFB0C1D2E3F"), Code::SerialIsPlatforms);
    first(&with_serial("PUB_KEY_ID_0119000001092026010100000000000001"), Code::SerialIsPublicKeyId);
    let decimal = "526176397806335662296888957064880787369798249147";
    first(&with_serial(decimal), Code::SerialIsDecimal);
    first(&with_serial("00000000000000000000000000000000000000CD"), Code::SerialNotOfKey);
    good(&with_serial(&SERIAL.to_lowercase()));
}

#[test]
fn wrong_keys_are_recognised() {
    let signature = signing_key("STRANGER").sign(over_body(BODY).as_bytes());
    let message = format!("POST {PATH} HTTP/1.1\r\n{}\r\n\r\n{BODY}", header(SERIAL, &signature));
    let explanation = explained(&message);
    let codes: Vec<_> = explanation.causes.iter().map(|cause| cause.code).collect();
    assert_eq!(codes, [Code::SerialNotOfKey, Code::OtherMerchantsKey]);
    let signature = signing_key("PLATFORM_1").sign(over_body(BODY).as_bytes());
    let message = format!("POST {PATH} HTTP/1.1\r\n{}\r\n\r\n{BODY}", header(SERIAL, &signature));
    assert_eq!(explained(&message).first(), Some(Code::OtherKey));
}

#[test]
fn a_header_that_wechat_cannot_read_is_recognised() {
    let good_one = post(&over_body(BODY));
    first(&good_one.replace("Authorization", "X-Other"), Code::AuthorizationMissing);
    first(&good_one.replace("WECHATPAY2-SHA256-RSA2048", "Bearer"), Code::AuthorizationScheme);
    first(&good_one.replace("nonce_str=", "nonce="), Code::AuthorizationMalformed);
    first(&good_one.replace('"', "\u{201d}"), Code::AuthorizationMalformed);
}

#[test]
fn other_spellings_of_the_signature_are_recognised() {
    let signature = merchant_key().sign(over_body(BODY).as_bytes());
    let url_safe = signature.replace('+', "-").replace('/', "_");
    let unpadded = signature.trim_end_matches('=').to_owned();
    for other in [url_safe, unpadded] {
        first(&format!("POST {PATH} HTTP/1.1\r\n{}\r\n\r\n{BODY}", header(SERIAL, &other)), Code::SignatureEncoding);
    }
}

#[test]
fn the_time_counts_before_the_signature_but_only_if_the_clock_is_told() {
    let broken = request("POST", PATH, BODY, "something else");
    for now in [1_772_330_400 + 301, 1_772_330_400 - 301] {
        let explanation = explained_at(&broken, &keys(), Some(now));
        assert_eq!(explanation.first(), Some(Code::Untimely));
        let explanation = explained_at(&post(&over_body(BODY)), &keys(), Some(now));
        assert_eq!((explanation.first(), explanation.verdict), (Some(Code::Untimely), Verdict::Refused));
    }
    assert!(explained_at(&post(&over_body(BODY)), &keys(), Some(1_772_330_400 + 299)).is_good());
    let milliseconds = post(&over_body(BODY).replace(TIME, "1772330400000")).replace(TIME, "1772330400000");
    first(&milliseconds, Code::TimestampNotSeconds);
}

#[test]
fn another_merchant_in_the_body_is_refused_although_the_signature_fits() {
    let body = BODY.replace(MCHID, "1900000110");
    let explanation = explained(&request("POST", PATH, &body, &over_body(&body)));
    assert_eq!((explanation.first(), explanation.verdict), (Some(Code::MchidDiffers), Verdict::Refused));
}

#[test]
fn a_merchant_without_a_key_here_cannot_be_checked() {
    let keys = Keys::default();
    let explanation = explained_at(&post(&over_body(BODY)), &keys, None);
    assert_eq!(explanation.verdict, Verdict::Unchecked);
    assert!(explanation.causes.iter().any(|cause| cause.code == Code::MerchantNotConfigured));
}

#[test]
fn a_certificate_given_by_hand_is_enough() {
    let keys = Keys { merchants: Vec::new(), given: vec![GivenKey::certificate(certificate("MERCHANT"))] };
    assert!(explained_at(&post(&over_body(BODY)), &keys, None).is_good());
}
