//! The book of refunds, one for both versions: what is accepted, how it ends, who is told.
//!
//! The endpoints of API v2 are in `refund_v2.rs`, those of API v3 in `v3/refund.rs`; each has its own words for the
//! refusals of this file.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941262> and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791903>.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use weixin::{
    Fen, MchId, NotifyUrl, OutRefundNo, OutTradeNo, TransactionId,
    pay::{self, RefundState},
};

use super::{
    Api, Order, OrderState, Subject,
    notify::{Notification, after},
};
use crate::{fault::ending_of_refund, options::Strictness, world::World};

/// How many refunds an order can have.
const REFUNDS_MAX: usize = 50;

/// How long after the payment a refund can be made.
const REFUND_WITHIN: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long two refunds of one order must be apart, if [`Strictness::minute_between_refunds`] says so.
const BETWEEN_REFUNDS: SignedDuration = SignedDuration::from_secs(60);

/// A refund at WeChat Pay.
#[derive(Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) mchid: MchId,
    /// The key of the order.
    pub(crate) order: String,
    pub(crate) out_trade_no: OutTradeNo,
    pub(crate) transaction_id: TransactionId,
    pub(crate) out_refund_no: OutRefundNo,
    pub(crate) refund_id: String,
    pub(crate) refund: Fen,
    pub(crate) total: Fen,
    pub(crate) created_at: Timestamp,
    /// When it ends.
    pub(crate) arrives_at: Timestamp,
    /// How it ends then.
    #[serde(default)]
    pub(crate) ending: RefundEnding,
    /// Who asked for it.
    #[serde(default)]
    pub(crate) source: RefundSource,
    /// In which form the merchant is told.
    #[serde(default = "v3")]
    pub(crate) told_in: Api,
    /// The parameters that must be the same when the refund is sent again.
    parameters: BTreeMap<String, String>,
    /// Without an address nobody is told.
    pub(crate) notification: Option<Notification>,
}

const fn v3() -> Api {
    Api::V3
}

/// How a refund ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundEnding {
    /// The money arrives.
    #[default]
    Success,
    /// The account of the customer does not take it: somebody has to act.
    Abnormal,
    /// It is closed; the money stays with the merchant.
    Closed,
}

impl RefundEnding {
    fn state(self) -> RefundState {
        match self {
            Self::Success => RefundState::Success,
            Self::Abnormal => RefundState::Abnormal,
            Self::Closed => RefundState::Closed,
        }
    }
}

/// Who asked for a refund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundSource {
    /// A program, by API v2.
    ApiV2,
    /// A program, by API v3.
    #[default]
    ApiV3,
    /// Somebody at the merchant platform, by hand.
    Platform,
}

/// What a refund is asked for with, after its fields were checked.
pub(super) struct Application {
    pub(super) mchid: MchId,
    /// The key of the order.
    pub(super) order: String,
    pub(super) out_refund_no: OutRefundNo,
    pub(super) refund: Fen,
    pub(super) total: Fen,
    pub(super) notify_url: Option<NotifyUrl>,
    pub(super) source: RefundSource,
    pub(super) parameters: BTreeMap<String, String>,
}

/// Why a refund is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoOrder,
    NotPaid,
    /// The number was used with other parameters, or the order has another amount.
    OtherAmounts,
    TooOld,
    TooMany,
    /// Nothing is left.
    AllRefunded,
    /// Less is left.
    TooMuch,
    TooSoon,
    /// The merchant's balance is too low.
    NotEnough,
    /// The number of the order cannot be told in API v3; only orders of older rules of API v2 have such.
    OldNumber,
}

impl Refund {
    pub(super) fn key(mchid: &MchId, out_refund_no: &str) -> String {
        format!("{mchid}/{out_refund_no}")
    }

    /// How far it is.
    pub(crate) fn state(&self, now: Timestamp) -> RefundState {
        if now >= self.arrives_at { self.ending.state() } else { RefundState::Processing }
    }

    /// The refund in the words that all versions share.
    pub(crate) fn describe(&self, now: Timestamp) -> pay::Refund {
        let state = self.state(now);
        pay::Refund {
            out_trade_no: self.out_trade_no.clone(),
            transaction_id: self.transaction_id.clone(),
            out_refund_no: self.out_refund_no.clone(),
            refund_id: self.refund_id.clone(),
            success_time: (state == RefundState::Success).then_some(self.arrives_at),
            user_received_account: (state == RefundState::Success).then(|| "支付用户零钱".to_owned()),
            state,
            refund: self.refund,
            total: self.total,
        }
    }

