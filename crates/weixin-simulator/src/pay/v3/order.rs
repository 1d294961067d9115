//! Making, asking for and closing an order by API v3.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791897>, <https://pay.weixin.qq.com/doc/v3/merchant/4012791899>,
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791900>, <https://pay.weixin.qq.com/doc/v3/merchant/4012791901>.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weixin::pay::{
    Transaction,
    v3::{Code, jsapi::JsapiAnswer},
};

use super::{
    Call, Done,
    order_fields::{self, OrderFields},
    refusal::{Place, Refusal, internal},
    schema::malformed,
};
use crate::{
    pay::{Api, Order, OrderState, Prepay},
    world::World,
};

/// A `time_expire` that is nearer is moved to here, in seconds.
const TIME_EXPIRE_DISTANCE_S: i64 = 60;

impl World {
    /// `POST /v3/pay/transactions/jsapi`.
    pub(super) fn jsapi_order(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let body = call.body(order_fields::FIELDS)?;
        let read = order_fields::read(&body)?;
        let (now, mchid) = (call.now, &call.caller.mchid);
        let (appid, openid) = read.identifiers();
        let app = appid.as_ref().and_then(|appid| self.apps.get(appid.as_str()));
        if app.is_none_or(|app| !app.merchants.contains(mchid)) {
            let text = "appid和mch_id不匹配，请检查后再试";
            return Err(Refusal::new(400, Code::AppidMchidNotMatch, text, internal::APPID_MCHID));
        }
        let customer = self.openids.get(&read.openid).and_then(|key| self.customers.get(key));
        let known = customer.is_some_and(|customer| Some(&customer.appid) == appid.as_ref());
        let (Some(appid), Some(openid), true) = (appid, openid, known) else {
            let place = (Place::Body, "/payer/openid");
            let text = "无效的openid".to_owned();
            let value = Value::from(read.openid);
            return Err(Refusal::parameter(text, place.0, place.1, value, internal::ILLEGAL_PARAMETER));
        };
        let key = Order::key(mchid, read.out_trade_no.as_str());
        if let Some(order) = self.order(&key, now) {
            check_again(order, &read, now)?;
        } else if read.time_expire.is_some_and(|last| last <= now) {
            let text = read.time_expire.map(|last| last.to_string()).unwrap_or_default();
            return Err(malformed(Place::Body, "/time_expire", "交易结束时间", &text));
        }
        let nearest = now.saturating_add(SignedDuration::from_secs(TIME_EXPIRE_DISTANCE_S)).unwrap_or(now);
        let order = self.orders.entry(key.clone()).or_insert_with(|| Order {
            appid,
            mchid: mchid.clone(),
            out_trade_no: read.out_trade_no.to_string(),
            openid,
            total: read.total.fen(),
            time_expire: read.time_expire.map(|last| last.max(nearest)),
            created_at: now,
            parameters: read.parameters,
            state: OrderState::NotPay,
            prepay_ids: Vec::new(),
            notification: None,
            api: Api::V3,
            refunds: Vec::new(),
        });
        // A new one each time; the older ones of the order stay good for their two hours.
        let prepay_id = crate::random::Seed(self.seed).prepay_id(&key, order.prepay_ids.len() as u64, now);
        order.prepay_ids.push(prepay_id.to_string());
        self.prepays.insert(prepay_id.to_string(), Prepay { order: key, made_at: now, sign_type: None });
        Ok(Done::Json(json!(JsapiAnswer { prepay_id }).to_string()))
    }

    /// `GET /v3/pay/transactions/out-trade-no/{out_trade_no}`.
    pub(super) fn query_by_out_trade_no(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        self.query(call, Order::key(&call.caller.mchid, call.number), ("/out_trade_no", "商户订单号"))
    }

    /// `GET /v3/pay/transactions/id/{transaction_id}`.
    pub(super) fn query_by_id(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let key = self.transactions.get(call.number).cloned().unwrap_or_default();
        self.query(call, key, ("/transaction_id", "微信支付订单号"))
    }

