//! `GET /_sim/wire`: what went over the wire, and, sealed messages opened, what it meant.

use std::time::Duration;

use serde_json::{Value, json};
use weixin::{pay::v3::aead::Sealed, push};

use super::{Refusal, refuse};
use crate::{Exchange, Shared, server::Request, wire::redact, world::World};

/// The longest time that a call waits for something to happen.
const WAIT_S_MAX: u64 = 30;

/// The exchanges after number `since`. With `wait_s` the answer comes when there is one, or after that time.
pub(super) async fn wire(shared: &Shared, request: &Request) -> Result<Value, Refusal> {
    let since = number(request, "since")?;
    let wait_s = number(request, "wait_s")?.min(WAIT_S_MAX);
    let mut newest = shared.wire.follow();
    tokio::select! {
        // The log is dropped with everything else.
        _ = newest.wait_for(|newest| *newest > since) => {}
        () = tokio::time::sleep(Duration::from_secs(wait_s)) => {}
        () = shared.stop.cancelled() => {}
    }
    let exchanges = shared.wire.since(since);
    let world = shared.world();
    Ok(json!({ "exchanges": exchanges.iter().map(|exchange| told(&world, exchange)).collect::<Vec<_>>() }))
}

fn number(request: &Request, name: &str) -> Result<u64, Refusal> {
    match request.query(name).map(str::parse) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => refuse(400, format!("{name} must be a number")),
    }
}

fn told(world: &World, exchange: &Exchange) -> Value {
    let mut told = json!(exchange);
    for (name, body) in [("request_opened", &exchange.request), ("answer_opened", &exchange.answer)] {
        if let Some(plain) = opened(world, body) {
            told[name] = redact(&plain).into();
        }
    }
    told
}

/// What is in a sealed body, if a key of this world opens it.
fn opened(world: &World, body: &str) -> Option<String> {
    let plain = match serde_json::from_str::<Value>(body) {
        Ok(json) => match serde_json::from_value::<Sealed>(json["resource"].clone()) {
            Ok(sealed) => open_notification(world, &sealed),
            Err(_) => open_push(world, json["Encrypt"].as_str()?),
        },
        Err(_) => open_push(world, &push::Fields::read(body, push::Format::Xml).ok()?.text("Encrypt")?),
    }?;
    String::from_utf8(plain).ok()
}

fn open_notification(world: &World, sealed: &Sealed) -> Option<Vec<u8>> {
    world.merchants_v3.values().filter_map(|merchant| merchant.key.as_ref()).find_map(|key| sealed.open(key).ok())
}

fn open_push(world: &World, encrypt: &str) -> Option<Vec<u8>> {
    world.apps.values().find_map(|app| {
        let key = app.push.as_ref()?.aes_key.as_ref()?;
        push::open(key, &app.appid, encrypt).ok()
    })
}
