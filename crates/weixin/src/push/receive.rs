//! Receiving a push: the signature, the sealed text, the app, the age, and only then the content.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use super::{Fields, Format, Message, Mode, OpenError, Query, fields::FieldsError, message::MessageError, open};
use crate::{AppId, EncodingAesKey, PushToken, Verified};

/// How old a push in clear text may be, in seconds. Its signature does not cover the body, so an address that somebody saw
/// carries any message for as long as this. No source says when WeChat repeats one; ten minutes leave room for it.
pub const PLAIN_AGE_S_MAX: i64 = 10 * 60;

/// How old a sealed push may be, in seconds: some events are repeated for twelve hours and more. Whoever takes it must know
/// for longer than this which pushes were taken before.
pub const SEALED_AGE_S_MAX: i64 = 7 * 24 * 3600;

/// How far in the future a push may seem to be made, in seconds, because clocks differ.
pub const FUTURE_S_MAX: i64 = 10 * 60;

/// What an app has agreed with WeChat in the console. During a rotation there are two tokens and two keys.
///
/// Clear text is taken in the plain mode only: in the compatible mode WeChat always sends sealed text, too, and only that
/// is authentic. Sealed text is taken whenever there is a key, so that an app can go from plain to secure without a gap.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The app.
    pub appid: AppId,
    /// How pushes are protected.
    pub mode: Mode,
    /// The newest first. At least one.
    pub tokens: Vec<PushToken>,
    /// The newest first. At least one unless the mode is plain.
    pub aes_keys: Vec<EncodingAesKey>,
}

/// A push that WeChat made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// What it says.
    pub message: Message,
    /// Its form; an answer must have the same.
    pub format: Format,
    /// With which token and key an answer must be sealed; `None` for a push in clear text.
    pub answer_keys: Option<AnswerKeys>,
    /// The nonce of the push, which the answer repeats.
    pub nonce: String,
    /// The content as it was opened.
    pub plaintext: Vec<u8>,
}

/// Which of the receiver's tokens and keys a push was made with, by their places in the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerKeys {
    /// The token.
    pub token: usize,
    /// The key.
    pub aes_key: usize,
}

impl Receiver {
    /// Verifies and reads a push.
    ///
    /// # Errors
    /// Nothing of a push with an error may be believed. `now_s` is the time in seconds since 1970.
    pub fn receive(&self, query: &Query, body: &[u8], now_s: i64) -> Result<Verified<Push>, PushError> {
        let format = Format::of(body);
        let clear = !query.is_sealed();
        if clear && self.mode != Mode::Plain {
            return Err(PushError::EncryptionRequired);
        }
        let (plaintext, answer_keys) = if clear {
            query.check_signature(&self.tokens)?;
            (body.to_vec(), None)
        } else {
            let envelope = std::str::from_utf8(body).map_err(|_| PushError::MissingEncrypt)?;
            let envelope = Fields::read(envelope, format).map_err(PushError::Envelope)?;
            let encrypt = envelope.text("Encrypt").ok_or(PushError::MissingEncrypt)?;
            let token = query.check_msg_signature(&self.tokens, &encrypt)?;
            let (plaintext, aes_key) = self.open(&encrypt)?;
            (plaintext, Some(AnswerKeys { token, aes_key }))
        };
        check_age(query, now_s, if clear { PLAIN_AGE_S_MAX } else { SEALED_AGE_S_MAX })?;
        let message = Message::from_fields(read(&plaintext, Format::of(&plaintext))?)?;
        let nonce = query.nonce.clone().unwrap_or_default();
        Ok(Verified::new(Push { message, format, answer_keys, nonce, plaintext }))
    }

    /// Opens with the key that fits. If none does, the reason of the first is told, which is the newest key.
    fn open(&self, encrypt: &str) -> Result<(Vec<u8>, usize), PushError> {
        let mut first = None;
        for (index, key) in self.aes_keys.iter().enumerate() {
            match open(key, &self.appid, encrypt) {
                Ok(plaintext) => return Ok((plaintext, index)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or(PushError::EncryptionUnexpected, PushError::Open))
    }
}

fn read(body: &[u8], format: Format) -> Result<Fields, PushError> {
    let text = std::str::from_utf8(body).map_err(|_| PushError::NotUtf8)?;
    Ok(Fields::read(text, format)?)
}

fn check_age(query: &Query, now_s: i64, age_s_max: i64) -> Result<(), PushError> {
    let timestamp_s: i64 = query
        .timestamp
        .as_deref()
        .and_then(|text| text.parse().ok())
        .ok_or(PushError::MissingParameter("timestamp"))?;
    let age_s = now_s.saturating_sub(timestamp_s);
    if (-FUTURE_S_MAX..=age_s_max).contains(&age_s) { Ok(()) } else { Err(PushError::Stale) }
}

/// Why a push is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// A parameter of the query is missing.
    #[error("the parameter {0} is missing")]
    MissingParameter(&'static str),
    /// No token of ours made the signature.
    #[error("the signature does not fit: another Token, or not from WeChat")]
    SignatureMismatch,
    /// No token of ours made the signature over the sealed text.
    #[error("msg_signature does not fit: another Token, or not from WeChat")]
    MsgSignatureMismatch,
    /// Clear text where the app has agreed on sealed messages: its signature does not cover the body.
    #[error("the push is in clear text, but the app has agreed on sealed messages")]
    EncryptionRequired,
    /// Sealed, but there is no EncodingAESKey.
    #[error("the push is sealed, but no EncodingAESKey is configured")]
    EncryptionUnexpected,
    /// What should hold the sealed text is neither XML nor JSON. Nothing of it is signed: anybody can send it.
    #[error("there is no sealed push to be found")]
    Envelope(#[source] FieldsError),
    /// A sealed push without sealed text.
    #[error("the push has no Encrypt")]
    MissingEncrypt,
    /// Made too long ago, or in the future.
    #[error("the push was made too long ago, or a clock is wrong")]
    Stale,
    /// Bytes that are not UTF-8.
    #[error("the push is not UTF-8")]
    NotUtf8,
    /// The sealed text cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Neither XML nor JSON of a message.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// A field of every message is missing.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl PushError {
    /// Whether the sender could not prove to be WeChat, as opposed to a genuine push that cannot be read.
    pub fn is_about_authenticity(&self) -> bool {
        match self {
            Self::MissingParameter(_)
            | Self::SignatureMismatch
            | Self::MsgSignatureMismatch
            | Self::EncryptionRequired
            | Self::EncryptionUnexpected
            | Self::Envelope(_)
            | Self::MissingEncrypt
            | Self::Stale
            | Self::Open(_) => true,
            Self::NotUtf8 | Self::Fields(_) | Self::Message(_) => false,
        }
    }
}
