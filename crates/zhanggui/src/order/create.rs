//! `POST /v1/orders`: a customer orders products; a system of the merchant sets amount and description.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use weixin::{Attach, Body, Fen, OpenId, OrderAmount};

use super::{CNY, Item, Order, State as OrderState, happened, store, view};
use crate::{
    api_key::Scope,
    app::App,
    clock::ms,
    database::{DatabaseError, Tx},
    event,
    http::{Caller, Code, Problem},
    id,
    idempotency::{Answered, Creating},
    job, product,
    session::{self, Customer},
};

/// The most lines of an order.
const ITEMS_MAX: usize = 50;

/// The most pieces of one product in an order.
const QUANTITY_MAX: u32 = 999;

/// The longest reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 64;

/// What the caller sends: `items` (customers and keys) or `amount` and `description` (keys only).
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrder {
    items: Option<Vec<Wanted>>,
    /// Whole fen.
    #[schema(value_type = Option<i64>)]
    amount: Option<serde_json::Number>,
    currency: Option<String>,
    description: Option<String>,
    attach: Option<String>,
    reference: Option<String>,
    openid: Option<String>,
    appid: Option<String>,
    expires_in_min: Option<u32>,
}

/// One wanted product. There is no field for a price.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedItem)]
struct Wanted {
    sku: String,
    #[serde(default = "one")]
    quantity: u32,
}

fn one() -> u32 {
    1
}

/// Makes an order.
///
/// # Errors
/// Something about the order cannot be, or the caller may not set it.
pub async fn create(
    State(app): State<Arc<App>>,
    Creating { caller, body, once }: Creating<CreateOrder>,
) -> Result<Answered, Problem> {
    caller.allow(Scope::Orders)?;
    let draft = match caller {
        Caller::Customer(customer) => by_customer(&app, &customer, body)?,
        Caller::Key(_) => by_key(&app, body)?,
    };
    let now = app.now();
    let new_ids = (id::new(id::Kind::Order, now, &app.entropy), id::new(id::Kind::Customer, now, &app.entropy));
    let order_id = new_ids.0.clone();
    let writing = Arc::clone(&app);
    let insert = move |tx: &mut Tx| insert(tx, &writing, now, &new_ids, &draft).map(|order| view(&order));
    let answered = once.write(&app, StatusCode::CREATED, insert).await?;
    if answered.is_fresh() {
        app.event_wake.notify_waiters();
        tracing::info!(order.id = order_id, "order created");
    }
    Ok(answered)
}

/// An order before its products were looked up.
#[derive(Clone)]
struct Draft {
    app: (weixin::AppId, weixin::MchId),
    buyer: Buyer,
    content: Content,
    attach: Option<Attach>,
    reference: Option<String>,
    expires_in: SignedDuration,
}

#[derive(Clone)]
enum Buyer {
    Customer(String),
    OpenId(OpenId),
}

#[derive(Clone)]
enum Content {
    Products { wanted: Vec<Wanted>, description: Option<Body> },
    Amount { amount: OrderAmount, description: Body },
}

fn by_customer(app: &App, customer: &Customer, body: CreateOrder) -> Result<Draft, Problem> {
    if body.amount.is_some() || body.currency.is_some() {
        return Err(Problem::new(
            Code::AmountNotAllowed,
            "Send items with sku and quantity: the price comes from the shop's products.",
        ));
    }
    let merchants_only = [
        ("description", body.description.is_some()),
        ("attach", body.attach.is_some()),
        ("openid", body.openid.is_some()),
        ("appid", body.appid.is_some()),
        ("reference", body.reference.is_some()),
        ("expires_in_min", body.expires_in_min.is_some()),
    ];
    if let Some((field, _)) = merchants_only.iter().find(|(_, given)| *given) {
        return Err(Problem::new(Code::BodyInvalid, format!("{field} can be set with an API key only.")));
    }
    let mini_program = app.asked_app(Some(customer.appid.as_str()))?;
    Ok(Draft {
        app: (mini_program.appid.clone(), mini_program.mchid.clone()),
        buyer: Buyer::Customer(customer.id.clone()),
        content: Content::Products { wanted: checked_items(body.items)?, description: None },
        attach: None,
        reference: None,
        expires_in: app.config.order.expires_in,
    })
}

