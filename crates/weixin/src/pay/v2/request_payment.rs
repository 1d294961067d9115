//! The argument of `wx.requestPayment`: signed on the server, checked by the phone's WeChat.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011939566>.

use jiff::Timestamp;

use super::{SignType, SignatureError, sign};
use crate::{ApiV2Key, AppId, NonceStr, PrepayId, secret::constant_time_equal, xml::Fields};

pub use crate::pay::RequestPayment;

impl RequestPayment {
    /// Signs the parameters.
    pub fn new(
        appid: &AppId,
        prepay_id: &PrepayId,
        sign_type: SignType,
        now: Timestamp,
        nonce_str: NonceStr,
        key: &ApiV2Key,
    ) -> Self {
        let mut parameters = Self {
            time_stamp: now.as_second().to_string(),
            nonce_str,
            package: format!("prepay_id={prepay_id}"),
            sign_type: sign_type.as_str().to_owned(),
            pay_sign: String::new(),
        };
        parameters.pay_sign = sign(&parameters.signed_fields(appid), key, sign_type);
        parameters
    }

    /// Checks the signature as the phone's WeChat does. `sign_type` is the one of the unified order.
    pub fn verify(&self, appid: &AppId, sign_type: SignType, key: &ApiV2Key) -> Result<(), SignatureError> {
        if self.sign_type != sign_type.as_str() {
            return Err(SignatureError::OtherType);
        }
        let expected = sign(&self.signed_fields(appid), key, sign_type);
        if constant_time_equal(expected.as_bytes(), self.pay_sign.as_bytes()) {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    fn signed_fields(&self, appid: &AppId) -> Fields {
        [
            ("appId", appid.as_str()),
            ("nonceStr", self.nonce_str.as_str()),
            ("package", &self.package),
            ("signType", &self.sign_type),
            ("timeStamp", &self.time_stamp),
        ]
        .into_iter()
        .collect()
    }
}
