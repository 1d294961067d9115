//! The signature of `wx.requestPayment` by API v3: RSA with the merchant's key over four lines.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791898>.

use jiff::Timestamp;

use super::{Credential, VerifyingKey};
use crate::{AppId, NonceStr, PrepayId, pay::RequestPayment};

/// The `signType`; it is not signed.
const SIGN_TYPE: &str = "RSA";

impl RequestPayment {
    /// Signs the parameters with the key of the merchant.
    pub fn new_v3(
        appid: &AppId,
        prepay_id: &PrepayId,
        now: Timestamp,
        nonce_str: NonceStr,
        credential: &Credential,
    ) -> Self {
        let mut parameters = Self {
            time_stamp: now.as_second().to_string(),
            nonce_str,
            package: format!("prepay_id={prepay_id}"),
            sign_type: SIGN_TYPE.to_owned(),
            pay_sign: String::new(),
        };
        parameters.pay_sign = credential.key.sign(&parameters.message(appid));
        parameters
    }

    /// Checks the signature as the phone's WeChat does, with the certificate of the merchant.
    pub fn verifies_v3(&self, appid: &AppId, key: &VerifyingKey) -> bool {
        self.sign_type == SIGN_TYPE && key.verifies(&self.message(appid), &self.pay_sign)
    }

    fn message(&self, appid: &AppId) -> Vec<u8> {
        format!("{appid}\n{}\n{}\n{}\n", self.time_stamp, self.nonce_str, self.package).into_bytes()
    }
}
