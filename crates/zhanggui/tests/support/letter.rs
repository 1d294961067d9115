//! A notification as WeChat would post it, to be repeated, changed and falsified.

use jiff::Timestamp;
use weixin::{
    ApiV2Key, Fen, NonceStr, OpenId, OutTradeNo, TransactionId,
    pay::{
        TradeState, Transaction,
        v2::{SignType, notification, signed},
    },
    xml::Fields,
};

use super::shop::Business;

/// The fields, and the key with which WeChat signs.
#[derive(Clone)]
pub(crate) struct Letter {
    fields: Fields,
    key: ApiV2Key,
    sign_type: SignType,
}

/// What a notification tells.
pub(crate) struct Told<'a> {
    pub(crate) out_trade_no: &'a str,
    pub(crate) total_fen: i64,
    pub(crate) openid: &'a str,
    pub(crate) transaction_id: &'a str,
    pub(crate) success_time: Timestamp,
}

impl Told<'_> {
    pub(crate) fn transaction(&self, business: &Business) -> Transaction {
        let total = Some(Fen::new(self.total_fen));
        Transaction {
            appid: business.appid(),
            mchid: business.mchid(),
            out_trade_no: OutTradeNo::parse(self.out_trade_no).unwrap(),
            trade_state: TradeState::Success,
            transaction_id: Some(TransactionId::parse(self.transaction_id).unwrap()),
            openid: Some(OpenId::parse(self.openid).unwrap()),
            total,
            payer_total: total,
            currency: Some("CNY".to_owned()),
            bank_type: Some("OTHERS".to_owned()),
            attach: None,
            success_time: Some(self.success_time),
        }
    }
}

impl Letter {
    pub(crate) fn new(business: &Business, sign_type: SignType, told: &Told<'_>) -> Self {
        let transaction = told.transaction(business);
        let nonce_str = NonceStr::parse("5K8264ILTKCH16CQ2502SI8ZNMTM67VS").unwrap();
        let fields = notification::write(&transaction, Some(sign_type), &nonce_str, &business.key());
        Self { fields, key: business.key(), sign_type }
    }

    /// Another value; the signature stays as it was.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.set(name, value);
        self
    }

    /// One field less; the signature stays as it was.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.remove(name);
        self
    }

    /// The fields in reverse.
    pub(crate) fn reversed(mut self) -> Self {
        let pairs: Vec<_> = self.fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.fields = pairs.into_iter().rev().collect();
        self
    }

    /// Signed again, as only WeChat (or a thief of the key) can.
    pub(crate) fn signed(self) -> Self {
        let (key, sign_type) = (self.key.clone(), self.sign_type);
        self.signed_with(&key, sign_type)
    }

    pub(crate) fn signed_with(mut self, key: &ApiV2Key, sign_type: SignType) -> Self {
        self.fields = signed(self.fields, key, sign_type);
        self
    }

    pub(crate) fn xml(&self) -> String {
        self.fields.to_xml()
    }
}
