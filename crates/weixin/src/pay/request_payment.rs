//! The argument of `wx.requestPayment`, whatever version signed it. The signatures are in `v2` and `v3`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/api/payment/wx.requestPayment.html>.

use serde::{Deserialize, Serialize};

use crate::{NonceStr, PrepayId};

/// Exactly the object that `wx.requestPayment` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPayment {
    /// Seconds since 1970 as a text; some clients fail on a number.
    pub time_stamp: String,
    /// Random, at most 32 characters.
    pub nonce_str: NonceStr,
    /// `prepay_id=` and the number.
    pub package: String,
    /// `RSA` of API v3; in API v2 the `sign_type` of the unified order.
    pub sign_type: String,
    /// The signature over time, nonce, package and the `appId`; in API v2 over the type, too.
    pub pay_sign: String,
}

impl RequestPayment {
    /// The `prepay_id`, if `package` holds one.
    pub fn prepay_id(&self) -> Option<PrepayId> {
        PrepayId::parse(self.package.strip_prefix("prepay_id=")?).ok()
    }
}
