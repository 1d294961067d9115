//! Refunds: accepted at once, paid back after a while of simulated time, told to the address of the request.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> (apply) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> (query).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use weixin::{
    Fen, MchId, NotifyUrl, OrderAmount, OutRefundNo, OutTradeNo, TransactionId,
    pay::{
        self, RefundState,
        v3::refund::{Told, to_json},
    },
};

use super::{
    Call, Done,
    json::Json,
    refusal::{Place, Refusal},
    schema::{Field, Kind, int, list, malformed, missing, object, optional, text},
};
use crate::{
    pay::{
        Order, OrderState, Subject,
        notify::{Notification, after},
    },
    world::World,
};

/// How many refunds an order can have.
const REFUNDS_MAX: usize = 50;

/// How long after the payment a refund can be made.
const REFUND_WITHIN: SignedDuration = SignedDuration::from_hours(365 * 24);

const AMOUNT_MAX: i64 = OrderAmount::MAX.get();

const FIELDS: &[Field] = &[
    optional(text("transaction_id", "微信支付订单号", 1, 32)),
    optional(text("out_trade_no", "商户订单号", 1, 32)),
    text("out_refund_no", "商户退款单号", 1, 64),
    optional(text("reason", "退款原因", 1, 80)),
    optional(text("notify_url", "退款结果回调url", 1, 256)),
    optional(text("funds_account", "退款资金来源", 1, 32)),
    object(
        "amount",
        "金额信息",
        &[
            int("refund", "退款金额", 1, AMOUNT_MAX),
            int("total", "原订单金额", 1, AMOUNT_MAX),
            text("currency", "退款币种", 1, 16),
            optional(list("from", "退款出资账户及金额", &Kind::Object(FROM), 1)),
        ],
    ),
    optional(list("goods_detail", "退款商品", &Kind::Object(GOODS), 1)),
];

const FROM: &[Field] = &[text("account", "出资账户类型", 1, 32), int("amount", "出资金额", 1, AMOUNT_MAX)];

const GOODS: &[Field] = &[
    text("merchant_goods_id", "商户侧商品编码", 1, 32),
    optional(text("wechatpay_goods_id", "微信支付商品编码", 0, 32)),
    optional(text("goods_name", "商品名称", 0, 256)),
    int("unit_price", "商品单价", 0, AMOUNT_MAX),
    int("refund_amount", "商品退款金额", 1, AMOUNT_MAX),
    int("refund_quantity", "商品退货数量", 1, AMOUNT_MAX),
];

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
    /// When the money arrives.
    pub(crate) arrives_at: Timestamp,
    /// The parameters that must be the same when the refund is sent again.
    parameters: BTreeMap<String, String>,
    /// Without a `notify_url` nobody is told.
    pub(crate) notification: Option<Notification>,
}

impl Refund {
    fn key(mchid: &MchId, out_refund_no: &str) -> String {
        format!("{mchid}/{out_refund_no}")
    }

    /// How far it is.
    pub(crate) fn state(&self, now: Timestamp) -> RefundState {
        if now >= self.arrives_at { RefundState::Success } else { RefundState::Processing }
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
            state,
            refund: self.refund,
            total: self.total,
            user_received_account: None,
        }
    }

    fn answer(&self, now: Timestamp) -> Done {
        Done::Json(to_json(&self.describe(now), Told::Answer { created: self.created_at }))
    }
}