fn by_key(app: &App, body: CreateOrder) -> Result<Draft, Problem> {
    let mini_program = app.asked_app(body.appid.as_deref())?;
    let openid =
        body.openid.ok_or_else(|| Problem::new(Code::CustomerUnknown, "Send the openid of the customer who pays."))?;
    let openid = OpenId::parse(openid).map_err(|error| Problem::new(Code::CustomerUnknown, format!("{error}.")))?;
    if body.currency.as_deref().is_some_and(|currency| currency != CNY) {
        return Err(Problem::new(Code::AmountInvalid, "The currency must be CNY."));
    }
    let description = body.description.map(Body::parse).transpose().map_err(|error| description_problem(&error))?;
    let content = match (body.items, body.amount) {
        (Some(items), None) => Content::Products { wanted: checked_items(Some(items))?, description },
        (None, Some(amount)) => Content::Amount {
            amount: checked_amount(&amount)?,
            description: description
                .ok_or_else(|| Problem::new(Code::DescriptionInvalid, "Send a description with the amount."))?,
        },
        _ => return Err(Problem::new(Code::BodyInvalid, "Send either items, or amount and description.")),
    };
    let attach = body.attach.map(Attach::parse).transpose();
    let attach = attach.map_err(|error| Problem::new(Code::BodyInvalid, format!("{error}.")))?;
    if body
        .reference
        .as_ref()
        .is_some_and(|text| text.is_empty() || text.len() > REFERENCE_BYTES_MAX || text.contains('\0'))
    {
        return Err(Problem::new(Code::BodyInvalid, "The reference must have 1 to 64 bytes."));
    }
    let expires_in = match body.expires_in_min {
        None => app.config.order.expires_in,
        Some(minutes @ 5..=10_080) => SignedDuration::from_mins(minutes.into()),
        Some(_) => return Err(Problem::new(Code::BodyInvalid, "expires_in_min must be from 5 to 10080 minutes.")),
    };
    let app = (mini_program.appid.clone(), mini_program.mchid.clone());
    Ok(Draft { app, buyer: Buyer::OpenId(openid), content, attach, reference: body.reference, expires_in })
}

fn checked_items(items: Option<Vec<Wanted>>) -> Result<Vec<Wanted>, Problem> {
    let items = items.ok_or_else(|| Problem::new(Code::ItemsInvalid, "Send items, each with sku and quantity."))?;
    if !(1..=ITEMS_MAX).contains(&items.len()) {
        return Err(Problem::new(Code::ItemsInvalid, format!("An order has 1 to {ITEMS_MAX} items.")));
    }
    if items.iter().any(|item| !(1..=QUANTITY_MAX).contains(&item.quantity)) {
        return Err(Problem::new(Code::ItemsInvalid, format!("A quantity is from 1 to {QUANTITY_MAX}.")));
    }
    let repeated = |(index, item): (usize, &Wanted)| items[..index].iter().any(|before| before.sku == item.sku);
    if items.iter().enumerate().any(repeated) {
        return Err(Problem::new(Code::ItemsInvalid, "Each sku stands once; use quantity for more."));
    }
    Ok(items)
}

/// Whole fen only: a fraction or an exponent is refused, never rounded.
pub(crate) fn checked_amount(number: &serde_json::Number) -> Result<OrderAmount, Problem> {
    let Some(fen) = number.as_i64() else {
        return Err(Problem::new(Code::AmountInvalid, "The amount must be a whole number of fen: 19.90 yuan is 1990."));
    };
    OrderAmount::new(Fen::new(fen)).map_err(|error| Problem::new(Code::AmountInvalid, format!("{error}.")))
}

fn description_problem(error: &weixin::FieldError) -> Problem {
    Problem::new(Code::DescriptionInvalid, format!("The description {}.", error.rule))
}

fn insert(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    (order_id, customer_id): &(String, String),
    draft: &Draft,
) -> Result<Order, CreateError> {
    let (appid, mchid) = draft.app.clone();
    let customer_id = match &draft.buyer {
        Buyer::Customer(id) => id.clone(),
        Buyer::OpenId(openid) => session::customer_of_openid(tx, customer_id, &appid, openid, ms(now))?,
    };
    let (items, amount, description) = match &draft.content {
        Content::Amount { amount, description } => (Vec::new(), *amount, description.clone()),
        Content::Products { wanted, description } => {
            let items = price(tx, &appid, wanted)?;
            let amount = total(&items)?;
            let description = description.clone().unwrap_or_else(|| describe(&items));
            (items, amount, description)
        }
    };
    let order = Order {
        id: order_id.clone(),
        appid,
        mchid,
        customer_id,
        reference: draft.reference.clone(),
        description,
        attach: draft.attach.clone(),
        items,
        amount,
        currency: CNY.to_owned(),
        refunded: Fen::ZERO,
        state: OrderState::Open,
        created: now,
        expires: now + draft.expires_in,
        paid: None,
    };
    store::insert(tx, &order)?;
    if let Some(other) = store::take_reference(tx, &order)? {
        return Err(CreateError::ReferenceUsed { order_id: other });
    }
    job::schedule(tx, job::Kind::ExpireOrder, &order.id, order.expires, now)?;
    happened(tx, app, now, event::Type::OrderCreated, &order, [])?;
    Ok(order)
}

