//! WeChat Pay, API v3: what is sent, what is believed, what is not, and what is sent again.

use weixin::{
    NonceStr, OutTradeNo, PrepayId, TransactionId,
    pay::v3::{
        Authorization, Call, Code, Method, PROBE_PREFIX, SignatureHeaders, Signed, VerifyError,
        certificates::GetCertificates,
        close::CloseOrder,
        jsapi::{FrozenJsapiOrder, JsapiAnswer},
        query::{QueryById, QueryByOutTradeNo},
    },
};
use weixin_client::{Answered, CallErrorV3, Hosts, NoAnswerKind, PayV3Client, Unreadable};

use crate::{
    fixture::{TestClock, assert_silent, impatient_transport, mchid, print},
    fixture_v3::{
        NOW_S, Signer, VECTORS, case, client, merchant_key, merchant_with_certificates, merchant_with_public_key,
        nonce, reply, secrets, text,
    },
    peer::{Peer, Received, Reply},
};

const PREPARED: &str = r#"{"prepay_id":"wx01100001234567f0e1d2c3b4a5960000"}"#;

fn clock() -> TestClock {
    TestClock::at(NOW_S)
}

/// WeChat in public-key mode.
fn wechat() -> Signer {
    Signer::public_key(&clock())
}

fn order() -> FrozenJsapiOrder {
    FrozenJsapiOrder(text(case("request_signing", "jsapi-prepay-ascii"), "body").to_owned())
}

fn close_order() -> CloseOrder {
    CloseOrder { mchid: mchid(), out_trade_no: OutTradeNo::parse("T20260301000001").unwrap() }
}

async fn place_at(hosts: Hosts) -> Result<Answered<JsapiAnswer>, CallErrorV3> {
    client(hosts, &clock()).call(&merchant_with_public_key(), nonce(), &order()).await
}

/// Places an order with a WeChat that answers this.
async fn place(answer: impl FnMut(&Received) -> Reply + Send + 'static) -> Result<Answered<JsapiAnswer>, CallErrorV3> {
    place_at(Peer::start(answer).hosts()).await
}

/// The same with an answer of status 200 and these headers.
async fn place_with(headers: SignatureHeaders, body: &'static str) -> CallErrorV3 {
    let error = place(move |_| reply("200 OK", Some(&headers), body)).await.unwrap_err();
    assert!(error.outcome_is_unknown(), "{error:?}");
    assert_silent(&error);
    error
}

fn not_authentic(error: &CallErrorV3) -> &VerifyError {
    let CallErrorV3::NotAuthentic(why) = error else { panic!("{error:?}") };
    why
}

#[tokio::test]
async fn an_order_gets_its_prepay_id_and_the_bytes_that_prove_it() {
    let peer = Peer::start(|_| wechat().reply(PREPARED));
    let answered = place_at(peer.hosts()).await.unwrap();
    assert_eq!(answered.prepay_id, PrepayId::parse("wx01100001234567f0e1d2c3b4a5960000").unwrap());
    assert_eq!(answered.evidence.request_body, order().0);
    assert_eq!(answered.evidence.request_body, peer.received()[0].body);
    assert_eq!(answered.evidence.answer_body, PREPARED);
    assert_eq!(answered.evidence.request_id.as_deref(), Some("08F5-0"));
}

/// Calls at the moment and with the nonce of a vector; the answer does not matter.
async fn sent<C: Call>(name: &str, call: &C) -> Received {
    let case = case("request_signing", name);
    let peer = Peer::start(|_| Reply::status("500 Oops"));
    let second: i64 = text(case, "timestamp").parse().unwrap();
    let nonce = NonceStr::parse(text(case, "nonce_str")).unwrap();
    let client = client(peer.hosts(), &TestClock::at(second));
    assert!(client.call(&merchant_with_public_key(), nonce, call).await.is_err());
    let received = peer.received().remove(0);
    assert_eq!(received.header("authorization"), Some(text(case, "authorization")), "{name}");
    let target = text(case, "url").strip_prefix("https://api.mch.weixin.qq.com").unwrap();
    assert_eq!(received.target(), target, "{name}");
    assert_eq!(received.body, text(case, "body").as_bytes(), "{name}");
    received
}

