//! What every handler and job is given.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use weixin::{AppId, MchId};
use weixin_client::{
    AccessTokenKeeper, AppCredential, MerchantV3, MiniProgramClient, PayV2Client, PayV3Client, Transport,
    TransportError, TransportOptions, TrustStore,
};

use crate::{
    access_token::SharedTokens,
    clock::{Clock, Entropy, random},
    config::{self, Config, Merchant},
    database::Database,
    event,
    http::{self, Code, Problem},
    idempotency::Running,
    seal::Seal,
    webhook,
};

/// The server's parts. Cheap to share, immutable but for what they hold.
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// Where everything durable is.
    pub database: Database,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// Seals what may not be read in the database.
    pub seal: Arc<Seal>,
    /// WeChat Pay, API v2.
    pub pay_v2: PayV2Client,
    /// WeChat Pay, API v3.
    pub pay_v3: PayV3Client,
    /// `api.weixin.qq.com`.
    pub mini_program: MiniProgramClient,
    /// The access tokens of the apps, shared with the other nodes through the database.
    pub access_tokens: AccessTokenKeeper,
    /// Wakes the job runner when there is something to do at once.
    pub job_wake: Notify,
    /// Wakes the streams of events when one was written on this node.
    pub event_wake: Notify,
    /// A place for each stream of events.
    pub event_streams: Arc<Semaphore>,
    /// Sends events to the merchant's systems.
    pub webhooks: webhook::Sender,
    /// Wakes the sending of events when there is something to do beside new events.
    pub webhook_wake: Notify,
    /// Counts requests.
    pub limits: http::Limits,
    /// The requests with an Idempotency-Key that this node works on.
    pub running: Running,
    merchants_v3: HashMap<MchId, MerchantV3>,
    certified_v2: HashMap<MchId, PayV2Client>,
    clock: Clock,
    flights: Flights,
    draining: AtomicBool,
    explained_s: AtomicI64,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// The transport to WeChat cannot be made, for example because of a certificate file.
    pub fn new(
        config: Config,
        database: Database,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Arc<Self>, TransportError> {
        let options = TransportOptions { extra_ca_pem: config.wechat.extra_ca_pem.clone(), ..Default::default() };
        let transport = Transport::new(&options)?;
        let seal = Arc::new(Seal::new(&config.master_key, Arc::clone(&entropy)));
        let mini_program = MiniProgramClient::new(transport.clone(), config.wechat.mini_program.clone());
        let store = SharedTokens::new(database.clone(), Arc::clone(&seal));
        let access_tokens = AccessTokenKeeper::new(mini_program.clone(), Arc::new(store), Arc::clone(&clock));
        let pay_v2 = PayV2Client::new(transport.clone(), config.wechat.pay.clone());
        let webhooks = webhook::Sender::new(&config.webhook).map_err(TransportError::Options)?;
        let limits = http::Limits::new(&config.limits);
        Ok(Arc::new(Self {
            webhooks,
            webhook_wake: Notify::new(),
            certified_v2: certified_v2(&config, &pay_v2)?,
            pay_v2,
            pay_v3: PayV3Client::new(transport, config.wechat.pay.clone(), Arc::clone(&clock)),
            merchants_v3: config.merchants.iter().filter_map(merchant_v3).collect(),
            mini_program,
            access_tokens,
            seal,
            config,
            database,
            entropy,
            clock,
            job_wake: Notify::new(),
            event_wake: Notify::new(),
            event_streams: Arc::new(Semaphore::new(event::STREAMS_MAX)),
            limits,
            running: Running::default(),
            flights: Flights::default(),
            draining: AtomicBool::new(false),
            explained_s: AtomicI64::new(i64::MIN),
        }))
    }

    /// The keys of a merchant for API v3, if they are configured.
    pub fn merchant_v3(&self, mchid: &MchId) -> Option<&MerchantV3> {
        self.merchants_v3.get(mchid)
    }

    /// API v2 with the certificate of a merchant, if it is configured.
    pub fn certified_v2(&self, mchid: &MchId) -> Option<&PayV2Client> {
        self.certified_v2.get(mchid)
    }

    /// All merchants with keys for API v3.
    pub fn merchants_v3(&self) -> impl Iterator<Item = (&MchId, &MerchantV3)> {
        self.merchants_v3.iter()
    }

    /// The app that a caller names, or the only one if none is named.
    ///
    /// # Errors
    /// There is no such app.
    pub fn asked_app(&self, appid: Option<&str>) -> Result<&config::App, Problem> {
        self.config.app(appid).ok_or_else(|| {
            let detail = "Send the appid of one of this server's apps; with several apps it is needed.";
            Problem::new(Code::AppUnknown, detail)
        })
    }

    /// With what the access token of an app is fetched, if the app is configured.
    pub fn app_credential(&self, appid: &AppId) -> Option<AppCredential> {
        let app = self.config.app(Some(appid.as_str()))?;
        Some(AppCredential { appid: app.appid.clone(), secret: app.secret.clone() })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A fresh nonce for a message to WeChat.
    pub fn nonce_str(&self) -> weixin::NonceStr {
        weixin::NonceStr::from_random(random(&self.entropy))
    }

    /// Waits until nobody else of this node works on the same thing.
    pub async fn alone_with(&self, subject: &str) -> tokio::sync::OwnedMutexGuard<()> {
        self.flights.enter(subject).await
    }

    /// Whether a message that was not believed may be explained in the log: strangers send them, so one in a second is.
    pub fn may_explain(&self) -> bool {
        let now_s = self.now().as_second();
        self.explained_s.swap(now_s, Ordering::Relaxed) != now_s
    }

    /// From now on the server says that it is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is shutting down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

fn certified_v2(config: &Config, pay_v2: &PayV2Client) -> Result<HashMap<MchId, PayV2Client>, TransportError> {
    let certified = |merchant: &Merchant| {
        let certificate = merchant.certificate.as_ref()?;
        let client = pay_v2.with_certificate(certificate, config.wechat.pay_certified.clone());
        Some(client.map(|client| (merchant.mchid.clone(), client)))
    };
    config.merchants.iter().filter_map(certified).collect()
}

fn merchant_v3(merchant: &Merchant) -> Option<(MchId, MerchantV3)> {
    let v3 = merchant.v3.as_ref()?;
    let keys = MerchantV3 {
        credential: Arc::clone(&v3.credential),
        api_v3_key: v3.api_v3_key.clone(),
        trust: Arc::new(TrustStore::new(v3.public_key.clone())),
    };
    Some((merchant.mchid.clone(), keys))
}

/// One lock for each thing that is being worked on; unused locks go away.
#[derive(Default)]
struct Flights(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Flights {
    async fn enter(&self, subject: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            // A panic while holding this lock leaves the map as it was.
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, lock| lock.strong_count() > 0);
            let lock = flights.get(subject).and_then(Weak::upgrade).unwrap_or_default();
            flights.insert(subject.to_owned(), Arc::downgrade(&lock));
            lock
        };
        lock.lock_owned().await
    }
}
