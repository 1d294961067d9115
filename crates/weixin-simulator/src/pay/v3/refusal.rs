//! The refusals of API v3: status, code, sentence, detail, and the internal code at the end of `Request-ID`.
//!
//! Sentences and internal codes that WeChat publishes or that were seen live are written as they are; where only the
//! code is known the sentence is ours, and nobody may branch on it anyway.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012081709> (errors).

use serde_json::{Value, json};
use weixin::pay::v3::{Code, ErrorBody};

/// A refusal. It is not signed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: ErrorBody,
    /// The number after the last hyphen of `Request-ID`.
    pub(super) internal: u32,
}

/// Internal codes that are known; 268435456 stands for the others.
pub(super) mod internal {
    pub(in super::super) const SUCCESS: u32 = 0;
    pub(in super::super) const OTHER: u32 = 268_435_456;
    pub(in super::super) const ILLEGAL_PARAMETER: u32 = 268_435_461;
    pub(in super::super) const OUT_OF_RANGE: u32 = 268_435_464;
    pub(in super::super) const EXTRA_PARAMETER: u32 = 270_924_358;
    pub(in super::super) const SIGNATURE: u32 = 268_443_699;
    pub(in super::super) const APPID_MCHID: u32 = 268_445_527;
    pub(in super::super) const OTHER_MCHID: u32 = 268_447_843;
    pub(in super::super) const ORDER_OVER: u32 = 268_447_914;
    pub(in super::super) const NEEDS_OPENID: u32 = 268_501_013;
    pub(in super::super) const OTHER_PARAMETERS: u32 = 268_498_688;
    pub(in super::super) const ORDER_PAID: u32 = 268_449_538;
    pub(in super::super) const NO_ORDER: u32 = 268_512_771;
}

impl Refusal {
    /// A refusal without detail.
    pub(super) fn new(status: u16, code: Code, message: impl Into<String>, internal: u32) -> Self {
        Self { status, body: ErrorBody { code, message: message.into(), detail: None }, internal }
    }

    fn with_detail(mut self, detail: Value) -> Self {
        self.body.detail = Some(detail);
        self
    }

    /// 401: who calls is not proven.
    pub(super) fn sign_error(message: &str) -> Self {
        Self::new(401, Code::SignError, message, internal::SIGNATURE)
    }

    /// 401 with what WeChat itself would have signed: the length and the beginning.
    pub(super) fn sign_error_about(message: &str, about: &Mismatch<'_>) -> Self {
        let detail = json!({
            "field": about.field,
            "location": "authorization",
            "detail": { "issue": about.issue },
            "sign_information": {
                "method": about.method,
                "url": about.url,
                "sign_message_length": about.message.len(),
                "truncated_sign_message": truncated(about.message),
            },
        });
        Self::sign_error(message).with_detail(detail)
    }

    /// 400: a field is wrong.
    pub(super) fn parameter(message: String, place: Place, field: &str, value: Value, internal: u32) -> Self {
        let detail = json!({ "field": field, "value": value, "issue": message, "location": place.word() });
        Self::new(400, Code::ParamError, message, internal).with_detail(detail)
    }

    /// 400 without a sentence worth the name. The reason is told for the developer's sake.
    pub(super) fn parameters_wrong(issue: &str) -> Self {
        let detail = json!({ "issue": issue, "location": "body" });
        Self::new(400, Code::ParamError, "参数错误", internal::ILLEGAL_PARAMETER).with_detail(detail)
    }

    /// 400: the rules or the state of things do not allow it.
    pub(super) fn invalid_request(message: &str) -> Self {
        Self::new(400, Code::InvalidRequest, message, internal::OTHER)
    }

    /// 404.
    pub(super) fn no_resource(message: &str) -> Self {
        Self::new(404, Code::ResourceNotExists, message, internal::OTHER)
    }

    /// 404.
    pub(super) fn no_order() -> Self {
        Self::new(404, Code::OrderNotExist, "订单不存在", internal::NO_ORDER)
    }

    /// What a fault asks for.
    pub(super) fn told(status: u16, code: &str) -> Self {
        let code = match Code::from_wire(code) {
            // Old spellings stay as they were told.
            known if known.as_str() == code => known,
            _ => Code::Unknown(code.to_owned()),
        };
        let internal = match code {
            Code::FrequencyLimited | Code::RatelimitExceeded => 268_447_840,
            Code::OrderNotExist => internal::NO_ORDER,
            Code::OrderPaid => internal::ORDER_PAID,
            Code::OutTradeNoUsed => internal::OTHER_PARAMETERS,
            Code::SignError => internal::SIGNATURE,
            Code::ParamError => internal::ILLEGAL_PARAMETER,
            _ => internal::OTHER,
        };
        let message = code.meaning();
        Self::new(status, code, message, internal)
    }
}

/// Where a wrong field stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Body,
    Query,
    Url,
}

impl Place {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Url => "url",
        }
    }
}

/// Why a signature was not found good.
pub(super) struct Mismatch<'a> {
    pub(super) field: &'static str,
    pub(super) issue: &'static str,
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    /// What WeChat itself put together.
    pub(super) message: &'a [u8],
}

/// How many characters of the body are told.
const BODY_CHARACTERS_TOLD: usize = 8;

/// The first four lines, and the beginning of the fifth.
fn truncated(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let (head, body): (Vec<&str>, &str) = {
        let mut lines = text.splitn(5, '\n');
        let head = lines.by_ref().take(4).collect();
        (head, lines.next().unwrap_or_default())
    };
    let body: String = body.trim_end_matches('\n').chars().take(BODY_CHARACTERS_TOLD).collect();
    format!("{}\n{body}\n", head.join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_beginning_of_the_signed_message_is_told() {
        let message = b"POST\n/v3/pay/transactions/jsapi\n1772330400\nabc\n{\"notify_url\":\"x\"}\n";
        assert_eq!(super::truncated(message), "POST\n/v3/pay/transactions/jsapi\n1772330400\nabc\n{\"notify\n");
        assert_eq!(super::truncated(b"GET\n/v3/certificates\n1\nabc\n\n"), "GET\n/v3/certificates\n1\nabc\n\n");
    }
}
