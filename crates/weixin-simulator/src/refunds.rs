//! What a test does to a merchant's money beside the interfaces: balance, refunds by hand, how a refund ends.

use weixin::{Fen, MchId, NotifyUrl, OutRefundNo};

use crate::{RefundEnding, RefundError, Shared, Simulator};

impl Simulator {
    /// Where WeChat listens with TLS: `https://127.0.0.1:…`, without a slash at the end; nothing if it does not. Its
    /// certificate is signed by [`crate::DEMO_TLS_AUTHORITY_PEM`].
    pub fn tls_base_url(&self) -> Option<String> {
        self.shared.tls_base_url()
    }

    /// How many simulated seconds a refund takes that is made from now on. Three at first.
    pub fn set_refund_after_s(&self, refund_after_s: u32) {
        self.shared.switch(|switches| switches.refund_after_s = refund_after_s);
    }

    /// How a refund ends that is made from now on. [`RefundEnding::Success`] at first.
    pub fn set_refund_ending(&self, refund_ending: RefundEnding) {
        self.shared.switch(|switches| switches.refund_ending = refund_ending);
    }

    /// Ends a refund now: one that is under way, or one that is abnormal.
    ///
    /// # Errors
    /// The number is not known, or the refund has ended for good.
    pub fn end_refund(&self, mchid: &MchId, out_refund_no: &str, ending: RefundEnding) -> Result<(), RefundError> {
        self.shared.end_refund(mchid, out_refund_no, ending)
    }

    /// Refunds an order by hand at the merchant platform, and gives the number that the platform made. It is told in
    /// API v2 at the address that [`Simulator::set_refund_address`] set.
    ///
    /// # Errors
    /// The order cannot be refunded.
    pub fn refund_at_platform(
        &self,
        mchid: &MchId,
        out_trade_no: &str,
        refund: Fen,
    ) -> Result<OutRefundNo, RefundError> {
        self.shared.refund_at_platform(mchid, out_trade_no, refund)
    }

    /// Sets where the merchant platform was told to report refunds that name no address of their own.
    pub fn set_refund_address(&self, mchid: &MchId, address: Option<NotifyUrl>) {
        self.shared.set_refund_address(mchid, address);
    }

    /// Sets what the merchant has to refund from; payments add to it, refunds take from it. Nothing: no limit.
    pub fn set_balance(&self, mchid: &MchId, balance: Option<Fen>) {
        self.shared.set_balance(mchid, balance);
    }
}

impl Shared {
    pub(crate) fn end_refund(
        &self,
        mchid: &MchId,
        out_refund_no: &str,
        ending: RefundEnding,
    ) -> Result<(), RefundError> {
        let mut world = self.world();
        let now = self.time(&world);
        let ended = world.end_refund(now, mchid, out_refund_no, ending);
        drop(world);
        self.happened();
        ended
    }

    pub(crate) fn refund_at_platform(
        &self,
        mchid: &MchId,
        out_trade_no: &str,
        refund: Fen,
    ) -> Result<OutRefundNo, RefundError> {
        let mut world = self.world();
        let now = self.time(&world);
        let number = world.refund_at_platform(&self.strictness, now, mchid, out_trade_no, refund);
        drop(world);
        self.happened();
        number
    }

    pub(crate) fn set_refund_address(&self, mchid: &MchId, address: Option<NotifyUrl>) {
        let mut world = self.world();
        match address {
            Some(address) => drop(world.refund_addresses.insert(mchid.to_string(), address.to_string())),
            None => drop(world.refund_addresses.remove(mchid.as_str())),
        }
        drop(world);
        self.changed();
    }

    pub(crate) fn set_balance(&self, mchid: &MchId, balance: Option<Fen>) {
        let mut world = self.world();
        match balance {
            Some(balance) => drop(world.balances.insert(mchid.to_string(), balance)),
            None => drop(world.balances.remove(mchid.as_str())),
        }
        drop(world);
        self.changed();
    }

    /// The state has changed, and something may be due.
    fn happened(&self) {
        self.changed();
        self.work.notify_one();
    }
}
