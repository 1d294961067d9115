//! The stage of the tour: a server, a simulator, two customers, and a wire that is listened to.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use serde_json::{Value, json};
use weixin::{AppId, OpenId};
use weixin_simulator::{Choice, DEMO_APPID, Delivery, Direction, Exchange, Ledger, Options, Phone, Simulator};

use crate::{
    api_key::{self, NewKey, Scope},
    app::App,
    cli::{
        CliError,
        dev::{Place, add_sample_products, configuration, listen_from, switch_push_on},
    },
    clock::system_entropy,
    config::Api,
    database::{self, Database, DatabaseError, Realm, migrate, params},
    http::Server,
    job,
};

/// Everything that takes part.
pub(super) struct Stage {
    pub(super) simulator: Simulator,
    pub(super) app: Arc<App>,
    pub(super) server_url: String,
    http: Server,
    client: reqwest::Client,
    desk_key: String,
    till_key: String,
    told: Mutex<Vec<Message>>,
}

/// A request and its answer, as the tour shows them.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request: String,
    pub(super) status: Option<u16>,
    pub(super) answer: String,
}

impl From<Exchange> for Message {
    fn from(exchange: Exchange) -> Self {
        let (from, to) = match exchange.direction {
            Direction::ToWechat => ("server", "WeChat"),
            Direction::FromWechat => ("WeChat", "server"),
        };
        let Exchange { method, path, request, status, answer, .. } = exchange;
        Self { from, to, method, path, request, status, answer }
    }
}

/// A customer's phone: what the mini program does is HTTP to our server, what WeChat does is the simulator.
pub(super) struct Customer {
    phone: Phone,
    token: Option<String>,
}

/// An answer of our server.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// A text in the answer; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// The stable code of an error.
    pub(super) fn code(&self) -> &str {
        self.text("code")
    }
}

impl Stage {
    pub(super) async fn set(folder: &Path, seed: u64, api: Api) -> Result<Self, CliError> {
        let simulator = Simulator::start(Options { seed, delivery: Delivery::OnDemand, ..Options::demo() }).await?;
        let (listener, port) = listen_from(20_000).await?;
        let config = configuration(&Place { folder, port, api }, &simulator)?;
        // One time for both, which the story can move.
        let clock = simulator.clock();
        migrate(&config.database, config.wechat.realm, clock()).await?;
        let options = database::Options::new(config.database.clone());
        let database = Database::open(options, config.wechat.realm).await?;
        let app = App::new(config, database, clock, system_entropy())?;
        add_sample_products(&app).await?;
        let http = Server::on(listener, Arc::clone(&app)).map_err(CliError::file("cannot listen"))?;
        let server_url = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
        switch_push_on(&simulator, port).await?;
        let (now, entropy) = (app.now(), system_entropy());
        let new = NewKey { name: "desk".to_owned(), scopes: vec![Scope::Messages], ..NewKey::default() };
        let desk_key = api_key::create(&app.database, Realm::Simulated, new, now, &entropy).await?;
        let scopes = vec![Scope::Read, Scope::Refunds];
        let new = NewKey { name: "till".to_owned(), scopes, ..NewKey::default() };
        let till_key = api_key::create(&app.database, Realm::Simulated, new, now, &entropy).await?;
        // Loopback without TLS: no certificates are looked for, and no proxy is asked.
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build();
        let client = client.map_err(|error| CliError::Usage(format!("the phone has no network: {error}")))?;
        Ok(Self { simulator, app, server_url, http, client, desk_key, till_key, told: Mutex::default() })
    }

    pub(super) async fn clear(self) {
        self.http.stop().await;
        self.app.database.clone().close().await;
        self.simulator.shutdown().await;
    }

    /// A customer of the sample shop.
    pub(super) fn customer(&self, name: &str) -> Result<Customer, String> {
        let appid = AppId::parse(DEMO_APPID).map_err(|error| error.to_string())?;
        let phone = self.simulator.phone(&appid, name).map_err(|error| format!("{error:?}"))?;
        Ok(Customer { phone, token: None })
    }

    /// WeChat sends what is due, and our server works on what it was told.
    pub(super) async fn let_wechat_notify(&self) -> Result<usize, String> {
        let sent = self.simulator.deliver_due().await;
        self.work().await?;
        Ok(sent)
    }

    /// Our server does the jobs that are due.
    pub(super) async fn work(&self) -> Result<usize, String> {
        job::run_due(&self.app).await.map_err(|error| error.to_string())
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.simulator.ledger()
    }

    /// What went between server and WeChat after this number.
    pub(super) fn wire_since(&self, sequence: u64) -> Vec<Exchange> {
        self.simulator.wire_since(sequence)
    }

