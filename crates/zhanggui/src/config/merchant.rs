//! `[[merchant]]`: who is paid, by which version of WeChat Pay, with which keys.

use std::sync::Arc;

use weixin::{
    ApiV2Key, ApiV3Key, MchId, NotifyUrl,
    pay::{
        v2::SignType,
        v3::{Certificate, Credential, PublicKeyId, SerialNo, SigningKey, VerifyingKey},
    },
};
use weixin_client::ClientCertificate;

use super::{
    Server,
    reader::{Found, Reader, Section},
    real_if_live,
};
use crate::database::Realm;

/// A merchant and how it is paid.
#[derive(Clone)]
pub struct Merchant {
    /// Its number.
    pub mchid: MchId,
    /// The version with which new payments are made. Payments keep the version that they were made with.
    pub api: Api,
    /// What API v2 needs; always there if `api` is v2.
    pub v2: Option<V2>,
    /// What API v3 needs; always there if `api` is v3.
    pub v3: Option<V3>,
    /// What the merchant shows WeChat Pay before money goes back by API v2.
    pub certificate: Option<ClientCertificate>,
    /// Where WeChat reports payments and refunds: `{public_url}/wechat/pay/{mchid}`. One address for both versions.
    pub notify_url: NotifyUrl,
}

/// A version of WeChat Pay's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// XML, signed with a key that both sides know.
    V2,
    /// JSON, signed with RSA.
    V3,
}

impl Api {
    /// The word in the configuration and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::V2, Self::V3].into_iter().find(|api| api.as_str() == word)
    }
}

/// What API v2 needs.
#[derive(Clone)]
pub struct V2 {
    /// Signs both ways.
    pub key: ApiV2Key,
    /// The hash; a notification with another one is refused.
    pub sign_type: SignType,
    /// Whether a notification is only a hint that a query has to confirm.
    pub confirm: bool,
}

/// What API v3 needs.
#[derive(Clone)]
pub struct V3 {
    /// Signs what we say.
    pub credential: Arc<Credential>,
    /// The merchant's certificate, if it is configured; its dates are of interest.
    pub certificate: Option<Certificate>,
    /// Opens callbacks and platform certificates.
    pub api_v3_key: ApiV3Key,
    /// WeChat Pay's public key; without it platform certificates are downloaded.
    pub public_key: Option<VerifyingKey>,
}

/// Reads every `[[merchant]]`.
pub(super) fn read(reader: &mut Reader<'_>, realm: Realm, server: Option<&Server>) -> Vec<Merchant> {
    let mut merchants: Vec<Merchant> = Vec::new();
    for mut section in reader.sections("merchant") {
        let mchid = section.parsed(reader, "mchid", MchId::parse);
        let api = section.text_or(reader, "api", "v3").and_then(|text| {
            let api = Api::from_word(&text.value).ok_or_else(|| "must be \"v3\" or \"v2\"".to_owned());
            reader.check(&text, api)
        });
        let before = reader.count();
        let v2 = read_v2(reader, &mut section, realm, api);
        let files = Files::read(reader, &mut section, api);
        let certificate = files.client_certificate(reader, &mut section, mchid.as_ref());
        let v3 = read_v3(reader, &mut section, realm, (api, mchid.as_ref()), files);
        section.end(reader);
        if merchants.iter().any(|known| Some(&known.mchid) == mchid.as_ref()) {
            section.problem(reader, "mchid", "stands twice in the file");
        }
        let merchant = || {
            let (mchid, api) = (mchid?, api?);
            // public_url was checked to make such an address.
            let notify_url = NotifyUrl::parse(format!("{}/wechat/pay/{mchid}", server?.public_url)).ok()?;
            (reader.count() == before).then_some(Merchant { mchid, api, v2, v3, certificate, notify_url })
        };
        merchants.extend(merchant());
    }
    merchants
}

fn read_v2(reader: &mut Reader<'_>, section: &mut Section, realm: Realm, api: Option<Api>) -> Option<V2> {
    let key = match api {
        Some(Api::V2) => section.secret(reader, "api_v2_key"),
        _ => section.optional_secret(reader, "api_v2_key"),
    };
    let sign_type = section.text_or(reader, "sign_type", "HMAC-SHA256").and_then(|text| {
        let sign_type = SignType::from_wire(&text.value).map_err(|error| error.rule.to_owned());
        reader.check(&text, sign_type)
    });
    let confirm = section.flag_or(reader, "confirm_v2", true);
    let key = key.and_then(|text| {
        let key = ApiV2Key::parse(text.value.as_str()).map_err(|error| error.rule.to_owned());
        reader.check(&text, real_if_live(realm, &text.value, key))
    });
    Some(V2 { key: key?, sign_type: sign_type?, confirm: confirm? })
}

/// The merchant's own certificate and its key, which sign requests of API v3 and are shown for refunds of API v2.
struct Files {
    private_key: Option<Found>,
    certificate: Option<Found>,
}

