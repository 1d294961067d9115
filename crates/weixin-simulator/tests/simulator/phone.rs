//! What the phone's WeChat refuses.

use serde_json::json;
use weixin::{PrepayId, pay::v2::SignType};
use weixin_simulator::{Choice, PhoneError};

use crate::support::{Stage, appid};

const SIGNATURE: &str = "requestPayment:fail (支付验证签名失败)";
const PREPAY_ID: &str = "requestPayment:fail (调用支付JSAPI缺少参数：total_fee)";
const PAID: &str = "requestPayment:fail (该订单已支付)";
const EXPIRED: &str = "requestPayment:fail (该订单已过期)";

fn message(result: Result<(), PhoneError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_reaches_the_ledger_once() {
    let stage = Stage::new().await;
    let prepay_id = stage.paid(stage.order("ORD000001")).await;
    assert_eq!(message(stage.pay(&prepay_id)), PAID);
    let ledger = stage.sim.ledger();
    let payment = ledger.payment("ORD000001").unwrap();
    assert_eq!(payment.total_fen.get(), 3000);
    assert_eq!(payment.paid_at, Some(stage.sim.now()));
    assert_eq!(&payment.openid, stage.li.openid());
    assert_eq!(ledger.paid().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_cancels_can_pay_later() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let parameters = stage.parameters(&prepay_id, SignType::Md5);
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Cancel)), "requestPayment:fail cancel");
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("NOTPAY"));
    stage.li.request_payment(&parameters, Choice::Pay).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_or_sign_type_is_refused() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let good = stage.parameters(&prepay_id, SignType::Md5);
    let mut tampered = good.clone();
    tampered.time_stamp = "1".to_owned();
    assert_eq!(message(stage.li.request_payment(&tampered, Choice::Pay)), SIGNATURE);
    let other_type = stage.parameters(&prepay_id, SignType::HmacSha256);
    assert_eq!(message(stage.li.request_payment(&other_type, Choice::Pay)), SIGNATURE);
    let mut says_md5 = other_type.clone();
    says_md5.sign_type = "MD5".to_owned();
    assert_eq!(message(stage.li.request_payment(&says_md5, Choice::Pay)), SIGNATURE);
    // Even a cancelled sheet does not open with a wrong signature.
    assert_eq!(message(stage.li.request_payment(&tampered, Choice::Cancel)), SIGNATURE);
    stage.li.request_payment(&good, Choice::Pay).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_hmac_wants_hmac_on_the_phone() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD000001");
    order.set("sign_type", "HMAC-SHA256");
    let prepay_id = stage.prepay(order).await;
    assert_eq!(message(stage.pay(&prepay_id)), SIGNATURE);
    stage.li.request_payment(&stage.parameters(&prepay_id, SignType::HmacSha256), Choice::Pay).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepay_id_that_is_unknown_or_not_named_is_refused() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let unknown = PrepayId::parse("wx22143005123456abcdef0123456789ab00").unwrap();
    assert_eq!(message(stage.pay(&unknown)), PREPAY_ID);
    let mut bare = stage.parameters(&prepay_id, SignType::Md5);
    bare.package = prepay_id.to_string();
    assert_eq!(message(stage.li.request_payment(&bare, Choice::Pay)), PREPAY_ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepay_id_lives_two_hours_whatever_time_expire_says() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD000001");
    order.set("time_expire", "20260123143001");
    let prepay_id = stage.prepay(order.clone()).await;
    stage.advance_s(7200 - 1);
    let parameters = stage.parameters(&prepay_id, SignType::Md5);
    assert_eq!(stage.li.request_payment(&parameters, Choice::Cancel), Err(PhoneError::Cancelled));
    stage.advance_s(1);
    assert_eq!(message(stage.pay(&prepay_id)), PREPAY_ID);
    let fresh = stage.prepay(order).await;
    stage.pay(&fresh).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_time_expire_the_phone_refuses() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD000001");
    order.set("time_expire", "20260122143501");
    let prepay_id = stage.prepay(order).await;
    stage.advance_s(300);
    let parameters = stage.parameters(&prepay_id, SignType::Md5);
    assert_eq!(stage.li.request_payment(&parameters, Choice::Cancel), Err(PhoneError::Cancelled), "the last moment");
    stage.advance_s(1);
    assert_eq!(message(stage.pay(&prepay_id)), EXPIRED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_order_cannot_be_paid_with_any_of_its_prepay_ids() {
    let stage = Stage::new().await;
    let first = stage.prepay(stage.order("ORD000001")).await;
    let second = stage.prepay(stage.order("ORD000001")).await;
    stage.close("ORD000001").await;
    assert_eq!(message(stage.pay(&first)), EXPIRED);
    assert_eq!(message(stage.pay(&second)), EXPIRED);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_customer_cannot_pay() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let wang = stage.sim.phone(&appid(), "wang").unwrap();
    let refused = wang.request_payment(&stage.parameters(&prepay_id, SignType::Md5), Choice::Pay);
    assert!(message(refused).starts_with("requestPayment:fail ("));
    assert_eq!(stage.sim.ledger().paid().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_argument_must_be_texts() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay(stage.order("ORD000001")).await;
    let mut parameters = json!(stage.parameters(&prepay_id, SignType::Md5));
    parameters["timeStamp"] = json!(1769063402);
    let expected = "requestPayment:fail parameter error: parameter.timeStamp should be String instead of Number;";
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Pay)), expected);
    assert!(message(stage.li.request_payment(&json!({}), Choice::Pay)).contains("instead of Undefined"));
    // Fields that the mini program adds do not matter, and MD5 is the client's default.
    let mut parameters = json!(stage.parameters(&prepay_id, SignType::Md5));
    parameters.as_object_mut().unwrap().remove("signType");
    parameters["total_fee"] = json!(1);
    stage.li.request_payment(&parameters, Choice::Pay).unwrap();
}
