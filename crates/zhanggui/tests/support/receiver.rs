//! One of the merchant's own systems that wants to be told, and that may be slow, away or rude.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What it does with a letter.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and a header.
    Header(u16, &'static str, String),
    /// Takes the letter and answers with ten megabytes.
    Huge,
    /// Answers when the test lets it.
    Hang,
    /// The same, and then answers like this.
    HangAndThen(Box<Behaviour>),
}

/// An event that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp_s: i64,
    pub(crate) signatures: Vec<String>,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn subject(&self) -> String {
        self.event()["subject"].as_str().unwrap().to_owned()
    }

    /// Whether one of the signatures was made with this secret (`whsec_…`).
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        signing.update(format!("{}.{}.", self.id, self.timestamp_s).as_bytes());
        signing.update(&self.body);
        self.signatures.contains(&format!("v1,{}", STANDARD.encode(signing.sign())))
    }
}

type Script = Box<dyn Fn(&Received) -> Behaviour + Send>;

struct Shared {
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    script: Mutex<Script>,
    released: watch::Sender<bool>,
}

/// Listens on this machine.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=fake", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            count: watch::Sender::new(0),
            script: Mutex::new(Box::new(|_| Behaviour::Status(204))),
            released: watch::Sender::new(false),
        });
        let router = axum::Router::new().route("/hook", axum::routing::post(take)).with_state(Arc::clone(&shared));
        let listening = tokio::spawn(async move { axum_serve(listener, router).await });
        Self { url, shared, listening }
    }

    /// From now on letters are treated like this.
    pub(crate) fn behave(&self, script: impl Fn(&Received) -> Behaviour + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn always(&self, behaviour: Behaviour) {
        self.behave(move |_| behaviour.clone());
    }

    /// Lets the letters go that hang.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Everything that came, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().unwrap())
    }

    /// The sequences of each subject in the order in which they came.
    pub(crate) fn sequences(&self) -> BTreeMap<String, Vec<i64>> {
        let mut sequences: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for letter in self.received() {
            sequences.entry(letter.subject()).or_default().push(letter.event()["sequence"].as_i64().unwrap());
        }
        sequences
    }

    /// Waits until so many letters have come since the start.
    pub(crate) async fn wait_for(&self, count: usize) {
        let mut seen = self.shared.count.subscribe();
        seen.wait_for(|seen| *seen >= count).await.unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.release();
        self.listening.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let received = Received {
        id: header("webhook-id"),
        timestamp_s: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body,
    };
    let behaviour = (shared.script.lock().unwrap())(&received);
    shared.received.lock().unwrap().push(received);
    shared.count.send_modify(|count| *count += 1);
    answer(&shared, behaviour).await
}

async fn answer(shared: &Shared, behaviour: Behaviour) -> Response {
    let released = async || {
        let _ = shared.released.subscribe().wait_for(|released| *released).await;
    };
    match behaviour {
        Behaviour::Status(status) => (StatusCode::from_u16(status).unwrap(), "answer of the endpoint").into_response(),
        Behaviour::Header(status, name, value) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response()
        }
        Behaviour::Huge => "x".repeat(10 * 1024 * 1024).into_response(),
        Behaviour::Hang => {
            released().await;
            StatusCode::OK.into_response()
        }
        Behaviour::HangAndThen(behaviour) => {
            released().await;
            Box::pin(answer(shared, *behaviour)).await
        }
    }
}

/// As little of a server as possible.
async fn axum_serve(listener: TcpListener, router: axum::Router) {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
