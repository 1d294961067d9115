//! X1: no secret in logs, answers and unsealed columns. A binary of its own, because it listens to every log line of
//! its process.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, reason = "the other test binary uses the rest of the support")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    io,
    sync::{Mutex, Once},
};

use serde_json::json;
use weixin::{mini_program::custom_send, push::Format};
use weixin_client::AppCredential;
use weixin_simulator::{DEMO_ENCODING_AES_KEY, DEMO_PUSH_TOKEN, Fault, FaultKind, NOTIFICATION, PUSH};
use zhanggui::{api_key::Scope, database::Value, seal::Place};

use support::{DEMO, Engine, MASTER_KEY, World, on_both_databases};

on_both_databases!(no_secret_is_logged_answered_or_written_down_in_the_clear);

/// Everything that was logged in this process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Listener;

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(|| Listener).init();
    });
}

async fn no_secret_is_logged_answered_or_written_down_in_the_clear(world: &mut World) {
    listen();
    let phone = world.phone("li").await;
    let till = world.merchant(Scope::ALL).await;
    let js_code = phone.wechat.login();
    phone.http.post("/v1/login", None, &json!({ "code": js_code.as_str() })).await.json(200);
    phone.http.post("/v1/login", None, &json!({ "code": js_code.as_str() })).await.problem(400, "js_code_used");
    live_through_everything(world, &phone, &till).await;

    let app = &world.node().app;
    let open = async |table, column, sql| {
        let row = world.rows(sql, &[]).await.swap_remove(0);
        let place = Place { table, row: row.text("key").unwrap(), column };
        String::from_utf8(app.seal.open(place, row.bytes("sealed").unwrap()).unwrap()).unwrap()
    };
    const SESSION_KEY: &str = "SELECT id AS key, session_key_sealed AS sealed FROM customer";
    const ACCESS_TOKEN: &str = "SELECT appid AS key, token_sealed AS sealed FROM access_token";
    let session_key = open("customer", "session_key_sealed", SESSION_KEY).await;
    let access_token = open("access_token", "token_sealed", ACCESS_TOKEN).await;
    let master_key = String::from_utf8(hex::decode(MASTER_KEY).unwrap()).unwrap();
    let secrets = [
        ("AppSecret", DEMO.secret),
        ("API v2 key", DEMO.key),
        ("master key", MASTER_KEY),
        ("master key", &master_key),
        ("session_key", &session_key),
        ("access token", &access_token),
        ("session token", &phone.token),
        ("API key", &till.key),
        ("js_code", js_code.as_str()),
        ("Token of message push", DEMO_PUSH_TOKEN),
        ("EncodingAESKey", DEMO_ENCODING_AES_KEY),
    ];

    chat(world).await;
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    for expected in ["TRACE", "asked WeChat", "order paid", "a notification was not believed", "WeChat is busy"] {
        assert!(log.contains(expected), "the log was listened to: {expected}");
    }
    let written = everything_written(world).await;
    let answers = phone.http.answers();
    assert!(answers.iter().filter(|answer| answer.contains(&phone.token)).count() == 1, "the log-in gives the token");
    for (name, secret) in secrets {
        assert!(!log.contains(secret), "{name} in the log");
        assert!(!holds(&written, secret), "{name} in the database");
        let told = answers.iter().filter(|answer| answer.contains(secret)).count();
        assert_eq!(told, usize::from(name == "session token"), "{name} in an answer");
    }
    // What people write is for those who may read it: neither for the log nor for whoever reads the database.
    for private in [WISH, ANSWER, PICTURE] {
        assert!(!log.contains(private), "{private} in the log");
        assert!(!holds(&written, private), "{private} in the database");
    }
    // People appear under our own number. The payment needs the openid, so the database has it.
    let openid = phone.wechat.openid().as_str();
    assert!(!log.contains(openid) && holds(&written, openid));
}

const WISH: &str = "n33dle: a wish that nobody else may read";
const ANSWER: &str = "n33dle: an answer that nobody else may read";
const PICTURE: &str = "n33dle: bytes of a picture";

/// A customer writes and sends a picture, somebody answers, and much goes wrong on the way.
async fn chat(world: &mut World) {
    world.reconfigure(|shop| shop.push.handler = "desk").await;
    world.switch_push_on(Format::Xml).await;
    let desk = world.merchant(&[Scope::Messages]).await;
    let phone = world.sim.phone(&DEMO.appid(), "li").unwrap();
    for kind in [FaultKind::WrongSignature, FaultKind::TamperedBody, FaultKind::ClearText, FaultKind::Stale] {
        world.sim.inject(Fault::on(PUSH, kind));
        phone.send_text(WISH);
        world.deliver().await;
        world.expected_failures += 1;
        world.clock.advance_s(5);
        world.deliver().await;
    }
    phone.send_image([b"GIF89a\x01\0\x01\0\x80\0\0", PICTURE.as_bytes()].concat());
    world.deliver().await;
    world.run_jobs().await;
    let conversation = world.only_conversation(&desk).await["id"].as_str().unwrap().to_owned();
    for (client_id, kind) in [
        ("1", FaultKind::NoAnswerAfter),
        ("2", FaultKind::Html),
        ("3", FaultKind::Errcode(45047)),
        ("4", FaultKind::Errcode(-1)),
    ] {
        world.sim.inject(Fault::on(custom_send::PATH, kind));
        desk.reply(&conversation, client_id, ANSWER).await;
        world.clock.advance_s(10);
        world.run_jobs().await;
        phone.send_text(WISH);
        world.deliver().await;
    }
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM picture WHERE state = 'kept'").await, 1);
    assert!(desk.get(&format!("/v1/conversations/{conversation}/messages")).await.text().contains(WISH));
    assert!(desk.get("/v1/events").await.text().contains(ANSWER));
}

