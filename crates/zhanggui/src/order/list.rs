//! `GET /v1/orders`: a page of orders, the newest first. A customer sees their own.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use weixin::{AppId, OpenId};

use super::{
    View,
    store::{self, Filter},
    view,
};
use crate::{
    api_key::Scope,
    app::App,
    http::{Caller, Code, PageSize, Problem, QueryString, checked_cursor},
    id, session,
};

/// A state that is asked for.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Open,
    Closing,
    Paid,
    Closed,
}

impl Wanted {
    /// The word in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Paid => "paid",
            Self::Closed => "closed",
        }
    }
}

/// What the caller asks for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    #[param(inline)]
    state: Option<Wanted>,
    /// Only orders of this customer; with several apps `appid` is needed, too. With an API key only.
    openid: Option<String>,
    /// Only orders in this app. With an API key only.
    appid: Option<String>,
    /// The id of the last order of the page before.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// A page, the newest orders first.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = OrderPage)]
pub struct Page {
    orders: Vec<View>,
    /// The cursor for the next page.
    after: Option<String>,
    has_more: bool,
}

/// Lists orders.
///
/// # Errors
/// The caller may not, or the query cannot be.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<Page>, Problem> {
    caller.allow(Scope::Read)?;
    let size = PageSize::asked(asked.limit)?;
    let before = checked_cursor(id::Kind::Order, asked.after.clone())?;
    let mut filter = Filter { state: asked.state.map(Wanted::as_str), before, ..Filter::default() };
    match caller {
        Caller::Customer(_) if asked.openid.is_some() || asked.appid.is_some() => {
            return Err(Problem::new(Code::QueryInvalid, "openid and appid can be asked for with an API key only."));
        }
        Caller::Customer(customer) => filter.customer_id = Some(customer.id),
        Caller::Key(_) => {
            let appid = || Ok::<_, Problem>(app.asked_app(asked.appid.as_deref())?.appid.clone());
            if let Some(openid) = &asked.openid {
                let known = customer_of(&app, appid()?, openid).await?;
                // Who was never here has no orders.
                let Some(id) = known else { return Ok(Json(Page { after: asked.after, ..Page::default() })) };
                filter.customer_id = Some(id);
            } else if asked.appid.is_some() {
                filter.appid = Some(appid()?);
            }
        }
    }
    let mut orders = app.database.read(move |tx| store::list(tx, &filter, size.rows())).await?;
    let has_more = size.cut(&mut orders);
    let after = orders.last().map(|order| order.id.clone()).or(asked.after);
    Ok(Json(Page { orders: orders.iter().map(view).collect(), after, has_more }))
}

async fn customer_of(app: &App, appid: AppId, openid: &str) -> Result<Option<String>, Problem> {
    let openid = OpenId::parse(openid).map_err(|error| Problem::new(Code::QueryInvalid, format!("{error}.")))?;
    Ok(app.database.read(move |tx| session::customer_of(tx, &appid, &openid)).await?)
}
