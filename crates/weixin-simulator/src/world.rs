//! Everything that the played WeChat knows. One value behind one lock; it can be written to a file and read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weixin::{ApiV2Key, AppId, AppSecret, FieldError, MchId};

use crate::{
    fault::Faults,
    login::{Customer, LoginCode},
    options::{AppSetup, MerchantSetup, Setup},
    pay::{NotificationState, Order, Prepay},
    random::Seed,
    token::Tokens,
};

/// The state of the simulator. Keys of the maps are texts, because the file is JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) seed: u64,
    /// How far the simulator's time is ahead of the base clock.
    pub(crate) offset_ms: i64,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) merchants: BTreeMap<String, Merchant>,
    /// By `appid/name`.
    pub(crate) customers: BTreeMap<String, Customer>,
    /// `openid` to the key of the customer.
    pub(crate) openids: BTreeMap<String, String>,
    /// By `js_code`.
    pub(crate) codes: BTreeMap<String, LoginCode>,
    /// The codes from old to new; the oldest are forgotten.
    #[serde(default)]
    pub(crate) codes_by_age: VecDeque<String>,
    /// By `mchid/out_trade_no`.
    pub(crate) orders: BTreeMap<String, Order>,
    /// By `prepay_id`.
    pub(crate) prepays: BTreeMap<String, Prepay>,
    /// `transaction_id` to the key of the order.
    pub(crate) transactions: BTreeMap<String, String>,
    /// When which order's notification is due; made again from the orders after loading.
    #[serde(skip)]
    pub(crate) due: BTreeSet<(Timestamp, String)>,
    /// What the simulator was told to do wrong. Not kept: a restart ends it.
    #[serde(skip)]
    pub(crate) faults: Faults,
}

/// A mini program.
#[derive(Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) appid: AppId,
    #[serde(serialize_with = "expose_app_secret", deserialize_with = "read_app_secret")]
    pub(crate) secret: AppSecret,
    pub(crate) merchants: Vec<MchId>,
    pub(crate) name: String,
    pub(crate) open_platform: Option<String>,
    #[serde(default)]
    pub(crate) tokens: Tokens,
}

/// A merchant.
#[derive(Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) mchid: MchId,
    #[serde(serialize_with = "expose_api_v2_key", deserialize_with = "read_api_v2_key")]
    pub(crate) api_v2_key: ApiV2Key,
    pub(crate) name: String,
}

impl World {
    /// An empty world.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            offset_ms: 0,
            apps: BTreeMap::new(),
            merchants: BTreeMap::new(),
            customers: BTreeMap::new(),
            openids: BTreeMap::new(),
            codes: BTreeMap::new(),
            codes_by_age: VecDeque::new(),
            orders: BTreeMap::new(),
            prepays: BTreeMap::new(),
            transactions: BTreeMap::new(),
            due: BTreeSet::new(),
            faults: Faults::default(),
        }
    }

    /// What decides the random values.
    pub(crate) fn seed(&self) -> Seed {
        Seed(self.seed)
    }

    /// The simulator's time, given the time of the base clock.
    pub(crate) fn time(&self, base: Timestamp) -> Timestamp {
        base.saturating_add(SignedDuration::from_millis(self.offset_ms)).unwrap_or(base)
    }

    /// Adds apps and merchants, or replaces their settings. What they have done stays.
    pub(crate) fn set_up(&mut self, setup: &Setup) {
        for merchant in &setup.merchants {
            self.set_up_merchant(merchant);
        }
        for app in &setup.apps {
            self.set_up_app(app);
        }
    }

    /// Adds an app, or replaces its settings.
    pub(crate) fn set_up_app(&mut self, setup: &AppSetup) {
        let tokens = self.apps.remove(setup.appid.as_str()).map(|app| app.tokens).unwrap_or_default();
        let app = App {
            appid: setup.appid.clone(),
            secret: setup.secret.clone(),
            merchants: setup.merchants.clone(),
            name: setup.name.clone(),
            open_platform: setup.open_platform.clone(),
            tokens,
        };
        self.apps.insert(setup.appid.to_string(), app);
    }

    /// Adds a merchant, or replaces its settings.
    pub(crate) fn set_up_merchant(&mut self, setup: &MerchantSetup) {
        let merchant =
            Merchant { mchid: setup.mchid.clone(), api_v2_key: setup.api_v2_key.clone(), name: setup.name.clone() };
        self.merchants.insert(setup.mchid.to_string(), merchant);
    }

    /// Puts together what is not in the file. An attempt that was under way when the process ended is made again:
    /// WeChat, too, delivers at least once.
    pub(crate) fn after_loading(&mut self) {
        let pending = self.orders.iter().filter_map(|(key, order)| match order.notification.as_ref()?.state {
            NotificationState::Pending { due_at } => Some((due_at, key.clone())),
            _ => None,
        });
        self.due = pending.collect();
    }
}

fn expose_app_secret<S: Serializer>(secret: &AppSecret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn read_app_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AppSecret, D::Error> {
    read_secret(deserializer, AppSecret::parse)
}

fn expose_api_v2_key<S: Serializer>(key: &ApiV2Key, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

fn read_api_v2_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApiV2Key, D::Error> {
    read_secret(deserializer, ApiV2Key::parse)
}

fn read_secret<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(String) -> Result<T, FieldError>,
) -> Result<T, D::Error> {
    parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