    fn is_repeated_by(&self, again: &Application) -> bool {
        let same = self.order == again.order && self.refund == again.refund && self.total == again.total;
        // Each version has names of its own for the rest.
        same && (self.source != again.source || self.parameters == again.parameters)
    }
}

impl World {
    /// Accepts a refund, or finds the one that was accepted before, and gives its key.
    pub(super) fn apply_for_refund(
        &mut self,
        strictness: &Strictness,
        now: Timestamp,
        application: Application,
    ) -> Result<String, Refused> {
        let order = self.order(&application.order, now).filter(|order| order.mchid == application.mchid);
        let order = order.ok_or(Refused::NoOrder)?;
        let OrderState::Paid { transaction_id, paid_at, .. } = &order.state else { return Err(Refused::NotPaid) };
        let (transaction_id, paid_at, total) = (transaction_id.clone(), *paid_at, order.total);
        let (numbers, out_trade_no) = (order.refunds.clone(), OutTradeNo::parse(order.out_trade_no.as_str()));
        let key = Refund::key(&application.mchid, application.out_refund_no.as_str());
        if let Some(known) = self.refunds.get(&key) {
            return if known.is_repeated_by(&application) { Ok(key) } else { Err(Refused::OtherAmounts) };
        }
        if application.total != total {
            return Err(Refused::OtherAmounts);
        }
        if now.duration_since(paid_at) > REFUND_WITHIN {
            return Err(Refused::TooOld);
        }
        if numbers.len() >= REFUNDS_MAX {
            return Err(Refused::TooMany);
        }
        let earlier: Vec<_> = numbers.iter().filter_map(|key| self.refunds.get(key)).collect();
        let latest = earlier.iter().map(|refund| refund.created_at).max();
        if strictness.minute_between_refunds && latest.is_some_and(|at| now.duration_since(at) < BETWEEN_REFUNDS) {
            return Err(Refused::TooSoon);
        }
        let not_closed = earlier.iter().filter(|refund| refund.state(now) != RefundState::Closed);
        let gone: i64 = not_closed.map(|refund| refund.refund.get()).sum();
        if gone >= total.get() {
            return Err(Refused::AllRefunded);
        }
        if application.refund.get() > total.get() - gone {
            return Err(Refused::TooMuch);
        }
        let out_trade_no = out_trade_no.map_err(|_| Refused::OldNumber)?;
        self.spend(&application.mchid, application.refund)?;
        if self.switches.refund_ending == RefundEnding::Closed {
            // The money will not leave.
            self.earn(&application.mchid, application.refund);
        }
        self.accept(now, key.clone(), application, (out_trade_no, transaction_id));
        Ok(key)
    }

    fn accept(
        &mut self,
        now: Timestamp,
        key: String,
        application: Application,
        (out_trade_no, transaction_id): (OutTradeNo, TransactionId),
    ) {
        let (magic_ending, magic_s) = ending_of_refund(self, application.refund);
        let arrives_at = after(now, magic_s.unwrap_or(self.switches.refund_after_s));
        let (url, told_in) = self.refund_address(&application);
        let refund = Refund {
            out_trade_no,
            transaction_id,
            refund_id: self.seed().refund_id(&key, now),
            created_at: now,
            arrives_at,
            ending: magic_ending.unwrap_or(self.switches.refund_ending),
            told_in,
            notification: url.map(|url| Notification::new(url, arrives_at)),
            mchid: application.mchid,
            order: application.order.clone(),
            out_refund_no: application.out_refund_no,
            refund: application.refund,
            total: application.total,
            source: application.source,
            parameters: application.parameters,
        };
        self.tell_of_refund(&key, &refund);
        self.refunds.insert(key.clone(), refund);
        if let Some(order) = self.orders.get_mut(&application.order) {
            order.refunds.push(key);
        }
    }

    fn tell_of_refund(&mut self, key: &str, refund: &Refund) {
        if let Some(due_at) = refund.notification.as_ref().and_then(Notification::due_at) {
            self.due.insert((due_at, Subject::Refund(key.to_owned())));
        }
    }

