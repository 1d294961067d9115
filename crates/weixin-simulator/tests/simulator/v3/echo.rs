//! The self-test: signed, sealed, and back. And the bills, which are not there yet.

use serde_json::{Value, json};
use weixin::pay::v3::{SigningKey, aead::Sealed, echo, notification::Event};
use weixin_simulator::{DEMO_MERCHANT_KEY_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_ID, KeyMode};

use crate::{
    support::{Merchant, Stage},
    v3::{code, notification::opened, platform, public_key, refusal, v3_key},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_comes_back_sealed_for_the_merchant() {
    let stage = Stage::new().await;
    stage.key_mode(KeyMode::Both);
    let merchant = SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap();
    for key in [public_key(), platform(DEMO_PLATFORM_CERTIFICATE_PEM).key] {
        let sealed = key.encrypt("掌柜".as_bytes()).unwrap();
        let body = json!({ "echo_message": "你好", "encrypted_echo_message": sealed }).to_string();
        let reply = stage.v3_with_serial("POST", echo::PATH, &body, key.id().as_str()).await;
        let told: echo::Echo = serde_json::from_value(stage.good(&reply)).unwrap();
        assert_eq!(stage.verify(&reply).unwrap(), key.id().as_str());
        assert_eq!(told.echo_message, "你好");
        assert_eq!(merchant.decrypt(&told.encrypted_echo_message.unwrap()).unwrap(), "掌柜".as_bytes());
        // The key that the header names, and no other one.
        let other = if key.id().as_str() == DEMO_PUBLIC_KEY_ID {
            platform(DEMO_PLATFORM_CERTIFICATE_PEM).serial_no.to_string()
        } else {
            DEMO_PUBLIC_KEY_ID.to_owned()
        };
        let reply = stage.v3_with_serial("POST", echo::PATH, &body, &other).await;
        assert_eq!(code(&reply), (400, "PARAM_ERROR".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_needs_the_name_of_the_key() {
    let stage = Stage::new().await;
    let body = json!({ "echo_message": "x" }).to_string();
    let (status, code, message, _) = refusal(&stage.v3("POST", echo::PATH, &body).await);
    assert_eq!((status, code.as_str()), (400, "PARAM_ERROR"));
    assert_eq!(message, "HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)");
    let reply = stage.v3_with_serial("POST", echo::PATH, &body, DEMO_PUBLIC_KEY_ID).await;
    assert_eq!(stage.good(&reply), json!({ "echo_message": "x" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_with_an_address_comes_there_too() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let sealed = public_key().encrypt(b"zhanggui").unwrap();
    let mut body = json!({ "echo_message": "x", "encrypted_echo_message": sealed, "notify_url": merchant.url });
    let reply = stage.v3_with_serial("POST", echo::PATH, &body.to_string(), DEMO_PUBLIC_KEY_ID).await;
    stage.good(&reply);
    assert_eq!(stage.sim.deliver_due().await, 1);
    let received = &merchant.received()[0];
    let told = opened(received, stage.sim.now()).unwrap();
    assert_eq!(told.event_type, "SECURITY_ECHO.SUCCESS");
    assert_eq!(told.event, Event::Other { original_type: "security".to_owned() });
    let envelope: Value = serde_json::from_slice(&received.body).unwrap();
    let sealed: Sealed = serde_json::from_value(envelope["resource"].clone()).unwrap();
    let plain: Value = serde_json::from_slice(&sealed.open(&v3_key()).unwrap()).unwrap();
    assert_eq!(plain["echo_message"], "x");
    let merchant = SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap();
    assert_eq!(merchant.decrypt(plain["encrypt_echo_message"].as_str().unwrap()).unwrap(), b"zhanggui");
    body["notify_url"] = "ftp://x".into();
    let reply = stage.v3_with_serial("POST", echo::PATH, &body.to_string(), DEMO_PUBLIC_KEY_ID).await;
    assert_eq!(code(&reply), (400, "PARAM_ERROR".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bill_is_made_up() {
    let stage = Stage::new().await;
    let ask = async |query: &str| code(&stage.v3("GET", &format!("/v3/bill/tradebill?{query}"), "").await).1;
    // It is 14:30 on 22 January in Beijing.
    assert_eq!(ask("bill_date=2026-01-21").await, "NO_STATEMENT_EXIST");
    assert_eq!(ask("bill_date=2026-01-22").await, "INVALID_REQUEST", "today");
    assert_eq!(ask("bill_date=2025-10-21").await, "INVALID_REQUEST", "more than three months ago");
    for bad in ["", "bill_date=20260121", "bill_date=2026-02-30", "bill_date=2026-01-21&bill_type=NONE"] {
        assert_eq!(ask(bad).await, "PARAM_ERROR", "{bad}");
    }
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    stage.advance_s(24 * 3600);
    assert_eq!(ask("bill_date=2026-01-22&bill_type=ALL&tar_type=GZIP").await, "STATEMENT_CREATING", "there is one");
    stage.advance_s(-5 * 3600);
    assert_eq!(ask("bill_date=2026-01-22").await, "STATEMENT_CREATING", "half past nine");
    let flow = stage.v3("GET", "/v3/bill/fundflowbill?bill_date=2026-01-21&account_type=BASIC", "").await;
    assert_eq!(code(&flow), (400, "NO_STATEMENT_EXIST".to_owned()));
}
