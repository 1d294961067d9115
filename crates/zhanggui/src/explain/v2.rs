//! API v2: which text was hashed, with which key, by which hash, and in which letters it is written.

use secrecy::zeroize::Zeroizing;
use weixin::{
    MchId,
    pay::v2::{SignType, hash, signed_text},
    xml::Fields,
};

use super::{
    Cause, Code, Explanation, Keys, Kind, MerchantKeys, SignedText, Verdict, Version,
    keys::fingerprint,
    search::{Effort, Tried, fewest_deviations},
};

/// Explains a message.
pub(super) fn explain(fields: &Fields, keys: &Keys, mchid: Option<&MchId>, effort: Effort) -> Explanation {
    let named = fields.get("mch_id");
    let expected = mchid.map(MchId::as_str).or(named);
    let from_wechat = fields.get("return_code").is_some();
    let mut explanation = Explanation {
        version: Version::V2,
        kind: if from_wechat { Kind::FromWechat } else { Kind::Request },
        verdict: Verdict::Bad,
        signed: None,
        key: None,
        hash: None,
        causes: Vec::new(),
    };
    let text = signed_text(fields);
    explanation.signed = Some(SignedText::before_key(&text, KEY_BYTES));
    let Some(received) = fields.get("sign") else {
        explanation.causes.push(missing(fields));
        return explanation;
    };
    let Some(merchant) = keys.merchant(expected) else {
        let cause = Cause::found(Code::MerchantNotConfigured).with(expected.unwrap_or("no mch_id"));
        explanation.causes.push(cause);
        explanation.verdict = Verdict::Unchecked;
        // Perhaps it is signed with a key that is known, but belongs to somebody else.
        if let Some(found) = keys.merchants.first() {
            let wish = Wish { received, sign_type: wished_type(fields, None, received), merchant: found, keys };
            if let Some(causes) = search(fields, &wish, field_spellings(fields, effort), effort) {
                explanation.verdict = Verdict::Bad;
                explanation.key = key_name(found);
                explanation.causes.push(Cause::found(Code::OtherMerchantsKey).with(found.name()));
                explanation.causes.extend(causes);
            }
        }
        return explanation;
    };
    let sign_type = wished_type(fields, Some(merchant), received);
    explanation.hash = Some(sign_type.as_str());
    explanation.key = key_name(merchant);
    let wish = Wish { received, sign_type, merchant, keys };
    judge(&mut explanation, fields, &wish, field_spellings(fields, effort), effort);
    let other = |number: &str| merchant.mchid.as_ref().is_some_and(|mchid| mchid.as_str() != number);
    if let Some(number) = named.filter(|number| other(number)) {
        explanation.causes.insert(0, Cause::found(Code::OtherMerchantsKey).with(format!("mch_id {number}")));
        if explanation.verdict == Verdict::Good {
            explanation.verdict = Verdict::Refused;
        }
    }
    explanation
}

/// What a signature has to be, and what may be tried.
pub(super) struct Wish<'a> {
    pub(super) received: &'a str,
    pub(super) sign_type: SignType,
    pub(super) merchant: &'a MerchantKeys,
    pub(super) keys: &'a Keys,
}

/// Fills in verdict and causes.
pub(super) fn judge(
    explanation: &mut Explanation,
    fields: &Fields,
    wish: &Wish<'_>,
    spellings: Vec<Spelling>,
    effort: Effort,
) {
    if wish.merchant.api_v2_key.is_none() {
        explanation.verdict = Verdict::Unchecked;
        explanation.causes.push(Cause::found(Code::KeyMissing).with("the key of API v2"));
        return;
    }
    match search(fields, wish, spellings, effort) {
        Some(causes) if causes.is_empty() => explanation.verdict = Verdict::Good,
        Some(causes) => explanation.causes.extend(causes),
        None => {
            let whose = wish.merchant.name();
            explanation.causes.extend([
                Cause::possible(Code::OtherKey).with(whose),
                Cause::possible(Code::MessageChanged),
                Cause::possible(Code::FieldNotSent),
            ]);
        }
    }
}

