//! How a simulator is set up: address, seed, clock, strictness, and the apps and merchants of its world.

use std::{net::SocketAddr, path::PathBuf};

use weixin::{
    ApiV2Key, ApiV3Key, AppId, AppSecret, MchId,
    mini_program::{KfAccount, subscribe_send::TemplateId},
    pay::v3::PublicKeyId,
};

use crate::{
    Scenario,
    browser::PhonePage,
    clock::{Clock, system_clock},
    merchant::MerchantCertificate,
    mini_program::{
        agent_list::AgentSetup,
        subscribe::{TemplateKind, TemplateSetup},
    },
    platform::{KeyMode, public_key_id},
    push::PushSetup,
};

/// The mini program of the demonstration.
pub const DEMO_APPID: &str = "wxfake000000000001";
/// Its AppSecret. Not a secret: it opens nothing but a simulator.
pub const DEMO_APP_SECRET: &str = "fakeAppSecret0000000000000000000";
/// Its original id, the receiver of its messages.
pub const DEMO_ORIGINAL_ID: &str = "gh_fake00000001";
/// Its Token of message push. Not a secret: it signs nothing but for a simulator.
pub const DEMO_PUSH_TOKEN: &str = "fakePushToken";
/// Its EncodingAESKey of message push. Not a secret: it opens nothing but what a simulator sealed. Its last character
/// has bits that no byte needs, as most real ones have.
pub const DEMO_ENCODING_AES_KEY: &str = "fakeEncodingAesKey0000000000000000000000009";
/// Its template for subscribe messages about a paid order: `character_string1`, `amount2`, `time3`.
pub const DEMO_PAID_TEMPLATE_ID: &str = "fakeTemplatePaid";
/// Its template for subscribe messages about a shipped order: `character_string1`, `thing2`, `date3`.
pub const DEMO_SHIPPED_TEMPLATE_ID: &str = "fakeTemplateShipped";
/// The account of its only agent at WeChat.
pub const DEMO_KF_ACCOUNT: &str = "kf2001@fake00000001";
/// The merchant of the demonstration.
pub const DEMO_MCHID: &str = "1600000001";
/// The merchant's key of API v2. Not a secret: it opens nothing but a simulator.
pub const DEMO_API_V2_KEY: &str = "fakeApiV2Key00000000000000000000";
/// The merchant's key of API v3. Not a secret: it opens nothing but a simulator.
pub const DEMO_API_V3_KEY: &str = "fakeApiV3Key00000000000000000000";
/// The merchant's private key (`apiclient_key.pem`). Not a secret: it signs nothing but for a simulator.
pub const DEMO_MERCHANT_KEY_PEM: &str = include_str!("../fixtures/apiclient_key.pem");
/// The merchant's certificate (`apiclient_cert.pem`).
pub const DEMO_MERCHANT_CERTIFICATE_PEM: &str = include_str!("../fixtures/apiclient_cert.pem");
/// The two as `apiclient_cert.p12`; its password is [`DEMO_MCHID`], as WeChat's is the number of the merchant.
pub const DEMO_MERCHANT_P12: &[u8] = include_bytes!("../fixtures/apiclient_cert.p12");
/// The serial number of the merchant's certificate.
pub const DEMO_MERCHANT_SERIAL: &str = "3FA4E0000000000000000000000000000000DE30";
/// The authority that signed the certificate of the TLS listener. It is fake, nobody has its key, and it may name this
/// machine only.
pub const DEMO_TLS_AUTHORITY_PEM: &str = include_str!("../fixtures/tls_authority.pem");
/// The id of WeChat Pay's public key for the merchant of the demonstration.
pub const DEMO_PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0116000000012026010100000000000001";

