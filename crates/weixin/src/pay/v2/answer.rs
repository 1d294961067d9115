//! The envelope of an answer: communication level, signature, business level, in this order.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985> (answer of the unified order).

use super::{Call, ErrCode, SignType, SignatureError, signed, verify};
use crate::{
    ApiV2Key, AppId, FieldError, MchId, NonceStr, Verified,
    xml::{Fields, XmlError},
};

/// What an endpoint answers on success.
pub trait Answer: Sized {
    /// The fields beyond the common ones, in WeChat's order.
    fn to_fields(&self) -> Fields;
    /// Reads the fields of a message whose signature was verified.
    fn from_fields(fields: &Fields) -> Result<Self, FieldError>;
}

/// A refusal on the business level. It is signed, so it can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code to act on.
    pub err_code: ErrCode,
    /// A sentence for people. It changes without notice.
    pub err_code_des: String,
}

/// Reads WeChat's answer to `call`: nothing of it is believed before the signature is verified.
pub fn read_answer<C: Call>(
    call: &C,
    body: &[u8],
    key: &ApiV2Key,
    sign_type: SignType,
) -> Result<Verified<C::Answer>, AnswerError> {
    let fields = Fields::parse(body)?;
    match fields.get("return_code") {
        Some("SUCCESS") => {}
        Some("FAIL") => {
            let return_msg = fields.get("return_msg").unwrap_or_default().to_owned();
            return Err(AnswerError::CommunicationFailure { return_msg });
        }
        _ => return Err(FieldError::new("return_code", "must be SUCCESS or FAIL").into()),
    }
    let verified = verify(fields, key, sign_type)?;
    let same =
        verified.get("appid") == Some(call.appid().as_str()) && verified.get("mch_id") == Some(call.mchid().as_str());
    if !same {
        return Err(AnswerError::OtherParty);
    }
    match verified.get("result_code") {
        Some("SUCCESS") => {
            let answer = verified.try_map(|fields| C::Answer::from_fields(&fields))?;
            if call.is_answered_by(&answer) { Ok(answer) } else { Err(AnswerError::OtherParty) }
        }
        Some("FAIL") => Err(AnswerError::Rejected(verified.try_map(|fields| read_rejection(&fields))?)),
        _ => Err(FieldError::new("result_code", "must be SUCCESS or FAIL").into()),
    }
}

fn read_rejection(fields: &Fields) -> Result<Rejection, FieldError> {
    let code = fields.get("err_code").ok_or(FieldError::new("err_code", "is missing"))?;
    let err_code_des = fields.get("err_code_des").unwrap_or_default().to_owned();
    Ok(Rejection { err_code: ErrCode::from_wire(code), err_code_des })
}

/// Why an answer is not a success.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// WeChat says that it did not process the request as sent. Unsigned: for a write the outcome stays unknown.
    #[error("WeChat did not take the request: {return_msg}")]
    CommunicationFailure {
        /// WeChat's reason, mostly Chinese.
        return_msg: String,
    },
    /// WeChat refused, and the refusal is authentic.
    #[error("WeChat refused with {}: {}", .0.err_code, .0.err_code_des)]
    Rejected(Verified<Rejection>),
    /// The signature is missing or wrong.
    #[error("the answer is not authentic")]
    NotAuthentic(#[from] SignatureError),
    /// Authentic, but for another app or merchant, or about another number.
    #[error("the answer belongs to another app, merchant or number")]
    OtherParty,
    /// Not XML of the dialect.
    #[error("the answer is not readable")]
    Unreadable(#[from] XmlError),
    /// A field is missing or has an impossible value.
    #[error("the answer has a field that cannot be")]
    Field(#[from] FieldError),
}

/// Writes a signed success, as WeChat does.
pub fn success<A: Answer>(
    answer: &A,
    echo: (&AppId, &MchId),
    nonce_str: &NonceStr,
    key: &ApiV2Key,
    sign_type: SignType,
) -> Fields {
    let mut fields = common(echo, nonce_str, "SUCCESS");
    for (name, value) in answer.to_fields().iter() {
        fields.set(name, value);
    }
    signed(fields, key, sign_type)
}

/// Writes a signed refusal, as WeChat does.
pub fn rejection(
    rejection: &Rejection,
    echo: (&AppId, &MchId),
    nonce_str: &NonceStr,
    key: &ApiV2Key,
    sign_type: SignType,
) -> Fields {
    let mut fields = common(echo, nonce_str, "FAIL");
    fields.set("err_code", rejection.err_code.as_str());
    fields.set("err_code_des", &rejection.err_code_des);
    signed(fields, key, sign_type)
}

/// Writes a failure of the communication level: two elements, no signature.
pub fn communication_failure(return_msg: &str) -> Fields {
    [("return_code", "FAIL"), ("return_msg", return_msg)].into_iter().collect()
}

/// The common fields in WeChat's order. `sign` holds its place among them and gets its value at the end.
fn common((appid, mchid): (&AppId, &MchId), nonce_str: &NonceStr, result_code: &str) -> Fields {
    [
        ("return_code", "SUCCESS"),
        ("return_msg", "OK"),
        ("appid", appid.as_str()),
        ("mch_id", mchid.as_str()),
        ("nonce_str", nonce_str.as_str()),
        ("sign", ""),
        ("result_code", result_code),
    ]
    .into_iter()
    .collect()
}
