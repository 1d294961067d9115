//! What the WeChat on the phone in the browser does for a mini program: the payment sheet, and the network.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/api/network/request/wx.request.html>.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};
use weixin::AppId;

use super::{Refusal, find_customer, refuse};
use crate::{Shared, pay::is_loopback};

/// The longest time that a request of a mini program may take, which is also what it gets if it says nothing.
const TIMEOUT_MS: u64 = 60_000;

/// So much of an answer is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What WeChat says of an address that is not in the mini program's list of domains. Here the list is this machine.
const NOT_LISTED: &str = "request:fail url not in domain list";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SheetCall {
    appid: AppId,
    customer: String,
    parameters: Value,
}

/// What the payment sheet shows, or the `errMsg` with which it does not open.
pub(super) fn payment_sheet(shared: &Shared, call: SheetCall) -> Result<Value, Refusal> {
    let customer = find_customer(shared, &call.appid, &call.customer)?;
    let mut world = shared.world();
    let now = shared.time(&world);
    Ok(match world.payment_sheet(now, &customer, &call.parameters) {
        Ok(sheet) => json!({ "sheet": sheet }),
        Err(error) => json!({ "errMsg": error.to_string() }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestCall {
    appid: AppId,
    url: String,
    method: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
    data: Option<String>,
    timeout_ms: Option<u64>,
}

/// `wx.request`. A web page could not call the server, because the server allows no other origin; a mini program is not
/// asked for its origin.
pub(super) async fn request(shared: &Shared, call: RequestCall) -> Result<Value, Refusal> {
    if !is_loopback(&call.url) {
        return Ok(json!({ "errMsg": NOT_LISTED }));
    }
    let Ok(method) = Method::from_bytes(call.method.as_bytes()) else {
        return refuse(400, "method must be a method of HTTP");
    };
    let timeout = Duration::from_millis(call.timeout_ms.unwrap_or(TIMEOUT_MS).clamp(1, TIMEOUT_MS));
    let request = shared.mailer.client().request(method, &call.url).timeout(timeout).headers(headers(&call)?);
    Ok(match exchange(request.body(call.data.unwrap_or_default())).await {
        Ok(answer) => answer,
        Err(error) => json!({ "errMsg": format!("request:fail {}", reason(&error)) }),
    })
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Value, reqwest::Error> {
    let mut response = request.send().await?;
    let mut header = BTreeMap::new();
    for (name, value) in response.headers() {
        header.insert(name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(json!({ "statusCode": status, "header": header, "data": String::from_utf8_lossy(&body) }))
}

/// The headers of the mini program, and the one that it cannot set itself.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/ability/network.html>.
fn headers(call: &RequestCall) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.header {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else {
            return refuse(400, format!("header {name} cannot be sent"));
        };
        headers.insert(name, value);
    }
    let page = format!("https://servicewechat.com/{}/devtools/page-frame.html", call.appid);
    if let Ok(page) = page.parse() {
        headers.insert(reqwest::header::REFERER, page);
    }
    Ok(headers)
}

/// What the phone says. The words differ from phone to phone.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "errcode:-102 cronet_error_code:-102 error_msg:net::ERR_CONNECTION_REFUSED"
    } else {
        "errcode:-100 cronet_error_code:-100 error_msg:net::ERR_CONNECTION_CLOSED"
    }
}