/// How a simulator is set up.
#[derive(Clone)]
pub struct Options {
    /// Where to listen. Anything but a loopback address is refused; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen with TLS, which refunds of API v2 need; loopback only, port 0 takes a free one. The certificate is
    /// signed by [`DEMO_TLS_AUTHORITY_PEM`].
    pub listen_tls: Option<SocketAddr>,
    /// Decides all random values.
    pub seed: u64,
    /// The time, before the simulator's own offset.
    pub clock: Clock,
    /// Who sends notifications.
    pub delivery: Delivery,
    /// The apps and merchants that exist from the start.
    pub world: Setup,
    /// Where the state outlives the process. Without it nothing is kept.
    pub state_file: Option<PathBuf>,
    /// Where WeChat's pages leave room.
    pub strictness: Strictness,
    /// Whether the amounts of [`crate::MAGIC_AMOUNTS`] order faults.
    pub magic_amounts: bool,
    /// A story that is played from the start on. Its seed is not looked at here.
    pub scenario: Option<Scenario>,
    /// What the phone in the browser runs.
    pub phone_page: PhonePage,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("listen_tls", &self.listen_tls)
            .field("seed", &self.seed)
            .field("delivery", &self.delivery)
            .field("world", &self.world)
            .field("state_file", &self.state_file)
            .field("strictness", &self.strictness)
            .field("magic_amounts", &self.magic_amounts)
            .field("scenario", &self.scenario.as_ref().map(|scenario| &scenario.title))
            .field("phone_page", &self.phone_page)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// For tests: a free port, the demonstration's app and merchant, nothing sent unless the test says so.
    pub fn for_tests(seed: u64, clock: Clock) -> Self {
        Self { seed, clock, delivery: Delivery::OnDemand, magic_amounts: false, ..Self::demo() }
    }

    /// Where it wants to listen.
    pub(crate) fn all_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.listen).chain(self.listen_tls)
    }

    /// For people: a free port, one fake app, one fake merchant, the machine's time, notifications sent when due.
    pub fn demo() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            listen_tls: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            seed: 1,
            clock: system_clock(),
            delivery: Delivery::Automatic,
            world: Setup::demo(),
            state_file: None,
            strictness: Strictness::default(),
            magic_amounts: true,
            scenario: None,
            phone_page: PhonePage::default(),
        }
    }
}

/// Who sends notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A task of the simulator, as soon as they are due.
    Automatic,
    /// Nobody but `deliver_due`: the test decides.
    OnDemand,
}

/// Where WeChat's pages leave room, or where real behaviour gets in the way of a demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness {
    /// Refuse an `out_trade_no` of fewer than six characters or with `@`. The newest pages say 6 to 32, older ones
    /// have no minimum. On.
    pub new_out_trade_no: bool,
    /// Refuse to close an order in its first five minutes. The pages say "not before", but name no code. Off.
    pub close_after_five_minutes: bool,
    /// Refuse a refund within a minute after another one of the same order. The pages say "at least a minute", but name
    /// no code; the simulator says `FREQUENCY_LIMITED`. Off.
    pub minute_between_refunds: bool,
    /// Answer 412 to a POST at `/cgi-bin` without `Content-Length`, as the real gateway does. On.
    pub content_length: bool,
}

impl Default for Strictness {
    fn default() -> Self {
        Self {
            new_out_trade_no: true,
            close_after_five_minutes: false,
            minute_between_refunds: false,
            content_length: true,
        }
    }
}

/// The apps and merchants that exist.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Mini programs.
    pub apps: Vec<AppSetup>,
    /// Merchants of API v2.
    pub merchants: Vec<MerchantSetup>,
    /// Merchants of API v3; the same ones or others.
    pub merchants_v3: Vec<MerchantV3Setup>,
}

impl Setup {
    /// One fake app that is bound to one fake merchant, who has both versions of WeChat Pay's interface.
    pub fn demo() -> Self {
        Self {
            apps: vec![AppSetup::demo()],
            merchants: vec![MerchantSetup::demo()],
            merchants_v3: vec![MerchantV3Setup::demo()],
        }
    }
}

/// A mini program.
#[derive(Clone, Debug)]
pub struct AppSetup {
    /// Its number.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// The merchants to whom it is bound.
    pub merchants: Vec<MchId>,
    /// Its name, shown to people.
    pub name: String,
    /// The Open Platform account to which it is bound. Only then a log-in tells a `unionid`.
    pub open_platform: Option<String>,
    /// Its original id, `gh_…`: the receiver of its customers' messages.
    pub original_id: String,
    /// Its message push, if it was ever set. Nobody asks the address at the start.
    pub push: Option<PushSetup>,
    /// Its templates for subscribe messages.
    pub templates: Vec<TemplateSetup>,
    /// Its agents at WeChat.
    pub agents: Vec<AgentSetup>,
}

impl AppSetup {
    /// An app without merchants, message push and Open Platform account. Its name is its number.
    pub fn new(appid: AppId, secret: AppSecret) -> Self {
        Self {
            name: appid.to_string(),
            original_id: original_id(&appid),
            appid,
            secret,
            merchants: Vec::new(),
            open_platform: None,
            push: None,
            templates: Vec::new(),
            agents: Vec::new(),
        }
    }

