//! `POST /v3/security/echo`: tests signing, verification and sealing in one call. Needs `Wechatpay-Serial`.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4014551946>.

use serde::{Deserialize, Serialize};

use super::{Call, Code, Method, json};

/// The path below the host.
pub const PATH: &str = "/v3/security/echo";

/// Says something that comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Comes back unchanged.
    pub echo_message: String,
    /// Sealed with WeChat's key; comes back sealed with the merchant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_echo_message: Option<String>,
}

impl Call for Echo {
    const METHOD: Method = Method::Post;
    type Answer = Echo;

    fn path(&self) -> String {
        PATH.to_owned()
    }

    fn body(&self) -> String {
        json(self)
    }
}

/// Status and code of the refusals that the page documents for this endpoint.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::ParamError),
    (400, Code::InvalidRequest),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
