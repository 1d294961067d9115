//! The endpoints for refunds. The book of refunds is that of both versions.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791903> (apply) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791904> (query).

use std::collections::BTreeMap;

use jiff::Timestamp;
use weixin::{
    Fen, NotifyUrl, OrderAmount, OutRefundNo,
    pay::v3::{
        Code,
        refund::{Told, to_json},
    },
};

use super::{
    Call, Done,
    json::Json,
    refusal::{Place, Refusal, internal},
    schema::{Field, Kind, int, list, malformed, missing, object, optional, text},
};
use crate::{
    pay::{
        Order, Refund, RefundSource,
        refund::{Application, Refused},
    },
    world::World,
};

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

impl Refund {
    fn answer(&self, now: Timestamp) -> Done {
        Done::Json(to_json(&self.describe(now), Told::Answer { created: self.created_at }))
    }
}

impl World {
    /// `POST /v3/refund/domestic/refunds`.
    pub(super) fn refund(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let body = call.body(FIELDS)?;
        let read = read(&body)?;
        let mchid = &call.caller.mchid;
        let order = match (body.text(&["transaction_id"]), body.text(&["out_trade_no"])) {
            // WeChat's number wins.
            (Some(number), _) => self.transactions.get(number).cloned().unwrap_or_default(),
            (None, Some(number)) => Order::key(mchid, number),
            (None, None) => return Err(missing(Place::Body, "/transaction_id", "微信支付订单号")),
        };
        let application = Application {
            mchid: mchid.clone(),
            order,
            out_refund_no: read.out_refund_no,
            refund: read.refund,
            total: read.total,
            notify_url: read.notify_url,
            source: RefundSource::ApiV3,
            parameters: read.parameters,
        };
        let key = self.apply_for_refund(call.strictness, call.now, application).map_err(refusal)?;
        let refund = self.refunds.get(&key).map(|refund| refund.answer(call.now));
        refund.ok_or_else(|| Refusal::no_resource("退款单不存在"))
    }

    /// `GET /v3/refund/domestic/refunds/{out_refund_no}`.
    pub(super) fn refund_query(&mut self, call: &Call<'_>) -> Result<Done, Refusal> {
        let refund = self.refunds.get(&Refund::key(&call.caller.mchid, call.number));
        refund.map(|refund| refund.answer(call.now)).ok_or_else(|| Refusal::no_resource("退款单不存在"))
    }
}

/// The words of API v3.
fn refusal(refused: Refused) -> Refusal {
    Refusal::invalid_request(match refused {
        Refused::NoOrder => return Refusal::no_resource("订单不存在"),
        Refused::NotEnough => {
            return Refusal::new(403, Code::NotEnough, "基本账户余额不足，请充值后重新发起", internal::OTHER);
        }
        Refused::TooSoon => {
            return Refusal::new(429, Code::FrequencyLimited, "频率限制，两笔退款需间隔1分钟", internal::OTHER);
        }
        Refused::NotPaid => "订单未支付，不能退款",
        Refused::OtherAmounts => "订单金额或退款金额与之前请求不一致，请核实后再试",
        Refused::TooOld => "订单已超过可退款的最大期限",
        Refused::TooMany => "部分退款次数超过限制，一笔订单最多退款50次",
        Refused::AllRefunded | Refused::TooMuch => "退款金额大于订单剩余可退金额",
        Refused::OldNumber => "商户订单号格式不支持",
    })
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
