//! What the tests share: a simulator with a frozen base clock, an HTTP client that shows everything, and a merchant's
//! server that receives notifications.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use weixin::{
    ApiV2Key, AppId, MchId, NonceStr, PrepayId,
    pay::v2::{SignType, request_payment::RequestPayment, signed},
    xml::Fields,
};
use weixin_simulator::{
    Choice, DEMO_API_V2_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_MCHID, Options, Phone, PhoneError, Simulator,
};

/// When the tests take place: the day of the vectors, 14:30:01 in Beijing.
pub(crate) const START: &str = "2026-01-22T06:30:01Z";

pub(crate) fn start_time() -> Timestamp {
    START.parse().unwrap()
}

pub(crate) fn options(seed: u64) -> Options {
    println!("seed {seed}");
    let now = start_time();
    Options::for_tests(seed, Arc::new(move || now))
}

pub(crate) fn appid() -> AppId {
    AppId::parse(DEMO_APPID).unwrap()
}

pub(crate) fn mchid() -> MchId {
    MchId::parse(DEMO_MCHID).unwrap()
}

pub(crate) fn key() -> ApiV2Key {
    ApiV2Key::parse(DEMO_API_V2_KEY).unwrap()
}

/// A simulator and a customer.
pub(crate) struct Stage {
    pub(crate) sim: Simulator,
    pub(crate) li: Phone,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(options(1)).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let sim = Simulator::start(options).await.unwrap();
        let li = sim.phone(&appid(), "li").unwrap();
        Self { sim, li }
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        self.sim.advance(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// An order as any SDK would send it, without signature.
    pub(crate) fn order(&self, out_trade_no: &str) -> Fields {
        [
            ("appid", DEMO_APPID),
            ("mch_id", DEMO_MCHID),
            ("nonce_str", "5f2b1c9e7a3d4e60b8c1d2e3f4a5b6c7"),
            ("body", "示例小店-手冲咖啡 x2"),
            ("out_trade_no", out_trade_no),
            ("total_fee", "3000"),
            ("spbill_create_ip", "203.0.113.7"),
            ("notify_url", "http://127.0.0.1:9/notify"),
            ("trade_type", "JSAPI"),
            ("openid", self.li.openid().as_str()),
        ]
        .into_iter()
        .collect()
    }

    pub(crate) fn about(&self, out_trade_no: &str) -> Fields {
        [
            ("appid", DEMO_APPID),
            ("mch_id", DEMO_MCHID),
            ("nonce_str", "ec2316275641faa3aacf3cc599e8730f"),
            ("out_trade_no", out_trade_no),
        ]
        .into_iter()
        .collect()
    }

    /// Signs (as `sign_type` says), posts, and reads the answer.
    pub(crate) async fn pay_call(&self, path: &str, fields: Fields) -> Fields {
        let sign_type = fields.get("sign_type").map_or(SignType::Md5, |word| SignType::from_wire(word).unwrap());
        self.post_xml(path, signed(fields, &key(), sign_type).to_xml().as_bytes()).await
    }

    pub(crate) async fn post_xml(&self, path: &str, body: &[u8]) -> Fields {
        let answer = self.http("POST", path, &[("Content-Type", "text/xml")], body).await;
        assert_eq!(answer.status, 200);
        Fields::parse(&answer.body).unwrap()
    }

    pub(crate) async fn unified(&self, fields: Fields) -> Fields {
        self.pay_call("/pay/unifiedorder", fields).await
    }

    pub(crate) async fn query(&self, out_trade_no: &str) -> Fields {
        self.pay_call("/pay/orderquery", self.about(out_trade_no)).await
    }

    pub(crate) async fn close(&self, out_trade_no: &str) -> Fields {
        self.pay_call("/pay/closeorder", self.about(out_trade_no)).await
    }

    /// Places the order and gives its `prepay_id`.
    pub(crate) async fn prepay(&self, fields: Fields) -> PrepayId {
        let answer = self.unified(fields).await;
        PrepayId::parse(answer.get("prepay_id").unwrap_or_else(|| panic!("{}", answer.to_xml()))).unwrap()
    }

    /// What the server would give to the mini program.
    pub(crate) fn parameters(&self, prepay_id: &PrepayId, sign_type: SignType) -> RequestPayment {
        let nonce_str = NonceStr::parse("e61463f8efa94090b1f366cccfbbb444").unwrap();
        RequestPayment::new(&appid(), prepay_id, sign_type, self.sim.now(), nonce_str, &key())
    }

    pub(crate) fn pay(&self, prepay_id: &PrepayId) -> Result<(), PhoneError> {
        self.li.request_payment(&self.parameters(prepay_id, SignType::Md5), Choice::Pay)
    }

    /// Places the order and pays it.
    pub(crate) async fn paid(&self, fields: Fields) -> PrepayId {
        let prepay_id = self.prepay(fields).await;
        self.pay(&prepay_id).unwrap();
        prepay_id
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.http("GET", path, &[], b"").await
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.body).unwrap()
    }

