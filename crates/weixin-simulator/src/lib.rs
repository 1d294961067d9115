//! Plays WeChat on this machine: log-in, access tokens, payments (API v2 and v3) and customer service of mini programs,
//! strictly, with a clock that can be moved, faults that can be ordered, and a phone.
//!
//! WeChat has no test environment for this. This is one: the same checks in the same order,
//! the same codes and texts, its own ledger as the outside truth. It listens on loopback only and calls nobody beyond
//! loopback. It knows nothing of the server that is tried against it.
//!
//! * [`Simulator`]: the library handle. [`Phone`]: a customer.
//! * [`control`]: the same over HTTP, for other languages.
//! * `/phone`: the phone in a browser, see [`PhonePage`].
//! * [`run`]: the command line.
//! * [`PushSetup`], [`PushEvent`]: message push to the server of an app. [`Agents`]: the tool of WeChat's own agents.
//! * [`MerchantV3Setup`], [`KeyMode`], [`Rotation`]: the keys of API v3. All that come with the crate are fake: the
//!   constants `DEMO_…`, and as files in `fixtures/` or by `--write-keys`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use weixin_simulator::{Options, Simulator};
//! let sim = Simulator::start(Options::demo()).await?;
//! let phone = sim.phone(&sim.demo_appid(), "li")?;
//! let js_code = phone.login();
//! # Ok(()) }
//! ```

mod answer;
mod browser;
mod cli;
mod clock;
pub mod control;
mod customer_service;
mod fault;
mod late_money;
mod ledger;
mod login;
mod merchant;
mod mini_program;
mod options;
mod pay;
mod phone;
mod platform;
mod push;
mod random;
mod refunds;
mod scenario;
mod server;
mod shared;
mod state_file;
mod tls;
mod token;
mod trouble;
mod wire;
mod world;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weixin::{AppId, MchId, OpenId};

pub use browser::PhonePage;
pub use cli::{KeyFileError, RunError, SimArgs, run};
pub use clock::{Clock, ClockOutOfRange, system_clock};
pub use customer_service::{
    AgentError, AgentLine, Agents, Allowance, ChatLine, CustomerMessage, ENTERING_ALLOWS, FAILURE_LINE, Grant,
    Handover, MESSAGE_ALLOWS, SESSION_LAPSES_AFTER_S, Said, Sent, Session, Speaker, Waiting, Way,
};
pub use fault::{
    Fault, FaultKind, HEADER as FAULT_HEADER, MAGIC_AMOUNTS, MagicAmount, MagicMoment, NOTIFICATION, PUSH,
};
pub use late_money::LateMoneyError;
pub use ledger::{ConversationEntry, Ledger, Payment, RefundEntry};
pub use login::{LOGINS_PER_MINUTE_MAX, SESSION_KEY_STAYS_S, UnknownApp};
pub use merchant::{MerchantCertificate, Standing};
pub use mini_program::{
    agent_list::AgentSetup,
    content_check::{ContentWords, MEDIA_CHECK_AFTER_S, VISIT_WITHIN_S},
    phone_number::PhoneNumber,
    subscribe::{Consent, Notice, TemplateKind, TemplateSetup, UnknownTemplate},
};
pub use options::{
    AppSetup, DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_ENCODING_AES_KEY, DEMO_KF_ACCOUNT,
    DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_P12, DEMO_MERCHANT_SERIAL,
    DEMO_ORIGINAL_ID, DEMO_PAID_TEMPLATE_ID, DEMO_PUBLIC_KEY_ID, DEMO_PUSH_TOKEN, DEMO_SHIPPED_TEMPLATE_ID,
    DEMO_TLS_AUTHORITY_PEM, Delivery, MerchantSetup, MerchantV3Setup, Options, Setup, Strictness,
};
pub use pay::{
    Api, Attempt, Choice, ForgeError, Forger, NotificationState, PaymentSheet, PhoneError, RefundEnding, RefundError,
    RefundSource, UNPAID_CLOSED_AFTER_S,
};
pub use phone::Phone;
pub use platform::{
    DEMO_PLATFORM_CERTIFICATE_2_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_PEM, KeyMode, Rotation,
};
pub use push::{
    PUSH_COPIES_MAX, PUSH_REPEAT_AFTER_S, PUSH_REPEATS, PUSH_TIMEOUT_S, PushAttempt, PushEntry, PushEvent, PushRefusal,
    PushSetup, PushSetupError, PushSetupFile, PushState, ShippedOrder, Verdict,
};
pub use state_file::StateError;
pub use token::{CLASSIC_PER_DAY_MAX, FORCED_PAUSE_S, FORCED_PER_DAY_MAX};
pub use wire::{Direction, EXCHANGES_KEPT, Exchange};

use scenario::Director;
pub use scenario::{Scenario, ScenarioError, ScenarioFileError, ScenarioReport, StepReport};
pub(crate) use shared::Shared;
use world::World;

/// A running WeChat. It stops when it is dropped; [`Simulator::shutdown`] also waits and writes the state file.
pub struct Simulator {
    shared: Arc<Shared>,
}

