//! Errors of the API: `application/problem+json` (RFC 9457) with a stable code. Status codes stand here only.
//!
//! Each code is described in docs/errors.md. `detail` is for the caller and says what to do; what only the operator
//! may know travels in `cause` and goes to the log, once, when the answer is written.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::request_id::RequestId;
use crate::database::DatabaseError;

/// Declares the codes once: variant, text, status, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $status:ident $title:literal),* $(,)?) => {
        /// A stable code of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $title, ".")] $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$variant),*];

            /// The text in `code`; never changes.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
        }
    };
}

codes! {
    BodyInvalid "body_invalid" UNPROCESSABLE_ENTITY "The body does not have the form of this call",
    BodyNotJson "body_not_json" BAD_REQUEST "The body is not JSON",
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large",
    ContentTypeWrong "content_type_wrong" UNSUPPORTED_MEDIA_TYPE "The content type is not application/json",
    QueryInvalid "query_invalid" BAD_REQUEST "The query string does not have the form of this call",
    CursorUnknown "cursor_unknown" BAD_REQUEST "There is no such place in the list",
    NotFound "not_found" NOT_FOUND "There is nothing here",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "This address does not take this method",
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "The request took too long",
    RateLimited "rate_limited" TOO_MANY_REQUESTS "The caller is too quick",
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The server has too much to do",
    DatabaseUnavailable "database_unavailable" SERVICE_UNAVAILABLE "The database does not answer",
    Internal "internal" INTERNAL_SERVER_ERROR "The server failed",
    Unauthorized "unauthorized" UNAUTHORIZED "The call needs a session or an API key",
    Forbidden "forbidden" FORBIDDEN "The caller may not do this",
    KeyInvalid "key_invalid" UNPROCESSABLE_ENTITY "The API key cannot be made like this",
    KeyNotFound "key_not_found" NOT_FOUND "There is no such API key",
    IdempotencyKeyInvalid "idempotency_key_invalid" BAD_REQUEST "The Idempotency-Key cannot be used",
    IdempotencyKeyRunning "idempotency_key_running" CONFLICT "The first request with this Idempotency-Key is not finished",
    IdempotencyKeyUsed "idempotency_key_used" UNPROCESSABLE_ENTITY "The Idempotency-Key belongs to another request",
    AppUnknown "app_unknown" UNPROCESSABLE_ENTITY "The app is not one of this server's",
    JsCodeInvalid "js_code_invalid" BAD_REQUEST "WeChat does not know the js_code",
    JsCodeUsed "js_code_used" BAD_REQUEST "The js_code was used before",
    CustomerBlocked "customer_blocked" FORBIDDEN "WeChat blocks the customer",
    WechatBusy "wechat_busy" SERVICE_UNAVAILABLE "WeChat is busy",
    WechatUnavailable "wechat_unavailable" SERVICE_UNAVAILABLE "WeChat did not answer, or not in a way that can be believed",
    WechatRefused "wechat_refused" BAD_GATEWAY "WeChat refused the call",
    AmountInvalid "amount_invalid" UNPROCESSABLE_ENTITY "The amount cannot be an order's",
    AmountNotAllowed "amount_not_allowed" FORBIDDEN "A customer cannot set a price",
    DescriptionInvalid "description_invalid" UNPROCESSABLE_ENTITY "WeChat would refuse the description",
    ItemsInvalid "items_invalid" UNPROCESSABLE_ENTITY "The items cannot be ordered",
    ProductUnknown "product_unknown" UNPROCESSABLE_ENTITY "A product does not exist or is not sold any more",
    RefundCapReached "refund_cap_reached" FORBIDDEN "The API key has refunded what it may in a day",
    ProductInvalid "product_invalid" UNPROCESSABLE_ENTITY "The product cannot be sold like this",
    ProductNotFound "product_not_found" NOT_FOUND "There is no such product",
    CustomerUnknown "customer_unknown" UNPROCESSABLE_ENTITY "The customer is not known",
    WebhookInvalid "webhook_invalid" UNPROCESSABLE_ENTITY "The webhook cannot be like this",
    WebhookNotFound "webhook_not_found" NOT_FOUND "There is no such webhook",
    DeliveryNotFound "delivery_not_found" NOT_FOUND "There is no such delivery",
    TooManyWebhooks "too_many_webhooks" CONFLICT "There are as many webhooks as can be",
    OrderNotFound "order_not_found" NOT_FOUND "There is no such order",
    ReferenceUsed "reference_used" CONFLICT "Another order has this reference",
    OrderPaid "order_paid" CONFLICT "The order is paid",
    OrderClosed "order_closed" CONFLICT "The order is closed",
    OrderExpired "order_expired" CONFLICT "The order can no longer be paid",
    OrderNotPaid "order_not_paid" CONFLICT "The order is not paid",
    RefundTooMuch "refund_too_much" CONFLICT "So much of the payment is not left",
    RefundTooMany "refund_too_many" CONFLICT "The payment has too many refunds",
    RefundTooLate "refund_too_late" CONFLICT "The payment is too old for a refund",
    RefundReferenceUsed "refund_reference_used" CONFLICT "The reference belongs to another refund of the order",
    RefundNotFound "refund_not_found" NOT_FOUND "There is no such refund",
    PhoneCodeInvalid "phone_code_invalid" BAD_REQUEST "WeChat does not know the code for a phone number",
    ConversationNotFound "conversation_not_found" NOT_FOUND "There is no such conversation",
    MessageNotFound "message_not_found" NOT_FOUND "There is no such message in the conversation",
    MessageInvalid "message_invalid" UNPROCESSABLE_ENTITY "WeChat would refuse the message",
    HandlerUnknown "handler_unknown" UNPROCESSABLE_ENTITY "Nobody of this name answers customers",
    ClientIdUsed "client_id_used" CONFLICT "Another reply has this client_id",
    ReplyWindowClosed "reply_window_closed" CONFLICT "The customer has said nothing for too long",
    ReplyAllowanceUsed "reply_allowance_used" CONFLICT "WeChat takes no more replies until the customer writes",
    PictureNotFound "picture_not_found" NOT_FOUND "There is no such picture",
    PictureUnknown "picture_unknown" UNPROCESSABLE_ENTITY "The picture of the message is not here",
    PictureInvalid "picture_invalid" UNPROCESSABLE_ENTITY "The body is no picture that WeChat takes",
    PicturePending "picture_pending" CONFLICT "The picture is not here yet",
    PictureGone "picture_gone" GONE "The picture cannot be had any more",
    RuleInvalid "rule_invalid" UNPROCESSABLE_ENTITY "A rule cannot work",
    SubscribeMessageUnknown "subscribe_message_unknown" UNPROCESSABLE_ENTITY "The subscribe message is not configured",
    SubscribeMessageInvalid "subscribe_message_invalid" UNPROCESSABLE_ENTITY "WeChat would refuse the subscribe message",
}

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: String,
    wechat: Option<WechatCause>,
    retry_after_s: Option<u32>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What WeChat said, when WeChat was the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WechatCause {
    /// WeChat's code.
    pub code: String,
    /// WeChat's sentence.
    pub message: String,
    /// WeChat's Request-ID or rid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wechat: Option<&'a WechatCause>,
    request_id: &'a str,
}