/// A text of fields, without the key, and what is wrong with it.
pub(super) struct Spelling {
    cause: Option<Cause>,
    pairs: Vec<(String, String)>,
}

impl Spelling {
    pub(super) fn new(cause: Option<Cause>, pairs: Vec<(String, String)>) -> Self {
        Self { cause, pairs }
    }

    fn text(&self) -> String {
        join(&self.pairs)
    }
}

fn join(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The fields as they should be signed, then in every way that they are signed wrongly.
fn field_spellings(fields: &Fields, effort: Effort) -> Vec<Spelling> {
    let pairs = |keep: &dyn Fn(&str, &str) -> bool| -> Vec<(String, String)> {
        let kept = fields.iter().filter(|(name, value)| keep(name, value));
        kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let found = |code| Some(Cause::found(code));
    let in_message = pairs(&|name, value| name != "sign" && !value.is_empty());
    let right = sorted(in_message.clone());
    let mapped = |change: &dyn Fn(&str) -> String| -> Vec<(String, String)> {
        right.iter().map(|(name, value)| (name.clone(), change(value))).collect()
    };
    let mut ignoring_case = right.clone();
    ignoring_case.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let mut all = vec![
        Spelling::new(None, right.clone()),
        Spelling::new(found(Code::EmptyFieldSigned), sorted(pairs(&|name, _| name != "sign"))),
        Spelling::new(found(Code::ZeroDropped), sorted(pairs(&|name, value| name != "sign" && !is_zero(value)))),
        Spelling::new(found(Code::SortIgnoresCase), ignoring_case),
        Spelling::new(found(Code::NotSorted), in_message),
        Spelling::new(found(Code::ValuesUrlEncoded), mapped(&|value| percent_encoded(value, "%20"))),
        Spelling::new(found(Code::ValuesUrlEncoded), mapped(&|value| percent_encoded(value, "+"))),
        Spelling::new(found(Code::ValuesXmlEscaped), mapped(&|value| xml_escaped(value, Quotes::Kept))),
        Spelling::new(found(Code::ValuesXmlEscaped), mapped(&|value| xml_escaped(value, Quotes::Escaped))),
        Spelling::new(found(Code::ValuesTrimmed), mapped(&|value| value.trim().to_owned())),
        Spelling::new(found(Code::SignFieldSigned), with(&right, "sign", "")),
    ];
    if signed_text(fields).len() > effort.spelled_bytes_max {
        return distinct(all);
    }
    for (name, _) in &right {
        let cause = Cause::found(Code::FieldNotSigned).with(name);
        all.push(Spelling::new(Some(cause), without(&right, name)));
    }
    if fields.get("sign_type").is_none() {
        for word in ["HMAC-SHA256", "MD5"] {
            let cause = Cause::found(Code::FieldNotSent).with(format!("sign_type={word}"));
            all.push(Spelling::new(Some(cause), with(&right, "sign_type", word)));
        }
    }
    distinct(all)
}

/// The same text would explain nothing twice.
pub(super) fn distinct(all: Vec<Spelling>) -> Vec<Spelling> {
    let mut kept: Vec<(String, Spelling)> = Vec::with_capacity(all.len());
    for spelling in all {
        let text = spelling.text();
        if !kept.iter().any(|(known, _)| *known == text) {
            kept.push((text, spelling));
        }
    }
    kept.into_iter().map(|(_, spelling)| spelling).collect()
}

pub(super) fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.sort_unstable();
    pairs
}

pub(super) fn without(pairs: &[(String, String)], name: &str) -> Vec<(String, String)> {
    pairs.iter().filter(|(known, _)| known != name).cloned().collect()
}

/// The fields with this one in its place; one of that name gets the new value.
pub(super) fn with(pairs: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut pairs = without(pairs, name);
    pairs.push((name.to_owned(), value.to_owned()));
    sorted(pairs)
}

/// Looks for what was hashed. No causes: the signature is as it should be.
fn search(fields: &Fields, wish: &Wish<'_>, spellings: Vec<Spelling>, effort: Effort) -> Option<Vec<Cause>> {
    let hashes = hashes(fields, wish);
    let keys = key_spellings(wish);
    let appended = Appended::ALL;
    let received = wish.received.trim();
    let upper = received.to_ascii_uppercase();
    let texts: Vec<String> = spellings.iter().map(Spelling::text).collect();
    let mut bytes_left = effort.hashed_bytes_max;
    let sizes = [hashes.len(), keys.len(), appended.len(), spellings.len()];
    // All other combinations are longer than the signature says.
    let found = fewest_deviations(&sizes, effort.deviations_max, |choice| {
        let (_, sign_type) = hashes[choice[0]];
        if upper.len() != digits(sign_type) {
            return Tried::No;
        }
        let key = &keys[choice[1]].1;
        let text = appended[choice[2]].text(&texts[choice[3]], &spellings[choice[3]].pairs, key);
        match bytes_left.checked_sub(text.len()) {
            Some(left) => bytes_left = left,
            None => return Tried::Enough,
        }
        (hash(&text, key, sign_type) == upper).into()
    })?;
    let mut causes: Vec<Cause> = Vec::new();
    causes.extend(hashes[found[0]].0.clone());
    causes.extend(keys[found[1]].0.clone());
    causes.extend(appended[found[2]].cause());
    causes.extend(spellings[found[3]].cause.clone());
    if received != upper {
        causes.push(Cause::found(Code::HexInSmallLetters));
    }
    Some(causes)
}

/// The hash that is agreed upon, then the other one.
fn hashes(fields: &Fields, wish: &Wish<'_>) -> [(Option<Cause>, SignType); 2] {
    let other = match wish.sign_type {
        SignType::Md5 => SignType::HmacSha256,
        SignType::HmacSha256 => SignType::Md5,
    };
    let named = fields.get("sign_type").or(fields.get("signType"));
    let not_named = |word: &str, used: SignType| {
        let detail = format!("it names {word}, the signature is {}", used.as_str());
        Cause::found(Code::HashNotOfSignType).with(detail)
    };
    let as_agreed = named.filter(|word| *word != wish.sign_type.as_str()).map(|word| not_named(word, wish.sign_type));
    let otherwise = match named {
        Some(word) if word != other.as_str() => not_named(word, other),
        None if fields.get("return_code").is_none() => Cause::found(Code::SignTypeNotSent),
        _ => Cause::found(Code::HashNotAsConfigured).with(format!(
            "{} instead of {}",
            other.as_str(),
            wish.sign_type.as_str()
        )),
    };
    [(as_agreed, wish.sign_type), (Some(otherwise), other)]
}

/// What the message says; else what is configured (for what WeChat says); else what the length says; else MD5.
fn wished_type(fields: &Fields, merchant: Option<&MerchantKeys>, received: &str) -> SignType {
    if let Some(named) = fields.get("sign_type").and_then(|word| SignType::from_wire(word).ok()) {
        return match merchant.and_then(|merchant| merchant.sign_type) {
            // A message cannot choose its hash itself.
            Some(agreed) if fields.get("return_code").is_some() => agreed,
            _ => named,
        };
    }
    if fields.get("return_code").is_none() {
        return SignType::Md5;
    }
    let by_length =
        || if received.len() == digits(SignType::HmacSha256) { SignType::HmacSha256 } else { SignType::Md5 };
    merchant.and_then(|merchant| merchant.sign_type).unwrap_or_else(by_length)
}

fn digits(sign_type: SignType) -> usize {
    match sign_type {
        SignType::Md5 => 32,
        SignType::HmacSha256 => 64,
    }
}

/// The right key, then what is taken for it.
fn key_spellings(wish: &Wish<'_>) -> Vec<(Option<Cause>, Zeroizing<String>)> {
    let Some(key) = &wish.merchant.api_v2_key else { return Vec::new() };
    let text = key.expose();
    let secret = |text: String| Zeroizing::new(text);
    let stray = |how: &str| Some(Cause::found(Code::KeyWithStrayBlank).with(how));
    let mut all = vec![(None, secret(text.to_owned()))];
    if let Some(other) = &wish.merchant.api_v3_key {
        all.push((Some(Cause::found(Code::ApiV3KeyUsed)), secret(other.expose().to_owned())));
    }
    for other in &wish.keys.merchants {
        if let Some(key) = other.api_v2_key.as_ref().filter(|other| *other != key) {
            let cause = Cause::found(Code::OtherMerchantsKey).with(format!("it is the key of {}", other.name()));
            all.push((Some(cause), secret(key.expose().to_owned())));
        }
    }
    all.extend([
        (stray("a line feed at the end"), secret(format!("{text}\n"))),
        (stray("CR LF at the end"), secret(format!("{text}\r\n"))),
        (stray("a blank at the end"), secret(format!("{text} "))),
        (stray("a blank in front"), secret(format!(" {text}"))),
        (stray("quotation marks around it"), secret(format!("\"{text}\""))),
        (stray("a byte order mark in front"), secret(format!("\u{feff}{text}"))),
    ]);
    for changed in [text.to_ascii_lowercase(), text.to_ascii_uppercase()] {
        if changed != text {
            all.push((Some(Cause::found(Code::KeyCaseChanged)), secret(changed)));
        }
    }
    all
}

/// How the key is put to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appended {
    Right,
    Missing,
    WithoutName,
    Bare,
    WithoutAmpersand,
    InCapitals,
    Sorted,
    AmpersandAfter,
    InFront,
}

