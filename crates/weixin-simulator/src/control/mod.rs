//! The control API below `/_sim/`: what the library handle offers, for other languages and for the phone in a browser.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /_sim/status` | | time, apps, merchants, customers, counts |
//! | `POST /_sim/wx/login` | `{appid, customer}` | `{code}`: what `wx.login` gives |
//! | `POST /_sim/wx/requestPayment` | `{appid, customer, parameters: {timeStamp, nonceStr, package, signType, paySign}, choice: "pay" \| "cancel"}` | `{errMsg}`: what `wx.requestPayment` gives |
//! | `POST /_sim/wx/paymentSheet` | `{appid, customer, parameters}` | `{sheet: {merchant, description, amount_fen, out_trade_no}}`, or `{errMsg}` if it does not open |
//! | `POST /_sim/wx/request` | `{appid, url, method, header?, data?, timeout_ms?}` | `{statusCode, header, data}` or `{errMsg}`: what `wx.request` gives; only addresses of this machine are called |
//! | `GET /_sim/ledger` | | every payment and refund as WeChat has it in its books |
//! | `GET /_sim/wire?since=N&wait_s=S` | | what went over the wire after exchange N, without secrets; sealed bodies also opened, as `request_opened` and `answer_opened`. With `wait_s` (up to 30) the answer waits for something to tell |
//! | `GET /_sim/clock` | | `{now, offset_s}` |
//! | `POST /_sim/clock` | `{advance_s}` or `{to}`, ahead or back | the same, afterwards |
//! | `GET /_sim/faults` | | the faults that have not struck yet |
//! | `POST /_sim/faults` | `{path?, times?, after?, per_mille?, about?, kind}`, for example `{"path": "/pay/unifiedorder", "kind": {"err_code": "SYSTEMERROR"}}` `{"kind": "no_answer_after"}` or `{"path": "/v3/pay/transactions/jsapi", "kind": {"v3_error": {"status": 429, "code": "FREQUENCY_LIMITED"}}}`; see [`Fault`] | all faults |
//! | `DELETE /_sim/faults` | nothing, or a fault as it was ordered | no faults, or those that are left without it |
//! | `GET /_sim/outage` | | `{outage_until, is_out}` |
//! | `POST /_sim/outage` | `{for_s}` or `{until}`: nobody gets an answer, and notifications are lost | the same, afterwards |
//! | `DELETE /_sim/outage` | | it is over |
//! | `POST /_sim/notifications/forge` | `{mchid, out_trade_no, forger?: "stranger" \| "with_key"}`: a payment that never was is told | the reply: `{at, http_status, accepted, error}` |
//! | `GET /_sim/scenario` | | `{title, steps: [{name, line, done_at, failure}]}`, or `null` without one |
//! | `POST /_sim/deliver` | | `{attempts}`: notifications that were due are sent |
//! | `POST /_sim/apps` | `{appid, secret, merchants, name?, open_platform?, original_id?, templates?: [{template_id, title, keys, kind?: "one_time" \| "long_term"}], agents?: [{kf_account, nickname, online?}]}` | `{}` |
//! | `POST /_sim/merchants` | `{mchid, api_v2_key?, name?}` and for API v3 `{api_v3_key?, certificates?: [{pem, standing?: "good" \| "revoked" \| "replaced"}], key_mode?}` | `{}` |
//! | `POST /_sim/merchants/key_mode` | `{mchid, key_mode: "certificates" \| "public_key" \| "both"}`; see [`crate::KeyMode`] | `{}` |
//! | `POST /_sim/merchants/money` | `{mchid, balance_fen?, refund_address?}`: what there is to refund from (`null`: no limit), and where the merchant platform reports refunds without an address of their own | `{}` |
//! | `GET /_sim/platform` | | `{rotation, probe_per_mille, refund_after_s, refund_ending, magic_amounts, outage_until}` |
//! | `POST /_sim/platform` | any of `{rotation: "first_only" \| "both_published" \| "second_signs" \| "second_only", probe_per_mille, refund_after_s, refund_ending: "success" \| "abnormal" \| "closed", magic_amounts}`; see [`crate::Rotation`], [`crate::RefundEnding`] and [`crate::MAGIC_AMOUNTS`] | the same, afterwards |
//! | `POST /_sim/orders/close` | `{mchid, out_trade_no}`: WeChat closes an unpaid order by itself | `{}` |
//! | `POST /_sim/orders/pay` | `{mchid, out_trade_no}`: the customer pays on another phone, even if the order is closed | `{}` |
//! | `POST /_sim/refunds/end` | `{mchid, out_refund_no, ending: "success" \| "abnormal" \| "closed"}`: a refund that is under way or abnormal ends now | `{}` |
//! | `POST /_sim/refunds/platform` | `{mchid, out_trade_no, refund_fen}`: somebody refunds by hand at the merchant platform | `{out_refund_no}` |
//! | `GET /_sim/push?appid=` | | `{push}`: the setting of message push, or null |
//! | `POST /_sim/push` | `{appid, url, token?, encoding_aes_key?, mode?: "plain" \| "compatible" \| "secure", format?: "xml" \| "json", enabled?}` | `{}`: the address answered the question with `echostr`; 400 says why not |
//! | `POST /_sim/push/event` | `{appid, event, openid?, fields?}`; without `fields` a sample, see [`crate::PushEvent`] | `{number}`: the event is pushed |
//! | `POST /_sim/push/repeat` | `{number, copies?}` | `{attempts}`: so many copies at once, whatever became of the push; a duplicate, a burst, a late repeat |
//! | `POST /_sim/chat/enter` | `{appid, customer, session_from?}` | `{}`: the contact button was pressed |
//! | `POST /_sim/chat/text` | `{appid, customer, content}` | `{msg_id}` |
//! | `POST /_sim/chat/image` | `{appid, customer, base64}` | `{msg_id}` |
//! | `POST /_sim/chat/card` | `{appid, customer, title, page_path}` | `{msg_id}` |
//! | `GET /_sim/chat?appid=&customer=` | | `{lines, typing, notices}`: what the customer sees |
//! | `GET /_sim/agents?appid=&openid=` | | `{waiting, lines?}`: what WeChat's own agents see |
//! | `POST /_sim/agents/take` | `{appid, openid, agent}` | `{}`: an agent takes the session of a customer who waits |
//! | `POST /_sim/agents/answer` | `{appid, openid, content}` | `{}` |
//! | `POST /_sim/agents/close` | `{appid, openid}` | `{}` |
//! | `POST /_sim/wx/requestSubscribeMessage` | `{appid, customer, answers: {template_id: "accept" \| "reject"}}` | what `wx.requestSubscribeMessage` gives |
//! | `POST /_sim/wx/getPhoneNumber` | `{appid, customer}` | `{code}`: what the button gives |
//! | `POST /_sim/customers/unsubscribe` | `{appid, customer, template_id}` | `{}`: switched off in the settings |
//! | `POST /_sim/customers/phone_number` | `{appid, customer, country_code, number}` | `{}` |
//! | `POST /_sim/content_words` | `{risky: [], review: []}` | `{}`: what content checks find |
//! | `POST /_sim/customers/block` | `{appid, customer, blocked?}` | `{}`: log-in is refused with 40226 |
//!
//! A request to WeChat may order its own fault with the header `X-Sim-Fault`: `no_answer_after`, `hang:2000`,
//! `err_code:SYSTEMERROR`, `v3_error:429:FREQUENCY_LIMITED` or a kind as JSON.
//!
//! Bodies are JSON with `Content-Type: application/json`; unknown fields are refused. An error is
//! `{"error": {"message": …}}`.
//!
//! There is no authentication, therefore three locks: the other side must be on this machine; the `Host` header must
//! name this machine, or a page on the web could have its own name resolved to 127.0.0.1 and read everything (DNS
//! rebinding); an `Origin` header must name this machine, or such a page could press buttons.