    fn query(&mut self, call: &Call<'_>, key: String, field: (&str, &str)) -> Result<Done, Refusal> {
        call.check_query_mchid()?;
        if call.number.len() > 32 {
            return Err(malformed(Place::Url, field.0, field.1, call.number));
        }
        let order = self.order(&key, call.now).filter(|order| order.mchid == call.caller.mchid);
        order.map(|order| Done::Json(order.describe_v3().to_string())).ok_or_else(Refusal::no_order)
    }

    /// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`. Every `prepay_id` of the order is dead
    /// afterwards. Can be repeated.
    pub(super) fn close_v3(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        call.body(order_fields::CLOSE_FIELDS)?;
        let order = self.order(&Order::key(&call.caller.mchid, call.number), call.now);
        let order = order.ok_or_else(Refusal::no_order)?;
        match order.state {
            OrderState::Paid { .. } => Err(paid()),
            OrderState::Closed => Ok(Done::NoContent),
            OrderState::NotPay => {
                order.state = OrderState::Closed;
                Ok(Done::NoContent)
            }
        }
    }
}

/// Whether an order that exists may be entered again.
fn check_again(order: &Order, read: &OrderFields, now: Timestamp) -> Result<(), Refusal> {
    let over = |text| Refusal::new(400, Code::OrderClosed, text, internal::ORDER_OVER);
    match order.state {
        OrderState::Paid { .. } => Err(paid()),
        OrderState::Closed => Err(over("该订单已关闭")),
        OrderState::NotPay if order.api != Api::V3 || order.parameters != read.parameters => {
            Err(Refusal::new(403, Code::OutTradeNoUsed, "201 商户订单号重复", internal::OTHER_PARAMETERS))
        }
        // The same internal code stands for closed and expired; the order itself stays open until somebody closes it.
        OrderState::NotPay if order.time_expire.is_some_and(|last| now > last) => Err(over("该订单已失效")),
        OrderState::NotPay => Ok(()),
    }
}

fn paid() -> Refusal {
    Refusal::new(400, Code::OrderPaid, "该订单已支付", internal::ORDER_PAID)
}

impl Order {
    /// The order as answers tell it, whichever version made it.
    pub(super) fn describe_v3(&self) -> Value {
        let state = self.trade_state();
        let mut told = json!({
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": self.out_trade_no,
            "trade_state": state.as_str(),
            "attach": self.parameter("attach").unwrap_or_default(),
            "amount": { "total": self.total.get(), "currency": "CNY", "payer_currency": "CNY" },
            "payer": {},
            "promotion_detail": [],
        });
        if let OrderState::Paid { transaction_id, paid_at, .. } = &self.state {
            told["transaction_id"] = json!(transaction_id);
            told["trade_type"] = "JSAPI".into();
            told["bank_type"] = "OTHERS".into();
            told["success_time"] = rfc3339(*paid_at).into();
            told["payer"] = json!({ "openid": self.openid });
            told["amount"]["payer_total"] = self.total.get().into();
        }
        if let Some(device_id) = self.device() {
            told["scene_info"] = json!({ "device_id": device_id });
        }
        told["trade_state_desc"] = description(&state).into();
        told
    }

    /// The order in the words that all versions share.
    pub(in super::super) fn transaction(&self) -> Option<Transaction> {
        // What was just written can be read; the types are the same.
        serde_json::from_value(self.describe_v3()).ok()
    }
}

/// A time as API v3 writes it: RFC 3339 in UTC+8, whole seconds.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
    seconds.display_with_offset(weixin::beijing_time::BEIJING).to_string()
}

/// WeChat's sentence for a state.
fn description(state: &weixin::pay::TradeState) -> &'static str {
    use weixin::pay::TradeState;
    match state {
        TradeState::Success => "支付成功",
        TradeState::Refund => "转入退款",
        TradeState::Closed => "订单已关闭",
        _ => "订单未支付",
    }
}