impl Appended {
    const ALL: [Self; 9] = [
        Self::Right,
        Self::Missing,
        Self::WithoutName,
        Self::Bare,
        Self::WithoutAmpersand,
        Self::InCapitals,
        Self::Sorted,
        Self::AmpersandAfter,
        Self::InFront,
    ];

    fn cause(self) -> Option<Cause> {
        let how = match self {
            Self::Right => return None,
            Self::Missing => "it is missing",
            Self::WithoutName => "as &KEY",
            Self::Bare => "without &key=",
            Self::WithoutAmpersand => "as key=KEY without &",
            Self::InCapitals => "as &KEY=",
            Self::Sorted => "sorted among the fields",
            Self::AmpersandAfter => "with & behind it",
            Self::InFront => "in front of the fields",
        };
        Some(Cause::found(Code::KeyAppendedWrongly).with(how))
    }

    fn text(self, text: &str, pairs: &[(String, String)], key: &str) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Right if text.is_empty() => format!("key={key}"),
            Self::Right => format!("{text}&key={key}"),
            Self::Missing => text.to_owned(),
            Self::WithoutName => format!("{text}&{key}"),
            Self::Bare => format!("{text}{key}"),
            Self::WithoutAmpersand => format!("{text}key={key}"),
            Self::InCapitals => format!("{text}&KEY={key}"),
            Self::Sorted => join(&with(pairs, "key", key)),
            Self::AmpersandAfter => format!("{text}&key={key}&"),
            Self::InFront => format!("key={key}&{text}"),
        })
    }
}

