//! The three endpoints: making an order, asking for it, closing it.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>, <https://pay.weixin.qq.com/doc/v2/merchant/4011941128>,
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941206>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use weixin::{beijing_time, pay::v2::ErrCode, xml::Fields};

use super::{
    Api, Order, OrderState, Prepay,
    checks::{Failure, Message, Success},
    fields,
};
use crate::{options::Strictness, world::World};

/// After how many seconds WeChat closes an unpaid order by itself: about seven days.
pub const UNPAID_CLOSED_AFTER_S: i64 = 7 * 24 * 60 * 60;

/// How old an order must be before it may be closed, in seconds.
const CLOSE_AFTER_S: i64 = 5 * 60;

/// What may differ when the same order is sent again.
const NOT_COMPARED: [&str; 4] = ["nonce_str", "sign", "sign_type", "spbill_create_ip"];

impl World {
    /// `POST /pay/unifiedorder`.
    pub(super) fn unified_order(
        &mut self,
        strictness: &Strictness,
        now: Timestamp,
        message: &Message,
    ) -> Result<Success, Failure> {
        let read = fields::read(strictness, now, &message.fields)?;
        let (appid, mchid) = (&message.envelope.appid, &message.envelope.mchid);
        let customer = self.openids.get(read.openid.as_str()).and_then(|key| self.customers.get(key));
        if customer.is_none_or(|customer| customer.appid != *appid) {
            return Err(Failure::communication("appid and openid not match"));
        }
        let key = Order::key(mchid, &read.out_trade_no);
        let parameters = compared(&message.fields);
        if let Some(order) = self.order(&key, now) {
            match order.state {
                OrderState::Paid { .. } => return Err(Failure::business(ErrCode::Orderpaid, "该订单已支付")),
                OrderState::Closed => return Err(Failure::business(ErrCode::Orderclosed, "该订单已关闭")),
                OrderState::NotPay if order.api != Api::V2 || order.parameters != parameters => {
                    return Err(Failure::business(ErrCode::InvalidRequest, "201 商户订单号重复"));
                }
                OrderState::NotPay => {}
            }
        }
        let order = self.orders.entry(key.clone()).or_insert_with(|| Order {
            appid: appid.clone(),
            mchid: mchid.clone(),
            out_trade_no: read.out_trade_no,
            openid: read.openid,
            total: read.total.fen(),
            time_expire: read.time_expire,
            created_at: now,
            parameters,
            state: OrderState::NotPay,
            prepay_ids: Vec::new(),
            notification: None,
            api: Api::V2,
            refunds: Vec::new(),
        });
        // A new one each time; the older ones of the order stay good for their two hours.
        let prepay_id = crate::random::Seed(self.seed).prepay_id(&key, order.prepay_ids.len() as u64, now);
        order.prepay_ids.push(prepay_id.to_string());
        let sign_type = message.fields.get("sign_type").map(str::to_owned);
        self.prepays.insert(prepay_id.to_string(), Prepay { order: key, made_at: now, sign_type });
        let mut echo = Fields::new();
        echo.set_some("device_info", message.fields.get("device_info"));
        let fields = [("prepay_id", prepay_id.as_str()), ("trade_type", "JSAPI")].into_iter().collect();
        Ok(Success { echo, fields })
    }

    /// `POST /pay/orderquery`. WeChat's number wins if both are sent.
    pub(super) fn order_query(&mut self, now: Timestamp, message: &Message) -> Result<Success, Failure> {
        let mchid = &message.envelope.mchid;
        let key = match (message.fields.get("transaction_id"), message.fields.get("out_trade_no")) {
            (Some(number), _) if number.len() > 32 => {
                return Err(Failure::communication("transaction_id参数长度有误"));
            }
            (Some(number), _) => self.transactions.get(number).cloned().unwrap_or_default(),
            (None, Some(number)) if number.len() > 32 => {
                return Err(Failure::communication("out_trade_no参数长度有误"));
            }
            (None, Some(number)) => Order::key(mchid, number),
            (None, None) => return Err(Failure::communication("缺少参数")),
        };
        let order = self.order(&key, now).filter(|order| order.belongs_to(message));
        let order = order.ok_or_else(|| Failure::business(ErrCode::Ordernotexist, "order not exist"))?;
        let mut echo = Fields::new();
        echo.set("device_info", order.device().unwrap_or_default());
        Ok(Success { echo, fields: order.describe() })
    }

