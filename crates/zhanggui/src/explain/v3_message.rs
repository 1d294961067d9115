//! API v3: what WeChat says, answers and callbacks alike. The checks stand in the order of `weixin::pay::v3::verify`.

use jiff::Timestamp;
use weixin::{
    MchId,
    pay::v3::{KeyId, PROBE_PREFIX, SCHEME, SerialNo, VerifyingKey, WINDOW_S},
};

use super::{
    Cause, Circumstances, Code, Explanation, HttpMessage, Keys, Kind, Owner, SignedText, Start, Verdict, Version, body,
    cause::clean,
    keys::{MerchantKeys, describe},
    line::{Frame, spellings},
    search::{AfterFault, Effort, Tried, fewest_deviations},
};

/// Explains an answer or a callback.
pub(super) fn explain(
    message: &HttpMessage,
    keys: &Keys,
    circumstances: Circumstances<'_>,
    effort: Effort,
) -> Explanation {
    let kind = match message.start {
        Start::Request { .. } => Kind::Callback,
        Start::Answer { .. } => Kind::Answer,
    };
    let mut explanation = Explanation {
        version: Version::V3,
        kind,
        verdict: Verdict::Bad,
        signed: None,
        key: None,
        hash: Some("SHA-256 with RSA"),
        causes: Vec::new(),
    };
    let header = |name: &str| message.header(name).unwrap_or_default();
    let (timestamp, nonce) = (header("Wechatpay-Timestamp"), header("Wechatpay-Nonce"));
    let (serial, signature) = (header("Wechatpay-Serial"), header("Wechatpay-Signature"));
    let frames = Frame::all(3, (0, 1));
    let lines: [&[u8]; 3] = [timestamp.as_bytes(), nonce.as_bytes(), &message.body];
    explanation.signed = Some(SignedText::plain(&frames[0].join(&lines)));
    let missing: Vec<_> = REQUIRED.into_iter().filter(|name| header(name).is_empty()).collect();
    if !missing.is_empty() {
        let status = match message.start {
            Start::Answer { status } if !(200..300).contains(&status) => format!(", normal with status {status}"),
            _ => String::new(),
        };
        explanation.causes.push(Cause::found(Code::HeaderMissing).with(format!("{}{status}", missing.join(", "))));
        return explanation;
    }
    let kind_of_signature = header("Wechatpay-Signature-Type");
    if !kind_of_signature.is_empty() && kind_of_signature != SCHEME {
        explanation.causes.push(Cause::found(Code::SignatureType).with(kind_of_signature));
        return explanation;
    }
    let time = time_fault(timestamp, nonce, circumstances.now);
    let swapped = time.as_ref().is_some_and(|cause| cause.code == Code::NonceAndTimeSwapped);
    if signature.starts_with(PROBE_PREFIX) {
        // The window is looked at first, but a late probe is a probe.
        explanation.causes.push(Cause::found(Code::Probe));
        explanation.causes.extend(time);
        return explanation;
    }
    explanation.causes.extend(time);
    if effort.after_a_fault == AfterFault::Stop && !explanation.causes.is_empty() {
        return explanation;
    }
    let trial = Trial { keys, merchant: merchant(keys, message, serial, circumstances), serial, signature };
    let texts = Texts { frames, lines, body: body::spellings(&message.body, effort.spelled_bytes_max) };
    if swapped {
        let swapped = Texts { lines: [lines[1], lines[0], lines[2]], ..texts };
        trial.run(&mut explanation, &swapped, effort);
    } else {
        trial.run(&mut explanation, &texts, effort);
    }
    explanation
}

const REQUIRED: [&str; 4] = ["Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"];

/// The merchant for whom the message is: the one that is named, the one in the callback's address, the one whose key
/// signed, or the only one.
fn merchant<'a>(
    keys: &'a Keys,
    message: &HttpMessage,
    serial: &str,
    circumstances: Circumstances<'_>,
) -> Option<&'a MerchantKeys> {
    let asked = circumstances.mchid.map(MchId::as_str);
    if asked.is_some() {
        return keys.merchant(asked);
    }
    let in_address = |merchant: &&MerchantKeys| match (&message.start, &merchant.mchid) {
        (Start::Request { target, .. }, Some(mchid)) => target.split(['/', '?']).any(|part| part == mchid.as_str()),
        _ => false,
    };
    let trusts = |merchant: &&MerchantKeys| merchant.wechat.iter().any(|key| key.id().as_str() == serial);
    let all = || keys.merchants.iter();
    all().find(in_address).or_else(|| all().find(trusts)).or_else(|| keys.merchant(None))
}

/// What is wrong with the time of a message, before its signature is looked at.
pub(super) fn time_fault(timestamp: &str, nonce: &str, now: Option<Timestamp>) -> Option<Cause> {
    let seconds = |text: &str| text.parse::<i64>().ok().filter(|_| text.len() == 10);
    let Some(sent) = seconds(timestamp) else {
        if seconds(nonce).is_some() {
            return Some(Cause::found(Code::NonceAndTimeSwapped).with("in the headers"));
        }
        return Some(Cause::found(Code::TimestampNotSeconds).with(timestamp));
    };
    let skew_s = now?.as_second().saturating_sub(sent);
    let word = if skew_s > 0 { "older" } else { "newer" };
    (skew_s.abs() >= WINDOW_S)
        .then(|| Cause::found(Code::Untimely).with(format!("{} s {word} than the clock", skew_s.abs())))
}

