//! Orders: what is bought, by whom, for how much.
//!
//! A customer orders products, and the price comes from the shelf; one of the merchant's systems may set the amount
//! itself. A customer sees only their own orders.

mod close;
mod create;
mod describe;
mod happened;
mod list;
mod read;
mod state;
mod store;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{AppId, Attach, Body, Fen, MchId, OrderAmount};

pub(crate) use close::close_if_nothing_is_payable;
pub use close::{close, run_expire_job};
pub(crate) use create::checked_amount;
pub use create::create;
pub(crate) use describe::describe;
pub(crate) use happened::happened;
pub use list::list;
pub use read::{View, not_found, read, view};
pub use state::{Arrival, CloseReason, LateMoney, OnClose, OnSuccess, State};
pub use store::{find, find_of_customer};
pub(crate) use store::{mark_paid, set_refunded};

/// What is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Our id.
    pub id: String,
    /// The app in which it is bought.
    pub appid: AppId,
    /// The merchant who is paid.
    pub mchid: MchId,
    /// Who buys.
    pub customer_id: String,
    /// The merchant's own number, if there is one.
    pub reference: Option<String>,
    /// What the customer reads on the payment sheet.
    pub description: Body,
    /// The merchant's own data; WeChat gives it back.
    pub attach: Option<Attach>,
    /// The products; empty if the merchant set the amount.
    pub items: Vec<Item>,
    /// What is to be paid.
    pub amount: OrderAmount,
    /// `CNY`.
    pub currency: String,
    /// How much went back.
    pub refunded: Fen,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it can be paid.
    pub expires: Timestamp,
    /// When the customer paid, by WeChat's clock.
    pub paid: Option<Timestamp>,
}

/// One line of an order, with name and price as they were when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OrderItem)]
pub struct Item {
    /// The product.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// The price of one, in fen.
    #[schema(value_type = i64)]
    pub price: Fen,
    /// How many.
    pub quantity: u32,
}

/// The only currency of merchants on the mainland.
pub const CNY: &str = "CNY";
