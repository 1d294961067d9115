//! Forged notifications: of payments that nobody made, as somebody else would send them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{
    ApiV2Key, ApiV3Key, MchId,
    pay::{TradeState, Transaction, v2, v3::notification::write_paid},
};

use super::{
    Api, Order,
    notify::{Letter, OTHER_KEY, is_loopback},
    v3::sign::Unsigned,
};
use crate::{fault::FaultKind, world::World};

/// What the forger has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forger {
    /// Nothing but the address and the numbers of the order.
    #[default]
    Stranger,
    /// The merchant's key of the version that made the order. In API v2 that is enough for a good signature.
    WithKey,
}

/// Why nothing was forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The number is not known.
    #[error("there is no such order")]
    UnknownOrder,
    /// The merchant lacks the key.
    #[error("the merchant has no key of the version that made the order")]
    NoKey,
    /// The simulator never calls the outside world.
    #[error("the notify_url of the order is not on this machine")]
    NotLoopback,
}

/// In place of the key that a stranger does not have.
const OTHER_API_V3_KEY: &str = "strangerApiV3Key0000000000000000";

impl World {
    /// Writes the notification of a payment of this order that never was.
    pub(super) fn forge(
        &self,
        now: Timestamp,
        mchid: &MchId,
        out_trade_no: &str,
        forger: Forger,
    ) -> Result<Letter, ForgeError> {
        let key = Order::key(mchid, out_trade_no);
        let order = self.orders.get(&key).ok_or(ForgeError::UnknownOrder)?;
        let url = order.parameter("notify_url").unwrap_or_default().to_owned();
        if !is_loopback(&url) {
            return Err(ForgeError::NotLoopback);
        }
        let counter = now.as_millisecond().unsigned_abs();
        let seed = self.seed();
        let paid = Transaction {
            transaction_id: Some(seed.transaction_id(&format!("forged/{key}"), now)),
            ..order.as_if_paid(now).ok_or(ForgeError::UnknownOrder)?
        };
        let (body, headers) = match order.api {
            Api::V2 => {
                let merchant = self.merchants.get(mchid.as_str()).ok_or(ForgeError::NoKey)?;
                let key = match forger {
                    Forger::WithKey => Ok(merchant.api_v2_key.clone()),
                    Forger::Stranger => ApiV2Key::parse(OTHER_KEY),
                };
                let key = key.map_err(|_| ForgeError::NoKey)?;
                let nonce_str = seed.nonce(&format!("forged/{out_trade_no}"), counter);
                let sign_type = self.declared_sign_type(order);
                (v2::notification::write(&paid, sign_type, &nonce_str, &key).to_xml(), Vec::new())
            }
            Api::V3 => {
                let merchant = self.merchants_v3.get(mchid.as_str()).ok_or(ForgeError::NoKey)?;
                let api_v3_key = match forger {
                    Forger::WithKey => merchant.key.clone().ok_or(ForgeError::NoKey)?,
                    Forger::Stranger => ApiV3Key::parse(OTHER_API_V3_KEY).map_err(|_| ForgeError::NoKey)?,
                };
                let nonce = seed.alphanumeric("seal a forgery", &key, counter, 12);
                let id = seed.notification_id(&format!("forged/{key}"));
                let body = write_paid(&id, &paid, now, &api_v3_key, &nonce).map_err(|_| ForgeError::NoKey)?;
                // Signed by somebody else under the name that the merchant believes.
                let signer = merchant.signer(&self.switches);
                let nonce = seed.alphanumeric("sign a forgery", &key, counter, 32);
                let unsigned = Unsigned { body: body.as_bytes(), signer: &signer, now, nonce };
                let headers = unsigned.sign(seed, Some(&FaultKind::WrongSignature));
                (body, headers)
            }
        };
        Ok(Letter { subject: None, api: order.api, url, body, headers, at: now, fault: None })
    }

    /// Has the forgery posted with what is sent next.
    pub(crate) fn post_forgery(
        &mut self,
        now: Timestamp,
        mchid: &MchId,
        out_trade_no: &str,
        forger: Forger,
    ) -> Result<(), ForgeError> {
        let letter = self.forge(now, mchid, out_trade_no, forger)?;
        self.forgeries.push(letter);
        Ok(())
    }

    /// The type of signature that the latest request of the order named.
    fn declared_sign_type(&self, order: &Order) -> Option<v2::SignType> {
        let prepay = order.prepay_ids.last().and_then(|prepay_id| self.prepays.get(prepay_id))?;
        v2::SignType::from_wire(prepay.sign_type.as_deref()?).ok()
    }
}

impl Order {
    /// What would be told if it had been paid just now.
    fn as_if_paid(&self, now: Timestamp) -> Option<Transaction> {
        Some(Transaction {
            trade_state: TradeState::Success,
            openid: Some(self.openid.clone()),
            payer_total: Some(self.total),
            bank_type: Some("OTHERS".to_owned()),
            success_time: Some(now),
            ..self.transaction()?
        })
    }
}
