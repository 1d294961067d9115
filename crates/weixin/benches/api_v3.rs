//! Signing, verifying and reading notifications of API v3, beside OpenSSL and the Node SDK in the same run.
//!
//! `cargo bench -p weixin --bench api_v3`. All take turns, and the best of several rounds counts, because other work on the
//! machine only ever slows down. Without an `openssl` on PATH only our own
//! figures are printed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a measurement, not the product"
)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use weixin::{
    ApiV3Key, MchId,
    pay::v3::{Certificate, SignatureHeaders, SigningKey, TrustedKeys, notification, verify},
};

/// How long each thing is measured in a round.
const MEASURED: Duration = Duration::from_secs(1);

const READ: &str = "verify, open and read a notification";

/// How often all take their turn.
const ROUNDS: usize = 5;

fn main() {
    let file: Value = serde_json::from_str(include_str!("../tests/vectors/pay-v3.json")).unwrap();
    let key = |name: &str, field: &str| file["keys"][name][field].as_str().unwrap();
    let merchant = SigningKey::from_pem(key("MERCHANT", "private_key_pem")).unwrap();
    let certificate = Certificate::from_pem(key("MERCHANT", "certificate_pem")).unwrap();
    let message = file["request_signing"][0]["message"].as_str().unwrap().as_bytes();
    let signature = merchant.sign(message);

    let case = &file["callbacks"][0];
    let body = case["body"].as_str().unwrap();
    let headers = SignatureHeaders::read(|name| case["headers"][name].as_str()).unwrap();
    let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
    let platform = Certificate::from_pem(key("PLATFORM_1", "certificate_pem")).unwrap();
    let trusted: TrustedKeys = [platform].into_iter().collect();
    let mchid = MchId::parse(key("MERCHANT", "mchid")).unwrap();
    let api_v3_key = ApiV3Key::parse(file["keys"]["apiv3_key"].as_str().unwrap()).unwrap();

    let (mut signs, mut verifies, mut reads) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut openssl_best: Option<(f64, f64)> = None;
    let mut node_best: Option<f64> = None;
    for _ in 0..ROUNDS {
        signs = signs.max(per_second(|| drop(merchant.sign(message))));
        verifies = verifies.max(per_second(|| assert!(certificate.key.verifies(message, &signature))));
        reads = reads.max(per_second(|| {
            let verified = verify(&headers, body.as_bytes(), &trusted, now).unwrap();
            notification::read(verified, &mchid, &api_v3_key).unwrap();
        }));
        if let Some((signs, verifies)) = openssl() {
            let best = openssl_best.get_or_insert((0.0, 0.0));
            *best = (best.0.max(signs), best.1.max(verifies));
        }
        if let Some(reads) = node() {
            node_best = Some(node_best.unwrap_or(0.0).max(reads));
        }
    }
    println!("one thread, RSA-2048, per second        ours    openssl   ratio");
    for (name, ours, theirs) in [
        ("sign a request", signs, openssl_best.map(|both| both.0)),
        ("verify a signature", verifies, openssl_best.map(|both| both.1)),
    ] {
        match theirs {
            Some(theirs) => println!("{name:<36}{ours:>9.0}{theirs:>11.0}{:>8.2}", ours / theirs),
            None => println!("{name:<36}{ours:>9.0}          -       -"),
        }
    }
    match node_best {
        Some(theirs) => println!("{READ:<36}{reads:>9.0}{theirs:>11.0}{:>8.2}  (Node SDK)", reads / theirs),
        None => println!("{READ:<36}{reads:>9.0}          -       -  (Node SDK: run sdk-tests/run first)"),
    }
}

fn per_second(mut work: impl FnMut()) -> f64 {
    for _ in 0..100 {
        work();
    }
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < MEASURED {
        for _ in 0..50 {
            work();
        }
        count += 50;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

/// Notifications per second by the Node SDK, where its packages are installed.
fn node() -> Option<f64> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk-tests/node/bench-notification.js");
    let output = Command::new("node").arg(script).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Signatures and verifications per second by `openssl speed`.
fn openssl() -> Option<(f64, f64)> {
    let seconds = MEASURED.as_secs().to_string();
    let output = Command::new("openssl").args(["speed", "-seconds", &seconds, "rsa2048"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // rsa 2048 bits 0.000888s 0.000024s   1126.0  41234.0 (newer versions have two more columns)
    let line = text.lines().find(|line| line.trim_start().starts_with("rsa") && line.contains("2048"))?;
    let rates: Vec<f64> = line.split_whitespace().skip(3).filter_map(|word| word.parse().ok()).collect();
    Some((*rates.first()?, *rates.get(1)?))
}
