//! WeChat Pay. [`v2`] is the XML interface, [`v3`] the JSON interface; [`Transaction`], [`TradeState`], [`Refund`],
//! [`RefundState`] and [`RefundRefusal`] are the language that everything above this crate speaks, whatever version carried the message.

mod refund;
mod request_payment;
mod transaction;
pub mod v2;
pub mod v3;
mod wire_codes;

pub use refund::{PaymentNo, Refund, RefundRefusal, RefundState};
pub use request_payment::RequestPayment;
pub use transaction::{TradeState, Transaction};

/// The main host of WeChat Pay. Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592>.
pub const HOST: &str = "https://api.mch.weixin.qq.com";

/// The back-up host in another region, with the same paths and data.
pub const BACKUP_HOST: &str = "https://api2.mch.weixin.qq.com";

/// What WeChat's refusal of an order says about the order.
///
/// Source: the error codes of <https://pay.weixin.qq.com/doc/v2/merchant/4011940985> and
/// <https://pay.weixin.qq.com/doc/v3/merchant/4012791897>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is known: send the same message again, later.
    TryAgain,
    /// The number is known to WeChat, perhaps paid or closed: ask what became of it.
    Query,
    /// This call was refused for good. A new attempt needs a new number, which is safe only if no earlier call with this
    /// one can have succeeded.
    Definitive,
}
