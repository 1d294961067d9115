//! What an explanation says, for people, for machines and for one line of a log.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::cause::{Cause, Certainty, Code};

/// The explanation of one signature.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which interface.
    pub version: Version,
    /// What was recognised.
    pub kind: Kind,
    /// The result.
    pub verdict: Verdict,
    /// What is signed if everything is right.
    pub signed: Option<SignedText>,
    /// With which key it was checked: name and fingerprint.
    pub key: Option<String>,
    /// How it is hashed.
    pub hash: Option<&'static str>,
    /// What is wrong, the likeliest first.
    pub causes: Vec<Cause>,
}

/// The interface of WeChat Pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// XML.
    V2,
    /// JSON.
    V3,
}

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the merchant to WeChat.
    Request,
    /// From WeChat: the answer to a request.
    Answer,
    /// From WeChat: a notification.
    Callback,
    /// From WeChat, in API v2: an answer or a notification.
    FromWechat,
    /// For the phone.
    RequestPayment,
}

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The signature fits.
    Good,
    /// The signature fits, but the other side refuses the message for another reason.
    Refused,
    /// The signature does not fit.
    Bad,
    /// It cannot be checked with what is known here.
    Unchecked,
}

/// The text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    /// Without the key.
    text: String,
    /// With the key, if one belongs to it.
    bytes: usize,
}

impl SignedText {
    pub(super) fn plain(bytes: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(bytes).into_owned(), bytes: bytes.len() }
    }

    /// The text ends before a key of so many bytes.
    pub(super) fn before_key(text: &str, key_bytes: usize) -> Self {
        Self { text: format!("{text}[redacted]"), bytes: text.len() + key_bytes }
    }

    /// How many bytes are signed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text, the key replaced by `[redacted]`.
    pub fn text(&self, length: Length) -> String {
        match length {
            Length::Full => self.text.clone(),
            Length::Short if self.text.chars().count() <= SHORT_CHARS => self.text.clone(),
            Length::Short => self.text.chars().take(SHORT_CHARS).chain("…".chars()).collect(),
        }
    }
}

/// How much of the signed text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The first 200 characters.
    Short,
    /// All.
    Full,
}

const SHORT_CHARS: usize = 200;

impl Explanation {
    /// Whether the signature is good and nothing else is wrong.
    pub fn is_good(&self) -> bool {
        self.verdict == Verdict::Good
    }

    /// Whether WeChat only tests whether it is verified: not an error of anybody.
    pub fn is_probe(&self) -> bool {
        self.causes.first().is_some_and(|cause| cause.code == Code::Probe)
    }

    /// The likeliest cause.
    pub fn first(&self) -> Option<Code> {
        self.causes.first().map(|cause| cause.code)
    }

    /// One line for the log: no bodies, no keys, nobody's number. If nothing was proven, all that is possible is told.
    pub fn summary(&self) -> String {
        let mut line = format!("{}: {}", self.what(), self.result());
        for (place, cause) in self.causes.iter().enumerate() {
            if place > 0 && (place == SUMMARY_CAUSES_MAX || self.causes[0].certainty == Certainty::Found) {
                break;
            }
            let _ = write!(line, "; {cause} [{}]", cause.code);
        }
        line
    }

    /// For people.
    pub fn to_text(&self, length: Length) -> String {
        let mut text = format!("{}\n", self.what());
        if let Some(signed) = &self.signed {
            let visible = signed.text(length).replace('\r', "\\r").replace('\n', "\\n\n  ");
            let _ = write!(text, "signed text, {} bytes:\n  {}\n", signed.bytes, visible.trim_end());
        }
        if let Some(hash) = self.hash {
            let _ = writeln!(text, "hash: {hash}");
        }
        if let Some(key) = &self.key {
            let _ = writeln!(text, "key: {key}");
        }
        let _ = writeln!(text, "result: {}", self.result());
        for (certainty, title) in [(Certainty::Found, "cause:"), (Certainty::Possible, "possible:")] {
            let causes = self.causes.iter().filter(|cause| cause.certainty == certainty);
            for (place, cause) in causes.enumerate() {
                if place == 0 {
                    let _ = writeln!(text, "{title}");
                }
                let _ = writeln!(text, "  {cause} [{}]", cause.code);
            }
        }
        text
    }

    /// For machines.
    pub fn to_json(&self, length: Length) -> Value {
        let causes = self.causes.iter().map(|cause| {
            json!({
                "code": cause.code.as_str(),
                "found": cause.certainty == Certainty::Found,
                "what": cause.code.what(),
                "detail": cause.detail,
                "repair": cause.code.repair(),
            })
        });
        json!({
            "version": self.version.as_str(),
            "kind": self.kind.as_str(),
            "good": self.is_good(),
            "verdict": self.verdict.as_str(),
            "signed_text": self.signed.as_ref().map(|signed| signed.text(length)),
            "signed_bytes": self.signed.as_ref().map(SignedText::bytes),
            "hash": self.hash,
            "key": self.key,
            "causes": causes.collect::<Vec<_>>(),
        })
    }

    fn what(&self) -> String {
        let kind = match self.kind {
            Kind::Request => "a request to WeChat Pay",
            Kind::Answer => "an answer of WeChat Pay",
            Kind::Callback => "a callback of WeChat Pay",
            Kind::FromWechat => "an answer or a notification of WeChat Pay",
            Kind::RequestPayment => "the parameters of wx.requestPayment",
        };
        format!("API {}, {kind}", self.version.as_str())
    }

    fn result(&self) -> &'static str {
        match self.verdict {
            Verdict::Good => "the signature is good",
            Verdict::Refused => "the signature fits, but the message is refused",
            Verdict::Bad if self.is_probe() => "a probe of WeChat, not an error",
            Verdict::Bad => "the signature does not fit",
            Verdict::Unchecked => "the signature cannot be checked",
        }
    }
}

/// How many causes a line of the log tells when none is proven.
const SUMMARY_CAUSES_MAX: usize = 2;

impl Version {
    /// `v2` or `v3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

impl Kind {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Callback => "callback",
            Self::FromWechat => "from_wechat",
            Self::RequestPayment => "request_payment",
        }
    }
}

impl Verdict {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::Bad => "bad",
            Self::Unchecked => "unchecked",
        }
    }
}
