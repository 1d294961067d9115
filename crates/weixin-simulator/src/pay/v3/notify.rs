//! Notifications of API v3: sealed with the APIv3 key, signed anew for every attempt, with the same id each time.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791902> (payment) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791906> (refund).

use jiff::Timestamp;
use weixin::{
    MchId,
    pay::{
        Transaction,
        v3::{
            aead::Sealed,
            notification::{write_paid, write_refunded},
        },
    },
};

use super::{order::rfc3339, sign::Unsigned};
use crate::{
    fault::FaultKind,
    merchant::MerchantV3,
    pay::{EchoToTell, Order, Refund, RefundEnding},
    random::Seed,
    world::Switches,
};

/// Another merchant than the one who is told.
pub(in super::super) const OTHER_MERCHANT: &str = "1900000109";

/// One body and its signature.
pub(in super::super) struct Written {
    pub(in super::super) body: String,
    pub(in super::super) headers: Vec<(&'static str, String)>,
}

/// What an attempt is made from.
pub(in super::super) struct Occasion<'a> {
    pub(in super::super) seed: Seed,
    pub(in super::super) now: Timestamp,
    /// Tells the events apart.
    pub(in super::super) key: &'a str,
    /// Counts the attempts.
    pub(in super::super) counter: u64,
    pub(in super::super) switches: &'a Switches,
    pub(in super::super) fault: Option<&'a FaultKind>,
}

impl Occasion<'_> {
    /// Tells of a payment. Nobody can be told who has no APIv3 key.
    pub(in super::super) fn payment(&self, merchant: &mut MerchantV3, order: &Order) -> Option<Written> {
        let key = merchant.key.clone()?;
        let paid = self.spoil(order.transaction()?);
        let created = paid.success_time.unwrap_or(self.now);
        let body = write_paid(&self.id("payment"), &paid, created, &key, &self.seal_nonce("payment")).ok()?;
        Some(self.sign(merchant, body))
    }

    /// Tells of the end of a refund.
    pub(in super::super) fn refund(&self, merchant: &mut MerchantV3, refund: &Refund) -> Option<Written> {
        let key = merchant.key.clone()?;
        let mut told = refund.describe(self.now);
        let mut mchid = refund.mchid.clone();
        match self.fault {
            Some(FaultKind::WrongAmount) => told.refund = told.refund.checked_add(weixin::Fen::new(1))?,
            Some(FaultKind::OtherMerchant) => mchid = other_merchant(mchid),
            _ => {}
        }
        let nonce = self.seal_nonce("refund");
        // How it ended is part of what happened: an abnormal refund that succeeds later is another event.
        let kind = match refund.ending {
            RefundEnding::Success => "refund",
            RefundEnding::Abnormal => "refund abnormal",
            RefundEnding::Closed => "refund closed",
        };
        let body = write_refunded(&self.id(kind), &mchid, &told, refund.arrives_at, &key, &nonce).ok()?;
        Some(self.sign(merchant, body))
    }

    /// The notification of a self-test.
    pub(in super::super) fn echo(&self, merchant: &mut MerchantV3, echo: &EchoToTell) -> Option<Written> {
        let key = merchant.key.clone()?;
        let sealed = Sealed::seal(&key, &self.seal_nonce("echo"), "security", echo.plain.as_bytes()).ok()?;
        let mut resource = serde_json::json!(sealed);
        resource["original_type"] = "security".into();
        let body = serde_json::json!({
            "id": self.id("echo"),
            "create_time": rfc3339(echo.at),
            "resource_type": "encrypt-resource",
            "event_type": "SECURITY_ECHO.SUCCESS",
            "summary": "回显成功",
            "resource": resource,
        });
        Some(self.sign(merchant, body.to_string()))
    }

    fn id(&self, kind: &str) -> String {
        self.seed.notification_id(&format!("{kind}/{}", self.key))
    }

    /// Twelve characters; another one for each attempt. A refund may have the number of an order: no nonce is used
    /// twice with one key.
    fn seal_nonce(&self, kind: &str) -> String {
        self.seed.alphanumeric("seal a notification", &format!("{kind}/{}", self.key), self.counter, 12)
    }

    fn spoil(&self, paid: Transaction) -> Transaction {
        match self.fault {
            Some(FaultKind::WrongAmount) => {
                let total = paid.total.and_then(|total| total.checked_add(weixin::Fen::new(1)));
                Transaction { total, ..paid }
            }
            Some(FaultKind::OtherMerchant) => Transaction { mchid: other_merchant(paid.mchid), ..paid },
            _ => paid,
        }
    }

    fn sign(&self, merchant: &mut MerchantV3, body: String) -> Written {
        let mut body = match self.fault {
            Some(FaultKind::UnknownField) => body.replacen('{', "{\"zz_unknown_field\":\"1\",", 1),
            _ => body,
        };
        let signer = merchant.notification_signer(self.switches);
        let nonce = self.seed.alphanumeric("sign a notification", self.key, self.counter, 32);
        let unsigned = Unsigned { body: body.as_bytes(), signer: &signer, now: self.now, nonce };
        let headers = unsigned.sign(self.seed, self.fault);
        if matches!(self.fault, Some(FaultKind::TamperedBody | FaultKind::TamperedAmount)) {
            // One character that nobody reads as anything but a text.
            body = body.replacen("\"summary\":\"", "\"summary\":\"!", 1);
        }
        Written { body, headers }
    }
}

fn other_merchant(mchid: MchId) -> MchId {
    MchId::parse(OTHER_MERCHANT).unwrap_or(mchid)
}
