//! Why a signature does not fit: what was signed, with which key, and what went wrong, found by trying.
//!
//! Called by `zhanggui explain-signature` and for the log of callbacks that are not believed. Everything here is a
//! function over values: no files, no network, no clock. Nothing that it gives contains a key.
//!
//! Facts: <https://pay.weixin.qq.com/doc/v3/merchant/4012365336> (v3) and
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011985891> (v2). For users: docs/signature-errors.md.

mod body;
mod cause;
mod http_message;
mod input;
mod keys;
mod line;
mod pay_sign;
mod report;
mod search;
#[cfg(test)]
mod tests;
mod v2;
mod v3_message;
mod v3_request;

use jiff::Timestamp;
use weixin::{MchId, xml::Fields};

pub use cause::{Cause, Certainty, Code};
pub use http_message::{HttpMessage, Start};
pub use input::{Input, InputError};
pub use keys::{GivenKey, Keys, MerchantKeys, Owner};
pub use report::{Explanation, Kind, Length, SignedText, Verdict, Version};
use search::Effort;

/// What is known besides the message and the keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// Whose message it is, if it is not the one that the message names.
    pub mchid: Option<&'a MchId>,
    /// The time at which the message was sent or came. Without it its age is not judged.
    pub now: Option<Timestamp>,
}

/// Explains a message at leisure: everything that is known to go wrong is tried.
pub fn explain(input: &Input, keys: &Keys, circumstances: Circumstances<'_>) -> Explanation {
    match input {
        Input::V2(fields) => v2::explain(fields, keys, circumstances.mchid, Effort::LEISURE),
        Input::RequestPayment(parameters) => pay_sign::explain(parameters, keys, circumstances),
        Input::Http(message) if message.is_signed_by_wechat() => {
            v3_message::explain(message, keys, circumstances, Effort::LEISURE)
        }
        Input::Http(message) => v3_request::explain(message, keys, circumstances),
    }
}

/// Explains a callback that was not believed, for one line in the log. Strangers can send such messages, so little is
/// tried: a few milliseconds at most. `None` if the body is not a message at all.
pub fn callback<'a>(
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &[u8],
    keys: &Keys,
    mchid: &MchId,
    now: Timestamp,
) -> Option<Explanation> {
    let headers: Vec<_> = CALLBACK_HEADERS
        .into_iter()
        .filter_map(|name| header(name).map(|value| (name.to_owned(), value.to_owned())))
        .collect();
    let signed = headers.iter().any(|(name, _)| name.starts_with("Wechatpay-"));
    if !signed && body.trim_ascii_start().first() != Some(&b'{') {
        let fields = Fields::parse(body).ok()?;
        return Some(v2::explain(&fields, keys, Some(mchid), Effort::LOG));
    }
    let start = Start::Request { method: "POST".to_owned(), target: String::new() };
    let message = HttpMessage { start, headers, body: body.to_vec() };
    let circumstances = Circumstances { mchid: Some(mchid), now: Some(now) };
    Some(v3_message::explain(&message, keys, circumstances, Effort::LOG))
}

const CALLBACK_HEADERS: [&str; 5] =
    ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature", "Wechatpay-Signature-Type"];
