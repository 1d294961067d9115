//! The JSON of a transaction: the same in the answer to a query and in the plaintext of a notification.

use jiff::{Timestamp, fmt::temporal::DateTimePrinter, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    AppId, Attach, Fen, MchId, OpenId, OutTradeNo, TransactionId,
    beijing_time::BEIJING,
    pay::{TradeState, Transaction},
};

/// What WeChat writes. Everything that an unpaid order may lack is optional.
#[derive(Debug, Serialize, Deserialize)]
struct Wire {
    appid: AppId,
    mchid: MchId,
    out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trade_type: Option<String>,
    trade_state: String,
    #[serde(default)]
    trade_state_desc: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bank_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<Payer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Payer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openid: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Amount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_total: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_currency: Option<String>,
}

/// An optional text that WeChat may also send empty.
fn some<T>(
    text: Option<String>,
    parse: impl FnOnce(String) -> Result<T, crate::FieldError>,
) -> Result<Option<T>, crate::FieldError> {
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

impl TryFrom<Wire> for Transaction {
    type Error = crate::FieldError;

    fn try_from(wire: Wire) -> Result<Self, crate::FieldError> {
        let amount =
            wire.amount.unwrap_or(Amount { total: None, payer_total: None, currency: None, payer_currency: None });
        let time =
            |text: String| time(&text).ok_or(crate::FieldError::new("success_time", "must be a time of RFC 3339"));
        Ok(Self {
            appid: wire.appid,
            mchid: wire.mchid,
            out_trade_no: OutTradeNo::received(wire.out_trade_no)?,
            trade_state: TradeState::from_wire(&wire.trade_state),
            transaction_id: some(wire.transaction_id, TransactionId::parse)?,
            openid: some(wire.payer.and_then(|payer| payer.openid), OpenId::parse)?,
            total: amount.total.map(Fen::new),
            payer_total: amount.payer_total.map(Fen::new),
            currency: amount.currency.filter(|text| !text.is_empty()),
            bank_type: wire.bank_type.filter(|text| !text.is_empty()),
            attach: some(wire.attach, Attach::received)?,
            success_time: some(wire.success_time, time)?,
        })
    }
}

impl<'de> Deserialize<'de> for Transaction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Transaction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paid = self.trade_state.is_paid();
        let currency = Some(self.currency.clone().unwrap_or_else(|| "CNY".to_owned()));
        let wire = Wire {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            out_trade_no: self.out_trade_no.to_string(),
            transaction_id: self.transaction_id.as_ref().map(ToString::to_string),
            trade_type: paid.then(|| "JSAPI".to_owned()),
            trade_state: self.trade_state.to_string(),
            trade_state_desc: description(&self.trade_state).to_owned(),
            bank_type: self.bank_type.clone(),
            attach: Some(self.attach.as_ref().map(ToString::to_string).unwrap_or_default()),
            success_time: self.success_time.map(rfc3339),
            payer: Some(Payer { openid: self.openid.as_ref().map(ToString::to_string) }),
            amount: Some(Amount {
                total: self.total.map(Fen::get),
                payer_total: self.payer_total.map(Fen::get),
                currency: currency.clone(),
                payer_currency: currency,
            }),
        };
        wire.serialize(serializer)
    }
}

/// A time as API v3 writes it: RFC 3339 in UTC+8, whole seconds.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let zone = TimeZone::fixed(BEIJING);
    let mut text = String::new();
    // Writing to a string cannot fail; the offset is told because the zone is fixed.
    let _ =
        DateTimePrinter::new().precision(Some(0)).print_timestamp_with_offset(&time, zone.to_offset(time), &mut text);
    text
}

/// Reads a time of RFC 3339.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// WeChat's sentence for a state.
fn description(state: &TradeState) -> &'static str {
    match state {
        TradeState::Success => "支付成功",
        TradeState::Refund => "转入退款",
        TradeState::NotPay => "订单未支付",
        TradeState::Closed => "订单已关闭",
        TradeState::Revoked => "已撤销",
        TradeState::UserPaying => "用户支付中",
        TradeState::PayError => "支付失败",
        TradeState::Accept => "已接收，等待扣款",
        TradeState::Unknown(_) => "",
    }
}