impl Files {
    fn read(reader: &mut Reader<'_>, section: &mut Section, api: Option<Api>) -> Self {
        let private_key = match api {
            Some(Api::V3) => section.secret(reader, "private_key"),
            _ => section.optional_secret(reader, "private_key"),
        };
        Self { private_key, certificate: section.optional_text_file(reader, "certificate_file") }
    }

    /// From the p12 if there is one, from the two PEM files otherwise.
    fn client_certificate(
        &self,
        reader: &mut Reader<'_>,
        section: &mut Section,
        mchid: Option<&MchId>,
    ) -> Option<ClientCertificate> {
        let password = section.optional_secret(reader, "certificate_p12_password");
        let Some((p12, name)) = section.optional_bytes_file(reader, "certificate_p12_file") else {
            let (certificate, key) = (self.certificate.as_ref()?, self.private_key.as_ref()?);
            // What is wrong with them is told where they are read for API v3, in the same words.
            return ClientCertificate::from_pem(certificate.value.as_bytes(), key.value.as_bytes()).ok();
        };
        // WeChat's own password is the merchant's number.
        let password = password.map_or_else(|| mchid.map(ToString::to_string).unwrap_or_default(), |found| found.value);
        let read = ClientCertificate::from_p12(&p12, &password).map_err(|error| error.to_string());
        reader.check(&name, read)
    }
}

fn read_v3(
    reader: &mut Reader<'_>,
    section: &mut Section,
    realm: Realm,
    (api, mchid): (Option<Api>, Option<&MchId>),
    files: Files,
) -> Option<V3> {
    let Files { private_key, certificate } = files;
    let api_v3_key = section.optional_secret(reader, "api_v3_key");
    let serial_no = section.optional_text(reader, "serial_no");
    let public_key_id = section.optional_text(reader, "public_key_id");
    let public_key = section.optional_text_file(reader, "public_key_file");
    let private_key = private_key?;

    let key = SigningKey::from_pem(&private_key.value).map_err(|error| error.to_string());
    let key = reader.check(&private_key, key);
    let certificate = match certificate {
        None => None,
        Some(text) => Some(read_certificate(reader, &text, key.as_ref(), serial_no.as_ref())?),
    };
    let serial_no = match (&serial_no, &certificate) {
        (_, Some(certificate)) => Some(certificate.serial_no.clone()),
        (Some(text), None) => {
            let serial = SerialNo::parse(&text.value).map_err(|error| error.rule.to_owned());
            reader.check(text, serial)
        }
        (None, None) => {
            section.problem(
                reader,
                "serial_no",
                "or certificate_file is missing: which certificate the private key belongs to",
            );
            None
        }
    };
    let Some(api_v3_key) = api_v3_key else {
        // A merchant of API v2 needs certificate and key for refunds.
        if api != Some(Api::V2) {
            section.problem(reader, "api_v3_key", "is missing: it opens WeChat's callbacks");
        }
        return None;
    };
    let parsed = ApiV3Key::parse(api_v3_key.value.as_str()).map_err(|error| error.rule.to_owned());
    let parsed = reader.check(&api_v3_key, real_if_live(realm, &api_v3_key.value, parsed));
    let public_key = match (public_key_id, public_key) {
        (None, None) => None,
        (Some(id), Some(file)) => Some(read_public_key(reader, &id, &file)?),
        _ => {
            section.problem(reader, "public_key_file", "and public_key_id go together");
            return None;
        }
    };
    let credential = Credential { mchid: mchid?.clone(), serial_no: serial_no?, key: key? };
    Some(V3 { credential: Arc::new(credential), certificate, api_v3_key: parsed?, public_key })
}

fn read_certificate(
    reader: &mut Reader<'_>,
    text: &Found,
    key: Option<&SigningKey>,
    serial_no: Option<&Found>,
) -> Option<Certificate> {
    let certificate = reader.check(text, Certificate::from_pem(&text.value).map_err(|error| error.to_string()))?;
    if key.is_some_and(|key| !key.matches(&certificate.key)) {
        reader
            .problem(text, "does not belong to the private key: both must come from one application for a certificate");
        return None;
    }
    let other = |found: &&Found| SerialNo::parse(&found.value).ok().as_ref() != Some(&certificate.serial_no);
    if let Some(found) = serial_no.filter(other) {
        let text = format!("is not the serial number of certificate_file, which has {}", certificate.serial_no);
        reader.problem(found, &text);
        return None;
    }
    Some(certificate)
}

fn read_public_key(reader: &mut Reader<'_>, id: &Found, file: &Found) -> Option<VerifyingKey> {
    let parsed = PublicKeyId::parse(id.value.as_str()).map_err(|error| error.rule.to_owned());
    let parsed = reader.check(id, parsed)?;
    let key = VerifyingKey::from_public_key_pem(parsed, &file.value).map_err(|error| error.to_string());
    reader.check(file, key)
}
