//! The outside truth: what really happened at WeChat, against which a server is judged.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use weixin::{
    AppId, Fen, MchId, OpenId, OutRefundNo, OutTradeNo, TransactionId,
    pay::{RefundState, TradeState},
};

use crate::{
    pay::{Api, Attempt, NotificationState, OrderState, Refund, RefundSource},
    world::World,
};

/// All payments and refunds, in the order of merchant and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Simulated time of the look into the books.
    pub at: Timestamp,
    /// Every order that WeChat accepted.
    pub payments: Vec<Payment>,
    /// Every refund that WeChat accepted.
    pub refunds: Vec<RefundEntry>,
}

impl Ledger {
    /// The payment of that number, if WeChat knows it. Numbers are unique for a merchant; the first one is given.
    pub fn payment(&self, out_trade_no: &str) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.out_trade_no == out_trade_no)
    }

    /// The refund of that number, if WeChat knows it. Numbers are unique for a merchant; the first one is given.
    pub fn refund(&self, out_refund_no: &str) -> Option<&RefundEntry> {
        self.refunds.iter().find(|refund| refund.out_refund_no.as_str() == out_refund_no)
    }

    /// What has gone back of a payment, in fen: its refunds that succeeded.
    pub fn refunded_fen(&self, out_trade_no: &str) -> Fen {
        let refunds = self.refunds.iter().filter(|refund| refund.out_trade_no.as_str() == out_trade_no);
        Fen::new(refunds.filter(|it| it.state == RefundState::Success).map(|refund| refund.refund_fen.get()).sum())
    }

    /// What customers have paid.
    pub fn paid(&self) -> impl Iterator<Item = &Payment> {
        self.payments.iter().filter(|payment| payment.trade_state.is_paid())
    }
}

/// One refund as WeChat has it in its books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefundEntry {
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The merchant's number of the refund.
    pub out_refund_no: OutRefundNo,
    /// WeChat's number of the refund.
    pub refund_id: String,
    /// What goes back, in fen.
    pub refund_fen: Fen,
    /// How far it is.
    #[serde(serialize_with = "refund_word")]
    pub state: RefundState,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ends: the money arrives, unless it was closed or is abnormal.
    pub arrives_at: Timestamp,
    /// Who asked for it.
    pub source: RefundSource,
    /// How far telling the merchant is, if the request named an address.
    pub notification: Option<NotificationState>,
    /// Every attempt to tell the merchant.
    pub attempts: Vec<Attempt>,
}

/// One payment as WeChat has it in its books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// Which version of the interface made it.
    pub api: Api,
    /// The app.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's number.
    pub out_trade_no: String,
    /// Who may pay.
    pub openid: OpenId,
    /// The amount in fen.
    pub total_fen: Fen,
    /// How far it is.
    #[serde(serialize_with = "word")]
    pub trade_state: TradeState,
    /// WeChat's number, if it is paid.
    pub transaction_id: Option<TransactionId>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When the order was made.
    pub created_at: Timestamp,
    /// The last moment to pay.
    pub time_expire: Option<Timestamp>,
    /// All that were given out, the latest last.
    pub prepay_ids: Vec<String>,
    /// How far telling the merchant is, if it is paid.
    pub notification: Option<NotificationState>,
    /// Every attempt to tell the merchant.
    pub attempts: Vec<Attempt>,
}

fn word<S: Serializer>(state: &TradeState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn refund_word<S: Serializer>(state: &RefundState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

impl World {
    /// Looks into the books.
    pub(crate) fn ledger(&mut self, now: Timestamp) -> Ledger {
        let keys: Vec<_> = self.orders.keys().cloned().collect();
        let payments = keys.iter().filter_map(|key| self.payment(key, now)).collect();
        let refunds = self.refunds.values().map(|refund| refund.entry(now)).collect();
        Ledger { at: now, payments, refunds }
    }

    fn payment(&mut self, key: &str, now: Timestamp) -> Option<Payment> {
        let order = self.order(key, now)?;
        let (transaction_id, paid_at) = match &order.state {
            OrderState::Paid { transaction_id, paid_at, .. } => (Some(transaction_id.clone()), Some(*paid_at)),
            OrderState::NotPay | OrderState::Closed => (None, None),
        };
        Some(Payment {
            api: order.api,
            appid: order.appid.clone(),
            mchid: order.mchid.clone(),
            out_trade_no: order.out_trade_no.clone(),
            openid: order.openid.clone(),
            total_fen: order.total,
            trade_state: order.trade_state(),
            transaction_id,
            paid_at,
            created_at: order.created_at,
            time_expire: order.time_expire,
            prepay_ids: order.prepay_ids.clone(),
            notification: order.notification.as_ref().map(|notification| notification.state.clone()),
            attempts: order.notification.as_ref().map(|notification| notification.attempts.clone()).unwrap_or_default(),
        })
    }
}

impl Refund {
    fn entry(&self, now: Timestamp) -> RefundEntry {
        RefundEntry {
            mchid: self.mchid.clone(),
            out_trade_no: self.out_trade_no.clone(),
            transaction_id: self.transaction_id.clone(),
            out_refund_no: self.out_refund_no.clone(),
            refund_id: self.refund_id.clone(),
            refund_fen: self.refund,
            state: self.state(now),
            created_at: self.created_at,
            arrives_at: self.arrives_at,
            source: self.source,
            notification: self.notification.as_ref().map(|notification| notification.state.clone()),
            attempts: self.notification.as_ref().map(|notification| notification.attempts.clone()).unwrap_or_default(),
        }
    }
}
