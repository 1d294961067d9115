//! What the WeChat on a customer's phone checks when a mini program calls `wx.requestPayment`.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011939566> (API v2) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791898> (API v3).

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    AppId, NonceStr,
    pay::{
        RequestPayment,
        v2::{SignType, unified_order::PREPAY_ID_VALID_S},
    },
};

use super::{
    Api, Order, OrderState, Subject,
    notify::{Notification, NotificationState},
};
use crate::{
    merchant::{Merchant, MerchantV3, Standing},
    world::World,
};

/// What the customer does at the payment sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Types the password.
    Pay,
    /// Closes the sheet.
    Cancel,
}

/// Why the mini program's `fail` is called. `Display` is the `errMsg` that it gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The customer closed the payment sheet. The order can still be paid.
    #[error("requestPayment:fail cancel")]
    Cancelled,
    /// The payment sheet did not open.
    #[error("requestPayment:fail ({0})")]
    Failed(String),
    /// The argument of `wx.requestPayment` has not the form that it must have.
    #[error("requestPayment:fail parameter error: {0}")]
    Parameter(String),
}

/// `errMsg` of a success.
pub(crate) const REQUEST_PAYMENT_OK: &str = "requestPayment:ok";

const SIGNATURE_WRONG: &str = "支付验证签名失败";
const NOT_RSA: &str = "支付验证签名失败：signType应为RSA";
const PAY_SIGN_WRONG: &str = "支付验证签名失败：paySign与商户证书不匹配";
const PREPAY_ID_WRONG: &str = "调用支付JSAPI缺少参数：total_fee";
const PAID: &str = "该订单已支付";
const EXPIRED: &str = "该订单已过期";
/// The wording varies in reality.
const OTHER_CUSTOMER: &str = "当前商户/订单异常，无法支付";

/// What the customer reads on the payment sheet before typing the password.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PaymentSheet {
    /// The merchant's name.
    pub merchant: String,
    /// What is bought.
    pub description: String,
    /// How much, in fen.
    pub amount_fen: weixin::Fen,
    /// The merchant, and the merchant's number. A real sheet does not show them.
    pub mchid: weixin::MchId,
    /// See `mchid`.
    pub out_trade_no: String,
}

impl World {
    /// `wx.requestPayment` on the phone of a customer. Paying starts the notifications.
    pub(crate) fn request_payment(
        &mut self,
        now: Timestamp,
        customer: &str,
        parameters: &Value,
        choice: Choice,
    ) -> Result<(), PhoneError> {
        let (key, sign_type) = self.check_request_payment(now, customer, parameters)?;
        if choice == Choice::Cancel {
            return Err(PhoneError::Cancelled);
        }
        self.take_payment(now, key, sign_type);
        Ok(())
    }

    /// The customer pays what was ordered last, without a mini program that calls `wx.requestPayment`: nobody checks a
    /// signature. For scenarios, which do not see what the server gives to the phone.
    pub(crate) fn pay_without_parameters(&mut self, now: Timestamp, key: &str) -> Result<(), PhoneError> {
        let order = self.order(key, now).ok_or_else(|| failed(PREPAY_ID_WRONG))?;
        match order.state {
            OrderState::Paid { .. } => return Err(failed(PAID)),
            OrderState::Closed => return Err(failed(EXPIRED)),
            OrderState::NotPay if order.time_expire.is_some_and(|last| now > last) => return Err(failed(EXPIRED)),
            OrderState::NotPay => {}
        }
        let prepay_id = order.prepay_ids.last().cloned().unwrap_or_default();
        let prepay = self.prepays.get(&prepay_id);
        let prepay = prepay.filter(|prepay| now.as_second() - prepay.made_at.as_second() < PREPAY_ID_VALID_S);
        let declared = prepay.ok_or_else(|| failed(PREPAY_ID_WRONG))?.sign_type.clone();
        self.take_payment(now, key.to_owned(), declared);
        Ok(())
    }

