//! Money that comes where none should: WeChat closes an order by itself, and a customer pays one that is closed, because
//! another phone still had the payment sheet open. Real servers have met both; a server must lose nothing and keep nothing
//! twice.

use weixin::MchId;

use crate::{Shared, Simulator, pay::Order};

impl Simulator {
    /// WeChat closes an unpaid order by itself, as it does after days, or as somebody does on the merchant platform. The
    /// server is not told.
    ///
    /// # Errors
    /// There is no such order, or it is paid.
    pub fn close_order(&self, mchid: &MchId, out_trade_no: &str) -> Result<(), LateMoneyError> {
        self.shared.close_order(mchid, out_trade_no)
    }

    /// The customer pays on another phone that had the sheet open, even if the order is closed or its time is over.
    /// WeChat notifies as always.
    ///
    /// # Errors
    /// There is no such order, or it is paid.
    pub fn pay_order(&self, mchid: &MchId, out_trade_no: &str) -> Result<(), LateMoneyError> {
        self.shared.pay_order(mchid, out_trade_no)
    }
}

/// Why nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LateMoneyError {
    /// The number is not known.
    #[error("there is no such order")]
    Unknown,
    /// The order is paid.
    #[error("the order is paid")]
    Paid,
}

impl Shared {
    pub(crate) fn close_order(&self, mchid: &MchId, out_trade_no: &str) -> Result<(), LateMoneyError> {
        let key = Order::key(mchid, out_trade_no);
        let mut world = self.world();
        let order = world.orders.get_mut(&key).ok_or(LateMoneyError::Unknown)?;
        let closed = order.close_by_itself();
        drop(world);
        self.changed();
        if closed { Ok(()) } else { Err(LateMoneyError::Paid) }
    }

    pub(crate) fn pay_order(&self, mchid: &MchId, out_trade_no: &str) -> Result<(), LateMoneyError> {
        let key = Order::key(mchid, out_trade_no);
        let mut world = self.world();
        let now = self.time(&world);
        let order = world.orders.get(&key).ok_or(LateMoneyError::Unknown)?;
        if order.is_paid() {
            return Err(LateMoneyError::Paid);
        }
        world.pay_whatever_its_state(now, key);
        drop(world);
        self.changed();
        self.work.notify_one();
        Ok(())
    }
}
