//! The order of the checks and the texts of 401.

use weixin::{
    NonceStr,
    pay::v3::{Authorization, Credential, SerialNo, Signed, SigningKey},
};
use weixin_simulator::{DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM, MerchantCertificate, MerchantV3Setup, Standing};

use crate::{
    support::{Reply, Stage, mchid},
    v3::{CERTIFICATES, JSAPI, credential, headers, query_path, refusal, set},
};

const MALFORMED: &str = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》";
const CLOCK: &str = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟";
const SERIAL: &str = "商户证书序列号有误。请使用签名私钥匹配的证书序列号";

/// The sentence of a 401.
fn message(reply: &Reply) -> String {
    let (status, code, message, _) = refusal(reply);
    assert_eq!((status, code.as_str()), (401, "SIGN_ERROR"));
    message
}

async fn with_authorization(stage: &Stage, path: &str, authorization: Option<&str>) -> Reply {
    let mut headers = headers(stage, "GET", path, "");
    set(&mut headers, "Authorization", authorization);
    stage.send("GET", path, &headers, "").await
}

/// A good header with a part of it changed.
fn changed(stage: &Stage, path: &str, from: &str, to: &str) -> String {
    let header = headers(stage, "GET", path, "").remove(0).1;
    assert!(header.contains(from), "{header}");
    header.replace(from, to)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_or_method_has_an_empty_answer() {
    let stage = Stage::new().await;
    for (method, path, status) in [
        ("GET", "/v3/pay/transactions/native", 404),
        ("GET", "/v3/", 404),
        ("GET", JSAPI, 405),
        ("POST", CERTIFICATES, 405),
    ] {
        let reply = stage.send(method, path, &[], "").await;
        assert_eq!((reply.status, reply.body.len()), (status, 0), "{path}");
        assert!(reply.header("Wechatpay-Signature").is_none() && reply.header("Content-Type").is_none(), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_and_user_agent_are_wanted_first_but_not_at_orders() {
    let stage = Stage::new().await;
    for name in ["Accept", "User-Agent"] {
        let mut headers = headers(&stage, "GET", CERTIFICATES, "");
        set(&mut headers, name, None);
        set(&mut headers, "Authorization", None);
        let (status, code, message, _) = refusal(&stage.send("GET", CERTIFICATES, &headers, "").await);
        assert_eq!((status, code.as_str(), message.as_str()), (400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"));
    }
    let path = query_path("ORD000001");
    let mut headers = headers(&stage, "GET", &path, "");
    set(&mut headers, "Accept", None);
    set(&mut headers, "User-Agent", None);
    assert_eq!(refusal(&stage.send("GET", &path, &headers, "").await).1, "ORDER_NOT_EXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_authorization_is_told_as_wechat_tells_it() {
    let stage = Stage::new().await;
    let path = CERTIFICATES;
    let good = headers(&stage, "GET", path, "").remove(0).1;
    let missing_nonce = good.replace("nonce_str=\"5K8264ILTKCH16CQ2502SI8ZNMTM67VS\",", "");
    for header in [
        None,
        Some("nonsense".to_owned()),
        Some(missing_nonce),
        Some(good.replace(',', ", ")),
        Some(good.replace('"', "'")),
        Some(good.replace("timestamp=\"", "timestamp=\"-")),
        Some(format!("{good},mchid=\"{DEMO_MCHID}\"")),
    ] {
        assert_eq!(message(&with_authorization(&stage, path, header.as_deref()).await), MALFORMED, "{header:?}");
    }
    let at_orders = with_authorization(&stage, &query_path("ORD000001"), None).await;
    assert_eq!(message(&at_orders), "签名信息错误，验签失败");
    let scheme = good.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3");
    let scheme = with_authorization(&stage, path, Some(&scheme)).await;
    assert_eq!(message(&scheme), "HTTP头Authorization认证类型不正确");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_checked_before_the_signature() {
    let stage = Stage::new().await;
    let signature_wrong = |stage: &Stage| changed(stage, CERTIFICATES, "nonce_str=\"5", "nonce_str=\"6");
    let header = signature_wrong(&stage);
    stage.advance_s(299);
    assert_eq!(message(&with_authorization(&stage, CERTIFICATES, Some(&header)).await), "签名错误");
    stage.advance_s(2);
    assert_eq!(message(&with_authorization(&stage, CERTIFICATES, Some(&header)).await), CLOCK);
    stage.advance_s(-602);
    assert_eq!(message(&with_authorization(&stage, CERTIFICATES, Some(&header)).await), CLOCK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_told_with_what_wechat_would_have_signed() {
    let stage = Stage::new().await;
    let body = stage.order_v3("ORD000001").to_string();
    let headers = headers(&stage, "POST", JSAPI, &body);
    let changed = body.replace("3000", "3001");
    let reply = stage.send("POST", JSAPI, &headers, &changed).await;
    assert_eq!(message(&reply), "签名错误");
    assert!(reply.header("Request-ID").is_none(), "at orders a 401 has none");
    let detail = &reply.json()["detail"];
    assert_eq!((&detail["field"], &detail["location"]), (&"signature".into(), &"authorization".into()));
    assert_eq!(detail["detail"]["issue"], "sign not match");
    let information = &detail["sign_information"];
    assert_eq!((&information["method"], &information["url"]), (&"POST".into(), &JSAPI.into()));
    let time = stage.sim.now().as_second();
    let nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
    let message = format!("POST\n{JSAPI}\n{time}\n{nonce}\n{changed}\n");
    assert_eq!(information["sign_message_length"], message.len());
    let beginning: String = changed.chars().take(8).collect();
    let expected = format!("POST\n{JSAPI}\n{time}\n{nonce}\n{beginning}\n");
    assert_eq!(information["truncated_sign_message"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_elsewhere_has_a_request_id_with_the_internal_code() {
    let stage = Stage::new().await;
    let header = changed(&stage, CERTIFICATES, "nonce_str=\"5", "nonce_str=\"6");
    let reply = with_authorization(&stage, CERTIFICATES, Some(&header)).await;
    let id = reply.header("Request-ID").unwrap();
    assert!(id.starts_with("08") && id.len() > 44 && id.ends_with("-268443699"), "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_serial_number_must_be_a_good_one_of_the_merchant() {
    let stage = Stage::new().await;
    let unknown = changed(&stage, CERTIFICATES, "DE30\"", "DE31\"");
    assert_eq!(message(&with_authorization(&stage, CERTIFICATES, Some(&unknown)).await), SERIAL);
    let stranger = changed(&stage, CERTIFICATES, DEMO_MCHID, "1600000009");
    assert_eq!(message(&with_authorization(&stage, CERTIFICATES, Some(&stranger)).await), SERIAL);
    // Small letters and a lost zero mean the same number.
    let small = changed(&stage, CERTIFICATES, "DE30\"", "de30\"");
    assert_eq!(refusal(&with_authorization(&stage, CERTIFICATES, Some(&small)).await).1, "RESOURCE_NOT_EXISTS");
    let certificate = MerchantCertificate::from_pem(DEMO_MERCHANT_CERTIFICATE_PEM).unwrap();
    for (certificates, expected) in [
        (vec![certificate.clone().standing(Standing::Revoked)], "商户证书已作废"),
        (vec![certificate.clone().standing(Standing::Replaced)], "商户已更换证书，请使用新证书"),
        (Vec::new(), "商户未申请过证书。"),
    ] {
        stage.sim.add_merchant_v3(&MerchantV3Setup { certificates, ..MerchantV3Setup::demo() });
        assert_eq!(message(&stage.v3("GET", CERTIFICATES, "").await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let stage = Stage::new().await;
    // 2120, in seconds from 2026.
    stage.advance_s(94 * 366 * 86_400);
    assert_eq!(message(&stage.v3("GET", CERTIFICATES, "").await), "商户证书已过期");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_certificate_of_the_merchant_works_beside_the_first() {
    let stage = Stage::new().await;
    // A stranger's certificate plays the merchant's second one.
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../weixin/tests/vectors/pay-v3.json")).unwrap();
    let second = &vectors["keys"]["MERCHANT"];
    let demo = MerchantV3Setup::demo();
    let mut certificates = demo.certificates.clone();
    certificates.push(MerchantCertificate::from_pem(second["certificate_pem"].as_str().unwrap()).unwrap());
    stage.sim.add_merchant_v3(&MerchantV3Setup { certificates, ..demo });
    let second = Credential {
        mchid: mchid(),
        serial_no: SerialNo::parse(second["serial_no"].as_str().unwrap()).unwrap(),
        key: SigningKey::from_pem(second["private_key_pem"].as_str().unwrap()).unwrap(),
    };
    let path = query_path("ORD000001");
    for credential in [credential(), second] {
        let signed = Signed { method: "GET", path: &path, body: b"" };
        let nonce = NonceStr::from_random([7; 16]);
        let header = Authorization::sign(&credential, &signed, stage.sim.now(), nonce).to_header();
        assert_eq!(refusal(&with_authorization(&stage, &path, Some(&header)).await).1, "ORDER_NOT_EXIST");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_mchid_is_refused_before_the_body_is_looked_at() {
    let stage = Stage::new().await;
    let body = r#"{"mchid":"1600000009","nonsense":1}"#;
    let (status, code, message, _) = refusal(&stage.v3("POST", JSAPI, body).await);
    assert_eq!((status, code.as_str()), (400, "PARAM_ERROR"));
    assert_eq!(message, "http header中的mchid与post payload中的mchid不匹配");
    let path = "/v3/pay/transactions/out-trade-no/ORD000001?mchid=1600000009";
    assert_eq!(refusal(&stage.v3("GET", path, "").await).1, "PARAM_ERROR");
    let path = "/v3/pay/transactions/out-trade-no/ORD000001";
    let missing = "输入源“/mchid”映射到字段“商户号”必填性规则校验失败，此字段为必填项";
    assert_eq!(refusal(&stage.v3("GET", path, "").await).2, missing);
}
