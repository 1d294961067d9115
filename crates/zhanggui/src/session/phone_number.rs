//! `POST /v1/phone-number`: the number that the customer agreed to give, for the code of the button `getPhoneNumber`.
//!
//! The code works once and each success is billed, so WeChat is asked once. The number is given to the mini program and kept
//! nowhere.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-info/phone-number/api_getphonenumber.html>.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use weixin::mini_program::{
    ErrCode,
    phone_number::{PhoneCode, Request},
};
use weixin_client::ApiError;

use crate::{
    app::App,
    http::{Caller, Code, JsonBody, Problem, wechat_problem},
};

/// What the phone sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberCode)]
pub struct PhoneNumber {
    code: String,
}

/// The number.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PhoneNumber)]
pub struct Number {
    phone_number: String,
    pure_phone_number: String,
    country_code: String,
}

/// Exchanges the code of the button for the customer's number.
///
/// # Errors
/// The caller is no customer, the code is unknown or spent, WeChat refuses or does not answer.
pub async fn phone_number(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(PhoneNumber { code }): JsonBody<PhoneNumber>,
) -> Result<Json<Number>, Problem> {
    let customer = caller.customer()?;
    let credential = app.app_credential(&customer.appid).ok_or_else(|| {
        Problem::new(Code::AppUnknown, "The app of this session is not configured any more: log in again.")
    })?;
    let code = PhoneCode::parse(code).map_err(|_| refused_code())?;
    let request = Request { code, openid: Some(customer.openid) };
    let answer = app.mini_program.phone_number(&app.access_tokens, &credential, &request).await;
    let info = answer.map_err(problem_of)?.phone_info;
    Ok(Json(Number {
        phone_number: info.phone_number,
        pure_phone_number: info.pure_phone_number,
        country_code: info.country_code,
    }))
}

fn refused_code() -> Problem {
    Problem::new(
        Code::PhoneCodeInvalid,
        "Let the customer press the button again and send the new code within five minutes.",
    )
}

fn problem_of(error: ApiError) -> Problem {
    if matches!(error.errcode(), Some(ErrCode::INVALID_CODE | ErrCode::CODE_USED)) {
        return refused_code();
    }
    wechat_problem(error, "The code may be spent: let the customer press the button again and send the new code.")
}