#[tokio::test]
async fn requests_are_signed_and_sent_as_other_peoples_software_does() {
    let ascii = sent("jsapi-prepay-ascii", &order()).await;
    assert!(ascii.head.starts_with("POST "));
    assert_eq!(ascii.header("content-length"), Some(ascii.body.len().to_string().as_str()));
    assert_eq!(ascii.header("content-type"), Some("application/json"));
    let unicode = case("request_signing", "jsapi-prepay-unicode");
    sent("jsapi-prepay-unicode", &FrozenJsapiOrder(text(unicode, "body").to_owned())).await;
    sent("close", &close_order()).await;
    let out_trade_no = OutTradeNo::parse("T20260301000001").unwrap();
    let query = sent("query-by-out-trade-no", &QueryByOutTradeNo { mchid: mchid(), out_trade_no }).await;
    let transaction_id = TransactionId::parse("4200002026202603010000000001").unwrap();
    sent("query-by-transaction-id", &QueryById { mchid: mchid(), transaction_id }).await;
    let certificates = sent("certificates", &GetCertificates).await;
    for get in [&query, &certificates] {
        assert!(get.head.starts_with("GET "));
        assert_eq!((get.header("content-type"), get.body.len()), (None, 0));
    }
    for any in [&ascii, &query, &certificates] {
        assert_eq!(any.header("accept"), Some("application/json"));
        assert!(any.header("user-agent").unwrap().starts_with("zhanggui/"));
        assert_eq!(any.header("transfer-encoding"), None);
        assert_eq!(any.header("wechatpay-serial"), Some(Signer::public_key(&clock()).id.as_str()));
    }
}

/// A path that only the future knows.
struct Elsewhere {
    path: &'static str,
}

impl Call for Elsewhere {
    const METHOD: Method = Method::Get;
    type Answer = ();
    fn path(&self) -> String {
        self.path.to_owned()
    }
}

#[tokio::test]
async fn a_path_is_sent_exactly_as_it_was_signed() {
    let out_trade_no = OutTradeNo::parse("a|b*c_1-2").unwrap();
    let received = sent("path-percent-encoded", &QueryByOutTradeNo { mchid: mchid(), out_trade_no }).await;
    assert!(received.target().contains("/a%7Cb*c_1-2?"), "{}", received.head);
    sent("bill-download", &Elsewhere {
        path: "/v3/billdownload/file?token=6XIv5TUPto7pByrTQKhd6kwvyKLG2uY2wMMR8cNXqaA_Cv_isgaUtBzp4QtiozLO&tartype=gzip",
    })
    .await;
    // What the URL library has to escape is signed as escaped; what stands in front is not WeChat's and not signed.
    for path in
        ["/v3/a b|c^`{}\"<>'?x=' \"<>|^`{}&y=%2F+/", "/v3/掌柜?x=茶", "/v3/a/../b;c=,:@!$()*~[]", "/v3/a?", "/v3/a?b?c"]
    {
        let peer = Peer::start(|_| Reply::status("500 Oops"));
        let hosts = Hosts::new(&format!("{}/relay/", peer.url()), None).unwrap();
        let result = client(hosts, &clock()).call(&merchant_with_public_key(), nonce(), &Elsewhere { path }).await;
        assert!(result.is_err());
        let received = peer.received().remove(0);
        let target = received.target().strip_prefix("/relay").unwrap();
        let authorization = Authorization::parse(received.header("authorization").unwrap()).unwrap();
        let signed = Signed::new(Method::Get, target, b"");
        assert!(authorization.verifies(&signed, &merchant_key()), "{path}: {target}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_verified_like_any_other() {
    let close = async |status: &'static str, headers: Option<SignatureHeaders>| {
        let peer = Peer::start(move |_| reply(status, headers.as_ref(), ""));
        client(peer.hosts(), &clock()).call(&merchant_with_public_key(), nonce(), &close_order()).await.map(drop)
    };
    close("204 No Content", Some(wechat().headers(b""))).await.unwrap();
    let error = close("204 No Content", None).await.unwrap_err();
    assert_eq!(*not_authentic(&error), VerifyError::MissingHeader("Wechatpay-Timestamp"));
    let error = close("204 No Content", Some(wechat().headers(b"{}"))).await.unwrap_err();
    assert_eq!(*not_authentic(&error), VerifyError::Mismatch);
    let error = place(|_| reply("204 No Content", Some(&wechat().headers(b"")), "")).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::Unreadable(Unreadable::V3(_))), "an order needs its prepay_id: {error:?}");
}