    pub(crate) async fn post_json(&self, path: &str, body: Value) -> (u16, Value) {
        let body = body.to_string();
        let answer = self.http("POST", path, &[("Content-Type", "application/json")], body.as_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// One request over a connection of its own.
    pub(crate) async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = headers.iter().any(|(name, _)| *name == "Transfer-Encoding");
        let message = if chunked {
            let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
            [head.as_bytes(), b"\r\n", &chunk].concat()
        } else {
            [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
        };
        let address = self.address();
        tokio::task::spawn_blocking(move || exchange(address, &message)).await.unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.sim.base_url().strip_prefix("http://").unwrap().parse().unwrap()
    }
}

/// What came back. Status 0: the connection was closed without an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

fn exchange(address: SocketAddr, message: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(message).unwrap();
    let mut bytes = Vec::new();
    // A connection that breaks is one of the things that are tested.
    let _ = stream.read_to_end(&mut bytes);
    reply(bytes)
}

/// Takes apart what came over the wire.
pub(crate) fn reply(bytes: Vec<u8>) -> Reply {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Reply { status: 0, head: String::new(), body: bytes };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: bytes[end + 4..].to_vec() }
}

/// A notification as the merchant's server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// In small letters.
    pub(crate) head: String,
    /// As it came.
    pub(crate) original_head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn fields(&self) -> Fields {
        Fields::parse(&self.body).unwrap()
    }
}

/// The merchant's server: keeps what it gets and answers what it was told, the last answer for ever.
pub(crate) struct Merchant {
    pub(crate) url: String,
    state: Arc<(Mutex<MerchantState>, Condvar)>,
}

#[derive(Default)]
struct MerchantState {
    received: Vec<Received>,
    answers: VecDeque<Option<String>>,
}

/// The reply that WeChat wants.
pub(crate) const GOOD: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>";

pub(crate) fn http_answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

impl Merchant {
    /// `None` as an answer: never answers.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Option<String>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/wechat/pay/1600000001", listener.local_addr().unwrap());
        let state = MerchantState { answers: answers.into_iter().collect(), received: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || receive(stream, &shared));
            }
        });
        Self { url, state }
    }

    pub(crate) fn good() -> Self {
        Self::answering([Some(http_answer("200 OK", GOOD))])
    }

    pub(crate) fn bad() -> Self {
        Self::answering([Some(http_answer("500 Internal Server Error", "oops"))])
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.0.lock().unwrap().received.clone()
    }

    /// Waits until so many notifications have come.
    pub(crate) async fn wait_for(&self, count: usize) {
        let state = Arc::clone(&self.state);
        let wait = move || {
            let guard = state.0.lock().unwrap();
            drop(state.1.wait_while(guard, |state| state.received.len() < count).unwrap());
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}

fn receive(mut stream: TcpStream, shared: &(Mutex<MerchantState>, Condvar)) {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    let (original_head, head, body) = loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let original_head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let head = original_head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let body = &bytes[end + 4..];
        if body.len() == length.parse::<usize>().unwrap() {
            break (original_head, head, body.to_vec());
        }
    };
    let answer = {
        let mut state = shared.0.lock().unwrap();
        state.received.push(Received { head, original_head, body });
        shared.1.notify_all();
        if state.answers.len() > 1 { state.answers.pop_front().unwrap() } else { state.answers[0].clone() }
    };
    match answer {
        Some(answer) => drop(stream.write_all(answer.as_bytes())),
        // Holds the connection until the other side gives up.
        None => drop(stream.read(&mut buffer)),
    }
}

pub(crate) fn session_path(code: &str) -> String {
    format!(
        "/sns/jscode2session?appid={DEMO_APPID}&secret={DEMO_APP_SECRET}&js_code={code}&grant_type=authorization_code"
    )
}
