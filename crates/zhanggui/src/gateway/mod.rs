//! How WeChat Pay is called, in the version that something was made with. Everything above speaks one language, whatever
//! version carried the message.
//!
//! Called by the verbs of `payment` and `refund`; only this folder and `payment/notify.rs` know how the versions differ.

pub(crate) mod payment;
pub(crate) mod refund;

use jiff::Timestamp;
use weixin::pay::{Refusal, v2::ErrCode, v3::Code as CodeV3};
use weixin_client::{CallError, CallErrorV3, Evidence, MerchantKeyV2, MerchantV3};

use crate::{
    app::App,
    config::{Api, Merchant},
    evidence::{Message, Source, VerifiedBy, Weight},
    http::WechatCause,
};

/// The version that something was made with, or the merchant's present one if the keys of that are gone.
pub(crate) fn usable_api(merchant: &Merchant, made_with: Api) -> Api {
    let keys_are_there = match made_with {
        Api::V2 => merchant.v2.is_some(),
        Api::V3 => merchant.v3.is_some(),
    };
    if keys_are_there { made_with } else { merchant.api }
}

fn answer_to(source: Source, asked: Timestamp, verified_by: VerifiedBy, evidence: Evidence) -> Message {
    Message {
        source,
        weight: Weight::Proof,
        verified_by,
        raw: evidence.answer_body,
        request_id: evidence.request_id,
        asked: Some(asked),
    }
}

pub(crate) fn v2_key(merchant: &Merchant) -> Result<MerchantKeyV2, GatewayError> {
    let v2 = merchant.v2.as_ref().ok_or(GatewayError::NotConfigured("api_v2_key"))?;
    Ok(MerchantKeyV2 { mchid: merchant.mchid.clone(), key: v2.key.clone(), sign_type: v2.sign_type })
}

pub(crate) fn v3_keys<'a>(app: &'a App, merchant: &Merchant) -> Result<&'a MerchantV3, GatewayError> {
    app.merchant_v3(&merchant.mchid).ok_or(GatewayError::NotConfigured("private_key_file and api_v3_key_file"))
}

/// Why WeChat gave nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// WeChat refused; `refusal` says what follows for the order.
    #[error("WeChat refused with {} ({meaning}): {}", .wechat.code, .wechat.message)]
    Refused { refusal: Refusal, wechat: WechatCause, meaning: &'static str },
    /// WeChat did not take the request as it was sent: keys or numbers. It proves nothing about the order.
    #[error("WeChat did not take the request: {} {}", .0.code, .0.message)]
    NotTaken(WechatCause),
    /// WeChat does not know the payment. Absence is not failure.
    #[error("WeChat does not know the payment")]
    NotFound,
    /// The answer is authentic, but tells of no refund.
    #[error("WeChat's answer does not tell of the refund")]
    NotTold,
    /// No answer, or none that can be believed.
    #[error("WeChat Pay did not answer in a way that can be believed")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keys of the version that the payment was made with are not configured (any more).
    #[error("{0} of the merchant must be in the configuration, because it was made with that version")]
    NotConfigured(&'static str),
    /// The stored request is not what this program wrote.
    #[error("the frozen request cannot be read")]
    FrozenBroken,
}

impl From<CallError> for GatewayError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rejected(rejected) if rejected.err_code == ErrCode::Ordernotexist => Self::NotFound,
            CallError::Rejected(rejected) => Self::Refused {
                refusal: Refusal::of(&rejected.err_code),
                meaning: rejected.err_code.meaning(),
                wechat: WechatCause {
                    code: rejected.err_code.to_string(),
                    message: rejected.err_code_des.clone(),
                    request_id: rejected.evidence.request_id.clone(),
                },
            },
            CallError::Refused { return_msg } => {
                Self::NotTaken(WechatCause { code: "FAIL".to_owned(), message: return_msg, request_id: None })
            }
            error => Self::NoAnswer(Box::new(error)),
        }
    }
}

impl From<CallErrorV3> for GatewayError {
    fn from(error: CallErrorV3) -> Self {
        let CallErrorV3::Refused { status, error: Some(body), request_id } = error else {
            return Self::NoAnswer(Box::new(error));
        };
        let wechat = WechatCause { code: body.code.to_string(), message: body.message.clone(), request_id };
        match (status, &body.code) {
            (404, CodeV3::OrderNotExist) => Self::NotFound,
            (401, _) => Self::NotTaken(wechat),
            _ => Self::Refused { refusal: Refusal::of_v3(status, &body), meaning: body.code.meaning(), wechat },
        }
    }
}