#[tokio::test]
async fn lesson_06_an_unsigned_success_is_forged() {
    let error = place(|_| reply("200 OK", None, PREPARED)).await.unwrap_err();
    assert_eq!(*not_authentic(&error), VerifyError::MissingHeader("Wechatpay-Timestamp"));
    assert!(error.outcome_is_unknown());
    for status in ["200 OK", "201 Created", "206 Partial Content", "299 Something"] {
        for missing in ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"] {
            let error = place(move |_| {
                let Reply::Raw(answer) = reply(status, Some(&wechat().headers(PREPARED.as_bytes())), PREPARED) else {
                    unreachable!()
                };
                let answer = String::from_utf8(answer).unwrap();
                Reply::Raw(answer.replace(&format!("{missing}:"), "X-Other:").into_bytes())
            });
            assert_eq!(*not_authentic(&error.await.unwrap_err()), VerifyError::MissingHeader(missing), "{status}");
        }
    }
}

#[tokio::test]
async fn lesson_06_accepted_is_neither_an_error_nor_a_success() {
    for headers in [None, Some(wechat().headers(PREPARED.as_bytes()))] {
        let peer = Peer::start(move |_| reply("202 Accepted", headers.as_ref(), PREPARED));
        let backup = Peer::forbidden();
        let error = place_at(peer.hosts_with_backup(&backup)).await.unwrap_err();
        assert!(matches!(error, CallErrorV3::Unfinished), "{error:?}");
        assert!(error.outcome_is_unknown());
        assert_eq!((peer.received().len(), backup.received().len()), (1, 0));
    }
}

#[tokio::test]
async fn lesson_06_a_refusal_is_never_read_as_a_success() {
    for status in ["400 Bad Request", "404 Not Found", "500 Oops", "502 Bad Gateway", "503 Away"] {
        let (peer, backup) = (
            Peer::start(move |_| reply(status, Some(&wechat().headers(PREPARED.as_bytes())), PREPARED)),
            Peer::forbidden(),
        );
        let error = place_at(peer.hosts_with_backup(&backup)).await.unwrap_err();
        let CallErrorV3::Refused { status: got, error: Some(body), request_id } = &error else { panic!("{error:?}") };
        assert_eq!((got.to_string().as_str(), &body.code), (&status[..3], &Code::Unknown(String::new())));
        assert_eq!(request_id.as_deref(), Some("08F5-0"));
        assert!(error.outcome_is_unknown(), "no word of WeChat's");
        assert_eq!((peer.received().len(), backup.received().len()), (1, 0), "any answer is final: {status}");
    }
}

