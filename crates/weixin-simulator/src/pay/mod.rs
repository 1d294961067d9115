//! WeChat Pay: one order book, the phone and the notifications for both versions of the interface; here API v2
//! (`/pay/unifiedorder`, `/pay/orderquery`, `/pay/closeorder`, `/secapi/pay/refund`, `/pay/refundquery`), in [`v3`]
//! the other one.
//!
//! In API v2 failures on the communication level are two unsigned elements, refusals on the business level are signed;
//! both come with HTTP status 200. Answers are signed with the sign type of the request.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules).

mod certificate;
mod checks;
mod fields;
mod forge;
mod mailer;
mod notify;
mod order;
mod phone;
mod refund;
mod refund_v2;
pub(crate) mod v3;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{
    AppId, Fen, MchId, OpenId, TransactionId,
    pay::v2::{
        self, Call as _, ErrCode, close_order::CloseOrder, order_query::OrderQuery, refund::RefundRequest,
        refund_query::RefundQuery, unified_order::UnifiedOrder,
    },
    xml::Fields,
};

pub use forge::{ForgeError, Forger};
pub(crate) use mailer::{Mailer, deliver_due, forge_notification, reason, run_automatically};
pub use notify::{Attempt, NotificationState};
pub(crate) use notify::{Letter, Subject, after, is_loopback};
pub use order::UNPAID_CLOSED_AFTER_S;
pub(crate) use phone::REQUEST_PAYMENT_OK;
pub use phone::{Choice, PaymentSheet, PhoneError};
pub(crate) use refund::Refund;
pub use refund::{RefundEnding, RefundError, RefundSource};
pub(crate) use v3::EchoToTell;

use self::checks::{Failure, Message};
use crate::{answer::Answer, fault::FaultKind, options::Strictness, server::Request, world::World};

/// An order at WeChat Pay.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) appid: AppId,
    pub(crate) mchid: MchId,
    pub(crate) out_trade_no: String,
    pub(crate) openid: OpenId,
    pub(crate) total: Fen,
    pub(crate) time_expire: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    /// The parameters that must be the same when the order is sent again.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) state: OrderState,
    /// All that were given out, the latest last.
    pub(crate) prepay_ids: Vec<String>,
    /// Only of paid orders.
    pub(crate) notification: Option<notify::Notification>,
    /// Which version made it.
    #[serde(default)]
    pub(crate) api: Api,
    /// The keys of its refunds.
    #[serde(default)]
    pub(crate) refunds: Vec<String>,
}

/// A version of the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// XML, signed with the API v2 key.
    #[default]
    V2,
    /// JSON, signed with certificates.
    V3,
}

/// How far an order is.
#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum OrderState {
    NotPay,
    Paid {
        transaction_id: TransactionId,
        paid_at: Timestamp,
        /// `sign_type` as the order had it, which decides the form of the notification.
        sign_type: Option<String>,
    },
    Closed,
}

/// What a `prepay_id` stands for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Prepay {
    /// The key of the order.
    pub(crate) order: String,
    pub(crate) made_at: Timestamp,
    /// `sign_type` as the request had it.
    pub(crate) sign_type: Option<String>,
}

impl Order {
    pub(crate) fn key(mchid: &MchId, out_trade_no: &str) -> String {
        format!("{mchid}/{out_trade_no}")
    }

    /// A parameter of the order. Version 3 keeps those that are inside of others under their path (`amount/total`).
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The shop's own name of the till.
    pub(crate) fn device(&self) -> Option<&str> {
        self.parameter(match self.api {
            Api::V2 => "device_info",
            Api::V3 => "scene_info/device_id",
        })
    }

    /// WeChat's word for the state.
    pub(crate) fn trade_state(&self) -> weixin::pay::TradeState {
        use weixin::pay::TradeState;
        match self.state {
            OrderState::NotPay => TradeState::NotPay,
            OrderState::Paid { .. } if !self.refunds.is_empty() => TradeState::Refund,
            OrderState::Paid { .. } => TradeState::Success,
            OrderState::Closed => TradeState::Closed,
        }
    }
}

