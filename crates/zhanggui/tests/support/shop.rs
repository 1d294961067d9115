//! What the operator of the server has configured.

use weixin::{ApiV2Key, AppId, AppSecret, MchId, pay::v2::SignType};
use weixin_simulator::{
    AppSetup, DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_ENCODING_AES_KEY, DEMO_MCHID,
    DEMO_MERCHANT_SERIAL, DEMO_PUBLIC_KEY_ID, DEMO_PUSH_TOKEN, MerchantSetup, Setup,
};
use zhanggui::config::Api;

/// An app and its merchant.
pub(crate) struct Business {
    pub(crate) appid: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) mchid: &'static str,
    pub(crate) key: &'static str,
}

/// The one that every world has.
pub(crate) const DEMO: Business =
    Business { appid: DEMO_APPID, secret: DEMO_APP_SECRET, mchid: DEMO_MCHID, key: DEMO_API_V2_KEY };

/// A second one, which WeChat knows from the start and the server only if it is configured.
pub(crate) const OTHER: Business = Business {
    appid: "wxfake000000000002",
    secret: "fakeAppSecret0000000000000000002",
    mchid: "1600000002",
    key: "fakeApiV2Key00000000000000000002",
};

impl Business {
    pub(crate) fn appid(&self) -> AppId {
        AppId::parse(self.appid).unwrap()
    }

    pub(crate) fn mchid(&self) -> MchId {
        MchId::parse(self.mchid).unwrap()
    }

    pub(crate) fn key(&self) -> ApiV2Key {
        ApiV2Key::parse(self.key).unwrap()
    }

    pub(crate) fn secret(&self) -> AppSecret {
        AppSecret::parse(self.secret).unwrap()
    }
}

/// Both, as WeChat knows them.
pub(crate) fn wechat_setup() -> Setup {
    let mut setup = Setup::demo();
    setup.apps.push(AppSetup {
        merchants: vec![OTHER.mchid()],
        name: "Another shop".to_owned(),
        ..AppSetup::new(OTHER.appid(), OTHER.secret())
    });
    setup.merchants.push(MerchantSetup {
        mchid: OTHER.mchid(),
        api_v2_key: OTHER.key(),
        name: "Another merchant".to_owned(),
    });
    setup
}

/// The configuration that a test may change before it restarts the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shop {
    /// The version with which new payments are made. Both have their keys.
    pub(crate) api: Api,
    /// Whether WeChat Pay's public key is configured; without it platform certificates are downloaded.
    pub(crate) public_key: bool,
    pub(crate) sign_type: SignType,
    pub(crate) confirm_v2: bool,
    pub(crate) expires_in_min: u32,
    /// Whether the server also works for [`OTHER`], which signs with MD5.
    pub(crate) with_other: bool,
    pub(crate) trust_forwarded_for: bool,
    /// The limit on requests of one caller and of one address; 0: none.
    pub(crate) requests_per_s: u32,
    /// How long an endpoint of the merchant may take.
    pub(crate) webhook_timeout_s: u32,
    pub(crate) late_money: &'static str,
    /// Whether the merchant's own certificate is configured, which API v2 wants to see before money goes back.
    pub(crate) certificate: bool,
    /// Message push of [`DEMO`].
    pub(crate) push: PushShop,
}

/// What is configured for messages of customers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushShop {
    pub(crate) mode: &'static str,
    pub(crate) token: &'static str,
    pub(crate) aes_key: &'static str,
    /// The token and key from before a rotation.
    pub(crate) old: Option<(&'static str, &'static str)>,
    pub(crate) handler: &'static str,
    /// Rules and subscribe messages, as they stand in the file.
    pub(crate) more: &'static str,
    /// Whether the server also works for the account of the published vectors.
    pub(crate) with_vectors: bool,
}

/// The account of the published vectors whose pushes the server takes, if it is told to.
pub(crate) const VECTORS: PushKeys = PushKeys {
    appid: "wx0a1b2c3d4e5f6071",
    token: "Mp9Token2026",
    aes_key: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFI",
};

/// What WeChat and the server of an app have agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushKeys {
    pub(crate) appid: &'static str,
    pub(crate) token: &'static str,
    pub(crate) aes_key: &'static str,
}

/// Those of [`DEMO`].
pub(crate) const DEMO_PUSH: PushKeys =
    PushKeys { appid: DEMO_APPID, token: DEMO_PUSH_TOKEN, aes_key: DEMO_ENCODING_AES_KEY };

