//! What a step can do.

use jiff::{SignedDuration, Timestamp};
use weixin::{AppId, Fen, MchId};

use crate::{
    Fault, Forger, RefundEnding, Shared,
    pay::{Order, Refund},
    world::{SwitchChange, World},
};

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Fault(Fault),
    ClearFaults,
    Pay(WhichOrder),
    Message { customer: String, text: String },
    AdvanceS(i64),
    JumpTo(Timestamp),
    OutageS(u32),
    EndOutage,
    Set(SwitchChange),
    Balance { mchid: Option<MchId>, balance: Option<Fen> },
    EndRefund { out_refund_no: Option<String>, ending: RefundEnding },
    RefundAtPlatform { order: WhichOrder, refund: Fen },
    Forge { order: WhichOrder, forger: Forger },
}

/// Which order is meant; the latest that fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WhichOrder {
    pub(crate) out_trade_no: Option<String>,
    pub(crate) customer: Option<String>,
}

impl Action {
    /// Does it. An error is a sentence for whoever reads the report.
    pub(super) fn perform(&self, shared: &Shared, world: &mut World) -> Result<(), String> {
        let now = shared.time(world);
        match self {
            Self::Fault(fault) => world.faults.add(fault.clone()),
            Self::ClearFaults => world.faults.clear(),
            Self::Pay(order) => {
                let key = order.find(world)?;
                return world.pay_without_parameters(now, &key).map_err(|error| error.to_string());
            }
            Self::Message { customer, text } => {
                let appid = first_app(world)?;
                let key = world.customer(&appid, customer).map_err(|error| error.to_string())?;
                world.is_active(&key, now);
                world.says_text(shared, now, &key, text);
            }
            Self::AdvanceS(seconds) => {
                let moved = world.move_clock((shared.clock)(), SignedDuration::from_secs(*seconds));
                return moved.map_err(|error| error.to_string());
            }
            Self::JumpTo(time) => {
                let moved = world.move_clock((shared.clock)(), time.duration_since(now));
                return moved.map_err(|error| error.to_string());
            }
            Self::OutageS(seconds) => {
                let until = now.saturating_add(SignedDuration::from_secs(i64::from(*seconds)));
                world.switches.outage_until = Some(until.unwrap_or(Timestamp::MAX));
            }
            Self::EndOutage => world.switches.outage_until = None,
            Self::Set(change) => world.switches.change(change),
            Self::Balance { mchid, balance } => set_balance(world, mchid.as_ref(), *balance),
            Self::EndRefund { out_refund_no, ending } => {
                let (mchid, number) = find_refund(world, out_refund_no.as_deref())?;
                return world.end_refund(now, &mchid, &number, *ending).map_err(|error| error.to_string());
            }
            Self::RefundAtPlatform { order, refund } => {
                let (mchid, number) = order.numbers(world)?;
                let made = world.refund_at_platform(&shared.strictness, now, &mchid, &number, *refund);
                return made.map(drop).map_err(|error| error.to_string());
            }
            Self::Forge { order, forger } => {
                let (mchid, number) = order.numbers(world)?;
                return world.post_forgery(now, &mchid, &number, *forger).map_err(|error| error.to_string());
            }
        }
        Ok(())
    }
}

impl WhichOrder {
    /// The key of the order.
    fn find(&self, world: &World) -> Result<String, String> {
        // Of orders of one instant the one with the greatest number, so that a story can be told again.
        let fitting = world.orders.iter().filter(|(_, order)| self.fits(world, order));
        let latest = fitting.max_by_key(|(key, order)| (order.created_at, *key));
        latest.map(|(key, _)| key.clone()).ok_or_else(|| "there is no such order".to_owned())
    }

    fn fits(&self, world: &World, order: &Order) -> bool {
        let customer = world.openids.get(order.openid.as_str()).and_then(|key| world.customers.get(key));
        self.out_trade_no.as_ref().is_none_or(|number| order.out_trade_no == *number)
            && self.customer.as_ref().is_none_or(|name| customer.is_some_and(|customer| customer.name == *name))
    }

    fn numbers(&self, world: &World) -> Result<(MchId, String), String> {
        let order = &world.orders[&self.find(world)?];
        Ok((order.mchid.clone(), order.out_trade_no.clone()))
    }
}

fn first_app(world: &World) -> Result<AppId, String> {
    let app = world.apps.values().next().ok_or_else(|| "there is no app".to_owned())?;
    Ok(app.appid.clone())
}

fn find_refund(world: &World, number: Option<&str>) -> Result<(MchId, String), String> {
    let fits = |refund: &&Refund| number.is_none_or(|number| refund.out_refund_no.as_str() == number);
    let refunds = world.refunds.values().filter(fits);
    let latest = refunds.max_by_key(|refund| (refund.created_at, refund.out_refund_no.clone()));
    let refund = latest.ok_or_else(|| "there is no such refund".to_owned())?;
    Ok((refund.mchid.clone(), refund.out_refund_no.to_string()))
}

/// Without a merchant, of all.
fn set_balance(world: &mut World, mchid: Option<&MchId>, balance: Option<Fen>) {
    let all = world.merchants.keys().chain(world.merchants_v3.keys()).cloned();
    let merchants: Vec<String> = mchid.map_or_else(|| all.collect(), |mchid| vec![mchid.to_string()]);
    for mchid in merchants {
        match balance {
            Some(balance) => drop(world.balances.insert(mchid, balance)),
            None => drop(world.balances.remove(&mchid)),
        }
    }
}
