//! Calls to WeChat Pay, API v2.
//!
//! Every call of API v2 may be sent twice with the same bytes; therefore requests are frozen (stored unsigned,
//! committed) before they are sent for the first time, and sent again as they were. What an unsigned answer says
//! proves nothing: only [`CallError::Rejected`] is a refusal.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules).

use std::{fmt, ops::Deref};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use weixin::{
    ApiV2Key, FieldError, MchId, NonceStr, Verified,
    pay::{
        RefundRefusal,
        v2::{AnswerError, Call, ErrCode, Rejection, SignType, SignatureError, read_answer, signed},
    },
    xml::Fields,
};

use crate::{
    client_certificate::ClientCertificate,
    host::Hosts,
    transport::{
        ANSWER_BYTES_MAX, Failure, Message, NoAnswer, Repeat, Statuses, Transport, TransportError, Unreadable,
    },
};

/// Calls WeChat Pay.
#[derive(Clone, Debug)]
pub struct PayV2Client {
    transport: Transport,
    hosts: Hosts,
    /// For calls that need the merchant's certificate.
    certified: Option<(Transport, Hosts)>,
}

impl PayV2Client {
    /// Calls these hosts through this transport.
    pub fn new(transport: Transport, hosts: Hosts) -> Self {
        Self { transport, hosts, certified: None }
    }

    /// The same client for one merchant: it shows this certificate where WeChat Pay asks for one, as for refunds. Those
    /// calls may have hosts of their own, as in the simulator.
    ///
    /// # Errors
    /// The certificate is not usable for TLS.
    pub fn with_certificate(
        &self,
        certificate: &ClientCertificate,
        hosts: Option<Hosts>,
    ) -> Result<Self, TransportError> {
        let identity = certificate.identity().map_err(TransportError::Options)?;
        let certified = (self.transport.showing(identity)?, hosts.unwrap_or_else(|| self.hosts.clone()));
        Ok(Self { certified: Some(certified), ..self.clone() })
    }

    /// Makes a call. For a call that changes something at WeChat, freeze it first and use
    /// [`PayV2Client::send_frozen`].
    pub async fn call<C: Call>(
        &self,
        merchant: &MerchantKeyV2,
        nonce_str: &NonceStr,
        call: &C,
    ) -> Result<Answered<C::Answer>, CallError> {
        self.send_frozen::<C>(merchant, &call.unsigned(merchant.sign_type, nonce_str)).await
    }

    /// Sends a message that was frozen earlier ([`Call::unsigned`]) and signs it now: the same bytes each time, as
    /// long as the key is the same. The signature is of the type that the message names, which may be older than
    /// the merchant's present setting.
    pub async fn send_frozen<C: Call>(
        &self,
        merchant: &MerchantKeyV2,
        unsigned: &Fields,
    ) -> Result<Answered<C::Answer>, CallError> {
        let call = C::from_fields(unsigned).map_err(CallError::NotSendable)?;
        if *call.mchid() != merchant.mchid {
            let rule = "must be the merchant whose key signs";
            return Err(CallError::NotSendable(FieldError { field: "mch_id", rule }));
        }
        let sign_type = SignType::of(unsigned).map_err(CallError::NotSendable)?;
        let request_body = Bytes::from(signed(unsigned.clone(), &merchant.key, sign_type).to_xml());
        let message = Message {
            method: Method::POST,
            path: C::PATH.into(),
            query: None,
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static("text/xml"))],
            body: Some(request_body.clone()),
            statuses: Statuses::OnlyOk,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let (transport, hosts) = self.way::<C>()?;
        let received = transport.ask(hosts, &message, Repeat::Harmless).await.map_err(|failure| match failure {
            // What the gateway says about certificates. Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592>.
            Failure::Unreadable(Unreadable::Status(400)) if C::NEEDS_CERTIFICATE => CallError::CertificateRefused,
            failure => failure.into(),
        })?;
        let answer = read_answer(&call, &received.body, &merchant.key, sign_type);
        let request_id = received.request_id();
        let evidence = Evidence { request_body, answer_body: received.body, request_id };
        match answer {
            Ok(answer) => Ok(Answered { answer, evidence }),
            Err(AnswerError::Rejected(answer)) => Err(CallError::Rejected(Box::new(Answered { answer, evidence }))),
            Err(AnswerError::CommunicationFailure { return_msg }) => Err(CallError::Refused { return_msg }),
            Err(AnswerError::NotAuthentic(error)) => Err(CallError::NotAuthentic(NotAuthentic::Signature(error))),
            Err(AnswerError::OtherParty) => Err(CallError::NotAuthentic(NotAuthentic::OtherParty)),
            Err(AnswerError::Unreadable(error)) => Err(CallError::Unreadable(Unreadable::Xml(error))),
            Err(AnswerError::Field(error)) => Err(CallError::Unreadable(Unreadable::Field(error))),
        }
    }
}