/// Log-ins, orders, payments, notifications and queries, as they should be and in many other ways.
async fn live_through_everything(world: &mut World, phone: &support::Phone, till: &support::Merchant) {
    let credential = AppCredential { appid: DEMO.appid(), secret: DEMO.secret() };
    let app = &world.node().app;
    let ask = async |token| app.mini_program.callback_ip(&token).await.map(drop);
    app.access_tokens.with_token(&credential, ask).await.unwrap();
    for (path, kind) in [
        ("/cgi-bin/getcallbackip", FaultKind::Errcode(40001)),
        ("/cgi-bin/getcallbackip", FaultKind::NoAnswerAfter),
        ("/cgi-bin/getcallbackip", FaultKind::Html),
    ] {
        world.sim.inject(Fault::on(path, kind));
        app.access_tokens.with_token(&credential, ask).await.unwrap_err();
    }
    for kind in [
        FaultKind::Errcode(-1),
        FaultKind::Errcode(40125),
        FaultKind::NoAnswerAfter,
        FaultKind::HalfAnswer,
        FaultKind::Html,
    ] {
        world.sim.inject(Fault::on("/sns/jscode2session", kind));
        let body = json!({ "code": phone.wechat.login().as_str() });
        assert!(phone.http.post("/v1/login", None, &body).await.status >= 400);
    }
    for token in [format!("{}x", phone.token), till.key.replace("zg_sim_", "zg_live_")] {
        phone.http.get("/v1/orders/ord_1", Some(&token)).await.problem(401, "unauthorized");
    }
    let body = json!({ "items": [{ "sku": "tea" }], "openid": phone.wechat.openid().as_str() });
    let order = till.order(&body).await.json(201)["id"].as_str().unwrap().to_owned();
    for kind in [
        FaultKind::Unsigned,
        FaultKind::WrongSignature,
        FaultKind::Fail("签名错误".to_owned()),
        FaultKind::ErrCode("SIGNERROR".to_owned()),
        FaultKind::NoAnswerAfter,
    ] {
        world.sim.inject(Fault::on("/pay/unifiedorder", kind));
        assert!(phone.press(&order).await.status >= 500);
        world.clock.advance_s(1);
    }
    phone.pay(&order).await;
    for kind in [FaultKind::WrongSignature, FaultKind::TamperedAmount, FaultKind::Unsigned] {
        world.sim.inject(Fault::on(NOTIFICATION, kind));
        world.deliver().await;
        world.clock.advance_s(60);
    }
    world.sim.inject(Fault::on("/pay/orderquery", FaultKind::WrongSignature));
    assert_eq!(phone.refresh(&order).await["refreshed"], false);
    world.sim.inject(Fault::on("/pay/orderquery", FaultKind::NoAnswerBefore));
    world.settle().await;
    world.clock.advance_s(1);
    world.run_jobs().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

/// Every byte of the database: the files of SQLite, every row of PostgreSQL.
async fn everything_written(world: &World) -> Vec<u8> {
    if world.engine == Engine::Sqlite {
        let path = world.recipe.database.strip_prefix("sqlite:").unwrap();
        return ["", "-wal"].iter().flat_map(|end| std::fs::read(format!("{path}{end}")).unwrap()).collect();
    }
    let tables =
        world.rows("SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = 'public'", &[]).await;
    assert!(tables.len() > 8);
    let mut written = Vec::new();
    for table in tables {
        let name = table.text("name").unwrap();
        // Bytes are shown as hexadecimal digits, texts as they are.
        let sql = format!("SELECT CAST({name} AS TEXT) AS line FROM {name}");
        let none: [Value; 0] = [];
        let rows = world.database().read(move |tx| tx.query(&sql, &none)).await.unwrap();
        for row in rows {
            written.extend_from_slice(row.text("line").unwrap().as_bytes());
        }
    }
    written
}

/// Whether the bytes hold the text as it is or in hexadecimal digits.
fn holds(bytes: &[u8], text: &str) -> bool {
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    contains(text.as_bytes()) || contains(hex::encode(text).as_bytes())
}
