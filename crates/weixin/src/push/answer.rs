//! What a push is answered.
//!
//! `success` is clear text in every mode. Everything else has the form of the push, and is sealed if the push was.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/trans.html>.

use super::{Fields, FieldsError, Format, Message, OpenError, Push, Receiver, open, seal, signature};
use crate::secret::constant_time_equal;

/// The kind of the answer that hands a message to WeChat's own agents.
const TRANSFER: &str = "transfer_customer_service";

/// What a push is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The push has arrived, and nothing is to be done.
    Success,
    /// This one message goes to WeChat's own agents.
    Transfer(Transfer),
    /// The answer to events of virtual payment.
    Ack {
        /// 0: delivered. Anything else is repeated.
        err_code: i64,
        /// A word for people.
        err_msg: String,
    },
}

/// Hands the message that is answered to WeChat's own agents. Only messages of customers, never events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The customer: who was the sender.
    pub to_user_name: String,
    /// The app's original id: who was the receiver.
    pub from_user_name: String,
    /// Seconds since 1970.
    pub create_time_s: i64,
    /// A particular agent. Documented for public accounts only.
    pub kf_account: Option<String>,
}

impl Transfer {
    /// Hands this message to the agents. Sender and receiver change places.
    pub fn of(message: &Message, now_s: i64) -> Self {
        Self {
            to_user_name: message.from_user_name.clone(),
            from_user_name: message.to_user_name.clone(),
            create_time_s: now_s,
            kf_account: None,
        }
    }
}

impl Answer {
    /// The body to send back to a push. The random bytes must be fresh; `now_s` is the time in seconds since 1970.
    pub fn write(&self, receiver: &Receiver, push: &Push, now_s: i64, random: [u8; 16]) -> String {
        let Some(fields) = self.fields() else { return "success".to_owned() };
        let plain = fields.write(push.format);
        let keys = push.answer_keys.and_then(|keys| {
            let token = receiver.tokens.get(keys.token)?;
            Some((token, receiver.aes_keys.get(keys.aes_key)?))
        });
        let Some((token, aes_key)) = keys else { return plain };
        let encrypt = seal(aes_key, &receiver.appid, random, plain.as_bytes());
        let timestamp = now_s.to_string();
        let signed = signature(&[token.expose(), &timestamp, &push.nonce, &encrypt]);
        let sealed = Fields::new()
            .with("Encrypt", encrypt)
            .with("MsgSignature", signed)
            .with("TimeStamp", now_s)
            .with("Nonce", push.nonce.as_str());
        sealed.write(push.format)
    }

    /// The content of an answer that has some.
    fn fields(&self) -> Option<Fields> {
        match self {
            Self::Success => None,
            Self::Transfer(transfer) => {
                let fields = Fields::new()
                    .with("ToUserName", transfer.to_user_name.as_str())
                    .with("FromUserName", transfer.from_user_name.as_str())
                    .with("CreateTime", transfer.create_time_s)
                    .with("MsgType", TRANSFER);
                Some(match &transfer.kf_account {
                    Some(account) => fields.with("TransInfo", Fields::new().with("KfAccount", account.as_str())),
                    None => fields,
                })
            }
            Self::Ack { err_code, err_msg } => {
                Some(Fields::new().with("ErrCode", *err_code).with("ErrMsg", err_msg.as_str()))
            }
        }
    }

    /// Reads an answer as WeChat does. `format` is that of the account and `sealed` says whether the push was; `receiver`
    /// has what WeChat knows of the app.
    ///
    /// # Errors
    /// WeChat repeats the push, and the customer sees that the service has failed.
    pub fn read(body: &[u8], format: Format, sealed: bool, receiver: &Receiver) -> Result<Self, AnswerError> {
        if body.is_empty() || body == b"success" {
            return Ok(Self::Success);
        }
        if Format::of(body) != format {
            return Err(AnswerError::OtherFormat);
        }
        let read = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|_| AnswerError::Fields(FieldsError::Malformed))?;
            Fields::read(text, format).map_err(AnswerError::Fields)
        };
        let fields = read(body)?;
        if sealed { Self::from_fields(&read(&open_answer(&fields, receiver)?)?) } else { Self::from_fields(&fields) }
    }

    fn from_fields(fields: &Fields) -> Result<Self, AnswerError> {
        if let Some(err_code) = fields.number("ErrCode") {
            return Ok(Self::Ack { err_code, err_msg: fields.text("ErrMsg").unwrap_or_default() });
        }
        if fields.text("MsgType").as_deref() != Some(TRANSFER) {
            return Err(AnswerError::OtherKind);
        }
        let required = |name| fields.text(name).ok_or(AnswerError::Missing(name));
        Ok(Self::Transfer(Transfer {
            to_user_name: required("ToUserName")?,
            from_user_name: required("FromUserName")?,
            create_time_s: fields.number("CreateTime").ok_or(AnswerError::Missing("CreateTime"))?,
            kf_account: fields.all("TransInfo").next().and_then(|info| info.text("KfAccount")),
        }))
    }
}

fn open_answer(fields: &Fields, receiver: &Receiver) -> Result<Vec<u8>, AnswerError> {
    let required = |name| fields.text(name).ok_or(AnswerError::Missing(name));
    let (encrypt, signed) = (required("Encrypt")?, required("MsgSignature")?);
    let (timestamp, nonce) = (required("TimeStamp")?, required("Nonce")?);
    let made = |token: &crate::PushToken| {
        let expected = signature(&[token.expose(), &timestamp, &nonce, &encrypt]);
        constant_time_equal(expected.as_bytes(), signed.as_bytes())
    };
    if !receiver.tokens.iter().any(made) {
        return Err(AnswerError::SignatureMismatch);
    }
    let mut error = OpenError::Padding;
    for key in &receiver.aes_keys {
        match open(key, &receiver.appid, &encrypt) {
            Ok(plain) => return Ok(plain),
            Err(failed) => error = failed,
        }
    }
    Err(AnswerError::Open(error))
}

/// Why WeChat does not take an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Neither `success` nor empty nor in the form that the account has.
    #[error("the answer is neither success nor in the form of the account")]
    OtherFormat,
    /// Not well-formed.
    #[error(transparent)]
    Fields(FieldsError),
    /// A field is missing; in a sealed mode also the answer in clear text.
    #[error("the answer lacks {0}")]
    Missing(&'static str),
    /// `MsgSignature` does not fit.
    #[error("the MsgSignature of the answer does not fit")]
    SignatureMismatch,
    /// The sealed text cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// A kind of answer that mini programs do not have, such as a text.
    #[error("the answer is of a kind that mini programs do not have")]
    OtherKind,
}