/// The parts of the signed text.
struct Texts<'a> {
    frames: Vec<Frame>,
    lines: [&'a [u8]; 3],
    body: Vec<(Option<Cause>, Vec<u8>)>,
}

struct Trial<'a> {
    keys: &'a Keys,
    merchant: Option<&'a MerchantKeys>,
    serial: &'a str,
    signature: &'a str,
}

impl Trial<'_> {
    fn run(&self, explanation: &mut Explanation, texts: &Texts<'_>, effort: Effort) {
        let named = self.named_key();
        if let Err(cause) = &named {
            explanation.causes.push(cause.clone());
            if effort.after_a_fault == AfterFault::Stop {
                explanation.verdict = Verdict::Unchecked;
                return;
            }
        }
        let mut candidates: Vec<(Option<Cause>, &VerifyingKey)> = Vec::new();
        if let Ok(key) = named {
            explanation.key = Some(describe(key, "WeChat Pay's"));
            candidates.push((None, key));
        }
        for key in self.wechat_keys().filter(|key| key.id().as_str() != self.serial) {
            let cause = Cause::found(Code::SerialNotOfKey).with(format!(
                "signed with {}, but {} is named",
                key.id(),
                clean(self.serial)
            ));
            candidates.push((Some(cause), key));
        }
        for key in self.merchant.iter().flat_map(|merchant| &merchant.own) {
            let cause = Cause::found(Code::MerchantsOwnSerial).with("signed with the merchant's own key");
            candidates.push((Some(cause), key));
        }
        if candidates.is_empty() {
            explanation.verdict = Verdict::Unchecked;
            return;
        }
        // A key that is not the named one is a deviation itself: option 0 is the named key or nothing.
        let known = candidates[0].0.is_none();
        let keys: Vec<_> = if known {
            candidates.iter().map(Some).collect()
        } else {
            std::iter::once(None).chain(candidates.iter().map(Some)).collect()
        };
        let signatures = spellings(self.signature);
        let sizes = [keys.len(), signatures.len(), texts.body.len(), texts.frames.len()];
        let mut left = effort.verifications_max;
        let found = fewest_deviations(&sizes, effort.deviations_max.min(2), |choice| {
            let Some((_, key)) = keys[choice[0]] else { return Tried::No };
            if left == 0 {
                return Tried::Enough;
            }
            left -= 1;
            let lines = [texts.lines[0], texts.lines[1], &texts.body[choice[2]].1];
            let text = texts.frames[choice[3]].join(&lines);
            key.verifies(&text, &signatures[choice[1]].1).into()
        });
        match found {
            Some(found) => {
                let key = keys[found[0]].and_then(|(cause, _)| cause.clone());
                let causes = [
                    key,
                    signatures[found[1]].0.clone(),
                    texts.body[found[2]].0.clone(),
                    texts.frames[found[3]].cause.clone(),
                ];
                explanation.causes.extend(causes.into_iter().flatten());
                if explanation.causes.is_empty() {
                    explanation.verdict = Verdict::Good;
                } else if found.iter().all(|option| *option == 0) {
                    explanation.verdict = Verdict::Refused;
                }
            }
            None if known => {
                explanation.causes.push(Cause::possible(Code::MessageChanged).with("the body, the nonce or the time"));
                explanation.causes.push(Cause::possible(Code::OtherKey).with("or it is not from WeChat"));
            }
            None => explanation.verdict = Verdict::Unchecked,
        }
    }

    /// The key that the message names, or why it cannot be used.
    fn named_key(&self) -> Result<&VerifyingKey, Cause> {
        let merchants = || self.merchant.into_iter().chain(&self.keys.merchants);
        let shown = clean(self.serial);
        let id = KeyId::parse(self.serial).map_err(|_| {
            Cause::found(Code::SerialUnknown).with(format!("{shown} is neither a serial number nor a PUB_KEY_ID_"))
        })?;
        if let Some(key) = self.wechat_keys().find(|key| *key.id() == id) {
            return Ok(key);
        }
        if merchants().any(|merchant| merchant.own.iter().any(|key| *key.id() == id)) {
            return Err(Cause::found(Code::MerchantsOwnSerial).with(shown));
        }
        let mistaken = self.keys.given.iter().find(|given| given.owner == Owner::Merchant);
        if let Some(given) = mistaken.filter(|_| self.wechat_keys().next().is_none()) {
            let detail = format!("{} instead of {shown}", given.key.id());
            return Err(Cause::found(Code::MerchantsCertificateUsed).with(detail));
        }
        Err(match id {
            KeyId::PublicKey(_) => Cause::found(Code::PublicKeyNotConfigured).with(shown),
            KeyId::Certificate(_) => {
                let known: Vec<_> = self.wechat_keys().map(|key| key.id().to_string()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Cause::found(Code::SerialUnknown).with(format!("{shown}; known: {known}"))
            }
        })
    }

    fn wechat_keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        let given = self.keys.given.iter().filter(|given| given.owner != Owner::Merchant).map(|given| &given.key);
        self.merchant.iter().flat_map(|merchant| &merchant.wechat).chain(given)
    }
}

/// A serial number in decimal digits, as some libraries print it, read as what it means.
pub(super) fn from_decimal(text: &str) -> Option<SerialNo> {
    let plausible = (1..=49).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plausible {
        return None;
    }
    // 160 bits, the lowest byte first.
    let mut bytes = [0_u8; 20];
    for digit in text.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut bytes {
            let value = u32::from(*byte) * 10 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    bytes.reverse();
    SerialNo::parse(&hex::encode(bytes)).ok()
}