fn key_name(merchant: &MerchantKeys) -> Option<String> {
    let key = merchant.api_v2_key.as_ref()?;
    Some(format!("the key of API v2 of {} (SHA-256 begins with {})", merchant.name(), fingerprint(key.expose())))
}

pub(super) fn describe_key(merchant: &MerchantKeys) -> Option<String> {
    key_name(merchant)
}

fn missing(fields: &Fields) -> Cause {
    let cause = Cause::found(Code::SignatureMissing);
    if fields.get("req_info").is_some() {
        cause.with("of a refund notification this is normal: its req_info is sealed with the key instead; ask WeChat")
    } else if fields.get("return_code") == Some("FAIL") {
        cause.with("of return_code FAIL this is normal: WeChat did not take the request, see return_msg")
    } else {
        cause
    }
}

fn is_zero(value: &str) -> bool {
    value == "0" || value.is_empty()
}

fn percent_encoded(value: &str, blank: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push_str(blank),
            byte if byte.is_ascii_alphanumeric() || b"-_.*~".contains(&byte) => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Kept,
    Escaped,
}

fn xml_escaped(value: &str, quotes: Quotes) -> String {
    let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match quotes {
        Quotes::Kept => text,
        Quotes::Escaped => text.replace('"', "&quot;").replace('\'', "&apos;"),
    }
}

/// Every key of API v2 has so many characters.
const KEY_BYTES: usize = 32;