    /// The address of the request; else the one that is set in the merchant platform, which is told in API v2.
    fn refund_address(&self, application: &Application) -> (Option<String>, Api) {
        match (&application.notify_url, application.source) {
            (Some(url), RefundSource::ApiV3) => (Some(url.to_string()), Api::V3),
            (Some(url), _) => (Some(url.to_string()), Api::V2),
            (None, _) => (self.refund_addresses.get(application.mchid.as_str()).cloned(), Api::V2),
        }
    }

    /// Takes money from the merchant's balance, if it is limited.
    fn spend(&mut self, mchid: &MchId, amount: Fen) -> Result<(), Refused> {
        match self.balances.get_mut(mchid.as_str()) {
            Some(balance) if *balance < amount => Err(Refused::NotEnough),
            Some(balance) => {
                *balance = Fen::new(balance.get() - amount.get());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Puts money into the merchant's balance, if it is limited.
    pub(super) fn earn(&mut self, mchid: &MchId, amount: Fen) {
        if let Some(balance) = self.balances.get_mut(mchid.as_str()) {
            *balance = Fen::new(balance.get().saturating_add(amount.get()));
        }
    }

    /// Ends a refund now, as somebody at the merchant platform or a bank does.
    pub(crate) fn end_refund(
        &mut self,
        now: Timestamp,
        mchid: &MchId,
        out_refund_no: &str,
        ending: RefundEnding,
    ) -> Result<(), RefundError> {
        let key = Refund::key(mchid, out_refund_no);
        let mut refund = self.refunds.remove(&key).ok_or(RefundError::Unknown)?;
        let state = refund.state(now);
        let open = matches!(state, RefundState::Processing | RefundState::Abnormal);
        if open && state != ending.state() {
            self.due.retain(|(_, subject)| *subject != Subject::Refund(key.clone()));
            (refund.ending, refund.arrives_at) = (ending, now);
            if let Some(notification) = &mut refund.notification {
                notification.begin_again(now);
            }
            self.tell_of_refund(&key, &refund);
            if ending == RefundEnding::Closed {
                self.earn(mchid, refund.refund);
            }
        }
        self.refunds.insert(key, refund);
        if open { Ok(()) } else { Err(RefundError::Ended(state)) }
    }

    /// Refunds an order by hand at the merchant platform, and gives the number that the platform made.
    pub(crate) fn refund_at_platform(
        &mut self,
        strictness: &Strictness,
        now: Timestamp,
        mchid: &MchId,
        out_trade_no: &str,
        refund: Fen,
    ) -> Result<OutRefundNo, RefundError> {
        let order = Order::key(mchid, out_trade_no);
        let known = self.orders.get(&order).ok_or(RefundError::Refused(Refused::NoOrder.reason()))?;
        let (total, count) = (known.total, known.refunds.len());
        let application = Application {
            mchid: mchid.clone(),
            out_refund_no: self.seed().platform_refund_no(&order, count as u64, now),
            order,
            refund,
            total,
            notify_url: None,
            source: RefundSource::Platform,
            parameters: BTreeMap::new(),
        };
        if refund.get() < 1 {
            return Err(RefundError::Refused("the amount must be at least 1 fen"));
        }
        let number = application.out_refund_no.clone();
        let accepted = self.apply_for_refund(strictness, now, application);
        accepted.map(|_| number).map_err(|refused| RefundError::Refused(refused.reason()))
    }
}

impl Refused {
    /// For the person at the merchant platform.
    const fn reason(self) -> &'static str {
        match self {
            Self::NoOrder => "there is no such order",
            Self::NotPaid => "the order is not paid",
            Self::OtherAmounts => "the amounts differ",
            Self::TooOld => "the payment is older than a year",
            Self::TooMany => "the order has fifty refunds",
            Self::AllRefunded => "the order is refunded already",
            Self::TooMuch => "less than that is left to refund",
            Self::TooSoon => "the last refund of the order is less than a minute old",
            Self::NotEnough => "the balance is too low",
            Self::OldNumber => "the number of the order has an old form",
        }
    }
}

/// Why nothing was done to a refund.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundError {
    /// The number is not known.
    #[error("there is no such refund")]
    Unknown,
    /// It has ended, and that is final.
    #[error("the refund has ended: {0}")]
    Ended(RefundState),
    /// A rule forbids it.
    #[error("{0}")]
    Refused(&'static str),
}
