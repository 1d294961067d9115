//! What the phone's WeChat refuses of an order of API v3.

use serde_json::json;
use weixin::{PrepayId, pay::v2::SignType};
use weixin_simulator::{
    Choice, DEMO_MERCHANT_CERTIFICATE_PEM, MerchantCertificate, MerchantV3Setup, PhoneError, Standing,
};

use crate::support::{Stage, appid};

const NOT_RSA: &str = "requestPayment:fail (支付验证签名失败：signType应为RSA)";
const PAY_SIGN: &str = "requestPayment:fail (支付验证签名失败：paySign与商户证书不匹配)";
const PREPAY_ID: &str = "requestPayment:fail (调用支付JSAPI缺少参数：total_fee)";
const PAID: &str = "requestPayment:fail (该订单已支付)";
const EXPIRED: &str = "requestPayment:fail (该订单已过期)";

fn message(result: Result<(), PhoneError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_reaches_the_ledger_once() {
    let stage = Stage::new().await;
    let prepay_id = stage.paid_v3(&stage.order_v3("ORD000001")).await;
    assert_eq!(message(stage.pay_v3(&prepay_id)), PAID);
    assert_eq!(stage.sim.ledger().paid().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_cancels_can_pay_later() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let parameters = stage.parameters_v3(&prepay_id);
    assert_eq!(stage.li.request_payment(&parameters, Choice::Cancel), Err(PhoneError::Cancelled));
    assert_eq!(stage.query_v3("ORD000001").await["trade_state"], "NOTPAY");
    stage.li.request_payment(&parameters, Choice::Pay).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_merchants_key_over_these_very_values_opens_the_sheet() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let good = stage.parameters_v3(&prepay_id);
    let refused = |change: fn(&mut weixin::pay::RequestPayment)| {
        let mut changed = good.clone();
        change(&mut changed);
        message(stage.li.request_payment(&changed, Choice::Pay))
    };
    assert_eq!(refused(|parameters| parameters.time_stamp = "1".to_owned()), PAY_SIGN);
    assert_eq!(refused(|parameters| parameters.pay_sign = "AAAA".to_owned()), PAY_SIGN);
    assert_eq!(refused(|parameters| parameters.sign_type = "MD5".to_owned()), NOT_RSA);
    assert_eq!(refused(|parameters| parameters.package = parameters.package.replace("prepay_id=", "")), PREPAY_ID);
    // API v2 parameters for an order of API v3, and the reverse.
    let old = stage.parameters(&prepay_id, SignType::Md5);
    assert_eq!(message(stage.li.request_payment(&old, Choice::Pay)), NOT_RSA);
    let old_prepay_id = stage.prepay(stage.order("OLD000001")).await;
    let refused = message(stage.pay_v3(&old_prepay_id));
    assert_eq!(refused, "requestPayment:fail (支付验证签名失败)");
    stage.li.request_payment(&good, Choice::Pay).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_opens_no_sheet() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let revoked = MerchantCertificate::from_pem(DEMO_MERCHANT_CERTIFICATE_PEM).unwrap().standing(Standing::Revoked);
    stage.sim.add_merchant_v3(&MerchantV3Setup { certificates: vec![revoked], ..MerchantV3Setup::demo() });
    assert_eq!(message(stage.pay_v3(&prepay_id)), PAY_SIGN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_argument_must_be_texts() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let mut parameters = json!(stage.parameters_v3(&prepay_id));
    parameters["timeStamp"] = json!(1769063402);
    let expected = "requestPayment:fail parameter error: parameter.timeStamp should be String instead of Number;";
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Pay)), expected);
    let mut parameters = json!(stage.parameters_v3(&prepay_id));
    parameters.as_object_mut().unwrap().remove("signType");
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Pay)), NOT_RSA, "the default is MD5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepay_id_is_known_and_lives_two_hours() {
    let stage = Stage::new().await;
    let order = stage.order_v3("ORD000001");
    let prepay_id = stage.prepay_v3(&order).await;
    let unknown = PrepayId::parse("wx22143005123456abcdef0123456789ab00").unwrap();
    assert_eq!(message(stage.pay_v3(&unknown)), PREPAY_ID);
    stage.advance_s(7199);
    let parameters = stage.parameters_v3(&prepay_id);
    assert_eq!(stage.li.request_payment(&parameters, Choice::Cancel), Err(PhoneError::Cancelled));
    stage.advance_s(1);
    assert_eq!(message(stage.pay_v3(&prepay_id)), PREPAY_ID);
    // The type comes before the age, and the age before the signature.
    let mut parameters = stage.parameters_v3(&prepay_id);
    parameters.pay_sign = "AAAA".to_owned();
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Pay)), PREPAY_ID);
    parameters.sign_type = "MD5".to_owned();
    assert_eq!(message(stage.li.request_payment(&parameters, Choice::Pay)), NOT_RSA);
    stage.pay_v3(&stage.prepay_v3(&order).await).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_over_cannot_be_paid() {
    let stage = Stage::new().await;
    let closed = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    stage.close_v3("ORD000001").await;
    assert_eq!(message(stage.pay_v3(&closed)), EXPIRED);
    let mut order = stage.order_v3("ORD000002");
    order["time_expire"] = json!("2026-01-22T14:35:01+08:00");
    let expired = stage.prepay_v3(&order).await;
    stage.advance_s(300);
    let parameters = stage.parameters_v3(&expired);
    assert_eq!(stage.li.request_payment(&parameters, Choice::Cancel), Err(PhoneError::Cancelled), "the last moment");
    stage.advance_s(1);
    assert_eq!(message(stage.pay_v3(&expired)), EXPIRED);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_customer_cannot_pay() {
    let stage = Stage::new().await;
    let prepay_id = stage.prepay_v3(&stage.order_v3("ORD000001")).await;
    let wang = stage.sim.phone(&appid(), "wang").unwrap();
    let refused = message(wang.request_payment(&stage.parameters_v3(&prepay_id), Choice::Pay));
    assert_eq!(refused, "requestPayment:fail (当前商户/订单异常，无法支付)");
    assert_eq!(stage.sim.ledger().paid().count(), 0);
}
