//! Everything that the played WeChat knows. One value behind one lock; it can be written to a file and read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weixin::{AppId, AppSecret, Fen, MchId};

use crate::{
    Rotation,
    clock::{self, ClockOutOfRange},
    customer_service::{Conversation, MediaStore},
    fault::Faults,
    login::{Customer, LoginCode},
    merchant::{Merchant, MerchantV3, read_secret},
    mini_program::{
        agent_list::AgentSetup,
        content_check::ContentWords,
        phone_number::GivenCode,
        subscribe::{Notice, TemplateSetup},
    },
    options::{AppSetup, Setup, original_id},
    pay::{EchoToTell, Letter, Order, Prepay, Refund, RefundEnding, Subject},
    push::{Outbox, PushSetup, expose_push, read_push},
    random::Seed,
    scenario::Director,
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
    #[serde(default)]
    pub(crate) merchants_v3: BTreeMap<String, MerchantV3>,
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
    /// By `mchid/out_refund_no`.
    #[serde(default)]
    pub(crate) refunds: BTreeMap<String, Refund>,
    /// What a merchant has to refund from, by `mchid`. Without an entry there is no limit.
    #[serde(default)]
    pub(crate) balances: BTreeMap<String, Fen>,
    /// Where the merchant platform was told to report refunds, by `mchid`.
    #[serde(default)]
    pub(crate) refund_addresses: BTreeMap<String, String>,
    /// Self-tests with an address, by request and time.
    #[serde(default)]
    pub(crate) echoes: BTreeMap<String, EchoToTell>,
    /// By the key of the customer.
    #[serde(default)]
    pub(crate) conversations: BTreeMap<String, Conversation>,
    #[serde(default)]
    pub(crate) media: MediaStore,
    #[serde(default)]
    pub(crate) outbox: Outbox,
    /// What the buttons for phone numbers gave, by code.
    #[serde(default)]
    pub(crate) phone_codes: BTreeMap<String, GivenCode>,
    /// Subscribe messages that customers got.
    #[serde(default)]
    pub(crate) notices: Vec<Notice>,
    #[serde(default)]
    pub(crate) content_words: ContentWords,
    #[serde(default)]
    pub(crate) switches: Switches,
    /// What magic amounts have struck once.
    #[serde(default)]
    pub(crate) magic_spent: BTreeSet<String>,
    /// Notifications that wait for another one to go first, and until when at most.
    #[serde(skip)]
    pub(crate) held_back: Vec<Subject>,
    /// Forged notifications that go out with the next ones.
    #[serde(skip)]
    pub(crate) forgeries: Vec<Letter>,
    /// When which notification is due; made again from orders and refunds after loading.
    #[serde(skip)]
    pub(crate) due: BTreeSet<(Timestamp, Subject)>,
    /// Requests whose last answer had the signature of a probe: the repeat is not probed.
    #[serde(skip)]
    pub(crate) probed: BTreeSet<String>,
    /// What the simulator was told to do wrong. Not kept: a restart ends it.
    #[serde(skip)]
    pub(crate) faults: Faults,
    /// The scenario that is played. A restart begins it anew.
    #[serde(skip)]
    pub(crate) director: Option<Director>,
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
    #[serde(default)]
    pub(crate) original_id: String,
    #[serde(default, serialize_with = "expose_push", deserialize_with = "read_push")]
    pub(crate) push: Option<PushSetup>,
    #[serde(default)]
    pub(crate) templates: Vec<TemplateSetup>,
    #[serde(default)]
    pub(crate) agents: Vec<AgentSetup>,
}

/// What can be switched while the simulator runs. It outlives the process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Switches {
    /// Which platform certificates exist and sign.
    pub(crate) rotation: Rotation,
    /// How many of a thousand signed answers and first notifications of API v3 have the signature of a probe.
    pub(crate) probe_per_mille: u16,
    /// How long a refund takes, in seconds.
    pub(crate) refund_after_s: u32,
    /// How a refund ends that is made from now on.
    pub(crate) refund_ending: RefundEnding,
    /// Whether amounts order faults.
    pub(crate) magic_amounts: bool,
    /// Until when nobody gets an answer.
    pub(crate) outage_until: Option<Timestamp>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            rotation: Rotation::default(),
            probe_per_mille: 0,
            refund_after_s: REFUND_AFTER_S,
            refund_ending: RefundEnding::default(),
            magic_amounts: false,
            outage_until: None,
        }
    }
}

/// What is to be switched; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SwitchChange {
    rotation: Option<Rotation>,
    probe_per_mille: Option<u16>,
    refund_after_s: Option<u32>,
    refund_ending: Option<RefundEnding>,
    magic_amounts: Option<bool>,
}

impl SwitchChange {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self.probe_per_mille {
            Some(1001..) => Err("probe_per_mille must be 0 to 1000"),
            _ => Ok(()),
        }
    }
}

