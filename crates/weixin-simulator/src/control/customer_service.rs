//! The calls of the control API for customer service: message push, the customer's chat, WeChat's own agents, subscribe
//! messages, phone numbers and content checks.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use weixin::{
    AppId, OpenId,
    push::{Fields, Format},
};

use super::{Refusal, body, find_customer, refuse};
use crate::{
    AgentError, Agents, Consent, ContentWords, Phone, PhoneNumber, PushEvent, PushRefusal, PushSetup, PushSetupError,
    PushSetupFile, Shared, push, server::Request,
};

/// Answers a call, if there is such a one.
pub(super) async fn route(shared: &Arc<Shared>, request: &Request, path: &str) -> Option<Result<Value, Refusal>> {
    let method = request.method.as_str();
    if path == "push" || path.starts_with("push/") {
        return route_push(shared, request, path).await;
    }
    let answer = match (method, path) {
        ("GET", "chat") => chat(shared, request),
        ("POST", "chat/enter") => on_phone(shared, request, |phone, EnterCall { session_from }| {
            phone.enter_session(&session_from.unwrap_or_default());
            Ok(json!({}))
        }),
        ("POST", "chat/text") => {
            on_phone(shared, request, |phone, TextCall { content }| Ok(json!({ "msg_id": phone.send_text(&content) })))
        }
        ("POST", "chat/image") => on_phone(shared, request, image),
        ("POST", "chat/card") => on_phone(shared, request, |phone, CardCall { title, page_path }| {
            Ok(json!({ "msg_id": phone.send_card(&title, &page_path) }))
        }),
        ("POST", "wx/requestSubscribeMessage") => on_phone(shared, request, request_subscribe_message),
        ("POST", "wx/getPhoneNumber") => {
            on_phone(shared, request, |phone, NoCall {}| Ok(json!({ "code": phone.get_phone_number() })))
        }
        ("POST", "customers/unsubscribe") => on_phone(shared, request, |phone, UnsubscribeCall { template_id }| {
            let result = phone.unsubscribe(&template_id);
            result.map_or_else(|error| refuse(404, error.to_string()), |()| Ok(json!({})))
        }),
        ("POST", "customers/phone_number") => on_phone(shared, request, |phone, number: PhoneNumber| {
            phone.set_phone_number(number);
            Ok(json!({}))
        }),
        ("GET", "agents") => agents(shared, request),
        ("POST", "agents/take" | "agents/answer" | "agents/close") => on_agents(shared, request, path),
        ("POST", "content_words") => body(request).map(|words: ContentWords| {
            shared.world().content_words = words;
            shared.changed();
            json!({})
        }),
        _ => return None,
    };
    Some(answer)
}

async fn route_push(shared: &Arc<Shared>, request: &Request, path: &str) -> Option<Result<Value, Refusal>> {
    Some(match (request.method.as_str(), path) {
        ("GET", "push") => setting(shared, request),
        ("POST", "push") => match body(request) {
            Ok(call) => set_push(shared, call).await,
            Err(refusal) => Err(refusal),
        },
        ("POST", "push/event") => body(request).and_then(|call| push_event(shared, call)),
        ("POST", "push/repeat") => match body(request) {
            Ok(call) => repeat_push(shared, call).await,
            Err(refusal) => Err(refusal),
        },
        _ => return None,
    })
}

/// The methods of a call that exists.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    match path {
        "chat" | "agents" => Some("GET"),
        "push" => Some("GET or POST"),
        "push/event"
        | "push/repeat"
        | "chat/enter"
        | "chat/text"
        | "chat/image"
        | "chat/card"
        | "wx/requestSubscribeMessage"
        | "wx/getPhoneNumber"
        | "customers/unsubscribe"
        | "customers/phone_number"
        | "agents/take"
        | "agents/answer"
        | "agents/close"
        | "content_words" => Some("POST"),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Who {
    appid: AppId,
    customer: String,
}

/// Does something on the phone of the customer whom the body names beside the rest of the call.
fn on_phone<T: DeserializeOwned>(
    shared: &Arc<Shared>,
    request: &Request,
    run: impl FnOnce(Phone, T) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let mut call: Map<String, Value> = body(request)?;
    let who: Map<String, Value> =
        ["appid", "customer"].into_iter().filter_map(|name| Some((name.to_owned(), call.remove(name)?))).collect();
    let who: Who = read(who)?;
    let call = read(call)?;
    run(phone(shared, &who.appid, &who.customer)?, call)
}

fn read<T: DeserializeOwned>(call: Map<String, Value>) -> Result<T, Refusal> {
    let read = serde_json::from_value(call.into());
    read.or_else(|error| refuse(400, format!("the body cannot be read: {error}")))
}

fn phone(shared: &Arc<Shared>, appid: &AppId, customer: &str) -> Result<Phone, Refusal> {
    find_customer(shared, appid, customer)?;
    Phone::new(shared, appid, customer).or_else(|error| refuse(404, error.to_string()))
}

