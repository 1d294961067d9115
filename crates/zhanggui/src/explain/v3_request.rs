//! API v3: a request to WeChat. The checks stand in the order in which WeChat makes them: the header, the time, the
//! serial number, the signature, and then whose the body is.

use weixin::{
    MchId,
    pay::v3::{KeyId, SCHEME, SerialNo, VerifyingKey},
};

use super::{
    Cause, Circumstances, Code, Explanation, HttpMessage, Keys, Kind, Owner, SignedText, Start, Verdict, Version, body,
    cause::clean,
    keys::{MerchantKeys, describe},
    line::{Frame, spellings},
    search::{Effort, Tried, fewest_deviations},
    v3_message::{from_decimal, time_fault},
};

/// Explains a request.
pub(super) fn explain(message: &HttpMessage, keys: &Keys, circumstances: Circumstances<'_>) -> Explanation {
    let mut explanation = Explanation {
        version: Version::V3,
        kind: Kind::Request,
        verdict: Verdict::Bad,
        signed: None,
        key: None,
        hash: Some("SHA-256 with RSA"),
        causes: Vec::new(),
    };
    let Start::Request { method, target } = &message.start else { return explanation };
    let header = match message.header("Authorization").map(Header::read) {
        Some(Ok(header)) => header,
        Some(Err(cause)) => {
            explanation.causes.push(cause);
            return explanation;
        }
        None => {
            explanation.causes.push(Cause::found(Code::AuthorizationMissing));
            return explanation;
        }
    };
    let path = without_host(target);
    let upload = message.header("Content-Type").is_some_and(|kind| kind.starts_with("multipart/"));
    let meta = if upload { body::upload_meta(&message.body) } else { None };
    let mut bodies = body::spellings(meta.unwrap_or(&message.body), Effort::LEISURE.spelled_bytes_max);
    if meta.is_some() {
        bodies.push((Some(Cause::found(Code::UploadNotMeta)), message.body.clone()));
    }
    let texts = Texts {
        frames: Frame::all(5, (2, 3)),
        methods: methods(method),
        paths: paths(path, target, message.header("Host")),
        timestamp: header.timestamp,
        nonce: header.nonce_str,
        bodies,
    };
    explanation.signed = Some(SignedText::plain(&texts.join(&[0, 0, 0, 0, 0, 0])));
    explanation.causes.extend(time_fault(header.timestamp, header.nonce_str, circumstances.now));
    let asked = circumstances.mchid.map(MchId::as_str).unwrap_or(header.mchid);
    let trial = Trial { keys, merchant: keys.merchant(Some(asked)), header: &header };
    trial.run(&mut explanation, &texts);
    if let Some(other) = other_mchid(path, &message.body, header.mchid) {
        explanation.causes.push(Cause::found(Code::MchidDiffers).with(format!("{other}, header {}", header.mchid)));
    }
    if explanation.verdict == Verdict::Good && !explanation.causes.is_empty() {
        explanation.verdict = Verdict::Refused;
    }
    explanation
}

/// The five fields, as they stand there.
struct Header<'a> {
    mchid: &'a str,
    nonce_str: &'a str,
    timestamp: &'a str,
    serial_no: &'a str,
    signature: &'a str,
}

impl<'a> Header<'a> {
    /// Reads more than WeChat does, so that the signature can be looked at, too; what is wrong is the error.
    fn read(text: &'a str) -> Result<Self, Cause> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme != SCHEME {
            return Err(Cause::found(Code::AuthorizationScheme).with(scheme));
        }
        let malformed = |detail: &str| Cause::found(Code::AuthorizationMalformed).with(detail);
        let mut names = Vec::new();
        for field in rest.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or_else(|| malformed("a field without ="))?;
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            names.push((name, quoted.ok_or_else(|| malformed(&format!("{name} is not in double quotes")))?));
        }
        let get = |wanted: &str| {
            let mut found = names.iter().filter(|(name, _)| *name == wanted);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(*value),
                (None, _) => Err(malformed(&format!("{wanted} is missing"))),
                (Some(_), Some(_)) => Err(malformed(&format!("{wanted} stands twice"))),
            }
        };
        Ok(Self {
            mchid: get("mchid")?,
            nonce_str: get("nonce_str")?,
            timestamp: get("timestamp")?,
            serial_no: get("serial_no")?,
            signature: get("signature")?,
        })
    }
}

/// The parts of the signed text with their deviations; option 0 is how it should be.
struct Texts<'a> {
    frames: Vec<Frame>,
    methods: Vec<(Option<Cause>, String)>,
    paths: Vec<(Option<Cause>, String)>,
    timestamp: &'a str,
    nonce: &'a str,
    bodies: Vec<(Option<Cause>, Vec<u8>)>,
}

