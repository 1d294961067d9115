//! The endpoints of API v2 for refunds: `/secapi/pay/refund`, which wants the merchant's certificate, and
//! `/pay/refundquery`, which does not.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941262> and
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941316>.

use jiff::Timestamp;
use weixin::{
    NotifyUrl, OrderAmount, OutRefundNo,
    pay::v2::{
        Answer as _, ErrCode,
        refund_query::{REFUNDS_PER_ANSWER, Refunds},
    },
    xml::Fields,
};

use super::{
    Order, Refund,
    checks::{Failure, Message, Success},
    fields::{check_form, malformed},
    order::compared,
    refund::{Application, RefundSource, Refused},
};
use crate::{options::Strictness, world::World};

const REQUIRED: [&str; 3] = ["out_refund_no", "total_fee", "refund_fee"];

const BYTES_MAX: [(&str, usize); 9] = [
    ("transaction_id", 32),
    ("out_trade_no", 32),
    ("out_refund_no", 64),
    ("total_fee", 16),
    ("refund_fee", 16),
    ("refund_fee_type", 8),
    ("refund_desc", 80),
    ("refund_account", 30),
    ("notify_url", 256),
];

const ACCOUNTS: [&str; 2] = ["REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS"];

impl World {
    /// `POST /secapi/pay/refund`.
    pub(super) fn refund_v2(
        &mut self,
        strictness: &Strictness,
        now: Timestamp,
        message: &Message,
    ) -> Result<Success, Failure> {
        let application = self.read_application(message)?;
        let key = self.apply_for_refund(strictness, now, application).map_err(refusal)?;
        let refund = self.refunds.get(&key).ok_or_else(no_refund)?;
        Ok(Success { echo: Fields::new(), fields: refund.describe(now).to_fields() })
    }

    fn read_application(&self, message: &Message) -> Result<Application, Failure> {
        let fields = &message.fields;
        check_fields(fields)?;
        let order = self.order_key(message)?;
        let amount = |name: &str| OrderAmount::from_wire(fields.get(name).unwrap_or_default()).map(OrderAmount::fen);
        let total = amount("total_fee").map_err(|_| Failure::communication("invalid total_fee"))?;
        let refund = amount("refund_fee").ok().filter(|refund| *refund <= total);
        let refund = refund.ok_or_else(|| Failure::communication("invalid refund_fee"))?;
        let number = fields.get("out_refund_no").unwrap_or_default();
        let url = fields.get("notify_url").map(NotifyUrl::parse).transpose();
        let mut parameters = compared(fields);
        // The order may be named by either number.
        parameters.retain(|name, _| name != "transaction_id" && name != "out_trade_no");
        Ok(Application {
            mchid: message.envelope.mchid.clone(),
            order,
            out_refund_no: OutRefundNo::parse(number).map_err(|_| malformed("out_refund_no"))?,
            refund,
            total,
            notify_url: url.map_err(|_| malformed("notify_url"))?,
            source: RefundSource::ApiV2,
            parameters,
        })
    }

    /// The order that a message names. WeChat's number wins if both are sent.
    fn order_key(&self, message: &Message) -> Result<String, Failure> {
        match (message.fields.get("transaction_id"), message.fields.get("out_trade_no")) {
            (Some(number), _) if !number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(Failure::business(ErrCode::InvalidTransactionid, "无效transaction_id"))
            }
            (Some(number), _) => self.transactions.get(number).cloned().ok_or_else(no_order),
            (None, Some(number)) => Ok(Order::key(&message.envelope.mchid, number)),
            (None, None) => Err(Failure::communication("缺少参数")),
        }
    }

    /// `POST /pay/refundquery`.
    pub(super) fn refund_query_v2(&mut self, now: Timestamp, message: &Message) -> Result<Success, Failure> {
        let (fields, mchid) = (&message.fields, &message.envelope.mchid);
        check_form(fields, &[], &BYTES_MAX)?;
        let one = match (fields.get("refund_id"), fields.get("out_refund_no")) {
            (Some(id), _) => Some(self.refunds.values().find(|refund| refund.refund_id == id)),
            (None, Some(number)) => Some(self.refunds.get(&Refund::key(mchid, number))),
            (None, None) => None,
        };
        let mine = |refund: &&Refund| refund.mchid == *mchid;
        let found = match one {
            Some(one) => {
                Refunds { refunds: one.filter(mine).iter().map(|it| it.describe(now)).collect(), total_count: None }
            }
            None => self.refunds_of(now, &self.order_key(message)?, fields.get("offset"))?,
        };
        if found.refunds.is_empty() {
            return Err(no_refund());
        }
        Ok(Success { echo: Fields::new(), fields: found.to_fields() })
    }

    /// Ten refunds of an order. How many there are in all is told if somebody skips some, or if there are more.
    fn refunds_of(&self, now: Timestamp, order: &str, offset: Option<&str>) -> Result<Refunds, Failure> {
        let wrong = || Failure::business(ErrCode::ParamError, "offset参数错误");
        let skipped: usize = offset.map_or(Ok(0), str::parse).map_err(|_| wrong())?;
        let keys = self.orders.get(order).map(|order| order.refunds.as_slice()).unwrap_or_default();
        if skipped > 0 && skipped >= keys.len() {
            return Err(wrong());
        }
        let refunds = keys.iter().filter_map(|key| self.refunds.get(key));
        let refunds = refunds.skip(skipped).take(REFUNDS_PER_ANSWER).map(|refund| refund.describe(now)).collect();
        let told = offset.is_some() || keys.len() > REFUNDS_PER_ANSWER;
        Ok(Refunds { refunds, total_count: told.then(|| u32::try_from(keys.len()).unwrap_or(u32::MAX)) })
    }
}

fn check_fields(fields: &Fields) -> Result<(), Failure> {
    check_form(fields, &REQUIRED, &BYTES_MAX)?;
    if fields.get("refund_fee_type").is_some_and(|currency| currency != "CNY") {
        return Err(malformed("refund_fee_type"));
    }
    match fields.get("refund_account") {
        Some(account) if !ACCOUNTS.contains(&account) => Err(malformed("refund_account")),
        _ => Ok(()),
    }
}

/// The words of API v2.
fn refusal(refused: Refused) -> Failure {
    let (err_code, text) = match refused {
        Refused::NoOrder => return no_order(),
        Refused::NotPaid => (ErrCode::InvalidRequest, "订单未支付，不能退款"),
        Refused::OtherAmounts => (ErrCode::RefundFeeMismatch, "订单金额或退款金额与之前请求不一致，请核实后再试"),
        Refused::TooOld => (ErrCode::TradeOverdue, "订单已经超过退款期限"),
        Refused::TooMany => (ErrCode::InvalidRequest, "部分退款次数超过限制，一笔订单最多退款50次"),
        Refused::AllRefunded => (ErrCode::Error, "订单已全额退款"),
        Refused::TooMuch => (ErrCode::InvalidRequest, "refund_fee大于可退金额"),
        Refused::TooSoon => (ErrCode::FrequencyLimited, "频率限制，两笔退款需间隔1分钟"),
        Refused::NotEnough => (ErrCode::Notenough, "基本账户余额不足，请充值后重新发起"),
        Refused::OldNumber => (ErrCode::Error, "商户订单号格式不支持"),
    };
    Failure::business(err_code, text)
}

fn no_order() -> Failure {
    Failure::business(ErrCode::Ordernotexist, "订单不存在")
}

fn no_refund() -> Failure {
    Failure::business(ErrCode::Refundnotexist, "not exist")
}
