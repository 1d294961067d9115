//! What all parts of a running simulator share, and what they do with it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weixin::MchId;

use crate::{
    Choice, Clock, ClockOutOfRange, Delivery, KeyMode, Ledger, PhoneError, PhonePage, Strictness, UnknownMerchant, pay,
    wire,
    world::{Switches, World},
};

/// What all parts of a running simulator share.
pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: Option<SocketAddr>,
    pub(crate) strictness: Strictness,
    pub(crate) delivery: Delivery,
    pub(crate) wire: wire::WireLog,
    pub(crate) mailer: pay::Mailer,
    /// Something may be due.
    pub(crate) work: Notify,
    /// A push may be due.
    pub(crate) push_work: Notify,
    /// The state file is behind.
    pub(crate) dirty: Notify,
    pub(crate) state_file: Option<PathBuf>,
    pub(crate) phone_page: PhonePage,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    /// The world, locked. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The simulator's time.
    pub(crate) fn time(&self, world: &World) -> Timestamp {
        world.time((self.clock)())
    }

    /// The state has changed and should be written soon.
    pub(crate) fn changed(&self) {
        self.dirty.notify_one();
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn tls_base_url(&self) -> Option<String> {
        self.tls_address.map(|address| format!("https://{address}"))
    }

    /// Moves the simulator's time on.
    pub(crate) fn advance(&self, by: SignedDuration) -> Result<Timestamp, ClockOutOfRange> {
        let mut world = self.world();
        world.move_clock((self.clock)(), by)?;
        self.play_scenario(&mut world);
        let now = self.time(&world);
        drop(world);
        self.changed();
        self.work.notify_one();
        self.push_work.notify_one();
        Ok(now)
    }

    pub(crate) fn request_payment(&self, customer: &str, parameters: &Value, choice: Choice) -> Result<(), PhoneError> {
        let mut world = self.world();
        let now = self.time(&world);
        let result = world.request_payment(now, customer, parameters, choice);
        drop(world);
        self.changed();
        self.work.notify_one();
        result
    }

    /// Changes which keys WeChat Pay uses with a merchant.
    pub(crate) fn set_key_mode(&self, mchid: &MchId, key_mode: KeyMode) -> Result<(), UnknownMerchant> {
        let mut world = self.world();
        let merchant = world.merchants_v3.get_mut(mchid.as_str()).ok_or_else(|| UnknownMerchant(mchid.clone()))?;
        merchant.key_mode = key_mode;
        drop(world);
        self.changed();
        Ok(())
    }

    /// Changes what can be changed of WeChat Pay itself.
    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.world().switches);
        self.changed();
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let mut world = self.world();
        let now = self.time(&world);
        world.ledger(now)
    }
}