impl Texts<'_> {
    fn join(&self, choice: &[usize]) -> Vec<u8> {
        let lines: [&[u8]; 5] = [
            self.methods[choice[2]].1.as_bytes(),
            self.paths[choice[3]].1.as_bytes(),
            self.timestamp.as_bytes(),
            self.nonce.as_bytes(),
            &self.bodies[choice[4]].1,
        ];
        self.frames[choice[5]].join(&lines)
    }

    fn sizes(&self, keys: usize, signatures: usize) -> [usize; 6] {
        [keys, signatures, self.methods.len(), self.paths.len(), self.bodies.len(), self.frames.len()]
    }

    fn causes(&self, choice: &[usize]) -> impl Iterator<Item = Cause> {
        [
            self.methods[choice[2]].0.clone(),
            self.paths[choice[3]].0.clone(),
            self.bodies[choice[4]].0.clone(),
            self.frames[choice[5]].cause.clone(),
        ]
        .into_iter()
        .flatten()
    }
}

struct Trial<'a> {
    keys: &'a Keys,
    merchant: Option<&'a MerchantKeys>,
    header: &'a Header<'a>,
}

impl Trial<'_> {
    fn run(&self, explanation: &mut Explanation, texts: &Texts<'_>) {
        let serial = self.serial_fault();
        let candidates = self.candidates();
        if candidates.is_empty() {
            explanation.causes.extend(serial);
            explanation.causes.push(match self.merchant {
                None => Cause::found(Code::MerchantNotConfigured).with(self.header.mchid),
                Some(_) => Cause::found(Code::KeyMissing).with("the merchant's certificate or private key"),
            });
            explanation.verdict = Verdict::Unchecked;
            return;
        }
        explanation.key = Some(describe(candidates[0].1, "the merchant's certificate"));
        let signatures = spellings(self.header.signature);
        let mut left = Effort::LEISURE.verifications_max;
        let found = fewest_deviations(&texts.sizes(candidates.len(), signatures.len()), 2, |choice| {
            if left == 0 {
                return Tried::Enough;
            }
            left -= 1;
            candidates[choice[0]].1.verifies(&texts.join(choice), &signatures[choice[1]].1).into()
        });
        let Some(found) = found else {
            explanation.causes.extend(serial);
            explanation.causes.push(Cause::possible(Code::OtherKey).with("the private key does not belong to it"));
            explanation
                .causes
                .push(Cause::possible(Code::MessageChanged).with("compare sign_information of the answer"));
            return;
        };
        let (key_cause, key) = &candidates[found[0]];
        explanation.key = Some(describe(key, "the certificate"));
        let not_its_serial = || {
            let same = key.id().as_str() == self.header.serial_no
                || SerialNo::parse(self.header.serial_no).is_ok_and(|serial| *key.id() == KeyId::Certificate(serial));
            let detail = format!("signed with the key of {}, serial_no is {}", key.id(), clean(self.header.serial_no));
            (!same).then(|| Cause::found(Code::SerialNotOfKey).with(detail))
        };
        // A serial number that cannot be right is a better reason than that it is another one.
        let serial = serial.filter(|cause| cause.code != Code::SerialUnknown).or_else(not_its_serial);
        explanation.causes.extend(serial);
        explanation.causes.extend(key_cause.clone());
        explanation.causes.extend(signatures[found[1]].0.clone());
        explanation.causes.extend(texts.causes(&found));
        if found.iter().all(|option| *option == 0) {
            explanation.verdict = Verdict::Good;
        }
    }

    /// What is wrong with `serial_no`, as far as it can be seen.
    fn serial_fault(&self) -> Option<Cause> {
        let text = self.header.serial_no;
        if text.starts_with("PUB_KEY_ID_") {
            return Some(Cause::found(Code::SerialIsPublicKeyId));
        }
        let wechat = self.keys.merchants.iter().flat_map(|merchant| &merchant.wechat);
        let given = self.keys.given.iter().filter(|given| given.owner == Owner::Wechat).map(|given| &given.key);
        let own = || self.keys.merchants.iter().flat_map(|merchant| &merchant.own);
        let own_or_given = || own().chain(self.keys.given.iter().map(|given| &given.key));
        let serial = SerialNo::parse(text).ok().map(KeyId::Certificate);
        if serial.as_ref().is_some_and(|serial| wechat.chain(given).any(|key| key.id() == serial)) {
            return Some(Cause::found(Code::SerialIsPlatforms).with(text));
        }
        if serial.as_ref().is_some_and(|serial| own_or_given().any(|key| key.id() == serial)) {
            return None;
        }
        let decimal = from_decimal(text).map(KeyId::Certificate);
        if let Some(decimal) = decimal.filter(|decimal| own_or_given().any(|key| key.id() == decimal)) {
            return Some(Cause::found(Code::SerialIsDecimal).with(format!("it means {decimal}")));
        }
        // Forty digits hold no decimal number of this size.
        if text.len() > 40 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Cause::found(Code::SerialIsDecimal).with(text));
        }
        Some(Cause::found(Code::SerialUnknown).with(text))
    }

    /// Keys that may have signed: the named merchant's own, then others, each a deviation.
    fn candidates(&self) -> Vec<(Option<Cause>, &VerifyingKey)> {
        let mut all: Vec<(Option<Cause>, &VerifyingKey)> = Vec::new();
        let own = self.merchant.iter().flat_map(|merchant| &merchant.own);
        let given = self.keys.given.iter().filter(|given| given.owner != Owner::Wechat).map(|given| &given.key);
        all.extend(own.chain(given).map(|key| (None, key)));
        // Of several keys of one merchant the one that is named comes first; the others are no deviation of their own.
        let named = SerialNo::parse(self.header.serial_no).ok().map(KeyId::Certificate);
        all.sort_by_key(|(_, key)| Some(key.id()) != named.as_ref());
        let others = self.keys.merchants.iter().filter(|other| {
            other.mchid.is_some() && other.mchid != self.merchant.and_then(|merchant| merchant.mchid.clone())
        });
        for other in others {
            let cause = Cause::found(Code::OtherMerchantsKey).with(format!("it is the key of {}", other.name()));
            all.extend(other.own.iter().map(|key| (Some(cause.clone()), key)));
        }
        all
    }
}