mod customer_service;
mod late_money;
mod refunds;
mod set_up;
mod trouble;
mod wire;
mod wx;

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use weixin::AppId;

use crate::{
    Choice, Fault, Shared, answer::Answer, deliver_due, fault, pay::REQUEST_PAYMENT_OK, platform::public_key_id,
    scenario::Director, server::Request,
};

/// Where the control API begins.
pub const PREFIX: &str = "/_sim/";

/// Answers a call of the control API.
pub(crate) async fn handle(shared: &Arc<Shared>, request: &Request) -> Answer {
    let result = match check_caller(request) {
        Ok(()) => route(shared, request).await,
        Err(refusal) => Err(refusal),
    };
    let (status, value) = match result {
        Ok(value) => (200, value),
        Err(Refusal { status, message }) => (status, json!({ "error": { "message": message } })),
    };
    Answer::new(status, "application/json", value.to_string())
}

/// Why a call is refused.
struct Refusal {
    status: u16,
    message: String,
}

fn refuse<T>(status: u16, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { status, message: message.into() })
}

/// What somebody gets who may not call, for other pages than those of the control API.
pub(crate) fn refusal(request: &Request) -> Option<Answer> {
    let Refusal { status, message } = check_caller(request).err()?;
    Some(Answer::new(status, "text/plain; charset=utf-8", message))
}

