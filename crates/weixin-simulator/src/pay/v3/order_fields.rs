//! The body of an order: which fields there are, and what they must hold beyond type and length.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791897>.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use weixin::{AppId, NotifyUrl, OpenId, OrderAmount, OutTradeNo};

use super::{
    json::Json,
    refusal::{Place, Refusal, internal},
    schema::{Field, Kind, boolean, int, list, malformed, object, optional, text},
};

/// The largest amount, as [`OrderAmount`] has it.
const AMOUNT_MAX: i64 = OrderAmount::MAX.get();

/// The body of `POST /v3/pay/transactions/jsapi`.
pub(super) const FIELDS: &[Field] = &[
    text("appid", "公众号ID", 1, 32),
    text("mchid", "商户号", 1, 32),
    text("description", "商品描述", 1, 127),
    text("out_trade_no", "商户订单号", 6, 32),
    optional(text("time_expire", "交易结束时间", 1, 64)),
    optional(text("attach", "附加数据", 0, 128)),
    text("notify_url", "通知地址", 1, 255),
    optional(text("goods_tag", "订单优惠标记", 0, 32)),
    optional(boolean("support_fapiao", "电子发票入口开放标识")),
    object(
        "amount",
        "订单金额",
        &[int("total", "总金额", 1, AMOUNT_MAX), optional(text("currency", "货币类型", 1, 16))],
    ),
    object(
        "payer",
        "支付者",
        &[text("openid", "用户标识", 1, 128), optional(object("identity", "实名信息", IDENTITY))],
    ),
    optional(object("detail", "优惠功能", DETAIL)),
    optional(object("scene_info", "场景信息", SCENE_INFO)),
    optional(object("settle_info", "结算信息", &[optional(boolean("profit_sharing", "是否指定分账"))])),
    optional(list("limit_pay", "指定支付方式", &Kind::Text { bytes_min: 1, bytes_max: 32 }, 1)),
];

const IDENTITY: &[Field] =
    &[text("type", "证件类型", 1, 32), text("number", "证件号", 1, 1024), text("name", "姓名", 1, 1024)];

const DETAIL: &[Field] = &[
    optional(int("cost_price", "订单原价", 1, AMOUNT_MAX)),
    optional(text("invoice_id", "商品小票ID", 0, 32)),
    optional(list("goods_detail", "单品列表", &Kind::Object(GOODS), 1)),
];

const GOODS: &[Field] = &[
    text("merchant_goods_id", "商户侧商品编码", 1, 32),
    optional(text("wechatpay_goods_id", "微信支付商品编码", 0, 32)),
    optional(text("goods_name", "商品名称", 0, 256)),
    int("quantity", "商品数量", 1, AMOUNT_MAX),
    int("unit_price", "商品单价", 0, AMOUNT_MAX),
];

const SCENE_INFO: &[Field] = &[
    text("payer_client_ip", "用户终端IP", 1, 45),
    optional(text("device_id", "商户端设备号", 0, 32)),
    optional(object(
        "store_info",
        "商户门店信息",
        &[
            text("id", "门店编号", 1, 32),
            optional(text("name", "门店名称", 0, 256)),
            optional(text("area_code", "地区编码", 0, 32)),
            optional(text("address", "详细地址", 0, 512)),
        ],
    )),
];

/// The longest `detail` as compact JSON, in bytes.
const DETAIL_BYTES_MAX: usize = 6144;

/// The body of `POST …/close`.
pub(super) const CLOSE_FIELDS: &[Field] = &[text("mchid", "商户号", 1, 32)];