    /// `POST /pay/closeorder`. Every `prepay_id` of the order is dead afterwards.
    pub(super) fn close_order(
        &mut self,
        strictness: &Strictness,
        now: Timestamp,
        message: &Message,
    ) -> Result<Success, Failure> {
        let number = message.fields.get("out_trade_no");
        let number = number.ok_or_else(|| Failure::communication("缺少参数out_trade_no"))?;
        if number.len() > 32 {
            return Err(Failure::communication("out_trade_no参数长度有误"));
        }
        let key = Order::key(&message.envelope.mchid, number);
        let order = self.order(&key, now).filter(|order| order.belongs_to(message));
        let order = order.ok_or_else(|| Failure::business(ErrCode::Ordernotexist, "order not exist"))?;
        match order.state {
            OrderState::Paid { .. } => Err(Failure::business(ErrCode::Orderpaid, "order paid")),
            OrderState::Closed => Err(Failure::business(ErrCode::Orderclosed, "order closed")),
            OrderState::NotPay
                if strictness.close_after_five_minutes
                    && now.as_second() - order.created_at.as_second() < CLOSE_AFTER_S =>
            {
                Err(Failure::business(ErrCode::TradeStateError, "订单状态错误"))
            }
            OrderState::NotPay => {
                order.state = OrderState::Closed;
                Ok(Success { echo: [("sub_mch_id", "")].into_iter().collect(), fields: Fields::new() })
            }
        }
    }

    /// The order, after WeChat has closed it if nobody paid for too long.
    pub(crate) fn order(&mut self, key: &str, now: Timestamp) -> Option<&mut Order> {
        let order = self.orders.get_mut(key)?;
        let age_s = now.as_second() - order.created_at.as_second();
        if matches!(order.state, OrderState::NotPay) && age_s >= UNPAID_CLOSED_AFTER_S {
            order.state = OrderState::Closed;
        }
        Some(order)
    }
}

impl Order {
    fn belongs_to(&self, message: &Message) -> bool {
        self.mchid == message.envelope.mchid && self.appid == message.envelope.appid
    }

    /// The order in the shape of real answers: no amount if it is closed, payer and times only if it is paid.
    fn describe(&self) -> Fields {
        let mut fields = Fields::new();
        let total_fee = self.total.get().to_string();
        match &self.state {
            OrderState::NotPay => {
                fields
                    .set("total_fee", total_fee)
                    .set("out_trade_no", self.out_trade_no.as_str())
                    .set("trade_state", "NOTPAY")
                    .set("trade_state_desc", "订单未支付");
            }
            OrderState::Closed => {
                fields
                    .set("out_trade_no", self.out_trade_no.as_str())
                    .set("attach", self.parameter("attach").unwrap_or_default())
                    .set("trade_state", "CLOSED")
                    .set("trade_state_desc", "订单已关闭");
            }
            OrderState::Paid { transaction_id, paid_at, .. } => {
                fields
                    .set("openid", self.openid.as_str())
                    .set("is_subscribe", "N")
                    .set("trade_type", "JSAPI")
                    .set("bank_type", "OTHERS")
                    .set("total_fee", total_fee.as_str())
                    .set("fee_type", "CNY")
                    .set("transaction_id", transaction_id.as_str())
                    .set("out_trade_no", self.out_trade_no.as_str())
                    .set("attach", self.parameter("attach").unwrap_or_default())
                    .set("time_end", beijing_time::compact(*paid_at))
                    .set("trade_state", self.trade_state().as_str())
                    .set("cash_fee", total_fee.as_str())
                    .set("trade_state_desc", if self.refunds.is_empty() { "支付成功" } else { "转入退款" })
                    .set("cash_fee_type", "CNY");
            }
        }
        fields
    }
}

/// The parameters that make an order the same order.
pub(super) fn compared(fields: &Fields) -> BTreeMap<String, String> {
    let kept = fields.iter().filter(|(name, value)| !NOT_COMPARED.contains(name) && !value.is_empty());
    kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
