//! `POST /pay/unifiedorder`: makes an order at WeChat, or enters it again, and gives its `prepay_id`.
//!
//! The same `out_trade_no` with the same business parameters is the same order, however often it is sent; with one
//! changed parameter it is refused. Keep the first message and send it again.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Answer, Call, ErrCode, fen, optional, required};
use crate::{
    AppId, Attach, Body, FieldError, MchId, NotifyUrl, OpenId, OrderAmount, OutTradeNo, PrepayId, beijing_time,
    xml::Fields,
};

/// How long a `prepay_id` is valid, in seconds, whatever `time_expire` says.
pub const PREPAY_ID_VALID_S: i64 = 2 * 60 * 60;

/// An order of a mini program's customer (`trade_type` JSAPI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnifiedOrder {
    /// The mini program.
    pub appid: AppId,
    /// The merchant; must be bound to the mini program.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
    /// What is sold.
    pub body: Body,
    /// The merchant's own data, returned unchanged.
    pub attach: Option<Attach>,
    /// The amount in fen (`total_fee`).
    pub total: OrderAmount,
    /// Who pays: an `openid` of this very app.
    pub openid: OpenId,
    /// The customer's address, or the server's (`spbill_create_ip`).
    pub client_ip: IpAddr,
    /// When the order was made.
    pub time_start: Option<Timestamp>,
    /// The last moment to pay. It does not close the order.
    pub time_expire: Option<Timestamp>,
    /// Where to report the payment.
    pub notify_url: NotifyUrl,
}

impl Call for UnifiedOrder {
    const PATH: &'static str = "/pay/unifiedorder";
    type Answer = UnifiedOrderAnswer;

    fn appid(&self) -> &AppId {
        &self.appid
    }

    fn mchid(&self) -> &MchId {
        &self.mchid
    }

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields
            .set("appid", self.appid.as_str())
            .set("mch_id", self.mchid.as_str())
            .set("body", self.body.as_str())
            .set_some("attach", self.attach.as_ref().map(Attach::as_str))
            .set("out_trade_no", self.out_trade_no.as_str())
            .set("fee_type", "CNY")
            .set("total_fee", self.total.fen().get().to_string())
            .set("spbill_create_ip", self.client_ip.to_string())
            .set_some("time_start", self.time_start.map(beijing_time::compact))
            .set_some("time_expire", self.time_expire.map(beijing_time::compact))
            .set("notify_url", self.notify_url.as_str())
            .set("trade_type", "JSAPI")
            .set("openid", self.openid.as_str());
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        if fields.get("trade_type") != Some("JSAPI") {
            return Err(FieldError::new("trade_type", "must be JSAPI"));
        }
        if fields.get("fee_type").is_some_and(|currency| currency != "CNY") {
            return Err(FieldError::new("fee_type", "must be CNY"));
        }
        let total_fee = required(fields, "total_fee", fen("total_fee"))?;
        let time = |name| move |text: &str| beijing_time::from_compact(name, text);
        Ok(Self {
            appid: required(fields, "appid", AppId::parse)?,
            mchid: required(fields, "mch_id", MchId::parse)?,
            out_trade_no: required(fields, "out_trade_no", OutTradeNo::parse)?,
            body: required(fields, "body", Body::parse)?,
            attach: optional(fields, "attach", Attach::parse)?,
            total: OrderAmount::new(total_fee)
                .map_err(|_| FieldError::new("total_fee", "must be 1 fen or more, within 32 bits"))?,
            openid: required(fields, "openid", OpenId::parse)?,
            client_ip: required(fields, "spbill_create_ip", |text| {
                text.parse().map_err(|_| FieldError::new("spbill_create_ip", "must be an IPv4 or IPv6 address"))
            })?,
            time_start: optional(fields, "time_start", time("time_start"))?,
            time_expire: optional(fields, "time_expire", time("time_expire"))?,
            notify_url: required(fields, "notify_url", NotifyUrl::parse)?,
        })
    }
}

/// The order exists at WeChat and waits for the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnifiedOrderAnswer {
    /// What the phone needs to show the payment sheet.
    pub prepay_id: PrepayId,
}

impl Answer for UnifiedOrderAnswer {
    fn to_fields(&self) -> Fields {
        [("prepay_id", self.prepay_id.as_str()), ("trade_type", "JSAPI")].into_iter().collect()
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self { prepay_id: required(fields, "prepay_id", PrepayId::parse)? })
    }
}

pub use crate::pay::Refusal;

impl Refusal {
    /// Sorts a signed refusal. Codes that we do not know prove nothing.
    pub fn of(code: &ErrCode) -> Self {
        match code {
            ErrCode::Orderpaid | ErrCode::Orderclosed | ErrCode::OutTradeNoUsed | ErrCode::InvalidRequest => {
                Self::Query
            }
            code if code.is_about_the_message() => Self::Definitive,
            _ => Self::TryAgain,
        }
    }
}

/// The codes that the page documents for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::InvalidRequest,
    ErrCode::Noauth,
    ErrCode::Notenough,
    ErrCode::Orderpaid,
    ErrCode::Orderclosed,
    ErrCode::Systemerror,
    ErrCode::AppidNotExist,
    ErrCode::MchidNotExist,
    ErrCode::AppidMchidNotMatch,
    ErrCode::LackParams,
    ErrCode::ParamError,
    ErrCode::OutTradeNoUsed,
    ErrCode::Signerror,
    ErrCode::XmlFormatError,
    ErrCode::RequirePostMethod,
    ErrCode::PostDataEmpty,
    ErrCode::NotUtf8,
];
