//! `GET /v3/bill/tradebill` and `GET /v3/bill/fundflowbill`. There are no bills yet: a day without payments has no
//! bill, and the bill of a day with payments is never ready. Nothing is made up.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791907> and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791908>.

use jiff::{ToSpan as _, civil::Date};
use weixin::{beijing_time::BEIJING, pay::v3::Code};

use super::{
    Call, Done,
    refusal::{Place, Refusal, internal},
    schema::{malformed, missing},
};
use crate::{pay::OrderState, world::World};

/// A parameter of the query with the words that it can have.
pub(super) struct Kind {
    name: &'static str,
    label: &'static str,
    words: &'static [&'static str],
}

/// Payments and refunds.
pub(super) const TRADE: Kind = Kind { name: "bill_type", label: "账单类型", words: &["ALL", "SUCCESS", "REFUND"] };

/// Movements of an account.
pub(super) const FUND_FLOW: Kind =
    Kind { name: "account_type", label: "资金账户类型", words: &["BASIC", "OPERATION", "FEES"] };

/// From this hour on (UTC+8) the bill of the day before is ready.
const READY_AT_HOUR: i8 = 10;

impl World {
    /// Answers for a day.
    pub(super) fn bill(&mut self, call: &Call<'_>, kind: &Kind) -> Result<Done, Refusal> {
        let wrong = |name: &str, label: &str, text: &str| malformed(Place::Query, &format!("/{name}"), label, text);
        let date = call.request.query("bill_date");
        let date = date.ok_or_else(|| missing(Place::Query, "/bill_date", "账单日期"))?;
        let day = day(date).ok_or_else(|| wrong("bill_date", "账单日期", date))?;
        for (name, label, words) in [(kind.name, kind.label, kind.words), ("tar_type", "压缩类型", &["GZIP"])] {
            if let Some(word) = call.request.query(name).filter(|word| !words.contains(word)) {
                return Err(wrong(name, label, word));
            }
        }
        let now = BEIJING.to_datetime(call.now);
        let yesterday = now.date().saturating_sub(1.day());
        if day > yesterday || day < now.date().saturating_sub(3.months()) {
            return Err(Refusal::invalid_request("账单日期不在可下载的范围内，只能下载三个月以内、昨日及之前的账单"));
        }
        let paid = self.orders.values().any(|order| match &order.state {
            OrderState::Paid { paid_at, .. } => {
                order.mchid == call.caller.mchid && BEIJING.to_datetime(*paid_at).date() == day
            }
            OrderState::NotPay | OrderState::Closed => false,
        });
        let (code, text) = if paid || (day == yesterday && now.hour() < READY_AT_HOUR) {
            (Code::StatementCreating, "账单生成中，请稍后再试")
        } else {
            (Code::NoStatementExist, "账单文件不存在")
        };
        Err(Refusal::new(400, code, text, internal::OTHER))
    }
}

fn day(text: &str) -> Option<Date> {
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (text.len() == 10 && digits).then(|| text.parse().ok())?
}