    /// The customer pays an order that nobody should be able to pay any more.
    pub(crate) fn pay_whatever_its_state(&mut self, now: Timestamp, key: String) {
        let prepay_id = self.orders.get(&key).and_then(|order| order.prepay_ids.last());
        let declared = prepay_id.and_then(|id| self.prepays.get(id)).and_then(|prepay| prepay.sign_type.clone());
        self.take_payment(now, key, declared);
    }

    fn take_payment(&mut self, now: Timestamp, key: String, sign_type: Option<String>) {
        let transaction_id = self.seed().transaction_id(&key, now);
        let Some(order) = self.orders.get_mut(&key) else { return };
        order.pay(now, transaction_id.clone(), sign_type);
        let (mchid, total) = (order.mchid.clone(), order.total);
        if order.notification.as_ref().is_some_and(Notification::is_pending) {
            self.due.insert((now, Subject::Payment(key.clone())));
        }
        self.transactions.insert(transaction_id.to_string(), key);
        self.earn(&mchid, total);
    }

    /// What the sheet shows, if it opens.
    pub(crate) fn payment_sheet(
        &mut self,
        now: Timestamp,
        customer: &str,
        parameters: &Value,
    ) -> Result<PaymentSheet, PhoneError> {
        let (key, _) = self.check_request_payment(now, customer, parameters)?;
        let order = self.orders.get(&key).ok_or_else(|| failed(PREPAY_ID_WRONG))?;
        let mchid = order.mchid.as_str();
        let description = order.parameter(if order.api == Api::V3 { "description" } else { "body" });
        Ok(PaymentSheet {
            merchant: self.merchants.get(mchid).map_or(mchid, |merchant| &merchant.name).to_owned(),
            description: description.unwrap_or_default().to_owned(),
            amount_fen: order.total,
            mchid: order.mchid.clone(),
            out_trade_no: order.out_trade_no.clone(),
        })
    }

    /// Everything that the phone checks before the sheet opens. Gives the key of the order and its `sign_type`.
    fn check_request_payment(
        &mut self,
        now: Timestamp,
        customer: &str,
        parameters: &Value,
    ) -> Result<(String, Option<String>), PhoneError> {
        let parameters = read(parameters)?;
        let prepay = parameters.prepay_id().and_then(|prepay_id| self.prepays.get(prepay_id.as_str()));
        let prepay = prepay.ok_or_else(|| failed(PREPAY_ID_WRONG))?;
        let (key, made_at, declared) = (prepay.order.clone(), prepay.made_at, prepay.sign_type.clone());
        // Customers are never taken away, and a prepay_id belongs to an order.
        let customer = self.customers.get(customer).ok_or_else(|| failed(OTHER_CUSTOMER))?;
        let (appid, openid) = (customer.appid.clone(), customer.openid.clone());
        let order = self.order(&key, now).filter(|order| order.appid == appid);
        let api = order.map(|order| order.api).ok_or_else(|| failed(PREPAY_ID_WRONG))?;
        let young = now.as_second() - made_at.as_second() < PREPAY_ID_VALID_S;
        // Each version has its own order of the checks.
        if api == Api::V3 {
            if parameters.sign_type != "RSA" {
                return Err(failed(NOT_RSA));
            }
            if !young {
                return Err(failed(PREPAY_ID_WRONG));
            }
        }
        let mchid = self.orders.get(&key).map(|order| order.mchid.as_str()).unwrap_or_default();
        let signed = match api {
            Api::V2 => verifies_v2(self.merchants.get(mchid), &parameters, &appid, declared.as_deref()),
            Api::V3 => verifies_v3(self.merchants_v3.get(mchid), &parameters, &appid),
        };
        signed.map_err(failed)?;
        let order = self.orders.get(&key).ok_or_else(|| failed(PREPAY_ID_WRONG))?;
        if !young {
            return Err(failed(PREPAY_ID_WRONG));
        }
        let other_customer = order.openid != openid;
        if api == Api::V2 && other_customer {
            return Err(failed(OTHER_CUSTOMER));
        }
        match order.state {
            OrderState::Paid { .. } => Err(failed(PAID)),
            OrderState::Closed => Err(failed(EXPIRED)),
            OrderState::NotPay if order.time_expire.is_some_and(|last| now > last) => Err(failed(EXPIRED)),
            OrderState::NotPay if other_customer => Err(failed(OTHER_CUSTOMER)),
            OrderState::NotPay => Ok((key, declared)),
        }
    }
}

