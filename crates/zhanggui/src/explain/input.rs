//! Recognises what was given: XML of API v2, the parameters of `wx.requestPayment`, or an HTTP message.

use serde_json::{Map, Value};
use weixin::xml::{Fields, XmlError};

use super::{HttpMessage, Start};

/// Something that is signed.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message of API v2.
    V2(Fields),
    /// The parameters of `wx.requestPayment`, perhaps with `appId`.
    RequestPayment(Map<String, Value>),
    /// A request, an answer or a callback of API v3.
    Http(HttpMessage),
}

impl Input {
    /// Recognises the form.
    ///
    /// # Errors
    /// It has none of the known forms; the sentence says what is expected.
    pub fn recognise(bytes: &[u8]) -> Result<Self, InputError> {
        let start = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii();
        match start.first() {
            None => Err(InputError::Empty),
            Some(b'<') => Ok(Self::V2(Fields::parse(start)?)),
            Some(b'{') => Self::request_payment(start),
            Some(_) => Self::of_http(HttpMessage::parse(bytes).ok_or(InputError::Unknown)?),
        }
    }

    /// An HTTP message, which may carry XML of API v2.
    ///
    /// # Errors
    /// The XML in it is broken.
    pub fn of_http(message: HttpMessage) -> Result<Self, InputError> {
        let body = message.body.trim_ascii();
        let signed = message.header("Authorization").is_some() || message.is_signed_by_wechat();
        let answer = matches!(message.start, Start::Answer { .. });
        if body.first() == Some(&b'<') && (answer || !signed) {
            return Ok(Self::V2(Fields::parse(body)?));
        }
        Ok(Self::Http(message))
    }

    fn request_payment(bytes: &[u8]) -> Result<Self, InputError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| InputError::Json)?;
        match value {
            Value::Object(parameters) if parameters.contains_key("paySign") => Ok(Self::RequestPayment(parameters)),
            _ => Err(InputError::JsonAlone),
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Nothing.
    #[error("the input is empty; give the XML, the HTTP message, or the parameters of wx.requestPayment")]
    Empty,
    /// Neither of the forms.
    #[error(
        "the input is neither XML (API v2) nor an HTTP message (first line, headers, an empty line, the body) nor the \
         JSON parameters of wx.requestPayment"
    )]
    Unknown,
    /// Broken JSON.
    #[error("the input looks like JSON, but is not")]
    Json,
    /// A body without its headers.
    #[error(
        "the JSON has no paySign; of a request, an answer or a callback of API v3 the first line and the headers are \
         needed, too: the signature is in them"
    )]
    JsonAlone,
    /// Not the dialect of API v2.
    #[error("the XML cannot be a message of API v2")]
    Xml(#[from] XmlError),
}
