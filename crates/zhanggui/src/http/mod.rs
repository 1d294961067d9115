//! The HTTP server: the route table, limits before work, and the answer to everything that goes wrong.
//!
//! The order of the layers, from outside: request id and problems, panics, time, rate, body size, route.

mod address;
mod caller;
mod health;
mod json;
mod limit;
mod page;
mod problem;
mod request_id;
mod serve;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, header},
    middleware,
    routing::{delete, get, post},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    set_header::SetResponseHeaderLayer,
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};

pub use address::client_address;
pub use caller::Caller;
pub use json::{JsonBody, JsonBytes, QueryString, RawBody};
pub use limit::Limits;
pub use page::{PageAsked, PageSize, checked_cursor, cursor_unknown};
pub(crate) use problem::Body as ProblemBody;
pub use problem::{Code, Problem, WechatCause, chain, wechat_problem};
pub use serve::{ServeError, Server};

use crate::{
    api_key, app::App, customer_service, event, openapi, order, payment, product, refund, session, subscribe_message,
    webhook,
};

/// The largest body of a callback, in bytes. WeChat's have a few thousand.
const CALLBACK_BYTES_MAX: usize = 64 * 1024;

/// The largest body of an API call, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long the next piece of a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Every address of the server.
pub fn router(app: Arc<App>) -> Router {
    let callbacks = Router::new()
        .route("/wechat/pay/{mchid}", post(payment::notify))
        .route("/wechat/push/{appid}", get(customer_service::verify_url).post(customer_service::push))
        .layer(DefaultBodyLimit::max(CALLBACK_BYTES_MAX));
    let api = Router::new()
        .route("/v1/login", post(session::login))
        .route("/v1/products", get(product::list))
        .route("/v1/products/{sku}", get(product::read).put(product::change).delete(product::delete))
        .route("/v1/orders", get(order::list).post(order::create))
        .route("/v1/orders/{id}", get(order::read))
        .route("/v1/orders/{id}/pay", post(payment::pay))
        .route("/v1/orders/{id}/subscribe-messages", post(subscribe_message::request))
        .route("/v1/orders/{id}/close", post(order::close))
        .route("/v1/orders/{id}/refunds", post(refund::request))
        .route("/v1/refunds/{id}", get(refund::read))
        .route("/v1/events", get(event::list))
        .route("/v1/keys", get(api_key::list_call).post(api_key::create_call))
        .route("/v1/keys/{id}", delete(api_key::revoke_call))
        .route("/v1/webhooks", get(webhook::list).post(webhook::create))
        .route("/v1/webhooks/{id}", get(webhook::read).patch(webhook::change).delete(webhook::delete))
        .route("/v1/webhooks/{id}/rotate", post(webhook::rotate))
        .route("/v1/webhooks/{id}/test", post(webhook::test))
        .route("/v1/webhooks/{id}/replay", post(webhook::replay))
        .route("/v1/webhooks/{id}/deliveries", get(webhook::list_deliveries))
        .route("/v1/webhooks/{id}/deliveries/{event}", get(webhook::read_delivery))
        .route("/v1/phone-number", post(session::phone_number))
        .route("/v1/conversations", get(customer_service::list))
        .route("/v1/conversations/{id}", get(customer_service::read))
        .route("/v1/conversations/{id}/messages", get(customer_service::messages).post(customer_service::post))
        .route("/v1/conversations/{id}/handler", post(customer_service::hand_over))
        .route("/v1/conversations/{id}/read", post(customer_service::mark_read))
        .route("/v1/conversations/{id}/typing", post(customer_service::typing))
        .route("/v1/pictures/{id}", get(customer_service::picture))
        .route("/v1/rules", get(customer_service::rules).put(customer_service::replace_rules))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let pictures = Router::new()
        .route("/v1/pictures", post(customer_service::upload_picture))
        .layer(DefaultBodyLimit::max(customer_service::PICTURE_BYTES_MAX));
    let description = Router::new()
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(openapi::docs))
        .route("/docs.css", get(openapi::style));
    let limited =
        api.merge(pictures).merge(description).layer(middleware::from_fn_with_state(Arc::clone(&app), limit::layer));
    let health = Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz));
    let nosniff =
        SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_store = SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let layers = ServiceBuilder::new()
        .layer(nosniff)
        .layer(no_store)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), request_id::layer))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, app.config.server.request_timeout))
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT));
    Router::new().merge(callbacks).merge(limited).merge(health).layer(layers).with_state(app)
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    Problem::new(Code::Internal, "The failure was noted. Ask the operator with the request_id.").into_response()
}
