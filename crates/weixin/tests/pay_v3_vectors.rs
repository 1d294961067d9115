//! API v3 held against values that were made and checked with other people's software (`tests/vectors/pay-v3.json`).
//! All keys in it were made for it and protect nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    ApiV3Key, AppId, Body, Fen, MchId, NonceStr, NotifyUrl, OpenId, OrderAmount, OutRefundNo, OutTradeNo, PrepayId,
    RefundReason, TransactionId,
    pay::{
        RefundState, RequestPayment, TradeState,
        v3::{
            self, Authorization, AuthorizationError, Call, Certificate, Credential, KeyError, KeyId, Method,
            PublicKeyId, SerialNo, SignatureHeaders, Signed, SigningKey, TrustedKeys, VerifyError, VerifyingKey,
            aead::{OpenError, Sealed},
            bill::{Form, TradeBill},
            certificates::{self, GetCertificates},
            close::CloseOrder,
            jsapi::JsapiOrder,
            notification::{self, Event},
            query::{QueryById, QueryByOutTradeNo},
            refund::{PaymentNo, RefundAmount, RefundQuery, RefundRequest},
        },
    },
};

fn file() -> Value {
    serde_json::from_str(include_str!("vectors/pay-v3.json")).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = file()[kind].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn case(kind: &str, name: &str) -> Value {
    cases(kind).into_iter().find(|case| case["name"] == name).unwrap()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {}", case["name"]))
}

fn key_text(name: &str, field: &str) -> String {
    file()["keys"][name][field].as_str().unwrap().to_owned()
}

fn private(name: &str) -> SigningKey {
    SigningKey::from_pem(&key_text(name, "private_key_pem")).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(&key_text(name, "certificate_pem")).unwrap()
}

fn public_key() -> VerifyingKey {
    let id = PublicKeyId::parse(key_text("PUBLIC_KEY", "public_key_id")).unwrap();
    VerifyingKey::from_public_key_pem(id, &key_text("PUBLIC_KEY", "public_key_pem")).unwrap()
}

fn trusted(case: &Value) -> TrustedKeys {
    let names = case["trusted_keys"].as_array().unwrap();
    names
        .iter()
        .map(|name| match name.as_str().unwrap() {
            "PUBLIC_KEY" => public_key(),
            platform => certificate(platform).key,
        })
        .collect()
}

fn credential() -> Credential {
    Credential { mchid: mchid(), serial_no: certificate("MERCHANT").serial_no, key: private("MERCHANT") }
}

fn mchid() -> MchId {
    MchId::parse(key_text("MERCHANT", "mchid")).unwrap()
}

fn apiv3_key() -> ApiV3Key {
    ApiV3Key::parse(file()["keys"]["apiv3_key"].as_str().unwrap()).unwrap()
}

fn seconds(value: &Value) -> Timestamp {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    Timestamp::from_second(seconds).unwrap()
}

fn headers(case: &Value) -> Result<SignatureHeaders, VerifyError> {
    SignatureHeaders::read(|name| case["headers"][name].as_str())
}

fn verify<'a>(case: &Value, body: &'a str) -> Result<weixin::Verified<&'a [u8]>, VerifyError> {
    v3::verify(&headers(case)?, body.as_bytes(), &trusted(case), seconds(&case["now"]))
}

#[test]
fn requests_are_signed_as_everybody_else_signs_them() {
    let credential = credential();
    for case in cases("request_signing") {
        let body = text(&case, "signed_body");
        let signed =
            Signed { method: text(&case, "method"), path: text(&case, "path_and_query"), body: body.as_bytes() };
        let nonce = NonceStr::parse(text(&case, "nonce_str")).unwrap();
        let message = v3::request_message(&signed, text(&case, "timestamp"), nonce.as_str());
        assert_eq!(String::from_utf8(message).unwrap(), text(&case, "message"), "{}", case["name"]);
        let authorization = Authorization::sign(&credential, &signed, seconds(&case["timestamp"]), nonce);
        assert_eq!(authorization.signature, text(&case, "signature"), "{}", case["name"]);
        assert_eq!(authorization.to_header(), text(&case, "authorization"), "{}", case["name"]);
    }
}

