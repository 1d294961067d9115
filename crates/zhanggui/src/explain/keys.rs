//! The keys that an explanation may try, each with its owner. Never printed: only names and fingerprints are.

use aws_lc_rs::digest;
use weixin::{
    ApiV2Key, ApiV3Key, AppId, MchId,
    pay::{
        v2::SignType,
        v3::{Certificate, KeyId, TrustedKeys, VerifyingKey},
    },
};

use crate::config::{Config, Merchant};

/// Everything that is known here.
#[derive(Default)]
pub struct Keys {
    /// By merchant.
    pub merchants: Vec<MerchantKeys>,
    /// Given by hand: whose they are is to be found out.
    pub given: Vec<GivenKey>,
}

/// What belongs to a merchant.
#[derive(Default)]
pub struct MerchantKeys {
    /// The merchant; unknown for a key that came without one.
    pub mchid: Option<MchId>,
    /// Its mini programs.
    pub appids: Vec<AppId>,
    /// The key of API v2.
    pub api_v2_key: Option<ApiV2Key>,
    /// The hash that is agreed upon for API v2.
    pub sign_type: Option<SignType>,
    /// The key of API v3, which is taken for the other one by mistake.
    pub api_v3_key: Option<ApiV3Key>,
    /// The public half of its private key.
    pub own: Vec<VerifyingKey>,
    /// The keys of WeChat Pay that it trusts.
    pub wechat: Vec<VerifyingKey>,
}

/// A key that somebody gave by hand.
pub struct GivenKey {
    /// The key, by its serial number or id.
    pub key: VerifyingKey,
    /// Whose it seems to be.
    pub owner: Owner,
}

/// Whose a given key seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A merchant's.
    Merchant,
    /// WeChat Pay's.
    Wechat,
    /// The certificate does not say.
    Unknown,
}

impl GivenKey {
    /// A certificate: a merchant's has the merchant's number as its common name.
    pub fn certificate(certificate: Certificate) -> Self {
        let mut parts = certificate.subject.split([',', '+']);
        let name = parts.find_map(|part| part.trim().strip_prefix("CN=")).unwrap_or_default();
        let owner = if MchId::parse(name).is_ok() {
            Owner::Merchant
        } else if name.contains("Tenpay") {
            Owner::Wechat
        } else {
            Owner::Unknown
        };
        Self { key: certificate.key, owner }
    }

    /// WeChat Pay's public key.
    pub fn public_key(key: VerifyingKey) -> Self {
        Self { key, owner: Owner::Wechat }
    }
}

impl Keys {
    /// The keys of a configuration.
    pub fn of(config: &Config) -> Self {
        let merchants = config.merchants.iter().map(|merchant| {
            let apps = config.apps.iter().filter(|app| app.mchid == merchant.mchid);
            MerchantKeys { appids: apps.map(|app| app.appid.clone()).collect(), ..MerchantKeys::of(merchant) }
        });
        Self { merchants: merchants.collect(), given: Vec::new() }
    }

    /// Adds what a merchant trusts at the moment: platform certificates are not in the configuration.
    #[must_use]
    pub fn trusting(mut self, mchid: &MchId, trusted: &TrustedKeys) -> Self {
        if let Some(merchant) = self.merchants.iter_mut().find(|merchant| merchant.mchid.as_ref() == Some(mchid)) {
            merchant.wechat = trusted.ids().filter_map(|id| trusted.get(id)).cloned().collect();
        }
        self
    }

    /// The merchant of that number. A key without a number is everybody's.
    pub(super) fn merchant(&self, mchid: Option<&str>) -> Option<&MerchantKeys> {
        let named = |merchant: &&MerchantKeys| merchant.mchid.as_ref().map(MchId::as_str) == mchid;
        let nameless = || self.merchants.iter().find(|merchant| merchant.mchid.is_none());
        match (mchid, self.merchants.as_slice()) {
            (Some(_), merchants) => merchants.iter().find(named).or_else(nameless),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

impl MerchantKeys {
    fn of(merchant: &Merchant) -> Self {
        let credential = merchant.v3.as_ref().map(|v3| &v3.credential);
        let own = credential.and_then(|own| own.key.public(KeyId::Certificate(own.serial_no.clone())).ok());
        Self {
            mchid: Some(merchant.mchid.clone()),
            appids: Vec::new(),
            api_v2_key: merchant.v2.as_ref().map(|v2| v2.key.clone()),
            sign_type: merchant.v2.as_ref().map(|v2| v2.sign_type),
            api_v3_key: merchant.v3.as_ref().map(|v3| v3.api_v3_key.clone()),
            own: own.into_iter().collect(),
            wechat: merchant.v3.as_ref().and_then(|v3| v3.public_key.clone()).into_iter().collect(),
        }
    }

    /// How the merchant is called in sentences.
    pub(super) fn name(&self) -> String {
        self.mchid.as_ref().map_or_else(|| "the given merchant".to_owned(), |mchid| format!("merchant {mchid}"))
    }
}

/// Tells a secret key from another without telling the key: the first eight digits of its SHA-256.
pub(super) fn fingerprint(secret: &str) -> String {
    let mut digits = hex::encode(digest::digest(&digest::SHA256, secret.as_bytes()));
    digits.truncate(8);
    digits
}

/// A public key in sentences.
pub(super) fn describe(key: &VerifyingKey, whose: &str) -> String {
    let fingerprint = key.fingerprint();
    format!("{whose} {} (SHA-256 {})", key.id(), fingerprint.get(..16).unwrap_or(&fingerprint))
}