/// The paths of API v2 that are played.
pub(crate) const PATHS: [&str; 5] =
    [UnifiedOrder::PATH, OrderQuery::PATH, CloseOrder::PATH, RefundRequest::PATH, RefundQuery::PATH];

/// Whether WeChat Pay answers at this path.
pub(crate) fn is_path(path: &str) -> bool {
    PATHS.contains(&path)
}

/// Whether an answer from there tells a number of the merchant.
pub(crate) fn answers_with_a_number(path: &str) -> bool {
    [RefundRequest::PATH, RefundQuery::PATH].contains(&path)
        || path.starts_with("/v3/refund/")
        || answers_with_a_trade_state(path)
}

/// Whether an answer from there tells how far a payment is.
pub(crate) fn answers_with_a_trade_state(path: &str) -> bool {
    path == OrderQuery::PATH
        || (path.starts_with("/v3/pay/transactions/") && !path.ends_with("/jsapi") && !path.ends_with("/close"))
}

/// Whether an answer from there tells how far a refund is.
pub(crate) fn answers_with_a_refund_status(path: &str) -> bool {
    path == RefundQuery::PATH || path.starts_with("/v3/refund/")
}

/// A number that no merchant has asked about.
const FOREIGN_NUMBER: &str = "ANOTHER-NUMBER-0001";

/// Answers a request to WeChat Pay.
pub(crate) fn answer(
    strictness: &Strictness,
    world: &mut World,
    now: Timestamp,
    request: &Request,
    fault: Option<&FaultKind>,
) -> Answer {
    if request.path == RefundRequest::PATH
        && let Some(page) = certificate::refused_at_the_gate(world, request)
    {
        return page;
    }
    let mut fields = match fault {
        Some(FaultKind::Fail(return_msg)) => v2::communication_failure(return_msg),
        fault => match checks::read(world, now, request) {
            Ok(message) => process(strictness, world, now, request, &message, fault),
            Err(refusal) => refusal,
        },
    };
    match fault {
        Some(FaultKind::Unsigned) => drop(fields.remove("sign")),
        Some(FaultKind::WrongSignature) => falsify_signature(&mut fields),
        _ => {}
    }
    Answer::xml(fields.to_xml())
}

/// What happens after the signature was found good.
fn process(
    strictness: &Strictness,
    world: &mut World,
    now: Timestamp,
    request: &Request,
    message: &Message,
    fault: Option<&FaultKind>,
) -> Fields {
    let told_to_refuse = |code: &str| Failure::business(ErrCode::from_wire(code), ErrCode::from_wire(code).meaning());
    if let Some(FaultKind::ErrCode(code)) = fault {
        return told_to_refuse(code).write(Some(&message.envelope));
    }
    let result = match request.path.as_str() {
        UnifiedOrder::PATH => world.unified_order(strictness, now, message),
        OrderQuery::PATH => world.order_query(now, message),
        RefundRequest::PATH => match certificate::complaint(request, &message.envelope.mchid, now) {
            Some(return_msg) => Err(Failure::communication(return_msg)),
            None => world.refund_v2(strictness, now, message),
        },
        RefundQuery::PATH => world.refund_query_v2(now, message),
        _ => world.close_order(strictness, now, message),
    };
    let result = match fault {
        Some(FaultKind::ErrCodeAfter(code)) => Err(told_to_refuse(code)),
        _ => result,
    };
    match result {
        Ok(success) => message.envelope.success(&success, fault),
        Err(failure) => failure.write(Some(&message.envelope)),
    }
}

/// Puts a signature in place that does not fit, but has the form of one.
fn falsify_signature(fields: &mut Fields) {
    let sign = fields.get("sign").map(|sign| {
        let (head, tail) = sign.split_at(sign.len() - 1);
        format!("{head}{}", if tail == "0" { "1" } else { "0" })
    });
    if let Some(sign) = sign {
        fields.set("sign", sign);
    }
}