fn check_caller(request: &Request) -> Result<(), Refusal> {
    if !request.peer.ip().is_loopback() {
        return refuse(403, "the control API answers to this machine only");
    }
    let host = request.header("host").unwrap_or_default();
    if !names_this_machine(host) {
        return refuse(403, "the Host header must be localhost or a loopback address, against DNS rebinding");
    }
    let origin_is_here = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| names_this_machine(host));
    match request.headers.get("origin") {
        None => Ok(()),
        Some(origin) if origin.to_str().is_ok_and(origin_is_here) => Ok(()),
        Some(_) => refuse(403, "the Origin header must be a page of this machine"),
    }
}

/// Whether `host` or `host:port` is a name or address of this machine.
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost"),
    }
}

async fn route(shared: &Arc<Shared>, request: &Request) -> Result<Value, Refusal> {
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "status") => Ok(status(shared)),
        ("POST", "wx/login") => login(shared, body(request)?),
        ("POST", "wx/requestPayment") => request_payment(shared, body(request)?),
        ("GET", "ledger") => Ok(json!(shared.ledger())),
        ("POST", "wx/paymentSheet") => wx::payment_sheet(shared, body(request)?),
        ("POST", "wx/request") => wx::request(shared, body(request)?).await,
        ("GET", "wire") => wire::wire(shared, request).await,
        ("GET", "clock") => Ok(clock(shared)),
        ("POST", "clock") => {
            trouble::move_clock(shared, body(request)?)?;
            Ok(clock(shared))
        }
        ("GET", "faults") => Ok(faults(shared)),
        ("POST", "faults") => {
            let fault = check_fault(body(request)?)?;
            shared.world().faults.add(fault);
            Ok(faults(shared))
        }
        ("DELETE", "faults") => {
            match request.body.is_empty() {
                true => shared.world().faults.clear(),
                false => shared.world().faults.remove(&body(request)?),
            }
            Ok(faults(shared))
        }
        ("GET", "outage") => Ok(trouble::outage(shared)),
        ("POST", "outage") => trouble::begin_outage(shared, body(request)?),
        ("DELETE", "outage") => Ok(trouble::end_outage(shared)),
        ("POST", "notifications/forge") => trouble::forge(shared, body(request)?).await,
        ("POST", "deliver") => Ok(json!({ "attempts": deliver_due(shared).await })),
        ("GET", "scenario") => Ok(json!(shared.world().director.as_ref().map(Director::report))),
        ("POST", "apps") => set_up::app(shared, body(request)?),
        ("POST", "merchants") => set_up::merchant(shared, body(request)?),
        ("POST", "merchants/key_mode") => set_up::key_mode(shared, body(request)?),
        ("GET", "platform") => Ok(set_up::platform(shared)),
        ("POST", "platform") => set_up::change_platform(shared, body(request)?),
        ("POST", "merchants/money") => refunds::money(shared, body(request)?),
        ("POST", "orders/close") => late_money::close(shared, &body(request)?),
        ("POST", "orders/pay") => late_money::pay(shared, &body(request)?),
        ("POST", "refunds/end") => refunds::end(shared, body(request)?),
        ("POST", "refunds/platform") => refunds::at_platform(shared, body(request)?),
        ("POST", "customers/block") => block(shared, body(request)?),
        (method, path) => match customer_service::route(shared, request, path).await {
            Some(answer) => answer,
            None => unknown(method, path),
        },
    }
}

fn unknown(method: &str, path: &str) -> Result<Value, Refusal> {
    match methods(path).or_else(|| customer_service::methods(path)) {
        Some(methods) => refuse(405, format!("{PREFIX}{path} wants {methods}, not {method}")),
        None => refuse(404, format!("{PREFIX}{path} does not exist; GET {PREFIX}status is a good beginning")),
    }
}

/// The methods of a call that exists.
fn methods(path: &str) -> Option<&'static str> {
    match path {
        "status" | "ledger" | "wire" | "scenario" => Some("GET"),
        "clock" | "platform" => Some("GET or POST"),
        "faults" | "outage" => Some("GET, POST or DELETE"),
        "wx/login"
        | "wx/requestPayment"
        | "wx/paymentSheet"
        | "wx/request"
        | "deliver"
        | "apps"
        | "merchants"
        | "merchants/key_mode"
        | "notifications/forge"
        | "merchants/money"
        | "orders/close"
        | "orders/pay"
        | "refunds/end"
        | "refunds/platform"
        | "customers/block" => Some("POST"),
        _ => None,
    }
}