impl Simulator {
    /// Starts to listen. Only a loopback address is taken: the simulator has no authentication.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if let Some(outside) = options.all_addresses().find(|address| !address.ip().is_loopback()) {
            return Err(StartError::NotLoopback(outside));
        }
        let mut world = match &options.state_file {
            Some(path) => state_file::load(path)?.unwrap_or_else(|| World::new(options.seed)),
            None => World::new(options.seed),
        };
        world.set_up(&options.world);
        world.switches.magic_amounts = options.magic_amounts;
        if let Some(scenario) = options.scenario {
            if let Some(start) = scenario.start {
                let base = (options.clock)();
                world.move_clock(base, start.duration_since(world.time(base)))?;
            }
            world.director = Some(Director::new(scenario, world.time((options.clock)())));
        }
        let (listener, address) = bind(options.listen).await?;
        let (tls_listener, tls_address) = match options.listen_tls {
            Some(address) => Some(bind(address).await?).unzip(),
            None => (None, None),
        };
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            clock: options.clock,
            address,
            tls_address,
            strictness: options.strictness,
            delivery: options.delivery,
            wire: wire::WireLog::default(),
            mailer: pay::Mailer::new().map_err(StartError::Mailer)?,
            work: Notify::new(),
            push_work: Notify::new(),
            dirty: Notify::new(),
            state_file: options.state_file,
            phone_page: options.phone_page,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        shared.play_scenario(&mut shared.world());
        if let Some(listener) = tls_listener {
            let acceptor = tls::acceptor().map_err(StartError::Tls)?;
            shared.tasks.spawn(server::listen(Arc::clone(&shared), listener, Some(acceptor)));
        }
        shared.tasks.spawn(server::listen(Arc::clone(&shared), listener, None));
        if shared.delivery == Delivery::Automatic {
            shared.tasks.spawn(pay::run_automatically(Arc::clone(&shared)));
            shared.tasks.spawn(push::run_automatically(Arc::clone(&shared)));
        }
        if let Some(path) = shared.state_file.clone() {
            shared.tasks.spawn(state_file::keep(Arc::clone(&shared), path));
        }
        Ok(Self { shared })
    }

    /// Where it listens, for both API hosts: `http://127.0.0.1:…`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.shared.base_url()
    }

    /// Where the phone in the browser is.
    pub fn phone_url(&self) -> String {
        format!("{}{}/", self.base_url(), browser::PATH)
    }

    /// The app of the demonstration, for those who use [`Options::demo`] or [`Options::for_tests`].
    pub fn demo_appid(&self) -> AppId {
        AppSetup::demo().appid
    }

    /// A customer of an app. The same name is the same person with the same `openid`.
    pub fn phone(&self, appid: &AppId, customer: &str) -> Result<Phone, UnknownApp> {
        Phone::new(&self.shared, appid, customer)
    }

    /// A customer of an app with a given `openid`, for messages that were recorded elsewhere.
    pub fn phone_with_openid(&self, appid: &AppId, customer: &str, openid: OpenId) -> Result<Phone, UnknownApp> {
        let mut world = self.shared.world();
        let key = world.customer(appid, customer)?;
        world.set_openid(&key, openid);
        drop(world);
        self.phone(appid, customer)
    }

    /// Adds an app, or replaces its settings.
    pub fn add_app(&self, app: &AppSetup) {
        self.shared.world().set_up_app(app);
        self.shared.changed();
    }

    /// Adds a merchant of API v2, or replaces its settings: a new key, for example.
    pub fn add_merchant(&self, merchant: &MerchantSetup) {
        self.shared.world().set_up_merchant(merchant);
        self.shared.changed();
    }

    /// Adds a merchant of API v3, or replaces its settings: a new or revoked certificate, for example.
    pub fn add_merchant_v3(&self, merchant: &MerchantV3Setup) {
        self.shared.world().set_up_merchant_v3(merchant);
        self.shared.changed();
    }

    /// Changes which keys WeChat Pay uses with a merchant.
    ///
    /// # Errors
    /// The merchant does not have API v3.
    pub fn set_key_mode(&self, mchid: &MchId, key_mode: KeyMode) -> Result<(), UnknownMerchant> {
        self.shared.set_key_mode(mchid, key_mode)
    }

    /// Moves the change of the platform certificates to this step.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.shared.switch(|switches| switches.rotation = rotation);
    }

    /// How many of a thousand signed answers and first notifications of API v3 have the signature of a probe. Which
    /// ones, the seed decides. Zero at first.
    pub fn set_probe_per_mille(&self, probe_per_mille: u16) {
        self.shared.switch(|switches| switches.probe_per_mille = probe_per_mille);
    }

    /// The simulator's time: the base clock and the offset.
    pub fn now(&self) -> Timestamp {
        self.shared.time(&self.shared.world())
    }

    /// The simulator's time as a clock for others, so that a server beside it lives in the same time.
    pub fn clock(&self) -> Clock {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || shared.time(&shared.world()))
    }

    /// Moves the simulator's time on. With [`Delivery::OnDemand`] nothing is sent by that.
    ///
    /// # Errors
    /// It would leave the years 2000 to 2199.
    pub fn advance(&self, by: SignedDuration) -> Result<Timestamp, ClockOutOfRange> {
        self.shared.advance(by)
    }

    /// Sends every notification attempt and every push that is due now, all at once, waits for the replies and gives
    /// their number.
    pub async fn deliver_due(&self) -> usize {
        deliver_due(&self.shared).await
    }

    /// When the next notification attempt or push is due, if one is.
    pub fn next_due(&self) -> Option<Timestamp> {
        let world = self.shared.world();
        let notification = world.due.first().map(|(due_at, _)| *due_at);
        notification.into_iter().chain(world.outbox.next_due()).min()
    }

    /// Saves the setting of message push of an app. If it is switched on, the address is asked the question with
    /// `echostr` first.
    ///
    /// # Errors
    /// The address does not answer as WeChat wants. The earlier setting stays.
    pub async fn set_push(&self, appid: &AppId, setup: PushSetup) -> Result<(), PushSetupError> {
        push::set_push(&self.shared, appid, setup).await
    }

    /// The setting of message push of an app, if it was ever set.
    pub fn push_setup(&self, appid: &AppId) -> Option<PushSetup> {
        self.shared.world().apps.get(appid.as_str())?.push.clone()
    }

    /// Has an event pushed, and gives the number of the push.
    ///
    /// # Errors
    /// There is no such app, or its message push is off.
    pub fn push_event(&self, appid: &AppId, event: PushEvent) -> Result<u64, PushRefusal> {
        push::push_event(&self.shared, appid, event)
    }

    /// Sends copies of a push at the same moment, each signed afresh, whatever became of it: a duplicate, a burst, or,
    /// after [`Simulator::advance`], a late repeat.
    ///
    /// # Errors
    /// There was no such push, or message push of its app is off.
    pub async fn repeat_push(&self, number: u64, copies: usize) -> Result<Vec<PushAttempt>, PushRefusal> {
        push::repeat_push(&self.shared, number, copies).await
    }

    /// What content checks find from now on.
    pub fn set_content_words(&self, words: ContentWords) {
        self.shared.world().content_words = words;
        self.shared.changed();
    }

    /// The tool of WeChat's own agents of an app.
    ///
    /// # Errors
    /// There is no such app.
    pub fn agents(&self, appid: &AppId) -> Result<Agents, UnknownApp> {
        Agents::new(&self.shared, appid)
    }

    /// The outside truth.
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger()
    }

    /// Orders a fault.
    pub fn inject(&self, fault: Fault) {
        self.shared.world().faults.add(fault);
    }

    /// Forgets all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Faults that have not struck yet.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.world().faults.list().into_iter().cloned().collect()
    }

    /// How far the scenario is, if there is one.
    pub fn scenario(&self) -> Option<ScenarioReport> {
        self.shared.world().director.as_ref().map(Director::report)
    }

    /// What went over the wire: the last [`EXCHANGES_KEPT`] exchanges in both directions, without secrets.
    pub fn wire(&self) -> Vec<Exchange> {
        self.wire_since(0)
    }

    /// What went over the wire after the exchange of that number.
    pub fn wire_since(&self, sequence: u64) -> Vec<Exchange> {
        self.shared.wire.since(sequence)
    }

    /// Changes with every exchange, to its number.
    pub fn follow_wire(&self) -> watch::Receiver<u64> {
        self.shared.wire.follow()
    }

    /// Stops listening and sending, and writes the state file.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        // Requests and notifications that were under way may have changed something.
        if let Some(path) = &self.shared.state_file {
            state_file::save(&self.shared, path).await;
        }
    }
}

