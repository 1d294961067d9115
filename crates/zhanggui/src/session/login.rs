//! `POST /v1/login`: exchanges the phone's `js_code` for a session.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/login.html>.

use std::sync::Arc;

use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{JsCode, mini_program::ErrCode};
use weixin_client::ApiError;

use super::{SESSION_MS, store};
use crate::{
    api_key::token_hash,
    app::App,
    clock::{from_ms, ms, random},
    http::{Code, JsonBody, Problem, WechatCause},
    id,
};

/// What the phone sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    code: String,
    appid: Option<String>,
}

/// What the phone gets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LoggedIn {
    token: String,
    expires_at: Timestamp,
    customer: String,
}

/// Logs a customer in.
///
/// # Errors
/// The app or the code is unknown, WeChat refuses or does not answer.
pub async fn login(State(app): State<Arc<App>>, JsonBody(login): JsonBody<Login>) -> Result<Json<LoggedIn>, Problem> {
    let mini_program = app.asked_app(login.appid.as_deref())?;
    let js_code = JsCode::parse(login.code).map_err(|_| refused_code())?;
    // Never repeated: after a time-out the code may be spent, and only the phone can get a new one.
    let answer = app.mini_program.code2session(&mini_program.appid, &mini_program.secret, js_code).await;
    let wechat = answer.map_err(problem_of)?;

    let now = app.now();
    let token = format!("zgs_{}", URL_SAFE_NO_PAD.encode(random::<32>(&app.entropy)));
    let new = store::NewSession {
        token_hash: token_hash(&token),
        appid: mini_program.appid.clone(),
        customer_id: id::new(id::Kind::Customer, now, &app.entropy),
        wechat,
        now_ms: ms(now),
        expires_ms: ms(now) + SESSION_MS,
    };
    let expires_at = from_ms(new.expires_ms);
    let seal = Arc::clone(&app.seal);
    let customer = app.database.write(move |tx| store::log_in(tx, &seal, &new)).await?;
    Ok(Json(LoggedIn { token, expires_at, customer }))
}

fn refused_code() -> Problem {
    Problem::new(Code::JsCodeInvalid, "Call wx.login again and send the new code within five minutes.")
}

fn problem_of(error: ApiError) -> Problem {
    let ApiError::Refused { errcode, errmsg } = &error else {
        let detail = "The code may be spent: call wx.login again and send the new code.";
        return Problem::caused(Code::WechatUnavailable, detail, error);
    };
    let cause = WechatCause { code: errcode.to_string(), message: errmsg.clone(), request_id: None };
    let problem = match *errcode {
        ErrCode::INVALID_CODE => refused_code(),
        ErrCode::CODE_USED => Problem::new(Code::JsCodeUsed, "Each code works once: call wx.login again."),
        ErrCode::CODE_BLOCKED => Problem::new(Code::CustomerBlocked, "WeChat does not let this customer log in."),
        ErrCode::BUSY | ErrCode::MINUTE_QUOTA => {
            Problem::new(Code::WechatBusy, "Call wx.login again in a moment.").retry_after(5)
        }
        _ => Problem::new(Code::WechatRefused, "The operator has to look at the appid and the AppSecret of this app."),
    };
    problem.with_wechat(cause)
}