    /// The fake app of the demonstration.
    pub fn demo() -> Self {
        Self {
            appid: constant(AppId::parse(DEMO_APPID)),
            secret: constant(AppSecret::parse(DEMO_APP_SECRET)),
            merchants: vec![constant(MchId::parse(DEMO_MCHID))],
            name: "掌柜小铺".to_owned(),
            open_platform: None,
            original_id: DEMO_ORIGINAL_ID.to_owned(),
            push: None,
            templates: vec![
                template(DEMO_PAID_TEMPLATE_ID, "Order paid", &["character_string1", "amount2", "time3"]),
                template(DEMO_SHIPPED_TEMPLATE_ID, "Order shipped", &["character_string1", "thing2", "date3"]),
            ],
            agents: vec![AgentSetup {
                kf_account: constant(KfAccount::parse(DEMO_KF_ACCOUNT)),
                nickname: "Xiao Wang".to_owned(),
                online: true,
            }],
        }
    }
}

/// An original id for an app that has not said its own. Real ones have twelve hexadecimal digits, which say nothing.
pub(crate) fn original_id(appid: &AppId) -> String {
    format!("gh_{}", &appid.as_str()[6..])
}

fn template(template_id: &str, title: &str, keys: &[&str]) -> TemplateSetup {
    TemplateSetup {
        template_id: constant(TemplateId::parse(template_id)),
        title: title.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        kind: TemplateKind::OneTime,
    }
}

/// A merchant of API v2.
#[derive(Clone, Debug)]
pub struct MerchantSetup {
    /// Its number.
    pub mchid: MchId,
    /// Its key of API v2.
    pub api_v2_key: ApiV2Key,
    /// Its name, shown to people.
    pub name: String,
}

impl MerchantSetup {
    /// The fake merchant of the demonstration.
    pub fn demo() -> Self {
        Self {
            mchid: constant(MchId::parse(DEMO_MCHID)),
            api_v2_key: constant(ApiV2Key::parse(DEMO_API_V2_KEY)),
            name: "掌柜小铺（模拟商户）".to_owned(),
        }
    }
}

/// What API v3 needs beside or instead of [`MerchantSetup`].
#[derive(Clone, Debug)]
pub struct MerchantV3Setup {
    /// The merchant's number.
    pub mchid: MchId,
    /// Its key of API v3. Without one WeChat Pay sends no notifications of API v3.
    pub key: Option<ApiV3Key>,
    /// Its certificates, in whatever standing. Without one nothing of API v3 works.
    pub certificates: Vec<MerchantCertificate>,
    /// Which keys WeChat Pay uses with it.
    pub key_mode: KeyMode,
}

impl MerchantV3Setup {
    /// A merchant with one certificate and WeChat Pay's public key.
    pub fn new(mchid: MchId, key: ApiV3Key, certificate: MerchantCertificate) -> Self {
        Self { mchid, key: Some(key), certificates: vec![certificate], key_mode: KeyMode::default() }
    }

    /// The fake merchant of the demonstration.
    pub fn demo() -> Self {
        Self::new(
            constant(MchId::parse(DEMO_MCHID)),
            constant(ApiV3Key::parse(DEMO_API_V3_KEY)),
            constant(MerchantCertificate::from_pem(DEMO_MERCHANT_CERTIFICATE_PEM)),
        )
    }

    /// The id under which the merchant knows WeChat Pay's public key, whose PEM is [`crate::DEMO_PUBLIC_KEY_PEM`].
    pub fn public_key_id(&self) -> PublicKeyId {
        public_key_id(&self.mchid)
    }
}

/// The constants above are well formed; a test holds them to it.
pub(crate) fn constant<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| unreachable!("a constant of the demonstration is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_is_well_formed() {
        let setup = Setup::demo();
        let merchant = &setup.merchants_v3[0];
        assert_eq!(setup.apps[0].merchants[0], setup.merchants[0].mchid);
        assert_eq!(setup.apps[0].merchants[0], merchant.mchid);
        assert_eq!(merchant.certificates[0].serial_no().as_str(), DEMO_MERCHANT_SERIAL);
        assert_eq!(merchant.public_key_id().as_str(), DEMO_PUBLIC_KEY_ID);
        let key = weixin::pay::v3::SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).expect("a private key");
        assert!(key.matches(&merchant.certificates[0].certificate.key));
        assert!(PushSetup::demo("http://127.0.0.1:1").aes_key.is_some());
    }
}