impl Problem {
    /// A problem with a sentence that tells the caller what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let parts = Parts { code, detail: detail.into(), wechat: None, retry_after_s: None, cause: None };
        Self(Box::new(parts))
    }

    /// A problem whose cause is for the log only.
    pub fn caused(
        code: Code,
        detail: impl Into<String>,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut problem = Self::new(code, detail);
        problem.0.cause = Some(Box::new(cause));
        problem
    }

    /// What WeChat said.
    pub fn with_wechat(mut self, wechat: WechatCause) -> Self {
        self.0.wechat = Some(wechat);
        self
    }

    /// When the same call may work, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Writes the answer; the caller finds the request id in the log again.
    pub(super) fn respond(&self, request_id: &RequestId) -> Response {
        let status = self.0.code.status();
        self.log(status);
        let body = Body {
            r#type: format!("urn:zhanggui:error:{}", self.0.code.as_str()),
            title: self.0.code.title(),
            status: status.as_u16(),
            code: self.0.code.as_str(),
            detail: &self.0.detail,
            wechat: self.0.wechat.as_ref(),
            request_id: request_id.as_str(),
        };
        // A struct of texts and numbers can always be written.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn log(&self, status: StatusCode) {
        let code = self.0.code.as_str();
        let cause = self.0.cause.as_deref().map(|cause| chain(cause)).unwrap_or_default();
        let wechat = self.0.wechat.as_ref().map_or("", |wechat| wechat.code.as_str());
        if status.is_server_error() {
            tracing::error!(error.code = code, error.cause = cause, wechat.errcode = wechat, "{}", self.0.code.title());
        } else {
            tracing::debug!(error.code = code, error.cause = cause, wechat.errcode = wechat, "{}", self.0.code.title());
        }
    }
}

/// An error with all its causes, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The problem for a call to `api.weixin.qq.com` that did not succeed. `detail` says what that means for the caller.
pub fn wechat_problem(error: weixin_client::ApiError, detail: &str) -> Problem {
    use weixin::mini_program::Class;
    let weixin_client::ApiError::Refused { errcode, errmsg } = &error else {
        return Problem::caused(Code::WechatUnavailable, detail, error).retry_after(5);
    };
    let cause = WechatCause { code: errcode.to_string(), message: errmsg.clone(), request_id: None };
    let problem = match errcode.class() {
        Class::Busy | Class::Rate => Problem::new(Code::WechatBusy, detail).retry_after(5),
        _ => Problem::new(Code::WechatRefused, detail),
    };
    problem.with_wechat(cause)
}

/// The problem is put into the answer's extensions; the outermost layer, which knows the request id, writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        if error.is_transient() {
            return Self::caused(Code::DatabaseUnavailable, "Nothing was done. Try again in a moment.", error)
                .retry_after(1);
        }
        if matches!(error, DatabaseError::NulInText) {
            return Self::new(Code::BodyInvalid, "Nothing was done: no text may contain the character \\u0000.");
        }
        Self::caused(Code::Internal, "The failure was noted. Ask the operator with the request_id.", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_with_its_status() {
        let documented = include_str!("../../../../docs/errors.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} | {}. |", code.as_str(), code.status().as_u16(), code.title());
            assert!(documented.contains(&row), "docs/errors.md lacks {row}");
        }
    }
}
