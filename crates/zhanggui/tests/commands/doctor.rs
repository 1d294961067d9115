use std::{process::Output, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use weixin::{
    ApiV3Key, MchId,
    pay::v3::{SerialNo, SigningKey},
};
use weixin_simulator::{
    DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM,
    DEMO_PUBLIC_KEY_ID, KeyMode, MerchantCertificate, MerchantV3Setup, Options, Simulator, Standing,
};
use zhanggui::{
    clock::{system_clock, system_entropy},
    config::{Config, empty_environment},
    doctor::{Doctor, Outcome, Reach, Report},
};

use crate::place::{Place, json, printed};

/// A key that belongs to nobody.
const STRANGER: &str = include_str!("../../../weixin-simulator/fixtures/stranger_key.pem");

async fn wechat() -> Simulator {
    Simulator::start(Options::demo()).await.unwrap()
}

/// The demonstration's merchant with other settings at WeChat.
fn merchant(sim: &Simulator, change: impl FnOnce(&mut MerchantV3Setup)) {
    let mut setup = MerchantV3Setup::demo();
    change(&mut setup);
    sim.add_merchant_v3(&setup);
}

/// Runs the doctor and gives the checks with this outcome.
#[track_caller]
fn checks(place: &Place, outcome: &str, code: i32) -> Vec<Value> {
    let output = place.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
    tells_no_secret(&output);
    let report = json(&output);
    assert_eq!(report["ok"], code == 0);
    let all = report["checks"].as_array().unwrap().clone();
    assert!(
        all.iter().all(|check| check["outcome"] != "problem" || check["fix"].is_string()),
        "a fix for each: {all:?}"
    );
    all.into_iter().filter(|check| check["outcome"] == outcome).collect()
}

/// The only problem, which has these words in its text and those in its fix.
#[track_caller]
fn problem(place: &Place, name: &str, text: &str, fix: &str) {
    let found = checks(place, "problem", 1);
    let [check] = found.as_slice() else { panic!("{found:?}") };
    let has = |field: &str, words: &str| check[field].as_str().unwrap().contains(words);
    assert_eq!(check["check"], name, "{check}");
    assert!(has("text", text) && has("fix", fix), "{check}");
}

fn tells_no_secret(output: &Output) {
    let all = format!("{output:?}");
    for secret in [DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, "BEGIN PRIVATE"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_deployment_has_no_problem_and_no_warning() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    let good = checks(&place, "ok", 0);
    let names: Vec<_> = good.iter().map(|check| check["check"].as_str().unwrap()).collect();
    for name in ["configuration", "database", "clock", "v3 trusted keys", "v3", "v2", "app", "notify_url"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let sealed = good.iter().any(|check| check["text"].as_str().unwrap().contains("sealed fields go both ways"));
    assert!(sealed, "{good:?}");
    assert!(checks(&place, "warning", 0).is_empty());
    let text = printed(&place.run(&["doctor"]));
    assert!(text.ends_with("Everything is as it should be.\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platform_certificates_are_downloaded_where_there_is_no_public_key() {
    let sim = wechat().await;
    merchant(&sim, |setup| setup.key_mode = KeyMode::Certificates);
    let lines = format!("public_key_id = \"{DEMO_PUBLIC_KEY_ID}\"\npublic_key_file = \"pub_key.pem\"\n");
    let place = Place::new(&sim.base_url()).with(&lines, "").migrated();
    let good = checks(&place, "ok", 0);
    assert!(good.iter().any(|check| check["text"].as_str().unwrap().contains("1 platform certificate(s)")), "{good:?}");
    assert!(good.iter().any(|check| check["text"].as_str().unwrap().contains("does not exist")), "asked by query");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_who_needs_the_public_key_is_told() {
    let sim = wechat().await;
    let lines = format!("public_key_id = \"{DEMO_PUBLIC_KEY_ID}\"\npublic_key_file = \"pub_key.pem\"\n");
    let place = Place::new(&sim.base_url()).with(&lines, "").migrated();
    problem(&place, "v3 trusted keys", "RESOURCE_NOT_EXISTS", "public_key_file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_another_is_told_with_what_wechat_would_have_signed() {
    let sim = wechat().await;
    let serial = Place::new(&sim.base_url());
    serial.write("apiclient_key.pem", STRANGER);
    let certificate = "certificate_file = \"apiclient_cert.pem\"";
    let number = format!("serial_no = \"{}\"", weixin_simulator::DEMO_MERCHANT_SERIAL);
    let place = serial.with(certificate, &number).migrated();
    problem(&place, "v3 trusted keys", "sign_message_length", "private key does not belong to serial_no");
    problem(&place, "v3 trusted keys", "SIGN_ERROR", "explain-signature");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_number_of_another_is_told() {
    let sim = wechat().await;
    let certificate = "certificate_file = \"apiclient_cert.pem\"";
    let number = "serial_no = \"00000000000000000000000000000000000000CD\"";
    let place = Place::new(&sim.base_url()).with(certificate, number).migrated();
    problem(&place, "v3 trusted keys", "序列号有误", "serial number is not one of this merchant");
    let warnings = checks(&place, "warning", 1);
    assert_eq!(warnings[0]["check"], "v3 certificate", "without the certificate the number cannot be checked here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_and_a_replaced_certificate_are_told_apart() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    for (standing, words) in [(Standing::Revoked, "revoked"), (Standing::Replaced, "replaced")] {
        let certificate = MerchantCertificate::from_pem(DEMO_MERCHANT_CERTIFICATE_PEM).unwrap().standing(standing);
        merchant(&sim, |setup| setup.certificates = vec![certificate]);
        problem(&place, "v3 trusted keys", "SIGN_ERROR", words);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_without_a_certificate_at_wechat_is_told() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    merchant(&sim, |setup| setup.certificates.clear());
    problem(&place, "v3 trusted keys", "未申请过证书", "apply for a certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_v3_key_that_opens_nothing_is_told() {
    let sim = wechat().await;
    merchant(&sim, |setup| {
        setup.key_mode = KeyMode::Both;
        setup.key = Some(ApiV3Key::parse("fakeApiV3Key00000000000000000009").unwrap());
    });
    let place = Place::new(&sim.base_url()).migrated();
    problem(&place, "v3 trusted keys", "cannot be opened", "api_v3_key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_key_id_that_wechat_does_not_know_is_told() {
    let sim = wechat().await;
    let other = "PUB_KEY_ID_0116000000012026010100000000000009";
    let place = Place::new(&sim.base_url()).with(DEMO_PUBLIC_KEY_ID, other).migrated();
    problem(&place, "v3 trusted keys", "Wechatpay-Serial", "public_key_id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_key_that_is_not_the_one_of_its_id_is_told() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    place.write("pub_key.pem", include_str!("stranger_public.pem"));
    problem(&place, "v3", "cannot be verified", "public_key_file is not the key of public_key_id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_merchants_own_public_key_is_recognised() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    place.write("pub_key.pem", include_str!("merchant_public.pem"));
    let problems = checks(&place, "problem", 1);
    assert_eq!(problems[0]["check"], "v3 public key");
    assert!(problems[0]["text"].as_str().unwrap().contains("merchant's own"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_key_id_of_another_merchant_is_a_warning() {
    let sim = wechat().await;
    let other = "PUB_KEY_ID_0119999999992026010100000000000001";
    let place = Place::new(&sim.base_url()).with(DEMO_PUBLIC_KEY_ID, other).migrated();
    assert_eq!(checks(&place, "warning", 1)[0]["check"], "v3 public key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_v2_key_is_told() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).with(DEMO_API_V2_KEY, "fakeApiV2Key00000000000000000009").migrated();
    problem(&place, "v2", "签名", "api_v2_key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_app_secret_and_a_wrong_appid_are_told_apart() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).with(DEMO_APP_SECRET, "fakeAppSecret0000000000000000009").migrated();
    problem(&place, "app", "secret", "AppSecret");
    let place = Place::new(&sim.base_url()).with(DEMO_APPID, "wxfake000000000009").migrated();
    let problems = checks(&place, "problem", 1);
    let app = problems.iter().find(|check| check["check"] == "app").unwrap();
    assert!(app["fix"].as_str().unwrap().contains("correct appid"), "{app}");
}

#[test]
fn a_wechat_that_cannot_be_reached_is_told_once() {
    let place = Place::new("http://127.0.0.1:1").migrated();
    problem(&place, "connection", "could not be reached", "DNS, firewall and proxy");
}

#[test]
fn offline_asks_nobody() {
    let place = Place::new("http://127.0.0.1:1").migrated();
    let output = place.run(&["doctor", "--offline"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(!printed(&output).contains("clock"));
}

#[test]
fn a_missing_database_names_the_command_that_makes_it() {
    let place = Place::new("http://127.0.0.1:1");
    let output = place.run(&["doctor", "--offline"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("zhanggui migrate"), "{}", printed(&output));
}

#[test]
fn a_broken_configuration_is_told_with_all_its_lines() {
    let place = Place::new("http://127.0.0.1:1").with("realm = \"simulated\"", "realm = \"paradise\"");
    let place = place.with("public_url", "public_urll");
    let problems = checks(&place, "problem", 1);
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(problems.iter().all(|check| check["check"] == "configuration"));
    assert!(problems.iter().any(|check| check["fix"].as_str().unwrap().contains("line ")), "{problems:?}");
}

#[test]
fn key_and_certificate_that_do_not_belong_together_are_told() {
    let place = Place::new("http://127.0.0.1:1");
    place.write("apiclient_key.pem", STRANGER);
    problem(&place, "configuration", "does not belong to the private key", "zhanggui.toml, line");
}

/// Examines with a clock that is wrong by so much.
async fn examined(place: &Place, wechat: Reach, now: Timestamp) -> Report {
    let path = place.path().join("zhanggui.toml");
    let config = Config::parse(&std::fs::read_to_string(&path).unwrap(), &path, &empty_environment).unwrap();
    Doctor { config: &config, clock: Arc::new(move || now), entropy: system_entropy() }.examine(wechat).await
}

fn only(report: &Report, name: &str, outcome: Outcome) -> String {
    let found: Vec<_> = report.checks().iter().filter(|check| check.name == name).collect();
    assert_eq!(found.len(), 1, "{}", report.to_text());
    assert_eq!(found[0].outcome, outcome, "{}", report.to_text());
    format!("{} {}", found[0].text, found[0].fix.clone().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_a_warning_and_later_a_problem() {
    let sim = wechat().await;
    let place = Place::new(&sim.base_url()).migrated();
    let real = system_clock()();
    for (skew_s, outcome, direction) in [
        (10, Outcome::Ok, ""),
        (-10, Outcome::Ok, ""),
        (100, Outcome::Warning, "fast"),
        (-100, Outcome::Warning, "slow"),
        (270, Outcome::Problem, "fast"),
        (-270, Outcome::Problem, "slow"),
    ] {
        let report = examined(&place, Reach::Wechat, real + SignedDuration::from_secs(skew_s)).await;
        let words = only(&report, "clock", outcome);
        assert!(words.contains(direction) && (outcome == Outcome::Ok || words.contains("NTP")), "{words}");
    }
    let report = examined(&place, Reach::Wechat, real + SignedDuration::from_secs(1000)).await;
    assert!(only(&report, "v3 trusted keys", Outcome::Problem).contains("NTP"), "{}", report.to_text());
}

#[tokio::test]
async fn a_certificate_tells_when_it_ends() {
    let place = Place::new("http://127.0.0.1:1").migrated();
    for (now, outcome, words) in [
        ("2026-03-01T00:00:00Z", Outcome::Ok, "valid until 2120-01-01"),
        ("2119-12-15T00:00:00Z", Outcome::Warning, "expires in 17 days"),
        ("2120-06-01T00:00:00Z", Outcome::Problem, "has expired"),
        ("2023-06-01T00:00:00Z", Outcome::Problem, "not valid before"),
    ] {
        let report = examined(&place, Reach::Offline, now.parse().unwrap()).await;
        let found = only(&report, "v3 certificate", outcome);
        assert!(found.contains(words), "{found}");
        assert!(outcome == Outcome::Ok || report.to_text().contains("->"), "the fix is printed");
    }
}

#[test]
fn the_fixtures_are_what_they_say() {
    let serial = SerialNo::parse(weixin_simulator::DEMO_MERCHANT_SERIAL).unwrap();
    assert_eq!(MerchantCertificate::from_pem(DEMO_MERCHANT_CERTIFICATE_PEM).unwrap().serial_no(), &serial);
    assert!(SigningKey::from_pem(STRANGER).is_ok() && MchId::parse(DEMO_MCHID).is_ok());
}