impl PayV2Client {
    fn way<C: Call>(&self) -> Result<(&Transport, &Hosts), CallError> {
        match (C::NEEDS_CERTIFICATE, &self.certified) {
            (false, _) => Ok((&self.transport, &self.hosts)),
            (true, Some((transport, hosts))) => Ok((transport, hosts)),
            (true, None) => Err(CallError::NoCertificate),
        }
    }
}

/// With what a merchant signs.
#[derive(Clone, Debug)]
pub struct MerchantKeyV2 {
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's key of API v2.
    pub key: ApiV2Key,
    /// How new messages are signed.
    pub sign_type: SignType,
}

/// What WeChat answered, with the bytes that prove it.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// The answer; its signature was verified.
    pub answer: Verified<T>,
    /// What went over the wire.
    pub evidence: Evidence,
}

/// Reads like the answer itself.
impl<T> Deref for Answered<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.answer
    }
}

/// The bodies of one request and its answer, byte for byte. They name the customer: not for logs, and `Debug` tells lengths only.
#[derive(Clone)]
pub struct Evidence {
    /// What was sent. In API v2 the signature is in it; in API v3 it is in a header, and a query has no body.
    pub request_body: Bytes,
    /// What came back.
    pub answer_body: Bytes,
    /// WeChat's number of the exchange, if it gave one.
    pub request_id: Option<String>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("request_bytes", &self.request_body.len())
            .field("answer_bytes", &self.answer_body.len())
            .field("request_id", &self.request_id)
            .finish()
    }
}

/// Why a call has no success to show.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// WeChat refused, and the refusal is authentic.
    #[error("WeChat refused with {}: {}", .0.err_code, .0.err_code_des)]
    Rejected(Box<Answered<Rejection>>),
    /// WeChat says that it did not process the request as sent. Unsigned, so it proves nothing.
    #[error("WeChat did not take the request: {return_msg}")]
    Refused {
        /// WeChat's reason, mostly Chinese.
        return_msg: String,
    },
    /// No answer from any host.
    #[error("WeChat Pay gave no answer")]
    NoAnswer(#[source] NoAnswer),
    /// An answer that cannot be WeChat's, as gateways and proxies give.
    #[error("WeChat Pay's answer is not readable")]
    Unreadable(#[source] Unreadable),
    /// An answer that nobody proved to be WeChat's answer to us.
    #[error("WeChat Pay's answer is not authentic")]
    NotAuthentic(#[source] NotAuthentic),
    /// The call needs the merchant's certificate, and the client has none. Nothing was sent now.
    #[error("the call needs the merchant's client certificate, and none is configured")]
    NoCertificate,
    /// WeChat's gateway wants another certificate: it got none, or one that has expired or that it does not know.
    #[error("WeChat Pay did not accept the merchant's client certificate")]
    CertificateRefused,
    /// The message is not one of this call and this merchant. Nothing was sent now.
    #[error("the message was not sent")]
    NotSendable(#[source] FieldError),
}

impl CallError {
    /// Whether WeChat may have done what was asked, now or when the same message was sent before. Then the same
    /// message may be sent again, or the order queried; never a new number.
    ///
    /// Only an authentic refusal with a code that says "no" is known. What it says about the order depends on the
    /// call: see for example [`weixin::pay::v2::unified_order::Refusal`].
    pub fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Rejected(rejection) => matches!(
                rejection.err_code,
                ErrCode::Systemerror
                    | ErrCode::BizerrNeedRetry
                    | ErrCode::FrequencyLimit
                    | ErrCode::FrequencyLimited
                    | ErrCode::InvalidReqTooMuch
                    | ErrCode::Unknown(_)
            ),
            Self::Refused { .. }
            | Self::NoAnswer(_)
            | Self::Unreadable(_)
            | Self::NotAuthentic(_)
            | Self::NoCertificate
            | Self::CertificateRefused
            | Self::NotSendable(_) => true,
        }
    }

    /// What the failure says about a refund that was applied for or asked for.
    pub fn refund_refusal(&self) -> RefundRefusal {
        match self {
            Self::Rejected(rejection) => RefundRefusal::of(&rejection.err_code),
            _ => RefundRefusal::TryAgain,
        }
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer(failure) => Self::NoAnswer(failure),
            Failure::Unreadable(failure) => Self::Unreadable(failure),
        }
    }
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    /// The signature is missing or wrong. Often the merchant's key is not the one that WeChat knows.
    #[error("{0}")]
    Signature(SignatureError),
    /// Signed, but for another app or merchant, or about another number.
    #[error("the answer belongs to another app, merchant or number")]
    OtherParty,
}