#[tokio::test]
async fn a_refusal_without_wechats_json_has_no_code() {
    for body in ["", "<html><body>502 Bad Gateway</body></html>", "[1]", "{\"code\":1}", "{\"code\":\"SYS", "null"] {
        let error = place(move |_| reply("502 Bad Gateway", None, body)).await.unwrap_err();
        assert!(matches!(error, CallErrorV3::Refused { status: 502, error: None, .. }), "{body}: {error:?}");
        assert!(error.outcome_is_unknown());
    }
    let huge = |_: &Received| Reply::Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999\r\n\r\n<html>".to_vec());
    let error = place(huge).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::Refused { status: 500, error: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_is_known_unless_its_status_or_code_proves_nothing() {
    for (status, code, unknown) in [
        ("400 Bad Request", "PARAM_ERROR", false),
        ("403 Forbidden", "OUT_TRADE_NO_USED", false),
        ("404 Not Found", "ORDERNOTEXIST", false),
        ("400 Bad Request", "A_NEW_CODE", true),
        ("400 Bad Request", "SYSTEM_ERROR", true),
        ("401 Unauthorized", "SIGN_ERROR", true),
        ("401 Unauthorized", "PARAM_ERROR", true),
        ("403 Forbidden", "RATELIMIT_EXCEEDED", true),
        ("429 Too Many", "PARAM_ERROR", true),
        ("500 Oops", "PARAM_ERROR", true),
        ("503 Away", "SERVICE_UNAVAILABLE", true),
    ] {
        let body = format!(r#"{{"code":"{code}","message":"一句话","detail":{{"value":[1.5,null],"field":7}}}}"#);
        let error = place(move |_| reply(status, None, &body)).await.unwrap_err();
        assert!(matches!(&error, CallErrorV3::Refused { error: Some(body), .. } if body.code == Code::from_wire(code)));
        assert_eq!(error.outcome_is_unknown(), unknown, "{status} {code}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn lesson_12_an_answer_is_verified_as_it_came() {
    let headers = || wechat().headers(PREPARED.as_bytes());
    let spaced: &str = r#"{"prepay_id": "wx01100001234567f0e1d2c3b4a5960000"}"#;
    for changed in [spaced, concat!(r#"{"prepay_id":"wx01100001234567f0e1d2c3b4a5960000"}"#, "\n"), ""] {
        assert_eq!(*not_authentic(&place_with(headers(), changed).await), VerifyError::Mismatch);
    }
    let odd = "{ \"new\":\"\\u8336\",\n \"prepay_id\" : \"wx01100001234567f0e1d2c3b4a5960000\" }\n";
    place(move |_| wechat().reply(odd)).await.unwrap();
}

#[tokio::test]
async fn lesson_14_a_probe_is_refused_and_the_request_repeated_once() {
    for signature in [format!("{PROBE_PREFIX}AAAA"), format!("{PROBE_PREFIX}=not=base64"), PROBE_PREFIX.to_owned()] {
        let mut probes = 1;
        let probe = signature.clone();
        let peer = Peer::start(move |_| {
            let mut headers = wechat().headers(PREPARED.as_bytes());
            if probes > 0 {
                probes -= 1;
                headers.signature.clone_from(&probe);
            }
            reply("200 OK", Some(&headers), PREPARED)
        });
        place_at(peer.hosts()).await.unwrap();
        let received = peer.received();
        assert_eq!(received.len(), 2);
        assert_eq!((&received[0].head, &received[0].body), (&received[1].head, &received[1].body));

        let peer = Peer::start(move |_| {
            let headers = wechat().headers(PREPARED.as_bytes());
            reply("200 OK", Some(&SignatureHeaders { signature: signature.clone(), ..headers }), PREPARED)
        });
        let error = place_at(peer.hosts()).await.unwrap_err();
        assert_eq!(*not_authentic(&error), VerifyError::Probe);
        assert!(error.outcome_is_unknown());
        assert_eq!(peer.received().len(), 2, "not for ever");
    }
}

#[tokio::test]
async fn lesson_14_the_prefix_before_a_good_signature_opens_nothing() {
    let mut headers = wechat().headers(PREPARED.as_bytes());
    headers.signature = format!("{PROBE_PREFIX}{}", headers.signature);
    assert_eq!(*not_authentic(&place_with(headers, PREPARED).await), VerifyError::Probe);
}

#[tokio::test]
async fn an_old_or_early_answer_is_not_believed() {
    for (skew_s, good) in [(301, false), (300, false), (299, true), (-299, true), (-300, false), (-86_400, false)] {
        let signed_at = clock();
        signed_at.advance_s(-skew_s);
        let answer =
            place(move |_| reply("200 OK", Some(&wechat().headers_at(signed_at.now(), PREPARED.as_bytes())), PREPARED));
        match answer.await {
            Ok(_) => assert!(good, "{skew_s}"),
            Err(error) => {
                assert!(!good, "{skew_s}");
                assert_eq!(*not_authentic(&error), VerifyError::Untimely { skew_s });
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_signature_is_not_believed() {
    let good = || wechat().headers(PREPARED.as_bytes());
    let stranger = Signer::stranger(wechat().id.as_str(), &clock()).headers(PREPARED.as_bytes());
    let mut other_type = good();
    other_type.signature_type = Some("WECHATPAY2-SM2-WITH-SM3".to_owned());
    let mut other_nonce = good();
    other_nonce.nonce = "0".repeat(32);
    let mut no_time = good();
    no_time.timestamp = "now".to_owned();
    for (headers, why) in [
        (stranger, VerifyError::Mismatch),
        (SignatureHeaders { signature: "AAAA".to_owned(), ..good() }, VerifyError::Mismatch),
        (SignatureHeaders { signature: "*".to_owned(), ..good() }, VerifyError::Mismatch),
        (other_nonce, VerifyError::Mismatch),
        (other_type, VerifyError::SignatureType),
        (no_time, VerifyError::Timestamp),
        (
            SignatureHeaders { serial: "not-a-serial".to_owned(), ..good() },
            VerifyError::UnknownKey { serial: "not-a-serial".to_owned() },
        ),
    ] {
        assert_eq!(*not_authentic(&place_with(headers, PREPARED).await), why);
    }
}

#[tokio::test]
async fn answers_of_other_peoples_software_are_believed_or_not_as_they_say() {
    let mut seen = 0;
    for case in VECTORS["message_verification"].as_array().unwrap() {
        // Which keys are known is the subject of `trust.rs`.
        let serial = case["headers"]["Wechatpay-Serial"].as_str().unwrap_or_default();
        if !serial.starts_with("PUB_KEY_ID_") || case["http_status"] != 200 {
            continue;
        }
        seen += 1;
        let headers = case["headers"].as_object().unwrap();
        let headers = SignatureHeaders::read(|name| headers.get(name).and_then(|value| value.as_str())).unwrap();
        let peer = Peer::start(move |_| reply("200 OK", Some(&headers), text(case, "body")));
        let client = client(peer.hosts(), &TestClock::at(case["now"].as_i64().unwrap()));
        let result = client.call(&merchant_with_public_key(), nonce(), &order()).await;
        assert_eq!(result.is_ok(), case["expect"] == "ok", "{}", case["name"]);
    }
    assert!(seen >= 2);
}

#[tokio::test]
async fn a_web_page_instead_of_an_answer_is_not_believed() {
    let page = "<html><body>It works!</body></html>";
    let error = place(move |_| Reply::text(page)).await.unwrap_err();
    assert!(matches!(not_authentic(&error), VerifyError::MissingHeader(_)), "{error:?}");
}

#[tokio::test]
async fn an_authentic_answer_that_is_not_what_was_expected_is_unreadable() {
    for body in
        ["<html>", &PREPARED[..PREPARED.len() / 2], "{}", "[]", r#"{"prepay_id":7}"#, "", "{\"prepay_id\":\"\"}"]
    {
        let body = body.to_owned();
        let error = place(move |_| wechat().reply(&body)).await.unwrap_err();
        assert!(matches!(error, CallErrorV3::Unreadable(Unreadable::V3(_))), "{error:?}");
        assert!(error.outcome_is_unknown());
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = place(|_| reply("307 Elsewhere", Some(&wechat().headers(b"")), "")).await.unwrap_err();
    assert!(matches!(error, CallErrorV3::Unreadable(Unreadable::Status(307))), "{error:?}");
    assert!(error.outcome_is_unknown());
}

#[tokio::test]
async fn without_an_answer_the_backup_host_gets_the_same_signed_request() {
    let mains: [fn(&Received) -> Reply; 4] = [
        |_| Reply::Close,
        |_| Reply::Raw(b"not http at all".to_vec()),
        |_| {
            let Reply::Raw(whole) = wechat().reply(PREPARED) else { unreachable!() };
            Reply::Raw(whole[..whole.len() - 1].to_vec())
        },
        |_| Reply::Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n{".to_vec()),
    ];
    for main in mains {
        let (main, backup) = (Peer::start(main), Peer::start(|_| wechat().reply(PREPARED)));
        place_at(main.hosts_with_backup(&backup)).await.unwrap();
        let (main, backup) = (main.received(), backup.received());
        assert_eq!((main.len(), backup.len()), (1, 1));
        assert_eq!(main[0].header("authorization"), backup[0].header("authorization"));
        assert_eq!((main[0].target(), &main[0].body), (backup[0].target(), &backup[0].body));
    }
}

#[tokio::test]
async fn when_nobody_answers_the_outcome_is_unknown() {
    let silent = Peer::start(|_| Reply::Silence);
    let client = PayV3Client::new(impatient_transport(), silent.hosts_with_backup(&silent), clock().clock());
    let error = client.call(&merchant_with_public_key(), nonce(), &order()).await.unwrap_err();
    let CallErrorV3::NoAnswer(no_answer) = &error else { panic!("{error:?}") };
    assert_eq!((no_answer.kind(), no_answer.may_have_been_sent()), (NoAnswerKind::TimedOut, true));
    assert!(error.outcome_is_unknown());
    assert_eq!(silent.received().len(), 2);
    assert_silent(&error);
}

#[tokio::test]
async fn nothing_prints_a_key_or_the_customer() {
    let hostile: [fn(&Received) -> Reply; 5] = [
        |_| Reply::Close,
        |request| wechat().reply(&request.body),
        |request| reply("500 Oops", None, &request.body),
        |request| reply("400 Bad Request", None, request.head.as_bytes()),
        |request| Reply::Raw(request.body.clone()),
    ];
    let openid = serde_json::from_str::<serde_json::Value>(&order().0).unwrap()["payer"]["openid"].to_string();
    let silent = |text: &str| {
        for secret in secrets().iter().map(String::as_str).chain([openid.trim_matches('"'), "signature="]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    };
    for peer in hostile.map(Peer::start) {
        let error = place_at(peer.hosts()).await.unwrap_err();
        assert_silent(&error);
        silent(&print(&error));
    }
    let peer = Peer::start(|_| wechat().reply(PREPARED));
    let client = client(peer.hosts(), &clock());
    let merchant = merchant_with_public_key();
    let answered = client.call(&merchant, nonce(), &order()).await.unwrap();
    silent(&format!("{client:?} {merchant:?} {:?} {answered:?}", merchant_with_certificates()));
}
