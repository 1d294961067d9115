//! The parameters of `wx.requestPayment`, signed by either version for the phone.

use serde_json::{Map, Value};
use weixin::{
    pay::v2::{SignType, signed_text},
    xml::Fields,
};

use super::{
    Cause, Circumstances, Code, Explanation, Keys, Kind, MerchantKeys, SignedText, Verdict, Version,
    keys::describe,
    line::{Frame, spellings},
    search::{Effort, Tried, fewest_deviations},
    v2::{self, Spelling, Wish},
};

/// Explains the parameters. The `appId` may stand among them; else it comes from the keys.
pub(super) fn explain(json: &Map<String, Value>, keys: &Keys, circumstances: Circumstances<'_>) -> Explanation {
    let parameters = Parameters::read(json);
    let hexadecimal = |length| parameters.pay_sign.len() == length && hex::decode(&parameters.pay_sign).is_ok();
    let version = if hexadecimal(32) || hexadecimal(64) { Version::V2 } else { Version::V3 };
    let mut explanation = Explanation {
        version,
        kind: Kind::RequestPayment,
        verdict: Verdict::Bad,
        signed: None,
        key: None,
        hash: None,
        causes: Vec::new(),
    };
    let owner = keys.merchants.iter().find(|merchant| merchant.appids.iter().any(|id| id.as_str() == parameters.appid));
    let asked = circumstances.mchid.map(|mchid| mchid.as_str());
    let Some(merchant) = asked.map_or(owner, |_| None).or_else(|| keys.merchant(asked)) else {
        explanation.verdict = Verdict::Unchecked;
        explanation
            .causes
            .push(Cause::found(Code::MerchantNotConfigured).with(asked.unwrap_or("name it with --mchid")));
        return explanation;
    };
    let mut appids: Vec<&str> = merchant.appids.iter().map(weixin::AppId::as_str).collect();
    if !parameters.appid.is_empty() {
        appids.retain(|appid| *appid != parameters.appid);
        appids.insert(0, &parameters.appid);
    }
    match version {
        Version::V2 => explain_v2(&mut explanation, &parameters, &appids, merchant, keys),
        Version::V3 => explain_v3(&mut explanation, &parameters, &appids, merchant, keys),
    }
    let seen = parameters.visible_faults(version);
    if !seen.is_empty() && explanation.verdict == Verdict::Good {
        explanation.verdict = Verdict::Refused;
    }
    for cause in seen {
        if !explanation.causes.iter().any(|known| known.code == cause.code) {
            explanation.causes.push(cause);
        }
    }
    // What was found stands before what is only possible.
    explanation.causes.sort_by_key(|cause| cause.certainty == super::Certainty::Possible);
    if appids.is_empty() && !explanation.is_good() {
        explanation.causes.insert(0, Cause::found(Code::AppIdNeeded));
    }
    explanation
}

/// The parameters as texts, and what the JSON told besides.
struct Parameters {
    appid: String,
    time_stamp: String,
    nonce_str: String,
    package: String,
    sign_type: String,
    pay_sign: String,
    time_stamp_is_number: bool,
}

impl Parameters {
    fn read(json: &Map<String, Value>) -> Self {
        let text = |name: &str| match json.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let appid = if json.contains_key("appId") { text("appId") } else { text("appid") };
        Self {
            appid,
            time_stamp: text("timeStamp"),
            nonce_str: text("nonceStr"),
            package: text("package"),
            sign_type: text("signType"),
            pay_sign: text("paySign"),
            time_stamp_is_number: json.get("timeStamp").is_some_and(Value::is_number),
        }
    }

    /// What can be seen without any key.
    fn visible_faults(&self, version: Version) -> Vec<Cause> {
        let mut causes = Vec::new();
        if !self.package.starts_with("prepay_id=") {
            causes.push(Cause::found(Code::PrepayIdPrefix));
        }
        let named = match (version, self.sign_type.as_str()) {
            (Version::V3, "RSA") | (Version::V2, "HMAC-SHA256" | "MD5" | "") => None,
            (_, "") => Some("signType is missing"),
            (_, other) => Some(other),
        };
        if let Some(named) = named {
            causes.push(Cause::found(Code::SignTypeOther).with(named));
        }
        if self.time_stamp_is_number {
            causes.push(Cause::found(Code::TimeStampNumeric));
        }
        let seconds = self.time_stamp.len() == 10 && self.time_stamp.bytes().all(|byte| byte.is_ascii_digit());
        if !seconds {
            causes.push(Cause::found(Code::TimestampNotSeconds).with(&self.time_stamp));
        }
        causes
    }

    /// The package as it should be, then as it is signed by mistake.
    fn packages(&self) -> Vec<(Option<Cause>, String)> {
        let fault = Some(Cause::found(Code::PrepayIdPrefix));
        match self.package.strip_prefix("prepay_id=") {
            Some(bare) => vec![(None, self.package.clone()), (fault, bare.to_owned())],
            None => vec![(None, self.package.clone()), (fault, format!("prepay_id={}", self.package))],
        }
    }
}