/// What the simulator has to accept and to refuse.
#[test]
fn a_forged_late_or_changed_request_is_refused() {
    let key = certificate("MERCHANT").key;
    for case in cases("request_verification") {
        let signed = Signed {
            method: text(&case, "method"),
            path: text(&case, "path_and_query"),
            body: text(&case, "body").as_bytes(),
        };
        let header = case["headers"]["Authorization"].as_str().unwrap_or_default();
        let good = Authorization::parse(header).is_ok_and(|authorization| {
            KeyId::Certificate(authorization.serial_no.clone()) == *key.id()
                && authorization.is_timely(seconds(&case["now"]))
                && authorization.verifies(&signed, &key)
        });
        // The number in the body is compared after the signature.
        let expected = case["expect"]["ok"] == true || case["expect"]["code"] == "PARAM_ERROR";
        assert_eq!(good, expected, "{}", case["name"]);
    }
}

#[test]
fn a_malformed_authorization_is_refused_with_its_reason() {
    let good = text(&case("request_signing", "close"), "authorization").to_owned();
    assert!(Authorization::parse(&good).is_ok());
    assert_eq!(Authorization::parse(&good.replace("WECHATPAY2", "X")), Err(AuthorizationError::Scheme));
    let doubled = good.replace("mchid=", "mchid=\"1900000109\",mchid=");
    assert_eq!(Authorization::parse(&doubled), Err(AuthorizationError::Malformed));
    let missing = good.replace("mchid=\"1900000109\",", "");
    assert!(matches!(Authorization::parse(&missing), Err(AuthorizationError::Field(_))));
}

#[test]
fn calls_have_the_bytes_of_the_vectors() {
    let number = |text: &str| OutTradeNo::parse(text).unwrap();
    let order = JsapiOrder {
        appid: AppId::parse("wx1234567890abcdef").unwrap(),
        mchid: mchid(),
        description: Body::parse("Pot plant").unwrap(),
        out_trade_no: number("T20260301000001"),
        time_expire: None,
        attach: None,
        notify_url: NotifyUrl::parse("https://shop.example.com/wx/pay/notify").unwrap(),
        total: OrderAmount::new(Fen::new(1999)).unwrap(),
        openid: OpenId::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap(),
        client_ip: None,
    };
    check(&order, "jsapi-prepay-ascii");
    let unicode = case("request_signing", "jsapi-prepay-unicode");
    check(&JsapiOrder::from_json(text(&unicode, "body").as_bytes()).unwrap(), "jsapi-prepay-unicode");
    let query = |no: &str| QueryByOutTradeNo { mchid: mchid(), out_trade_no: number(no) };
    check(&query("T20260301000001"), "query-by-out-trade-no");
    check(&query("a|b*c_1-2"), "path-percent-encoded");
    let transaction_id = TransactionId::parse("4200002026202603010000000001").unwrap();
    check(&QueryById { mchid: mchid(), transaction_id }, "query-by-transaction-id");
    check(&GetCertificates, "certificates");
    check(&CloseOrder { mchid: mchid(), out_trade_no: number("T20260301000001") }, "close");
    let refund = RefundRequest {
        payment: PaymentNo::OutTradeNo(number("T20260301000001")),
        out_refund_no: OutRefundNo::parse("R20260301000001").unwrap(),
        reason: Some(RefundReason::parse("商品缺货").unwrap()),
        notify_url: NotifyUrl::parse("https://shop.example.com/wx/pay/refund-notify").unwrap(),
        amount: RefundAmount {
            refund: OrderAmount::new(Fen::new(500)).unwrap(),
            total: OrderAmount::new(Fen::new(1999)).unwrap(),
            currency: "CNY".to_owned(),
        },
    };
    check(&refund, "refund");
    assert_eq!(serde_json::from_str::<RefundRequest>(&refund.body()).unwrap(), refund);
    check(&RefundQuery { out_refund_no: OutRefundNo::parse("R20260301000001").unwrap() }, "refund-query");
    let bill = TradeBill { date: "2026-02-28".parse().unwrap(), form: Form::Plain };
    check(&bill, "tradebill");
}

#[track_caller]
fn check<C: Call>(call: &C, name: &str) {
    let case = case("request_signing", name);
    assert_eq!(C::METHOD.as_str(), text(&case, "method"), "{name}");
    assert_eq!(call.path(), text(&case, "path_and_query"), "{name}");
    assert_eq!(call.body(), text(&case, "body"), "{name}");
}

