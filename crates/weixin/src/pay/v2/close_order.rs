//! `POST /pay/closeorder`: nothing can be paid on the order any more. Not before five minutes after it was made.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941206>.

use super::{Answer, Call, ErrCode, required};
use crate::{AppId, FieldError, MchId, OutTradeNo, xml::Fields};

/// Asks to close an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOrder {
    /// The mini program.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// The merchant's number of the payment.
    pub out_trade_no: OutTradeNo,
}

impl Call for CloseOrder {
    const PATH: &'static str = "/pay/closeorder";
    type Answer = CloseOrderAnswer;

    fn appid(&self) -> &AppId {
        &self.appid
    }

    fn mchid(&self) -> &MchId {
        &self.mchid
    }

    fn to_fields(&self) -> Fields {
        [("appid", self.appid.as_str()), ("mch_id", self.mchid.as_str()), ("out_trade_no", self.out_trade_no.as_str())]
            .into_iter()
            .collect()
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            appid: required(fields, "appid", AppId::parse)?,
            mchid: required(fields, "mch_id", MchId::parse)?,
            out_trade_no: required(fields, "out_trade_no", OutTradeNo::parse)?,
        })
    }
}

/// The order is closed. `result_msg` is documented, but often absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOrderAnswer;

impl Answer for CloseOrderAnswer {
    fn to_fields(&self) -> Fields {
        [("sub_mch_id", "")].into_iter().collect()
    }

    fn from_fields(_: &Fields) -> Result<Self, FieldError> {
        Ok(Self)
    }
}

/// The codes that the page documents for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::Orderpaid,
    ErrCode::Systemerror,
    ErrCode::Orderclosed,
    ErrCode::Ordernotexist,
    ErrCode::TradeStateError,
    ErrCode::Signerror,
    ErrCode::RequirePostMethod,
    ErrCode::XmlFormatError,
];