/// The body of a call. A content type that a web page may send without asking is refused.
fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    let content_type = request.header("content-type").unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("application/json") {
        return refuse(415, "send JSON with Content-Type: application/json");
    }
    serde_json::from_slice(&request.body).or_else(|error| refuse(400, format!("the body cannot be read: {error}")))
}

fn status(shared: &Shared) -> Value {
    let world = shared.world();
    let apps = world.apps.values().map(|app| {
        json!({
            "appid": app.appid,
            "name": app.name,
            "merchants": app.merchants,
            "original_id": app.original_id,
            "push_url": app.push.as_ref().filter(|setup| setup.enabled).map(|setup| setup.url.as_str()),
            "templates": app.templates,
            "agents": app.agents,
        })
    });
    let merchants = world.merchants.values().map(|merchant| json!({ "mchid": merchant.mchid, "name": merchant.name }));
    let merchants_v3 = world.merchants_v3.values().map(|merchant| {
        json!({
            "mchid": merchant.mchid,
            "serials": merchant.certificates.iter().map(|known| known.serial_no().as_str()).collect::<Vec<_>>(),
            "key_mode": merchant.key_mode,
            "public_key_id": public_key_id(&merchant.mchid),
        })
    });
    let customers = world.customers.values().map(|customer| {
        json!({
            "appid": customer.appid,
            "customer": customer.name,
            "openid": customer.openid,
            "blocked": customer.blocked,
        })
    });
    json!({
        "base_url": shared.base_url(),
        "server": shared.phone_page.server,
        "tls_base_url": shared.tls_base_url(),
        "now": shared.time(&world),
        "seed": world.seed,
        "delivery": if shared.delivery == crate::Delivery::Automatic { "automatic" } else { "on_demand" },
        "apps": apps.collect::<Vec<_>>(),
        "merchants": merchants.collect::<Vec<_>>(),
        "merchants_v3": merchants_v3.collect::<Vec<_>>(),
        "platform": world.switches,
        "customers": customers.collect::<Vec<_>>(),
        "orders": world.orders.len(),
        "next_notification_at": world.due.first().map(|(due_at, _)| due_at),
        "next_push_at": world.outbox.next_due(),
    })
}

fn clock(shared: &Shared) -> Value {
    let world = shared.world();
    json!({ "now": shared.time(&world), "offset_s": world.offset_ms / 1000 })
}

fn faults(shared: &Shared) -> Value {
    json!({ "faults": shared.world().faults.list() })
}

fn check_fault(fault: Fault) -> Result<Fault, Refusal> {
    match fault::check(&fault) {
        Ok(()) => Ok(fault),
        Err(sentence) => refuse(400, sentence),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    appid: AppId,
    customer: String,
}

fn login(shared: &Shared, Login { appid, customer }: Login) -> Result<Value, Refusal> {
    let customer = find_customer(shared, &appid, &customer)?;
    let mut world = shared.world();
    let now = shared.time(&world);
    let code = world.wx_login(now, &customer);
    drop(world);
    shared.changed();
    Ok(json!({ "code": code }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestPaymentCall {
    appid: AppId,
    customer: String,
    parameters: Value,
    choice: Choice,
}

fn request_payment(shared: &Shared, call: RequestPaymentCall) -> Result<Value, Refusal> {
    let customer = find_customer(shared, &call.appid, &call.customer)?;
    let result = shared.request_payment(&customer, &call.parameters, call.choice);
    Ok(json!({ "errMsg": result.map_or_else(|error| error.to_string(), |()| REQUEST_PAYMENT_OK.to_owned()) }))
}

fn find_customer(shared: &Shared, appid: &AppId, name: &str) -> Result<String, Refusal> {
    if name.is_empty() || name.len() > 64 {
        return refuse(400, "customer must be a name of 1 to 64 bytes");
    }
    shared.world().customer(appid, name).or_else(|error| refuse(404, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    appid: AppId,
    customer: String,
    blocked: Option<bool>,
}

fn block(shared: &Shared, call: Block) -> Result<Value, Refusal> {
    let key = find_customer(shared, &call.appid, &call.customer)?;
    if let Some(customer) = shared.world().customers.get_mut(&key) {
        customer.blocked = call.blocked.unwrap_or(true);
    }
    shared.changed();
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::names_this_machine;

    #[test]
    fn only_names_of_this_machine_pass() {
        for here in ["127.0.0.1:8088", "localhost", "LOCALHOST:1", "shop.localhost:80", "[::1]:8088", "[::1]"] {
            assert!(names_this_machine(here), "{here}");
        }
        for there in
            ["", "evil.example", "evil.example:8088", "127.0.0.1.evil.example", "localhost.evil.example:1", "10.0.0.1"]
        {
            assert!(!names_this_machine(there), "{there}");
        }
    }
}