/// A parameter of the query that must be there and well formed.
fn parameter<T: std::str::FromStr<Err: std::fmt::Display>>(request: &Request, name: &str) -> Result<T, Refusal> {
    match request.query(name).map(str::parse) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => refuse(400, format!("{name}: {error}")),
        None => refuse(400, format!("the query lacks {name}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoCall {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnterCall {
    session_from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextCall {
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageCall {
    base64: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardCall {
    title: String,
    page_path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeCall {
    template_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeCall {
    answers: BTreeMap<String, Consent>,
}

fn image(phone: Phone, call: ImageCall) -> Result<Value, Refusal> {
    match STANDARD.decode(&call.base64) {
        Ok(bytes) => Ok(json!({ "msg_id": phone.send_image(bytes) })),
        Err(error) => refuse(400, format!("base64: {error}")),
    }
}

/// What `wx.requestSubscribeMessage` gives.
fn request_subscribe_message(phone: Phone, call: SubscribeCall) -> Result<Value, Refusal> {
    let answers: Vec<_> = call.answers.iter().map(|(template_id, consent)| (template_id.as_str(), *consent)).collect();
    if let Err(error) = phone.answer_subscribe_popup(&answers) {
        return refuse(404, error.to_string());
    }
    let mut told = json!(call.answers);
    told["errMsg"] = "requestSubscribeMessage:ok".into();
    Ok(told)
}

/// What the customer sees.
fn chat(shared: &Arc<Shared>, request: &Request) -> Result<Value, Refusal> {
    let (appid, customer): (AppId, String) = (parameter(request, "appid")?, parameter(request, "customer")?);
    let phone = phone(shared, &appid, &customer)?;
    Ok(json!({ "lines": phone.chat(), "typing": phone.sees_typing(), "notices": phone.notices() }))
}

/// Who waits for an agent; with an `openid` also what agents see of that conversation.
fn agents(shared: &Arc<Shared>, request: &Request) -> Result<Value, Refusal> {
    let agents = tool(shared, &parameter(request, "appid")?)?;
    let mut told = json!({ "waiting": agents.waiting() });
    if request.query("openid").is_some() {
        let lines = agents.lines(&parameter(request, "openid")?);
        told["lines"] = json!(lines.or_else(|error| refuse(404, error.to_string()))?);
    }
    Ok(told)
}

fn tool(shared: &Arc<Shared>, appid: &AppId) -> Result<Agents, Refusal> {
    Agents::new(shared, appid).or_else(|error| refuse(404, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TakeCall {
    appid: AppId,
    openid: OpenId,
    agent: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerCall {
    appid: AppId,
    openid: OpenId,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseCall {
    appid: AppId,
    openid: OpenId,
}

fn on_agents(shared: &Arc<Shared>, request: &Request, path: &str) -> Result<Value, Refusal> {
    let result = match path {
        "agents/take" => {
            let call: TakeCall = body(request)?;
            tool(shared, &call.appid)?.take(&call.openid, &call.agent)
        }
        "agents/answer" => {
            let call: AnswerCall = body(request)?;
            tool(shared, &call.appid)?.answer(&call.openid, &call.content)
        }
        _ => {
            let call: CloseCall = body(request)?;
            tool(shared, &call.appid)?.close(&call.openid)
        }
    };
    match result {
        Ok(()) => Ok(json!({})),
        Err(error @ AgentError::UnknownCustomer(_)) => refuse(404, error.to_string()),
        Err(error) => refuse(409, error.to_string()),
    }
}

/// The setting of message push. The keys are shown: those of a simulator are there to be copied.
fn setting(shared: &Shared, request: &Request) -> Result<Value, Refusal> {
    let appid: AppId = parameter(request, "appid")?;
    let world = shared.world();
    match world.apps.get(appid.as_str()) {
        Some(app) => Ok(json!({ "push": app.push.as_ref().map(PushSetupFile::from) })),
        None => refuse(404, crate::UnknownApp(appid).to_string()),
    }
}

#[derive(Deserialize)]
struct PushCall {
    appid: AppId,
    #[serde(flatten)]
    setup: Map<String, Value>,
}

async fn set_push(shared: &Shared, call: PushCall) -> Result<Value, Refusal> {
    let file: PushSetupFile = read(call.setup)?;
    let setup = PushSetup::try_from(file).or_else(|error| refuse(400, error.to_string()))?;
    match push::set_push(shared, &call.appid, setup).await {
        Ok(()) => Ok(json!({})),
        Err(error @ PushSetupError::UnknownApp(_)) => refuse(404, error.to_string()),
        Err(error) => refuse(400, error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventCall {
    appid: AppId,
    event: String,
    openid: Option<OpenId>,
    fields: Option<Map<String, Value>>,
}

fn push_event(shared: &Shared, call: EventCall) -> Result<Value, Refusal> {
    let event = match call.fields {
        Some(fields) => {
            let fields = Fields::read(&Value::Object(fields).to_string(), Format::Json);
            PushEvent::new(&call.event).content(fields.or_else(|error| refuse(400, format!("fields: {error}")))?)
        }
        None => PushEvent::sample(&call.event).unwrap_or_else(|| PushEvent::new(&call.event)),
    };
    let event = match &call.openid {
        Some(openid) => event.from_customer(openid),
        None => event,
    };
    let number = push::push_event(shared, &call.appid, event).or_else(not_pushed)?;
    Ok(json!({ "number": number }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepeatCall {
    number: u64,
    copies: Option<usize>,
}

async fn repeat_push(shared: &Arc<Shared>, call: RepeatCall) -> Result<Value, Refusal> {
    let attempts = push::repeat_push(shared, call.number, call.copies.unwrap_or(1)).await;
    Ok(json!({ "attempts": attempts.or_else(not_pushed)? }))
}

fn not_pushed<T>(refusal: PushRefusal) -> Result<T, Refusal> {
    let status = match refusal {
        PushRefusal::UnknownApp(_) | PushRefusal::UnknownPush(_) => 404,
        PushRefusal::SwitchedOff => 409,
        PushRefusal::TooManyCopies => 400,
    };
    refuse(status, refusal.to_string())
}