fn failed(reason: &str) -> PhoneError {
    PhoneError::Failed(reason.to_owned())
}

impl Order {
    pub(crate) const fn is_paid(&self) -> bool {
        matches!(self.state, OrderState::Paid { .. })
    }

    /// Closes the order unless it is paid, and says whether it is closed now.
    pub(crate) fn close_by_itself(&mut self) -> bool {
        if !self.is_paid() {
            self.state = OrderState::Closed;
        }
        !self.is_paid()
    }

    fn pay(&mut self, now: Timestamp, transaction_id: weixin::TransactionId, sign_type: Option<String>) {
        self.state = OrderState::Paid { transaction_id, paid_at: now, sign_type };
        let url = self.parameter("notify_url").unwrap_or_default().to_owned();
        self.notification = Some(Notification::new(url, now));
    }
}

/// API v2: the key and the type of the order. An error is the reason.
fn verifies_v2(
    merchant: Option<&Merchant>,
    parameters: &RequestPayment,
    appid: &AppId,
    declared: Option<&str>,
) -> Result<(), &'static str> {
    let sign_type = declared.map_or(Ok(SignType::Md5), SignType::from_wire);
    let sign_type = sign_type.map_err(|_| SIGNATURE_WRONG)?;
    // Merchants are never taken away.
    let merchant = merchant.ok_or(PREPAY_ID_WRONG)?;
    parameters.verify(appid, sign_type, &merchant.api_v2_key).map_err(|_| SIGNATURE_WRONG)
}

/// API v3: any certificate of the merchant that is in good standing. The phone says only that the signature is wrong;
/// the hint is the simulator's.
///
/// Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791898>.
fn verifies_v3(merchant: Option<&MerchantV3>, parameters: &RequestPayment, appid: &AppId) -> Result<(), &'static str> {
    let mut good = merchant.iter().flat_map(|merchant| &merchant.certificates).filter(|known| known.is(Standing::Good));
    let verifies = good.any(|known| parameters.verifies_v3(appid, &known.certificate.key));
    if verifies { Ok(()) } else { Err(PAY_SIGN_WRONG) }
}

/// Reads the argument as the phone does: five texts; anything else in the object is ignored.
fn read(parameters: &Value) -> Result<RequestPayment, PhoneError> {
    let text = |name: &str| match &parameters[name] {
        Value::String(text) => Ok(text.clone()),
        other => Err(PhoneError::Parameter(format!(
            "parameter.{name} should be String instead of {};",
            match other {
                Value::Null => "Undefined",
                Value::Bool(_) => "Boolean",
                Value::Number(_) => "Number",
                Value::Array(_) => "Array",
                _ => "Object",
            }
        ))),
    };
    let nonce_str = NonceStr::parse(text("nonceStr")?);
    Ok(RequestPayment {
        time_stamp: text("timeStamp")?,
        nonce_str: nonce_str.map_err(|_| PhoneError::Failed(SIGNATURE_WRONG.to_owned()))?,
        package: text("package")?,
        // The client's default is MD5.
        sign_type: if parameters["signType"].is_null() { "MD5".to_owned() } else { text("signType")? },
        pay_sign: text("paySign")?,
    })
}

/// Whether somebody still has to be told of the payment.
impl Notification {
    fn is_pending(&self) -> bool {
        matches!(self.state, NotificationState::Pending { .. })
    }
}