impl Default for Shop {
    fn default() -> Self {
        Self {
            api: Api::V2,
            public_key: true,
            sign_type: SignType::HmacSha256,
            confirm_v2: true,
            expires_in_min: 24 * 60,
            with_other: false,
            trust_forwarded_for: false,
            requests_per_s: 0,
            webhook_timeout_s: 15,
            late_money: "refund",
            certificate: true,
            push: PushShop {
                mode: "secure",
                token: DEMO_PUSH.token,
                aes_key: DEMO_PUSH.aes_key,
                old: None,
                handler: "wechat",
                more: "",
                with_vectors: false,
            },
        }
    }
}

impl PushShop {
    fn toml(&self) -> String {
        let PushShop { mode, token, aes_key, handler, more, .. } = self;
        let old = self.old.map_or_else(String::new, |(token, aes_key)| {
            format!("token_old = \"{token}\"\nencoding_aes_key_old = \"{aes_key}\"\n")
        });
        let vectors = match self.with_vectors {
            true => format!(
                "[[app]]\nappid = \"{}\"\nsecret = \"{}\"\nmerchant = \"{DEMO_MCHID}\"\n[app.push]\n\
                 token = \"{}\"\nencoding_aes_key = \"{}\"\n",
                VECTORS.appid, DEMO.secret, VECTORS.token, VECTORS.aes_key
            ),
            false => String::new(),
        };
        format!(
            "[app.push]\nmode = \"{mode}\"\ntoken = \"{token}\"\nencoding_aes_key = \"{aes_key}\"\n{old}\
             handler = \"{handler}\"\n{more}\n{vectors}"
        )
    }
}

/// Not a secret of anybody.
pub(crate) const MASTER_KEY: &str = "6d61737465726b65796d61737465726b65796d61737465726b65796d61737465";

impl Shop {
    /// The fake keys of the simulator; paths are relative to this package.
    fn v3_toml(&self) -> String {
        let fixtures = "../weixin-simulator/fixtures";
        let public_key = match self.public_key {
            true => {
                format!("public_key_id = \"{DEMO_PUBLIC_KEY_ID}\"\npublic_key_file = \"{fixtures}/pub_key.pem\"\n")
            }
            false => String::new(),
        };
        format!(
            "api = \"{}\"\nprivate_key_file = \"{fixtures}/apiclient_key.pem\"\n{}\
             api_v3_key = \"{DEMO_API_V3_KEY}\"\n{public_key}",
            self.api.as_str(),
            match self.certificate {
                true => format!("certificate_file = \"{fixtures}/apiclient_cert.pem\"\n"),
                false => format!("serial_no = \"{DEMO_MERCHANT_SERIAL}\"\n"),
            },
        )
    }

    pub(crate) fn toml(&self, port: u16, database: &str, (wechat, certified): (&str, &str)) -> String {
        let business = |business: &Business, sign_type: SignType| {
            let (sign_type, confirm_v2) = (sign_type.as_str(), self.confirm_v2);
            let Business { appid, secret, mchid, key } = business;
            format!(
                "[[merchant]]\nmchid = \"{mchid}\"\napi_v2_key = \"{key}\"\nsign_type = \"{sign_type}\"\n\
                 confirm_v2 = {confirm_v2}\n{}[[app]]\nappid = \"{appid}\"\nsecret = \"{secret}\"\nmerchant = \"{mchid}\"\n",
                if *mchid == DEMO_MCHID { self.v3_toml() } else { "api = \"v2\"\n".to_owned() }
            )
        };
        let rate = self.requests_per_s;
        let other = if self.with_other { business(&OTHER, SignType::Md5) } else { String::new() };
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\ndrain_timeout_s = 5\n\
             trust_forwarded_for = {}\n[database]\nurl = \"{database}\"\n[secrets]\nmaster_key = \"{MASTER_KEY}\"\n\
             [wechat]\nrealm = \"simulated\"\npay_url = \"{wechat}\"\napi_url = \"{wechat}\"\n\
             pay_certified_url = \"{certified}\"\nca_file = \"../weixin-simulator/fixtures/tls_authority.pem\"\n\
             [order]\nexpires_in_min = {}\nlate_money = \"{}\"\n[webhook]\ntimeout_s = {}\n\
             [limits]\ncaller_per_s = {rate}\ncaller_burst = 5\naddress_per_s = {rate}\naddress_burst = 10\n{}{}{other}",
            self.trust_forwarded_for,
            self.expires_in_min,
            self.late_money,
            self.webhook_timeout_s,
            business(&DEMO, self.sign_type),
            self.push.toml(),
        )
    }
}
