//! What befalls WeChat beside single faults: outages, a clock that jumps, forgers.

use jiff::{SignedDuration, Timestamp};
use weixin::MchId;

use crate::{Attempt, ClockOutOfRange, ForgeError, Forger, Shared, Simulator, pay};

impl Simulator {
    /// Until this simulated time nobody gets an answer, and every attempt to notify somebody is lost. Phones go on:
    /// what was ordered before can be paid. Nothing: it is over.
    pub fn set_outage_until(&self, until: Option<Timestamp>) {
        self.shared.switch(|switches| switches.outage_until = until);
    }

    /// The same, from now on for so long.
    pub fn set_outage_for(&self, duration: SignedDuration) {
        self.set_outage_until(Some(self.now().saturating_add(duration).unwrap_or(Timestamp::MAX)));
    }

    /// Whether the amounts of [`crate::MAGIC_AMOUNTS`] order faults.
    pub fn set_magic_amounts(&self, magic_amounts: bool) {
        self.shared.switch(|switches| switches.magic_amounts = magic_amounts);
    }

    /// Makes WeChat's clock jump to this time, ahead or back.
    ///
    /// # Errors
    /// The time is not of the years 2000 to 2199.
    pub fn jump_to(&self, time: Timestamp) -> Result<Timestamp, ClockOutOfRange> {
        self.shared.jump_to(time)
    }

    /// Posts the notification of a payment of this order that never was, and gives the reply. WeChat knows nothing of
    /// it: its books stay as they are.
    ///
    /// # Errors
    /// There is nothing to forge.
    pub async fn forge_notification(
        &self,
        mchid: &MchId,
        out_trade_no: &str,
        forger: Forger,
    ) -> Result<Attempt, ForgeError> {
        pay::forge_notification(&self.shared, mchid, out_trade_no, forger).await
    }
}

impl Shared {
    pub(crate) fn jump_to(&self, time: Timestamp) -> Result<Timestamp, ClockOutOfRange> {
        let now = self.time(&self.world());
        self.advance(time.duration_since(now))
    }
}