fn methods(method: &str) -> Vec<(Option<Cause>, String)> {
    let mut all = vec![(None, method.to_ascii_uppercase())];
    for other in [method.to_ascii_lowercase(), capitalised(method)] {
        all.push((Some(Cause::found(Code::MethodCase).with(format!("signed as {other}"))), other));
    }
    all
}

fn capitalised(method: &str) -> String {
    let lower = method.to_ascii_lowercase();
    let (first, rest) = lower.split_at(lower.chars().next().map_or(0, char::len_utf8));
    first.to_ascii_uppercase() + rest
}

/// The path as sent, then as it is signed by mistake.
fn paths(path: &str, target: &str, host: Option<&str>) -> Vec<(Option<Cause>, String)> {
    let mut all: Vec<(Option<Cause>, String)> = vec![(None, path.to_owned())];
    let mut add = |code: Code, detail: &str, other: String| {
        if !all.iter().any(|(_, known)| *known == other) {
            let cause = Cause::found(code).with(if detail.is_empty() { &other } else { detail });
            all.push((Some(cause), other));
        }
    };
    let bare = path.split('?').next().unwrap_or(path);
    add(Code::QueryLeftOut, "", bare.to_owned());
    add(Code::QueryLeftOut, "signed with an empty query", format!("{bare}?"));
    let decoded = percent_decoded(path);
    add(Code::PathReencoded, "", path.replace('|', "%7C").replace('*', "%2A").replace('@', "%40"));
    add(Code::PathReencoded, "", path.replace('|', "%7C"));
    add(Code::PathReencoded, "", path.replace("%7C", "|").replace("%7c", "|"));
    add(Code::PathReencoded, "", decoded.clone());
    add(Code::PathReencoded, "", encoded(&decoded));
    add(Code::PathReencoded, "", encoded(path));
    add(Code::PathReencoded, "signed with %20 for +", path.replace('+', "%20"));
    add(Code::PathReencoded, "signed with + for %20", path.replace("%20", "+"));
    add(Code::PathReencoded, "signed with a slash at the end", format!("{path}/"));
    add(Code::PathReencoded, "signed without the slash in front", path.trim_start_matches('/').to_owned());
    if let Some((bare, query)) = path.split_once('?') {
        let mut parts: Vec<_> = query.split('&').collect();
        parts.sort_unstable();
        add(Code::PathReencoded, "signed with a sorted query", format!("{bare}?{}", parts.join("&")));
    }
    if target != path {
        add(Code::HostSigned, "", target.to_owned());
    }
    for host in [host, Some("api.mch.weixin.qq.com"), Some("api2.mch.weixin.qq.com")].into_iter().flatten() {
        add(Code::HostSigned, "", format!("https://{host}{path}"));
        add(Code::HostSigned, "", format!("{host}{path}"));
    }
    all
}

fn without_host(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |place| &rest[place..]),
        _ => target,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        match digits.as_deref() {
            Some([byte]) => {
                bytes.push(*byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Escapes what may not stand in a path or query as it is.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/?&=*:@!$'(),;+%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// The merchant in the body or the query, if it is another one.
fn other_mchid(path: &str, body: &[u8], mchid: &str) -> Option<String> {
    let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let in_query = query.split('&').find_map(|part| part.strip_prefix("mchid=")).map(str::to_owned);
    let in_body = || match serde_json::from_slice::<serde_json::Value>(body).ok()?.get("mchid")? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    in_query.or_else(in_body).filter(|found| found != mchid)
}
