//! The fields of the unified order: which must be there, how long they may be, what they may hold.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985> (unified order of a mini program) and
//! <https://pay.weixin.qq.com/doc/v2/merchant/4011941162> (parameter rules).

use std::net::IpAddr;

use jiff::Timestamp;
use weixin::{NotifyUrl, OpenId, OrderAmount, beijing_time, xml::Fields};

use super::checks::Failure;
use crate::options::Strictness;

/// How close `time_expire` may be, in seconds. The newest pages say one minute, older ones and the real error text
/// say five.
pub(super) const TIME_EXPIRE_DISTANCE_S: i64 = 5 * 60;

/// The fields that must be there.
const REQUIRED: [&str; 6] = ["body", "out_trade_no", "total_fee", "spbill_create_ip", "notify_url", "trade_type"];

/// The longest values. The pages do not say whether characters or bytes are counted; bytes are the stricter reading.
const BYTES_MAX: [(&str, usize); 23] = [
    ("device_info", 32),
    ("body", 127),
    ("detail", 6000),
    ("attach", 127),
    ("out_trade_no", 32),
    ("fee_type", 16),
    ("total_fee", 16),
    ("spbill_create_ip", 64),
    ("time_start", 14),
    ("time_expire", 14),
    ("goods_tag", 32),
    ("notify_url", 256),
    ("trade_type", 16),
    ("product_id", 32),
    ("limit_pay", 32),
    ("openid", 128),
    ("receipt", 8),
    ("scene_info", 256),
    ("profit_sharing", 16),
    ("version", 32),
    ("user_type", 32),
    ("user_creid", 32),
    ("user_truename", 64),
];

/// What of the order the simulator works with. Everything else is kept as it came.
pub(super) struct OrderFields {
    pub(super) out_trade_no: String,
    pub(super) total: OrderAmount,
    pub(super) openid: OpenId,
    pub(super) time_expire: Option<Timestamp>,
}

/// Checks the fields of a unified order, whose signature is good.
///
/// Names that the pages do not list are ignored (they are part of the signature all the same): a text
/// `不识别的参数…` has been seen, but not for which names.
pub(super) fn read(strictness: &Strictness, now: Timestamp, fields: &Fields) -> Result<OrderFields, Failure> {
    check_form(fields, &REQUIRED, &BYTES_MAX)?;
    let value = |name| fields.get(name).unwrap_or_default();
    let out_trade_no = out_trade_no(strictness, value("out_trade_no"))?;
    let total = OrderAmount::from_wire(value("total_fee")).map_err(|_| Failure::communication("invalid total_fee"))?;
    if fields.get("fee_type").is_some_and(|currency| currency != "CNY") {
        return Err(malformed("fee_type"));
    }
    value("spbill_create_ip").parse::<IpAddr>().map_err(|_| malformed("spbill_create_ip"))?;
    NotifyUrl::parse(value("notify_url")).map_err(|_| malformed("notify_url"))?;
    read_time(fields, "time_start")?;
    let time_expire = read_time(fields, "time_expire")?;
    if time_expire.is_some_and(|expire| expire.as_second() - now.as_second() < TIME_EXPIRE_DISTANCE_S) {
        return Err(Failure::communication("time_expire时间过短，刷卡至少1分钟，其他5分钟"));
    }
    match value("trade_type") {
        "JSAPI" => {}
        "NATIVE" | "APP" | "MWEB" => {
            return Err(Failure::communication("商户号该产品权限未开通，请前往商户平台>产品中心检查后重试"));
        }
        _ => return Err(malformed("trade_type")),
    }
    let openid = fields.get("openid").ok_or_else(|| Failure::communication("JSAPI支付必须传openid"))?;
    let openid = OpenId::parse(openid).map_err(|_| malformed("openid"))?;
    Ok(OrderFields { out_trade_no, total, openid, time_expire })
}

/// What must be there, how long it may be, and that WeChat has the characters.
pub(super) fn check_form(fields: &Fields, required: &[&str], bytes_max: &[(&str, usize)]) -> Result<(), Failure> {
    if let Some(name) = required.iter().find(|name| fields.get(name).is_none()) {
        return Err(Failure::communication(format!("缺少参数{name}")));
    }
    let too_long = |(name, bytes_max): &&(&str, usize)| fields.get(name).is_some_and(|value| value.len() > *bytes_max);
    if let Some((name, _)) = bytes_max.iter().find(too_long) {
        return Err(Failure::communication(format!("{name}参数长度有误")));
    }
    // Characters of four bytes are outside WeChat's character set. Its answer to them is not published.
    let outside = |value: &str| value.chars().any(|character| character.len_utf8() > 3);
    match fields.iter().find(|(_, value)| outside(value)) {
        Some((name, _)) => Err(malformed(name)),
        None => Ok(()),
    }
}

/// The number of the order, as new or as old pages want it.
pub(super) fn out_trade_no(strictness: &Strictness, text: &str) -> Result<String, Failure> {
    let shortest = if strictness.new_out_trade_no { 6 } else { 1 };
    if text.len() < shortest || text.len() > 32 {
        return Err(Failure::communication("out_trade_no参数长度有误"));
    }
    let also: &[u8] = if strictness.new_out_trade_no { b"_-|*" } else { b"_-|*@" };
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte)) {
        return Err(malformed("out_trade_no"));
    }
    Ok(text.to_owned())
}

fn read_time(fields: &Fields, name: &'static str) -> Result<Option<Timestamp>, Failure> {
    let time = fields.get(name).map(|text| beijing_time::from_compact(name, text));
    time.transpose().map_err(|_| malformed(name))
}

pub(super) fn malformed(name: &str) -> Failure {
    Failure::communication(format!("{name}参数格式错误"))
}