    /// What phones and strangers said to the server since the last look.
    pub(super) fn take_told(&self) -> Vec<Message> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, message: Message) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    /// Anybody sends bytes to the callback address.
    pub(super) async fn post_callback(&self, mchid: &str, xml: String) -> Result<(u16, String), String> {
        let url = format!("{}/wechat/pay/{mchid}", self.server_url);
        let sent = self.client.post(url).header("content-type", "text/xml").body(xml.clone()).send().await;
        let response = sent.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let answer = response.text().await.map_err(|error| error.to_string())?;
        self.tell(Message {
            from: "somebody",
            to: "server",
            method: "POST".to_owned(),
            path: format!("/wechat/pay/{mchid}"),
            request: xml,
            status: Some(status),
            answer: answer.clone(),
        });
        Ok((status, answer))
    }

    /// Orders that our database has for paid, and their sum in fen.
    pub(super) async fn paid_orders(&self) -> Result<(i64, i64), DatabaseError> {
        const PAID: &str = "
            SELECT COUNT(*) AS orders, CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) AS fen
            FROM shop_order
            WHERE state = 'paid'";
        self.app
            .database
            .read(|tx| {
                let row = tx.query_one(PAID, params![])?;
                Ok((row.int("orders")?, row.int("fen")?))
            })
            .await
    }

    /// What our database has for taken and for given back, in fen.
    pub(super) async fn money(&self) -> Result<(i64, i64), DatabaseError> {
        const TAKEN: &str = "
            SELECT CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) AS fen
            FROM payment
            WHERE state = 'succeeded'";
        const GIVEN: &str = "
            SELECT CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) AS fen
            FROM refund
            WHERE state IN ('succeeded', 'external')";
        self.app
            .database
            .read(|tx| Ok((tx.query_one(TAKEN, params![])?.int("fen")?, tx.query_one(GIVEN, params![])?.int("fen")?)))
            .await
    }

    /// The people at the desk call the server with their key.
    pub(super) async fn desk(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer, String> {
        self.call_as("desk", Some(&self.desk_key), method, path, body).await
    }

    /// The shop's own system calls the server with its key.
    pub(super) async fn till(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer, String> {
        self.call_as("till", Some(&self.till_key), method, path, body).await
    }

    async fn call(&self, token: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Result<Answer, String> {
        self.call_as("phone", token, method, path, body).await
    }

    async fn call_as(
        &self,
        from: &'static str,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let url = format!("{}{path}", self.server_url);
        let mut request = match method {
            "GET" => self.client.get(url),
            _ => self.client.post(url),
        };
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let sent_body = body.as_ref().map(Value::to_string).unwrap_or_default();
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.map_err(|error| error.to_string())?;
        let mut shown = body.clone();
        if let Some(token) = shown.get_mut("token") {
            *token = "[redacted]".into();
        }
        self.tell(Message {
            from,
            to: "server",
            method: method.to_owned(),
            path: path.to_owned(),
            request: sent_body,
            status: Some(status),
            answer: shown.to_string(),
        });
        Ok(Answer { status, body })
    }
}

impl Customer {
    /// The customer's WeChat.
    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    pub(super) fn openid(&self) -> &OpenId {
        self.phone.openid()
    }

    /// `wx.login`, and the code goes to our server.
    pub(super) async fn log_in(&mut self, stage: &Stage) -> Result<(String, Answer), String> {
        let code = self.phone.login().to_string();
        let answer = self.send_code(stage, &code).await?;
        self.token = answer.body["token"].as_str().map(str::to_owned);
        Ok((code, answer))
    }

    pub(super) async fn send_code(&self, stage: &Stage, code: &str) -> Result<Answer, String> {
        stage.call(None, "POST", "/v1/login", Some(json!({ "code": code }))).await
    }

    pub(super) async fn order(&self, stage: &Stage, body: Value) -> Result<Answer, String> {
        stage.call(self.token.as_deref(), "POST", "/v1/orders", Some(body)).await
    }

    pub(super) async fn press_pay(&self, stage: &Stage, order: &str) -> Result<Answer, String> {
        stage.call(self.token.as_deref(), "POST", &format!("/v1/orders/{order}/pay"), None).await
    }

    pub(super) async fn give_up(&self, stage: &Stage, order: &str) -> Result<Answer, String> {
        stage.call(self.token.as_deref(), "POST", &format!("/v1/orders/{order}/close"), None).await
    }

    pub(super) async fn look(&self, stage: &Stage, order: &str, query: &str) -> Result<Answer, String> {
        stage.call(self.token.as_deref(), "GET", &format!("/v1/orders/{order}{query}"), None).await
    }

    /// `wx.requestPayment`: the `errMsg` that the mini program gets.
    pub(super) fn request_payment(&self, sheet: &Value, choice: Choice) -> String {
        match self.phone.request_payment(sheet, choice) {
            Ok(()) => "requestPayment:ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}
