//! The outside truth: what really happened at WeChat, against which a server is judged.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use weixin::{
    AppId, Fen, MchId, OpenId, OutRefundNo, OutTradeNo, TransactionId,
    pay::{RefundState, TradeState},
};

use crate::{
    Allowance, ChatLine, CustomerMessage, Notice, PushEntry, Sent, Session,
    customer_service::AgentLine,
    pay::{Api, Attempt, NotificationState, OrderState, Refund, RefundSource},
    world::World,
};

/// All payments and refunds, in the order of merchant and number, and all conversations and pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Simulated time of the look into the books.
    pub at: Timestamp,
    /// Every order that WeChat accepted.
    pub payments: Vec<Payment>,
    /// Every refund that WeChat accepted.
    pub refunds: Vec<RefundEntry>,
    /// Every conversation of a customer with an app.
    pub conversations: Vec<ConversationEntry>,
    /// Every push: messages of customers and events.
    pub pushes: Vec<PushEntry>,
    /// Every subscribe message that a customer got.
    pub notices: Vec<Notice>,
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

    /// The conversation with the customer of that number, if there is one.
    pub fn conversation(&self, openid: &OpenId) -> Option<&ConversationEntry> {
        self.conversations.iter().find(|conversation| conversation.openid == *openid)
    }

    /// The push of the message of that number.
    pub fn push(&self, msg_id: &str) -> Option<&PushEntry> {
        self.pushes.iter().find(|push| push.msg_id.as_deref() == Some(msg_id))
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

/// The conversation of a customer with an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConversationEntry {
    /// The app.
    pub appid: AppId,
    /// The customer's name.
    pub customer: String,
    /// The customer.
    pub openid: OpenId,
    /// Who holds the session.
    pub session: Session,
    /// What may still be sent.
    pub allowance: Allowance,
    /// What the customer sent, in order.
    pub messages: Vec<CustomerMessage>,
    /// What WeChat's own agents see, in the order in which it reached them.
    pub forwarded: Vec<AgentLine>,
    /// What the app's server sent and WeChat accepted, in order.
    pub sent: Vec<Sent>,
    /// What the customer sees, in order.
    pub chat: Vec<ChatLine>,
}

impl ConversationEntry {
    /// How often the customer saw that the app's service has failed.
    pub fn failures(&self) -> usize {
        self.chat.iter().filter(|line| line.is_failure()).count()
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
        let conversations = self.conversations.iter().filter_map(|(key, conversation)| {
            let customer = self.customers.get(key)?;
            Some(ConversationEntry {
                appid: customer.appid.clone(),
                customer: customer.name.clone(),
                openid: customer.openid.clone(),
                session: conversation.session(now),
                allowance: conversation.allowance,
                messages: conversation.messages.clone(),
                forwarded: conversation.agents.clone(),
                sent: conversation.sent.clone(),
                chat: conversation.chat.clone(),
            })
        });
        let conversations = conversations.collect();
        Ledger {
            at: now,
            payments,
            refunds,
            conversations,
            pushes: self.outbox.entries(),
            notices: self.notices.clone(),
        }
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
