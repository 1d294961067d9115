//! A shop with payments that wait for the customer, and the notifications that WeChat would post for them.

use std::{net::SocketAddr, path::Path, sync::Arc};

use serde_json::{Value, json};
use weixin::{
    AppId, Fen, NonceStr, OutTradeNo, TransactionId,
    pay::{
        TradeState, Transaction,
        v2::{SignType, notification},
    },
};
use weixin_simulator::{DEMO_API_V2_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_MCHID, MerchantSetup, Simulator};
use zhanggui::{
    app::App,
    clock::{system_clock, system_entropy},
    config::{Config, empty_environment},
    database::{self, Database, DatabaseError, Realm, Row},
    http::Server,
    product::{self, Product},
};

use super::{Client, post_all, request};

/// Where WeChat posts.
pub(crate) const PATH: &str = "/wechat/pay/1600000001";

/// Whether a notification is believed at once or confirmed by a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notifications {
    Confirmed,
    Believed,
}

pub(crate) async fn rows(app: &App, sql: &'static str) -> Vec<Row> {
    let rows: Result<_, DatabaseError> = app.database.read(move |tx| tx.query(sql, &[])).await;
    rows.unwrap()
}

pub(crate) async fn start(directory: &Path, wechat: &str, notifications: Notifications) -> (Arc<App>, Server) {
    let confirm = notifications == Notifications::Confirmed;
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:1\"\n[database]\nurl = \"sqlite:bench.db\"\n\
         [secrets]\nmaster_key = \"{}\"\n[wechat]\nrealm = \"simulated\"\npay_url = \"{wechat}\"\napi_url = \"{wechat}\"\n\
         [limits]\ncaller_per_s = 0\n[[merchant]]\nmchid = \"{DEMO_MCHID}\"\napi = \"v2\"\napi_v2_key = \"{DEMO_API_V2_KEY}\"\nconfirm_v2 = {confirm}\n\
         [[app]]\nappid = \"{DEMO_APPID}\"\nsecret = \"{DEMO_APP_SECRET}\"\nmerchant = \"{DEMO_MCHID}\"\n",
        "00".repeat(32)
    );
    let config = Config::parse(&text, &directory.join("zhanggui.toml"), &empty_environment).unwrap();
    let (clock, url) = (system_clock(), config.database.clone());
    database::migrate(&url, Realm::Simulated, clock()).await.unwrap();
    let database = Database::open(database::Options::new(url), Realm::Simulated).await.unwrap();
    let tea = Product::new("tea", "明前龙井", Fen::new(12_800)).unwrap();
    product::set(&database, &AppId::parse(DEMO_APPID).unwrap(), &tea, clock()).await.unwrap();
    let app = App::new(config, database, clock, system_entropy()).unwrap();
    let server = Server::start(Arc::clone(&app)).await.unwrap();
    (app, server)
}

/// Orders that wait for the customer, made as a mini program makes them.
pub(crate) async fn prepare_payments(app: &Arc<App>, wechat: &Simulator, address: SocketAddr, count: usize) {
    let js_code = wechat.phone(&wechat.demo_appid(), "li").unwrap().login();
    let login = request("/v1/login", "application/json", "", &json!({ "code": js_code.as_str() }).to_string());
    let answer: Value = serde_json::from_str(&Client::connect(address).await.send(&login).await).unwrap();
    let token = format!("authorization: Bearer {}\r\n", answer["token"].as_str().unwrap());
    let order = request("/v1/orders", "application/json", &token, r#"{"items":[{"sku":"tea"}]}"#);
    assert_eq!(post_all(address, Arc::new(vec![order; count]), |_| true).await.times.len(), count);
    let orders = rows(app, "SELECT id FROM shop_order").await;
    let press = |id: &str| request(&format!("/v1/orders/{id}/pay"), "application/json", &token, "{}");
    let presses: Vec<_> = orders.iter().map(|row| press(row.text("id").unwrap())).collect();
    post_all(address, Arc::new(presses), |_| true).await;
}

/// The notification of each payment that waits, with the order that it pays.
pub(crate) async fn letters(app: &App, wechat: &Simulator) -> Vec<(String, String)> {
    let openid = wechat.phone(&wechat.demo_appid(), "li").unwrap().openid().clone();
    let numbers = rows(app, "SELECT order_id, out_trade_no FROM payment WHERE state = 'awaiting'").await;
    let merchant = MerchantSetup::demo();
    let letters = numbers.iter().enumerate().map(|(index, row)| {
        let transaction = Transaction {
            appid: AppId::parse(DEMO_APPID).unwrap(),
            mchid: merchant.mchid.clone(),
            out_trade_no: OutTradeNo::parse(row.text("out_trade_no").unwrap()).unwrap(),
            trade_state: TradeState::Success,
            transaction_id: Some(TransactionId::parse(format!("42000012342026{index:014}")).unwrap()),
            openid: Some(openid.clone()),
            total: Some(Fen::new(12_800)),
            payer_total: Some(Fen::new(12_800)),
            currency: Some("CNY".to_owned()),
            bank_type: Some("OTHERS".to_owned()),
            attach: None,
            success_time: Some(app.now()),
        };
        let nonce_str = NonceStr::from_random((index as u128).to_be_bytes());
        let fields = notification::write(&transaction, Some(SignType::HmacSha256), &nonce_str, &merchant.api_v2_key);
        (row.text("order_id").unwrap().to_owned(), request(PATH, "text/xml", "", &fields.to_xml()))
    });
    letters.collect()
}
