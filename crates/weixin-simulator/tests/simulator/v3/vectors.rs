//! Requests that were made with other people's software, posted verbatim (`crates/weixin/tests/vectors/pay-v3.json`).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use weixin::{ApiV3Key, AppId, AppSecret, MchId, OpenId};
use weixin_simulator::{AppSetup, DEMO_APP_SECRET, MerchantCertificate, MerchantV3Setup, Options, Setup, Simulator};

use crate::{support::Stage, v3::code};

fn file() -> Value {
    serde_json::from_str(include_str!("../../../../weixin/tests/vectors/pay-v3.json")).unwrap()
}

async fn stage(file: &Value, now: Timestamp) -> Stage {
    let merchant = &file["keys"]["MERCHANT"];
    let text = |name: &str| merchant[name].as_str().unwrap();
    let (appid, mchid) = (AppId::parse(text("appid")).unwrap(), MchId::parse(text("mchid")).unwrap());
    let certificate = MerchantCertificate::from_pem(text("certificate_pem")).unwrap();
    let key = ApiV3Key::parse(file["keys"]["apiv3_key"].as_str().unwrap()).unwrap();
    let secret = AppSecret::parse(DEMO_APP_SECRET).unwrap();
    let app = AppSetup { merchants: vec![mchid.clone()], ..AppSetup::new(appid.clone(), secret) };
    let merchant = MerchantV3Setup::new(mchid, key, certificate);
    let world = Setup { apps: vec![app], merchants: Vec::new(), merchants_v3: vec![merchant] };
    let options = Options::for_tests(1, Arc::new(move || now));
    let sim = Simulator::start(Options { world, ..options }).await.unwrap();
    let openid = OpenId::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap();
    let li = sim.phone_with_openid(&appid, "li", openid).unwrap();
    Stage { sim, li }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_other_peoples_software_are_taken_and_forgeries_are_refused() {
    let file = file();
    let cases = file["request_verification"].as_array().unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let (name, expect) = (case["name"].as_str().unwrap(), &case["expect"]);
        let stage = stage(&file, Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap()).await;
        let headers: Vec<_> = case["headers"].as_object().unwrap().iter().collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let (method, path) = (case["method"].as_str().unwrap(), case["path_and_query"].as_str().unwrap());
        let reply = stage.http(method, path, &headers, case["body"].as_str().unwrap().as_bytes()).await;
        if expect["ok"] == true {
            assert_eq!(reply.status, 200, "{name}: {reply:?}");
            assert!(reply.json()["prepay_id"].is_string(), "{name}");
        } else {
            let expected = (expect["http_status"].as_u64().unwrap(), expect["code"].as_str().unwrap().to_owned());
            let (status, code) = code(&reply);
            assert_eq!((u64::from(status), code), expected, "{name}: {reply:?}");
        }
    }
}