#[test]
fn the_parameters_of_request_payment_are_the_published_ones() {
    for case in cases("pay_sign") {
        let expected: RequestPayment = serde_json::from_value(case["request_payment_params"].clone()).unwrap();
        let appid = AppId::parse(text(&case, "appId")).unwrap();
        let prepay_id: PrepayId = expected.prepay_id().unwrap();
        let now = Timestamp::from_second(expected.time_stamp.parse().unwrap()).unwrap();
        let signed = RequestPayment::new_v3(&appid, &prepay_id, now, expected.nonce_str.clone(), &credential());
        assert_eq!(signed, expected, "{}", case["name"]);
        assert!(signed.verifies_v3(&appid, &certificate("MERCHANT").key));
        let other = AppId::parse("wx1234567890abcdee").unwrap();
        assert!(!signed.verifies_v3(&other, &certificate("MERCHANT").key));
    }
}

#[test]
fn the_app_variant_signs_the_bare_prepay_id() {
    let app = file()["pay_sign_app"].clone();
    assert_eq!(private("MERCHANT").sign(text(&app, "message").as_bytes()), text(&app, "sign"));
}

#[test]
fn only_authentic_messages_are_believed() {
    for case in cases("message_verification") {
        let verified = verify(&case, text(&case, "body"));
        let name = &case["name"];
        assert_eq!(verified.is_ok(), case["expect"] == "ok", "{name}: {verified:?}");
        let Err(error) = verified else { continue };
        let reason = case["reason"].as_str().unwrap();
        let probe = name.as_str().unwrap().contains("signtest");
        let fits = match &error {
            VerifyError::Probe => probe,
            VerifyError::Mismatch => reason == "signature_mismatch" && !probe,
            VerifyError::Untimely { .. } => reason == "timestamp_out_of_window",
            VerifyError::UnknownKey { .. } => reason == "unknown_serial",
            VerifyError::MissingHeader(_) => reason == "header_missing",
            VerifyError::SignatureType => reason == "unsupported_signature_type",
            VerifyError::Timestamp => false,
        };
        assert!(fits, "{name}: {error:?} instead of {reason}");
    }
}

#[test]
fn lesson_14_a_probe_is_recognised_and_crashes_nothing() {
    for name in ["response-signtest-probe", "response-signtest-probe-bad-base64", "response-signtest-prefix-on-valid"] {
        let case = case("message_verification", name);
        assert_eq!(verify(&case, text(&case, "body")), Err(VerifyError::Probe), "{name}");
    }
}

#[test]
fn an_absurd_time_is_refused_and_overflows_nothing() {
    let case = case("message_verification", "response-platform-cert");
    let body = text(&case, "body");
    for absurd in ["-9223372036854775808", "9223372036854775807", "99999999999999999999", "", "1e9"] {
        let signed = SignatureHeaders { timestamp: absurd.to_owned(), ..headers(&case).unwrap() };
        assert!(v3::verify(&signed, body.as_bytes(), &trusted(&case), seconds(&case["now"])).is_err(), "{absurd}");
    }
    let header = text(&case_of_signing(), "authorization").to_owned();
    for absurd in ["-9223372036854775808", "9223372036854775807"] {
        let authorization = Authorization { timestamp: absurd.to_owned(), ..Authorization::parse(&header).unwrap() };
        assert!(!authorization.is_timely(seconds(&case["now"])), "{absurd}");
    }
}

fn case_of_signing() -> Value {
    case("request_signing", "close")
}

#[test]
fn lesson_15_certificates_and_public_key_work_side_by_side() {
    for name in ["response-platform-cert", "response-public-key", "response-rotated-certificate"] {
        let case = case("message_verification", name);
        assert!(verify(&case, text(&case, "body")).is_ok(), "{name}");
    }
}