/// Sends everything that is due.
pub(crate) async fn deliver_due(shared: &Arc<Shared>) -> usize {
    let (notifications, pushes) = tokio::join!(pay::deliver_due(shared), push::deliver_due(shared));
    notifications + pushes
}

async fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(wanted),
        _ => failed(error),
    })?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// The merchant does not have API v3 in the simulator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no merchant {0} with API v3; add it to the set-up or with POST /_sim/merchants")]
pub struct UnknownMerchant(pub MchId);

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address would be reachable from outside.
    #[error(
        "{0} is not a loopback address; the simulator has no authentication and listens on 127.0.0.1 or [::1] only"
    )]
    NotLoopback(SocketAddr),
    /// Somebody else listens there.
    #[error(
        "{0} is in use by another program; stop it, or choose another port with --listen 127.0.0.1:PORT or --listen-tls 127.0.0.1:PORT (0 = any)"
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be listened at.
    #[error("the simulator cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The story begins at a time that the clock cannot show.
    #[error("the scenario cannot start at its time")]
    Clock(#[from] ClockOutOfRange),
    /// The TLS listener cannot be made.
    #[error("the TLS listener cannot be made")]
    Tls(#[source] rustls::Error),
    /// The HTTP client for notifications cannot be made.
    #[error("the HTTP client for notifications cannot be made")]
    Mailer(#[source] reqwest::Error),
}
