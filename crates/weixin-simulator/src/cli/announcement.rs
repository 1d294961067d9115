//! What is said when the simulator is up. The keys are shown, because the keys of a simulator are there to be copied.

use std::path::Path;

use serde_json::{Value, json};
use weixin::ApiV3Key;

use crate::{
    DEMO_ENCODING_AES_KEY, DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM,
    DEMO_PLATFORM_CERTIFICATE_2_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_PEM, DEMO_PUSH_TOKEN,
    DEMO_TLS_AUTHORITY_PEM, MerchantV3Setup, Setup, Simulator,
};

/// For programs.
pub(super) fn json(sim: &Simulator, setup: &Setup) -> Value {
    let url = sim.base_url();
    let apps = setup
        .apps
        .iter()
        .map(|app| json!({ "appid": app.appid, "secret": app.secret.expose(), "original_id": app.original_id }));
    let merchants = setup
        .merchants
        .iter()
        .map(|merchant| json!({ "mchid": merchant.mchid, "api_v2_key": merchant.api_v2_key.expose() }));
    json!({
        "base_url": url,
        "tls_base_url": sim.tls_base_url(),
        "tls_authority_pem": DEMO_TLS_AUTHORITY_PEM,
        "control_url": format!("{url}/_sim/"),
        "scenario": sim.scenario(),
        "phone_url": sim.phone_url(),
        "apps": apps.collect::<Vec<_>>(),
        "push": { "token": DEMO_PUSH_TOKEN, "encoding_aes_key": DEMO_ENCODING_AES_KEY },
        "merchants": merchants.collect::<Vec<_>>(),
        "merchants_v3": setup.merchants_v3.iter().map(merchant_v3).collect::<Vec<_>>(),
        "public_key_pem": DEMO_PUBLIC_KEY_PEM,
        "platform_certificates_pem": [DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PLATFORM_CERTIFICATE_2_PEM],
    })
}

fn merchant_v3(merchant: &MerchantV3Setup) -> Value {
    let mut told = json!({
        "mchid": merchant.mchid,
        "api_v3_key": merchant.key.as_ref().map(ApiV3Key::expose),
        "serials": serials(merchant),
        "key_mode": merchant.key_mode,
        "public_key_id": merchant.public_key_id(),
    });
    if merchant.mchid.as_str() == DEMO_MCHID {
        told["private_key_pem"] = DEMO_MERCHANT_KEY_PEM.into();
        told["certificate_pem"] = DEMO_MERCHANT_CERTIFICATE_PEM.into();
    }
    told
}

fn serials(merchant: &MerchantV3Setup) -> Vec<&str> {
    merchant.certificates.iter().map(|known| known.serial_no().as_str()).collect()
}

/// For people.
pub(super) fn text(sim: &Simulator, setup: &Setup, keys: Option<&Path>) -> String {
    let (url, phone) = (sim.base_url(), sim.phone_url());
    let mut text = format!(
        "WeChat is played at {url}, the phone is {phone}\n\
         Use it in place of https://api.mch.weixin.qq.com and https://api.weixin.qq.com. No money moves, no key is real.\n"
    );
    if let Some(tls) = sim.tls_base_url() {
        text.push_str(&format!("Refunds of API v2 go to {tls} and show the merchant's certificate.\n"));
    }
    for app in &setup.apps {
        text.push_str(&format!("\n  app       {}  secret      {}", app.appid, app.secret.expose()));
    }
    for merchant in &setup.merchants {
        text.push_str(&format!(
            "\n  merchant  {:<18}  API v2 key  {}",
            merchant.mchid.as_str(),
            merchant.api_v2_key.expose()
        ));
    }
    for merchant in &setup.merchants_v3 {
        text.push_str(&format!(
            "\n  merchant  {:<18}  API v3 key  {}\n{:<32}serial      {}\n{:<32}public key  {}",
            merchant.mchid.as_str(),
            merchant.key.as_ref().map_or("(none)", ApiV3Key::expose),
            "",
            serials(merchant).join(" "),
            "",
            merchant.public_key_id(),
        ));
    }
    text.push_str(&match keys {
        Some(directory) => format!("\n\nThe fake keys of API v3 are in {}", directory.display()),
        None => "\n\nThe fake keys of API v3: --write-keys DIR writes them, --json prints them".to_owned(),
    });
    if let Some(scenario) = sim.scenario() {
        text.push_str(&format!("\n\nScenario: {} ({} steps)", scenario.title, scenario.steps.len()));
    }
    let appid = setup.apps.first().map_or("APPID", |app| app.appid.as_str());
    text.push_str(&format!(
        "\n\nA customer logs in, pays, and what became of it:\n\
         \x20 curl -s {url}/_sim/wx/login -H 'content-type: application/json' -d '{{\"appid\":\"{appid}\",\"customer\":\"li\"}}'\n\
         \x20 curl -s {url}/_sim/wx/requestPayment -H 'content-type: application/json' \\\n\
         \x20   -d '{{\"appid\":\"{appid}\",\"customer\":\"li\",\"parameters\":{{…}},\"choice\":\"pay\"}}'\n\
         \x20 curl -s {url}/_sim/ledger\n\
         Also: /_sim/status /_sim/wire /_sim/clock /_sim/faults /_sim/deliver /_sim/apps /_sim/merchants /_sim/platform\n\
         Customer service: /_sim/push /_sim/chat /_sim/agents; fake keys of message push: {DEMO_PUSH_TOKEN} {DEMO_ENCODING_AES_KEY}\n\
         Ctrl-C stops."
    ));
    text
}