impl World {
    /// `POST /v3/refund/domestic/refunds`.
    pub(super) fn refund(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let body = call.body(FIELDS)?;
        let read = read(&body)?;
        let (now, mchid) = (call.now, &call.caller.mchid);
        let order_key = match (body.text(&["transaction_id"]), body.text(&["out_trade_no"])) {
            // WeChat's number wins.
            (Some(number), _) => self.transactions.get(number).cloned().unwrap_or_default(),
            (None, Some(number)) => Order::key(mchid, number),
            (None, None) => return Err(missing(Place::Body, "/transaction_id", "微信支付订单号")),
        };
        let order = self.order(&order_key, now).filter(|order| order.mchid == *mchid);
        let order = order.ok_or_else(|| Refusal::no_resource("订单不存在"))?;
        let OrderState::Paid { transaction_id, paid_at, .. } = &order.state else {
            return Err(Refusal::invalid_request("订单未支付，不能退款"));
        };
        let (transaction_id, paid_at, total) = (transaction_id.clone(), *paid_at, order.total);
        let (numbers, out_trade_no) = (order.refunds.clone(), OutTradeNo::parse(order.out_trade_no.as_str()));
        let key = Refund::key(mchid, read.out_refund_no.as_str());
        if let Some(known) = self.refunds.get(&key) {
            let same = known.order == order_key && known.parameters == read.parameters;
            return if same { Ok(known.answer(now)) } else { Err(other_amounts()) };
        }
        if read.total != total {
            return Err(other_amounts());
        }
        if now.duration_since(paid_at) > REFUND_WITHIN {
            return Err(Refusal::invalid_request("订单已超过可退款的最大期限"));
        }
        if numbers.len() >= REFUNDS_MAX {
            return Err(Refusal::invalid_request("部分退款次数超过限制，一笔订单最多退款50次"));
        }
        let refunded = numbers
            .iter()
            .filter_map(|key| self.refunds.get(key))
            .try_fold(read.refund, |sum, refund| sum.checked_add(refund.refund));
        if refunded.is_none_or(|sum| sum > total) {
            return Err(Refusal::invalid_request("退款金额大于订单剩余可退金额"));
        }
        // Only an order of the older rules of API v2 has a number that cannot be told in API v3.
        let out_trade_no = out_trade_no.map_err(|_| Refusal::invalid_request("商户订单号格式不支持"))?;
        let arrives_at = after(now, self.switches.refund_after_s);
        let notification = read.notify_url.map(|url| Notification::new(url.to_string(), arrives_at));
        if let Some(due_at) = notification.as_ref().and_then(Notification::due_at) {
            self.due.insert((due_at, Subject::Refund(key.clone())));
        }
        let refund = Refund {
            mchid: mchid.clone(),
            order: order_key.clone(),
            out_trade_no,
            transaction_id,
            refund_id: self.seed().refund_id(&key, now),
            out_refund_no: read.out_refund_no,
            refund: read.refund,
            total,
            created_at: now,
            arrives_at,
            parameters: read.parameters,
            notification,
        };
        let answer = refund.answer(now);
        self.refunds.insert(key.clone(), refund);
        if let Some(order) = self.orders.get_mut(&order_key) {
            order.refunds.push(key);
        }
        Ok(answer)
    }

    /// `GET /v3/refund/domestic/refunds/{out_refund_no}`.
    pub(super) fn refund_query(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let refund = self.refunds.get(&Refund::key(&call.caller.mchid, call.number));
        refund.map(|refund| refund.answer(call.now)).ok_or_else(|| Refusal::no_resource("退款单不存在"))
    }
}

/// The number was used, or the order is another one than the merchant believes.
fn other_amounts() -> Refusal {
    Refusal::invalid_request("订单金额或退款金额与之前请求不一致，请核实后再试")
}

/// What of the request the simulator works with.
struct Read {
    out_refund_no: OutRefundNo,
    refund: Fen,
    total: Fen,
    notify_url: Option<NotifyUrl>,
    parameters: BTreeMap<String, String>,
}

/// Reads a body that fits [`FIELDS`].
fn read(body: &Json) -> Result<Read, Refusal> {
    let wrong = |pointer: &str, label: &str, text: &str| malformed(Place::Body, pointer, label, text);
    let number = body.text(&["out_refund_no"]).unwrap_or_default();
    let out_refund_no = OutRefundNo::parse(number).map_err(|_| wrong("/out_refund_no", "商户退款单号", number))?;
    let notify_url = body
        .text(&["notify_url"])
        .map(|url| NotifyUrl::parse(url).map_err(|_| wrong("/notify_url", "退款结果回调url", url)))
        .transpose()?;
    let currency = body.text(&["amount", "currency"]).unwrap_or_default();
    if currency != "CNY" {
        return Err(wrong("/amount/currency", "退款币种", currency));
    }
    let account = body.text(&["funds_account"]).filter(|account| !["AVAILABLE", "UNSETTLED"].contains(account));
    if let Some(account) = account {
        return Err(wrong("/funds_account", "退款资金来源", account));
    }
    if body.get("amount").and_then(|amount| amount.get("from")).is_some() {
        // Only for orders with profit sharing, which are not played.
        return Err(Refusal::invalid_request("非分账订单不支持指定退款出资账户"));
    }
    let fen = |name| Fen::new(body.int(&["amount", name]).unwrap_or_default());
    let mut parameters = body.flat();
    // The order may be named by either number.
    parameters.retain(|name, _| name != "transaction_id" && name != "out_trade_no");
    Ok(Read { out_refund_no, refund: fen("refund"), total: fen("total"), notify_url, parameters })
}