fn explain_v2(
    explanation: &mut Explanation,
    parameters: &Parameters,
    appids: &[&str],
    merchant: &MerchantKeys,
    keys: &Keys,
) {
    let appid = appids.first().copied().unwrap_or_default();
    let fields: Fields = [
        ("appId", appid),
        ("nonceStr", &parameters.nonce_str),
        ("package", &parameters.package),
        ("signType", &parameters.sign_type),
        ("timeStamp", &parameters.time_stamp),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect();
    let sign_type = SignType::from_wire(&parameters.sign_type).unwrap_or(SignType::Md5);
    explanation.signed = Some(SignedText::before_key(&signed_text(&fields), 32));
    explanation.hash = Some(sign_type.as_str());
    explanation.key = v2::describe_key(merchant);
    let pairs: Vec<_> = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let right = v2::sorted(pairs.clone());
    let found = |code| Some(Cause::found(code));
    let mut spellings = vec![
        Spelling::new(None, right.clone()),
        Spelling::new(found(Code::AppIdMissing), v2::without(&right, "appId")),
        Spelling::new(found(Code::AppIdName), v2::with(&v2::without(&right, "appId"), "appid", appid)),
    ];
    for other in appids.iter().skip(1) {
        let cause = Cause::found(Code::AppIdOther).with(other);
        spellings.push(Spelling::new(Some(cause), v2::with(&right, "appId", other)));
    }
    for (cause, package) in parameters.packages() {
        spellings.push(Spelling::new(cause, v2::with(&right, "package", &package)));
    }
    for (name, _) in &right {
        let cause = Cause::found(Code::FieldNotSigned).with(name);
        spellings.push(Spelling::new(Some(cause), v2::without(&right, name)));
    }
    let mut ignoring_case = right.clone();
    ignoring_case.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    spellings.push(Spelling::new(found(Code::SortIgnoresCase), ignoring_case));
    let given = ["timeStamp", "nonceStr", "package", "signType"];
    let order = |name: &str| given.iter().position(|known| *known == name).map_or(0, |place| place + 1);
    let mut unsorted = pairs;
    unsorted.sort_by_key(|(name, _)| order(name));
    spellings.push(Spelling::new(found(Code::NotSorted), unsorted));
    let wish = Wish { received: &parameters.pay_sign, sign_type, merchant, keys };
    v2::judge(explanation, &fields, &wish, v2::distinct(spellings), Effort::LEISURE);
}

fn explain_v3(
    explanation: &mut Explanation,
    parameters: &Parameters,
    appids: &[&str],
    merchant: &MerchantKeys,
    keys: &Keys,
) {
    let appid = appids.first().copied().unwrap_or_default();
    let Parameters { time_stamp, nonce_str, package, sign_type, .. } = parameters;
    let frames = Frame::all(4, (1, 2));
    let right: [&[u8]; 4] = [appid.as_bytes(), time_stamp.as_bytes(), nonce_str.as_bytes(), package.as_bytes()];
    explanation.signed = Some(SignedText::plain(&frames[0].join(&right)));
    explanation.hash = Some("SHA-256 with RSA");
    let mut own: Vec<_> = merchant.own.iter().map(|key| (None, key)).collect();
    own.extend(keys.given.iter().map(|given| (None, &given.key)));
    if own.is_empty() {
        explanation.verdict = Verdict::Unchecked;
        explanation.causes.push(Cause::found(Code::KeyMissing).with("the merchant's certificate or private key"));
        return;
    }
    explanation.key = Some(describe(own[0].1, "the merchant's certificate"));
    for other in keys.merchants.iter().filter(|other| other.mchid != merchant.mchid) {
        let cause = Cause::found(Code::OtherMerchantsKey).with(other.name());
        own.extend(other.own.iter().map(|key| (Some(cause.clone()), key)));
    }
    let mut firsts = vec![(None, Some(appid)), (Some(Cause::found(Code::AppIdMissing)), None)];
    firsts.push((Some(Cause::found(Code::AppIdMissing).with("signed as an empty line")), Some("")));
    for other in appids.iter().skip(1) {
        firsts.push((Some(Cause::found(Code::AppIdOther).with(other)), Some(*other)));
    }
    let packages = parameters.packages();
    let extras = [None, Some(Cause::found(Code::SignTypeSigned))];
    let signatures = spellings(&parameters.pay_sign);
    let sizes = [own.len(), signatures.len(), firsts.len(), packages.len(), extras.len(), frames.len()];
    let mut left = Effort::LEISURE.verifications_max;
    let found = fewest_deviations(&sizes, 2, |choice| {
        if left == 0 {
            return Tried::Enough;
        }
        left -= 1;
        let mut lines: Vec<&[u8]> = vec![time_stamp.as_bytes(), nonce_str.as_bytes(), packages[choice[3]].1.as_bytes()];
        if let Some(first) = firsts[choice[2]].1 {
            lines.insert(0, first.as_bytes());
        }
        if choice[4] == 1 {
            lines.push(sign_type.as_bytes());
        }
        if lines.len() != 4 && choice[5] != 0 {
            return Tried::No;
        }
        let text = if lines.len() == 4 {
            frames[choice[5]].join(&lines)
        } else {
            lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect()
        };
        own[choice[0]].1.verifies(&text, &signatures[choice[1]].1).into()
    });
    let Some(found) = found else {
        explanation.causes.push(Cause::possible(Code::OtherKey).with(merchant.name()));
        explanation.causes.push(Cause::possible(Code::MessageChanged));
        if appids.len() < 2 {
            explanation.causes.push(Cause::possible(Code::AppIdOther));
        }
        return;
    };
    let causes = [
        own[found[0]].0.clone(),
        signatures[found[1]].0.clone(),
        firsts[found[2]].0.clone(),
        packages[found[3]].0.clone(),
        extras[found[4]].clone(),
        frames[found[5]].cause.clone(),
    ];
    explanation.causes.extend(causes.into_iter().flatten());
    if explanation.causes.is_empty() {
        explanation.verdict = Verdict::Good;
    }
}
