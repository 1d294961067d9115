//! `POST /pay/orderquery`: what became of a payment.
//!
//! Careful: an unpaid order is answered with two words SUCCESS and `trade_state` NOTPAY.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941128>.

use super::{Answer, Call, ErrCode, fen, optional, required};
use crate::{
    AppId, Attach, FieldError, MchId, OpenId, OutTradeNo, TransactionId, beijing_time,
    pay::{TradeState, Transaction},
    xml::Fields,
};

pub use crate::pay::PaymentNo as Which;

/// Asks for a payment by the merchant's number or by WeChat's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderQuery {
    /// The mini program.
    pub appid: AppId,
    /// The merchant.
    pub mchid: MchId,
    /// Which payment.
    pub which: Which,
}

impl Call for OrderQuery {
    const PATH: &'static str = "/pay/orderquery";
    type Answer = Transaction;

    fn appid(&self) -> &AppId {
        &self.appid
    }

    fn mchid(&self) -> &MchId {
        &self.mchid
    }

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set("appid", self.appid.as_str()).set("mch_id", self.mchid.as_str());
        set_payment(&mut fields, &self.which);
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            appid: required(fields, "appid", AppId::parse)?,
            mchid: required(fields, "mch_id", MchId::parse)?,
            which: payment(fields)?,
        })
    }

    fn is_answered_by(&self, answer: &Transaction) -> bool {
        match &self.which {
            Which::TransactionId(number) => answer.transaction_id.as_ref() == Some(number),
            Which::OutTradeNo(number) => answer.out_trade_no == *number,
        }
    }
}

/// Writes the number of a payment.
pub(super) fn set_payment(fields: &mut Fields, which: &Which) {
    match which {
        Which::OutTradeNo(number) => fields.set("out_trade_no", number.as_str()),
        Which::TransactionId(number) => fields.set("transaction_id", number.as_str()),
    };
}

/// Reads the number of a payment.
pub(super) fn payment(fields: &Fields) -> Result<Which, FieldError> {
    Ok(match optional(fields, "transaction_id", TransactionId::parse)? {
        Some(number) => Which::TransactionId(number),
        None => Which::OutTradeNo(required(fields, "out_trade_no", OutTradeNo::parse)?),
    })
}

impl Answer for Transaction {
    /// The shape of real answers: no amount for closed orders, payer and times only of paid ones.
    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        if self.trade_state.is_paid() {
            fields
                .set_some("openid", self.openid.as_ref().map(OpenId::as_str))
                .set("is_subscribe", "N")
                .set("trade_type", "JSAPI")
                .set_some("bank_type", self.bank_type.as_deref());
        }
        if self.trade_state != TradeState::Closed {
            fields.set_some("total_fee", self.total.map(|fen| fen.get().to_string()));
        }
        if self.trade_state.is_paid() {
            fields
                .set("fee_type", self.currency.as_deref().unwrap_or("CNY"))
                .set_some("transaction_id", self.transaction_id.as_ref().map(TransactionId::as_str));
        }
        fields
            .set("out_trade_no", self.out_trade_no.as_str())
            .set("attach", self.attach.as_ref().map_or("", Attach::as_str));
        if self.trade_state.is_paid() {
            fields
                .set_some("time_end", self.success_time.map(beijing_time::compact))
                .set_some("cash_fee", self.payer_total.map(|fen| fen.get().to_string()))
                .set("cash_fee_type", "CNY");
        }
        fields.set("trade_state", self.trade_state.as_str()).set("trade_state_desc", description(&self.trade_state));
        fields
    }

    fn from_fields(fields: &Fields) -> Result<Self, FieldError> {
        read_transaction(fields, required(fields, "trade_state", |word| Ok(TradeState::from_wire(word)))?)
    }
}

/// Reads the fields that queries and notifications have in common.
pub(super) fn read_transaction(fields: &Fields, trade_state: TradeState) -> Result<Transaction, FieldError> {
    Ok(Transaction {
        appid: required(fields, "appid", AppId::parse)?,
        mchid: required(fields, "mch_id", MchId::parse)?,
        out_trade_no: required(fields, "out_trade_no", OutTradeNo::received)?,
        trade_state,
        transaction_id: optional(fields, "transaction_id", TransactionId::parse)?,
        openid: optional(fields, "openid", OpenId::parse)?,
        total: optional(fields, "total_fee", fen("total_fee"))?,
        payer_total: optional(fields, "cash_fee", fen("cash_fee"))?,
        currency: fields.get("fee_type").map(str::to_owned),
        bank_type: fields.get("bank_type").map(str::to_owned),
        attach: optional(fields, "attach", Attach::received)?,
        success_time: optional(fields, "time_end", |text| beijing_time::from_compact("time_end", text))?,
    })
}

/// WeChat's sentence for a state, as seen in real answers.
fn description(state: &TradeState) -> &'static str {
    match state {
        TradeState::Success => "支付成功",
        TradeState::Refund => "订单发生过退款，退款详情请查询退款单",
        TradeState::NotPay => "订单未支付",
        TradeState::Closed => "订单已关闭",
        TradeState::Revoked => "订单已撤销",
        TradeState::UserPaying => "用户支付中，需要输入密码",
        TradeState::PayError => "支付失败",
        TradeState::Accept => "已接收，等待扣款",
        TradeState::Unknown(_) => "",
    }
}

/// The codes that the page documents for this endpoint.
pub const ERR_CODES: &[ErrCode] = &[ErrCode::Ordernotexist, ErrCode::Systemerror];
