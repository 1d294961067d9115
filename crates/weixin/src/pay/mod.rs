//! WeChat Pay. [`v2`] is the XML interface; [`Transaction`] and [`TradeState`] are the language that everything
//! above this crate speaks, whatever version carried the message.

mod transaction;
pub mod v2;

pub use transaction::{TradeState, Transaction};

/// The main host of WeChat Pay. Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592>.
pub const HOST: &str = "https://api.mch.weixin.qq.com";

/// The back-up host in another region, with the same paths and data.
pub const BACKUP_HOST: &str = "https://api2.mch.weixin.qq.com";