impl Switches {
    /// Switches.
    pub(crate) fn change(&mut self, change: &SwitchChange) {
        *self = Self {
            rotation: change.rotation.unwrap_or(self.rotation),
            probe_per_mille: change.probe_per_mille.unwrap_or(self.probe_per_mille),
            refund_after_s: change.refund_after_s.unwrap_or(self.refund_after_s),
            refund_ending: change.refund_ending.unwrap_or(self.refund_ending),
            magic_amounts: change.magic_amounts.unwrap_or(self.magic_amounts),
            ..*self
        };
    }
}

/// How long a refund takes at first, in seconds. In reality a wallet is credited at once, a card within days.
const REFUND_AFTER_S: u32 = 3;

impl World {
    /// An empty world.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            offset_ms: 0,
            apps: BTreeMap::new(),
            merchants: BTreeMap::new(),
            merchants_v3: BTreeMap::new(),
            customers: BTreeMap::new(),
            openids: BTreeMap::new(),
            codes: BTreeMap::new(),
            codes_by_age: VecDeque::new(),
            orders: BTreeMap::new(),
            prepays: BTreeMap::new(),
            transactions: BTreeMap::new(),
            refunds: BTreeMap::new(),
            balances: BTreeMap::new(),
            refund_addresses: BTreeMap::new(),
            echoes: BTreeMap::new(),
            conversations: BTreeMap::new(),
            media: MediaStore::default(),
            outbox: Outbox::default(),
            phone_codes: BTreeMap::new(),
            notices: Vec::new(),
            content_words: ContentWords::default(),
            switches: Switches::default(),
            magic_spent: BTreeSet::new(),
            held_back: Vec::new(),
            forgeries: Vec::new(),
            due: BTreeSet::new(),
            probed: BTreeSet::new(),
            faults: Faults::seeded(seed),
            director: None,
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

    /// Moves the simulator's clock on, or back, given the time of the base clock.
    pub(crate) fn move_clock(&mut self, base: Timestamp, by: SignedDuration) -> Result<(), ClockOutOfRange> {
        let offset_ms = i64::try_from(by.as_millis()).ok().and_then(|by_ms| self.offset_ms.checked_add(by_ms));
        let offset_ms = offset_ms.ok_or(ClockOutOfRange)?;
        let moved = base.checked_add(SignedDuration::from_millis(offset_ms)).map_err(|_| ClockOutOfRange)?;
        if !clock::YEARS.contains(&moved) {
            return Err(ClockOutOfRange);
        }
        self.offset_ms = offset_ms;
        Ok(())
    }

    /// Whether nobody gets an answer now.
    pub(crate) fn is_out(&self, now: Timestamp) -> bool {
        self.switches.outage_until.is_some_and(|until| now < until)
    }

    /// Adds apps and merchants, or replaces their settings. What they have done stays.
    pub(crate) fn set_up(&mut self, setup: &Setup) {
        for merchant in &setup.merchants {
            self.set_up_merchant(merchant);
        }
        for merchant in &setup.merchants_v3 {
            self.set_up_merchant_v3(merchant);
        }
        for app in &setup.apps {
            self.set_up_app(app);
        }
    }

    /// Adds an app, or replaces its settings.
    pub(crate) fn set_up_app(&mut self, setup: &AppSetup) {
        let earlier = self.apps.remove(setup.appid.as_str());
        let (tokens, push) = earlier.map(|app| (app.tokens, app.push)).unwrap_or_default();
        let app = App {
            appid: setup.appid.clone(),
            secret: setup.secret.clone(),
            merchants: setup.merchants.clone(),
            name: setup.name.clone(),
            open_platform: setup.open_platform.clone(),
            tokens,
            original_id: setup.original_id.clone(),
            push: setup.push.clone().or(push),
            templates: setup.templates.clone(),
            agents: setup.agents.clone(),
        };
        self.apps.insert(setup.appid.to_string(), app);
    }

    /// Puts together what is not in the file. An attempt that was under way when the process ended is made again:
    /// WeChat, too, delivers at least once.
    pub(crate) fn after_loading(&mut self) {
        self.faults = Faults::seeded(self.seed);
        let payments = self.orders.iter().map(|(key, order)| (Subject::Payment(key.clone()), &order.notification));
        let refunds = self.refunds.iter().map(|(key, refund)| (Subject::Refund(key.clone()), &refund.notification));
        let echoes = self.echoes.iter().map(|(key, echo)| (Subject::Echo(key.clone()), &echo.notification));
        let pending = payments.chain(refunds).chain(echoes).filter_map(|(subject, notification)| {
            let due_at = notification.as_ref()?.due_at()?;
            Some((due_at, subject))
        });
        self.due = pending.collect();
        self.outbox.after_loading();
        for app in self.apps.values_mut().filter(|app| app.original_id.is_empty()) {
            app.original_id = original_id(&app.appid);
        }
    }
}

fn expose_app_secret<S: Serializer>(secret: &AppSecret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn read_app_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AppSecret, D::Error> {
    read_secret(deserializer, AppSecret::parse)
}
