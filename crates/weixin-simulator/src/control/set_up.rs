//! The calls that add apps and merchants, and that switch the keys of WeChat Pay.

use serde::Deserialize;
use serde_json::{Value, json};
use weixin::{ApiV2Key, ApiV3Key, AppId, AppSecret, FieldError, MchId};

use super::{Refusal, refuse};
use crate::{
    AgentSetup, AppSetup, KeyMode, MerchantCertificate, MerchantSetup, MerchantV3Setup, Shared, TemplateSetup,
    world::SwitchChange,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppCall {
    appid: AppId,
    secret: String,
    merchants: Vec<MchId>,
    name: Option<String>,
    open_platform: Option<String>,
    original_id: Option<String>,
    templates: Option<Vec<TemplateSetup>>,
    agents: Option<Vec<AgentSetup>>,
}

fn parsed<T>(result: Result<T, FieldError>) -> Result<T, Refusal> {
    result.or_else(|error| refuse(400, error.to_string()))
}

pub(super) fn app(shared: &Shared, call: AppCall) -> Result<Value, Refusal> {
    let mut app = AppSetup::new(call.appid, parsed(AppSecret::parse(call.secret))?);
    app.name = call.name.unwrap_or(app.name);
    app.original_id = call.original_id.unwrap_or(app.original_id);
    app.merchants = call.merchants;
    app.open_platform = call.open_platform;
    app.templates = call.templates.unwrap_or_default();
    app.agents = call.agents.unwrap_or_default();
    shared.world().set_up_app(&app);
    shared.changed();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MerchantCall {
    mchid: MchId,
    name: Option<String>,
    api_v2_key: Option<String>,
    api_v3_key: Option<String>,
    certificates: Option<Vec<MerchantCertificate>>,
    key_mode: Option<KeyMode>,
}

/// Either version is set up only if something of it is there.
pub(super) fn merchant(shared: &Shared, call: MerchantCall) -> Result<Value, Refusal> {
    let mchid = call.mchid;
    let v2 = match call.api_v2_key {
        Some(key) => Some(MerchantSetup {
            name: call.name.unwrap_or_else(|| mchid.to_string()),
            mchid: mchid.clone(),
            api_v2_key: parsed(ApiV2Key::parse(key))?,
        }),
        None => None,
    };
    let v3 = match (call.api_v3_key, call.certificates, call.key_mode) {
        (None, None, None) => None,
        (key, certificates, key_mode) => Some(MerchantV3Setup {
            mchid,
            key: key.map(|key| parsed(ApiV3Key::parse(key))).transpose()?,
            certificates: certificates.unwrap_or_default(),
            key_mode: key_mode.unwrap_or_default(),
        }),
    };
    if v2.is_none() && v3.is_none() {
        return refuse(400, "give api_v2_key, or api_v3_key and certificates, or all of them");
    }
    let mut world = shared.world();
    v2.iter().for_each(|setup| world.set_up_merchant(setup));
    v3.iter().for_each(|setup| world.set_up_merchant_v3(setup));
    drop(world);
    shared.changed();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyModeCall {
    mchid: MchId,
    key_mode: KeyMode,
}

pub(super) fn key_mode(shared: &Shared, call: KeyModeCall) -> Result<Value, Refusal> {
    match shared.set_key_mode(&call.mchid, call.key_mode) {
        Ok(()) => Ok(json!({})),
        Err(error) => refuse(404, error.to_string()),
    }
}

pub(super) fn platform(shared: &Shared) -> Value {
    json!(shared.world().switches)
}

pub(super) fn change_platform(shared: &Shared, change: SwitchChange) -> Result<Value, Refusal> {
    if let Err(sentence) = change.check() {
        return refuse(400, sentence);
    }
    shared.switch(|switches| switches.change(&change));
    Ok(platform(shared))
}