#[test]
fn callbacks_are_opened_and_read() {
    for case in cases("callbacks") {
        let name = &case["name"];
        let verified = verify(&case, text(&case, "body"));
        assert_eq!(verified.is_ok(), case["expect"] == "ok", "{name}: {verified:?}");
        let Ok(verified) = verified else { continue };
        let notification = notification::read(verified, &mchid(), &apiv3_key()).unwrap();
        let plain: Value = serde_json::from_str(text(&case, "decrypted_resource")).unwrap();
        match &notification.event {
            Event::Paid(paid) => {
                assert_eq!(paid.trade_state, TradeState::Success);
                assert_eq!(paid.total.unwrap().get(), plain["amount"]["total"].as_i64().unwrap(), "{name}");
                assert_eq!(paid.transaction_id.as_ref().unwrap().as_str(), plain["transaction_id"], "{name}");
                assert_eq!(paid.openid.as_ref().unwrap().as_str(), plain["payer"]["openid"], "{name}");
                assert!(paid.success_time.is_some());
            }
            Event::Refunded(refund) => {
                assert_eq!(refund.state.as_str(), plain["refund_status"], "{name}");
                assert_eq!(refund.refund.get(), plain["amount"]["refund"].as_i64().unwrap(), "{name}");
                assert_eq!(refund.success_time.is_some(), refund.state == RefundState::Success, "{name}");
            }
            Event::Other { .. } => panic!("{name}"),
        }
    }
}

#[test]
fn every_delivery_of_an_event_has_the_same_id() {
    let id = |name: &str| {
        let case = case("callbacks", name);
        let body = text(&case, "body").to_owned();
        notification::read(verify(&case, &body).unwrap(), &mchid(), &apiv3_key()).unwrap().id.clone()
    };
    assert_eq!(id("callback-transaction-success"), id("callback-retry-same-id"));
    assert_ne!(id("callback-transaction-success"), id("callback-transaction-success-public-key"));
}

#[test]
fn a_callback_for_another_merchant_is_not_ours_although_it_verifies() {
    for name in ["callback-transaction-success", "callback-refund-success"] {
        let case = case("callbacks", name);
        let other = MchId::parse("1900000110").unwrap();
        let read = notification::read(verify(&case, text(&case, "body")).unwrap(), &other, &apiv3_key());
        assert_eq!(read.err(), Some(notification::NotificationError::OtherMerchant), "{name}");
    }
}

#[test]
fn a_callback_that_the_simulator_writes_is_read_again() {
    let paid_case = case("callbacks", "callback-transaction-success-public-key");
    let body = text(&paid_case, "body").to_owned();
    let original = notification::read(verify(&paid_case, &body).unwrap(), &mchid(), &apiv3_key()).unwrap();
    let Event::Paid(paid) = &original.event else { panic!() };
    let now = seconds(&paid_case["now"]);
    let written = notification::write_paid(&original.id, paid, now, &apiv3_key(), "abcdefghijkl").unwrap();
    let platform = certificate("PLATFORM_1");
    let signed = v3::sign_message(&private("PLATFORM_1"), platform.key.id(), now, "n".repeat(32), written.as_bytes());
    let trusted: TrustedKeys = [platform].into_iter().collect();
    let verified = v3::verify(&signed, written.as_bytes(), &trusted, now).unwrap();
    assert_eq!(*notification::read(verified, &mchid(), &apiv3_key()).unwrap(), *original);
}

#[test]
fn lesson_04_sealed_values_open_with_their_key_tag_and_associated_data_only() {
    for case in cases("aes_256_gcm") {
        let sealed = Sealed {
            algorithm: "AEAD_AES_256_GCM".to_owned(),
            nonce: text(&case, "nonce").to_owned(),
            associated_data: text(&case, "associated_data").to_owned(),
            ciphertext: text(&case, "ciphertext").to_owned(),
        };
        let key = ApiV3Key::parse(text(&case, "key_utf8")).unwrap();
        let opened = sealed.open(&key);
        match case["expect"].as_str() {
            Some("ok") => {
                let plain = text(&case, "plaintext");
                assert_eq!(opened.unwrap(), plain.as_bytes(), "{}", case["name"]);
                let again = Sealed::seal(&key, &sealed.nonce, &sealed.associated_data, plain.as_bytes()).unwrap();
                assert_eq!(again, sealed, "{}", case["name"]);
            }
            _ => assert_eq!(opened, Err(OpenError::Broken), "{}", case["name"]),
        }
    }
}