fn price(tx: &mut Tx, appid: &weixin::AppId, wanted: &[Wanted]) -> Result<Vec<Item>, CreateError> {
    let mut items = Vec::with_capacity(wanted.len());
    for Wanted { sku, quantity } in wanted {
        // PostgreSQL cannot hold this character, so no product can have it.
        let found = if sku.contains('\0') { None } else { product::find(tx, appid, sku)? };
        let product = found.ok_or_else(|| CreateError::ProductUnknown(sku.clone()))?;
        let name = product.name.as_str().to_owned();
        items.push(Item { sku: product.sku, name, price: product.price, quantity: *quantity });
    }
    Ok(items)
}

fn total(items: &[Item]) -> Result<OrderAmount, CreateError> {
    let sum =
        items.iter().try_fold(Fen::ZERO, |sum, item| sum.checked_add(item.price.checked_mul(item.quantity.into())?));
    sum.and_then(|sum| OrderAmount::new(sum).ok()).ok_or(CreateError::TooMuch)
}

/// The names of the products, cut to what WeChat takes.
fn describe(items: &[Item]) -> Body {
    let line = |item: &Item| match item.quantity {
        1 => item.name.clone(),
        quantity => format!("{} x{quantity}", item.name),
    };
    let text = items.iter().map(line).collect::<Vec<_>>().join(", ");
    let cut = if text.len() <= 127 { text } else { format!("{}…", &text[..text.floor_char_boundary(124)]) };
    // Names of products are checked as bodies, so their characters are WeChat's; the length is cut.
    Body::parse(cut).expect("names of products make a body")
}

enum CreateError {
    ProductUnknown(String),
    TooMuch,
    ReferenceUsed { order_id: String },
    Database(DatabaseError),
}

impl From<DatabaseError> for CreateError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::ProductUnknown(sku) => Self::new(
                Code::ProductUnknown,
                format!("There is no product {sku:?} for sale; look at GET /v1/products."),
            ),
            CreateError::TooMuch => Self::new(Code::AmountInvalid, "The sum is beyond what an order can have."),
            CreateError::ReferenceUsed { order_id } => Self::new(
                Code::ReferenceUsed,
                format!("The order {order_id} has this reference: read that one, or send another reference."),
            ),
            CreateError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, price: i64, quantity: u32) -> Item {
        Item { sku: "a".into(), name: name.into(), price: Fen::new(price), quantity }
    }

    #[test]
    fn a_long_list_of_products_is_cut_between_characters() {
        let items: Vec<_> = (0..10).map(|_| item("手冲咖啡大杯", 1500, 2)).collect();
        let description = describe(&items);
        assert!(description.as_str().len() <= 127 && description.as_str().ends_with('…'));
    }

    #[test]
    fn a_sum_beyond_an_order_is_refused_and_not_wrapped() {
        assert!(total(&[item("a", i64::MAX, 999), item("b", i64::MAX, 999)]).is_err());
        assert!(total(&[item("a", OrderAmount::MAX.get(), 1), item("b", 1, 1)]).is_err());
        assert_eq!(total(&[item("a", 1500, 2)]).ok().map(|amount| amount.fen().get()), Some(3000));
    }

    #[test]
    fn lesson_24_a_fraction_of_a_fen_is_refused_not_rounded() {
        for bad in ["19.9", "0", "-1", "1e3", "1990.0", "99999999999999999999"] {
            let number: serde_json::Number = serde_json::from_str(bad).unwrap();
            assert_eq!(checked_amount(&number).unwrap_err().code(), Code::AmountInvalid, "{bad}");
        }
        assert!(checked_amount(&1990.into()).is_ok());
    }
}