/// What of the order the simulator works with. Everything else is kept as it came.
pub(super) struct OrderFields {
    pub(super) appid: String,
    pub(super) out_trade_no: OutTradeNo,
    pub(super) openid: String,
    pub(super) total: OrderAmount,
    pub(super) time_expire: Option<Timestamp>,
    /// What must be the same when the order is sent again.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Reads a body that fits [`FIELDS`].
pub(super) fn read(body: &Json) -> Result<OrderFields, Refusal> {
    let value = |path: &[&str]| body.text(path).unwrap_or_default().to_owned();
    let wrong = |pointer: &str, label: &str, text: &str| malformed(Place::Body, pointer, label, text);
    let (number, notify_url) = (value(&["out_trade_no"]), value(&["notify_url"]));
    let out_trade_no = OutTradeNo::parse(number.as_str()).map_err(|_| wrong("/out_trade_no", "商户订单号", &number))?;
    let time_expire = body
        .text(&["time_expire"])
        .map(|text| rfc3339(text).ok_or_else(|| wrong("/time_expire", "交易结束时间", text)))
        .transpose()?;
    NotifyUrl::parse(notify_url.as_str()).map_err(|_| wrong("/notify_url", "通知地址", &notify_url))?;
    let total = body.int(&["amount", "total"]).and_then(|fen| OrderAmount::new(weixin::Fen::new(fen)).ok());
    // The table has the same bounds.
    let total = total.ok_or_else(|| wrong("/amount/total", "总金额", ""))?;
    if let Some(currency) = body.text(&["amount", "currency"]).filter(|currency| *currency != "CNY") {
        return Err(wrong("/amount/currency", "货币类型", currency));
    }
    if body.get("payer").and_then(|payer| payer.get("identity")).is_some() {
        return Err(Refusal::new(403, weixin::pay::v3::Code::NoAuth, "商户无实名信息校验权限", internal::OTHER));
    }
    if let Some(address) = body.text(&["scene_info", "payer_client_ip"])
        && address.parse::<IpAddr>().is_err()
    {
        return Err(wrong("/scene_info/payer_client_ip", "用户终端IP", address));
    }
    let detail_bytes = body.get("detail").map_or(0, |detail| detail.to_value().to_string().len());
    if detail_bytes > DETAIL_BYTES_MAX {
        return Err(Refusal::parameters_wrong(&format!(
            "detail has {detail_bytes} bytes, {DETAIL_BYTES_MAX} are allowed"
        )));
    }
    let mut parameters = body.flat();
    // The only currency is also the one that is meant when none is named.
    parameters.entry("amount/currency".to_owned()).or_insert_with(|| "CNY".to_owned());
    let (appid, openid) = (value(&["appid"]), value(&["payer", "openid"]));
    Ok(OrderFields { appid, out_trade_no, openid, total, time_expire, parameters })
}

/// Reads a time of RFC 3339 and of no other kind: `2026-03-01T10:01:05+08:00`, perhaps with milliseconds, or with `Z`.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let (date_time, offset) = match text.strip_suffix('Z') {
        Some(rest) => (rest, None),
        None => text.split_at_checked(text.len().checked_sub(6)?).map(|(rest, offset)| (rest, Some(offset)))?,
    };
    let form = |text: &str, form: &str| {
        let fits = |(byte, wanted): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
        text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
    };
    let (seconds, fraction) = date_time.split_at_checked(19)?;
    let fraction_fits = fraction.is_empty()
        || fraction
            .strip_prefix('.')
            .is_some_and(|digits| (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let offset_fits = offset.is_none_or(|offset| form(offset, "+00:00") || form(offset, "-00:00"));
    (form(seconds, "0000-00-00T00:00:00") && fraction_fits && offset_fits).then(|| text.parse().ok())?
}

impl OrderFields {
    /// The typed forms of the two identifiers. Malformed ones are unknown ones.
    pub(super) fn identifiers(&self) -> (Option<AppId>, Option<OpenId>) {
        (AppId::parse(self.appid.as_str()).ok(), OpenId::parse(self.openid.as_str()).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn a_time_is_rfc_3339_and_nothing_else() {
        for good in ["2026-03-01T10:01:05+08:00", "2026-03-01T02:01:05Z", "2026-03-01T10:01:05.123+08:00"] {
            assert_eq!(rfc3339(good).map(|time| time.as_second()), Some(1_772_330_465), "{good}");
        }
        for bad in [
            "",
            "20260301100105",
            "2026-03-01 10:01:05+08:00",
            "2026-03-01T10:01:05",
            "2026-03-01T10:01:05+0800",
            "2026-03-01T10:01:05+08",
            "2026-02-30T10:01:05+08:00",
            "2026-03-01T10:01:05+08:00[Asia/Shanghai]",
            "2026-03-01T10:01:05.+08:00",
            "１026-03-01T10:01:05+08:00",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