#[test]
fn sensitive_fields_open_with_the_recipients_key_only() {
    for case in cases("rsa_oaep_sha1") {
        let opened = private(text(&case, "recipient")).decrypt(text(&case, "ciphertext"));
        match case["expect"].as_str() {
            Some("ok") => assert_eq!(opened.unwrap(), text(&case, "plaintext").as_bytes(), "{}", case["name"]),
            _ => assert_eq!(opened, Err(KeyError::NotDecrypted), "{}", case["name"]),
        }
    }
    let sealed = public_key().encrypt("张三".as_bytes()).unwrap();
    assert_eq!(private("PUBLIC_KEY").decrypt(&sealed).unwrap(), "张三".as_bytes());
    assert_eq!(public_key().encrypt(&[b'x'; 215]), Err(KeyError::TooLong));
}

#[test]
fn the_first_answer_with_certificates_is_opened_and_then_verified_with_its_own() {
    let case = file()["certificates_response"].clone();
    let body = text(&case, "body");
    let (verified, certificates) =
        certificates::bootstrap(&headers(&case).unwrap(), body.as_bytes(), &apiv3_key(), seconds(&case["now"]))
            .unwrap();
    assert_eq!(v3::read_answer::<GetCertificates>(verified).unwrap().data.len(), 2);
    assert_eq!(certificates[0].serial_no.as_str(), text(&case, "expect_encrypt_with"), "the newest first");
    let wrong_key = ApiV3Key::parse("vutsrqPONMLKJIHGfedcba9876543210").unwrap();
    assert!(
        certificates::bootstrap(&headers(&case).unwrap(), body.as_bytes(), &wrong_key, seconds(&case["now"])).is_err()
    );
}

#[test]
fn certificates_tell_their_serial_numbers_with_all_zeros() {
    for name in ["MERCHANT", "PLATFORM_1", "PLATFORM_2"] {
        assert_eq!(certificate(name).serial_no.as_str(), key_text(name, "serial_no"), "{name}");
    }
    let short = SerialNo::parse("c1d2e3f405162738495a6b7c8d9eafb0c1d2e3f").unwrap();
    assert_eq!(short, certificate("PLATFORM_1").serial_no, "without the leading zero and in small letters");
    assert!(SerialNo::parse("PUB_KEY_ID_0119000001092026010100000000000001").is_err());
}

#[test]
fn a_private_key_knows_its_certificate() {
    assert!(private("MERCHANT").matches(&certificate("MERCHANT").key));
    assert!(!private("STRANGER").matches(&certificate("MERCHANT").key));
}

#[test]
fn a_wrong_pem_says_what_it_is() {
    let certificate = key_text("MERCHANT", "certificate_pem");
    let message = |text: &str| SigningKey::from_pem(text).unwrap_err().to_string();
    assert!(message(&certificate).contains("of the kind CERTIFICATE, but PRIVATE KEY is needed"));
    assert!(message("needle").contains("is not PEM") && !message("needle").contains("needle"));
    let private = key_text("MERCHANT", "private_key_pem");
    assert!(Certificate::from_pem(&private).unwrap_err().to_string().contains("CERTIFICATE is needed"));
    assert!(message(&private.replace("PRIVATE KEY", "RSA PRIVATE KEY")).contains("openssl pkcs8"));
}

#[test]
fn every_kind_of_vector_is_tested_or_named_here() {
    // Bill files are read by a later part of the crate.
    let about = ["about", "version", "checked_with", "not_checked", "conventions", "keys"];
    let tested = [
        "request_signing",
        "request_verification",
        "pay_sign",
        "pay_sign_app",
        "message_verification",
        "callbacks",
        "certificates_response",
        "aes_256_gcm",
        "rsa_oaep_sha1",
    ];
    let later = ["bill"];
    for kind in file().as_object().unwrap().keys() {
        let known = [&about[..], &tested, &later].concat().contains(&kind.as_str());
        assert!(known, "{kind}");
    }
}

#[test]
fn methods_are_written_in_capitals() {
    assert_eq!((Method::Get.as_str(), Method::Post.as_str()), ("GET", "POST"));
}

/// Computed with `openssl pkey -pubin -outform DER | sha256sum`.
#[test]
fn a_fingerprint_tells_keys_apart_and_a_certificate_tells_its_owner() {
    let merchant = certificate("MERCHANT");
    assert_eq!(merchant.key.fingerprint(), "58b6686324bf76259c617c74a792bdd6da19d351b817187398728c2339b9e962");
    assert!(merchant.subject.contains("CN=1900000109"), "{}", merchant.subject);
    assert_ne!(certificate("PLATFORM_1").key.fingerprint(), merchant.key.fingerprint());
}
