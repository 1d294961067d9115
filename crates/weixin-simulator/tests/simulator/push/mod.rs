//! Message push: what the server of an app is told, and how WeChat takes its answers.

mod agents;
mod answer;
mod automatic;
mod control;
mod event;
mod fault;
mod mode;
mod repeat;
mod setup;

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use weixin::push::{Answer, Format, Message, Mode, Push, PushError, Query, Receiver, Transfer, verify_url};
use weixin_simulator::{ConversationEntry, PushEntry, PushSetup};

use crate::support::{Stage, appid, http_answer};

/// What the server of the app answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Success,
    /// Hands the message to WeChat's own agents, properly.
    Transfer,
    /// The same for one agent.
    TransferTo(&'static str),
    /// Status 200 and this body.
    Body(&'static str),
    /// An HTTP answer as it is.
    Raw(String),
    /// Closes the connection.
    Nothing,
    /// What the test makes of a push.
    Made(fn(&Receiver, &Push) -> String),
}

/// A push as the server of the app sees it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) query: Query,
    pub(crate) read: Result<Push, PushError>,
}

impl Received {
    pub(crate) fn message(&self) -> &Message {
        &self.read.as_ref().unwrap().message
    }
}

/// The server of an app: verifies what it gets, and answers what it was told, the last answer for ever.
pub(crate) struct Server {
    pub(crate) setup: PushSetup,
    state: Arc<Mutex<State>>,
}

struct State {
    receiver: Receiver,
    received: Vec<Received>,
    questions: Vec<String>,
    replies: VecDeque<Reply>,
    /// What stands behind the `echostr`, if it is not answered well.
    behind_echostr: &'static str,
}

impl Server {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let setup = PushSetup::demo(&format!("http://{}/wechat/push/shop", listener.local_addr().unwrap()));
        let state = Arc::new(Mutex::new(State {
            receiver: receiver(&setup),
            received: Vec::new(),
            questions: Vec::new(),
            replies: replies.into_iter().collect(),
            behind_echostr: "",
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { setup, state }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn questions(&self) -> Vec<String> {
        self.state.lock().unwrap().questions.clone()
    }

    /// Answers the question for the address with something behind the `echostr`.
    pub(crate) fn answer_question_with(&self, behind_echostr: &'static str) {
        self.state.lock().unwrap().behind_echostr = behind_echostr;
    }

    /// From now on the server answers so.
    pub(crate) fn reply(&self, reply: Reply) {
        self.state.lock().unwrap().replies = [reply].into();
    }

    /// Switches message push on.
    pub(crate) async fn switch_on(&self, stage: &Stage, mode: Mode, format: Format) {
        let setup = self.setup.clone().mode(mode).format(format);
        self.state.lock().unwrap().receiver = receiver(&setup);
        stage.sim.set_push(&appid(), setup).await.unwrap();
    }
}

/// A simulator whose app has message push, and the server of the app.
pub(crate) async fn stage(mode: Mode, format: Format, replies: impl IntoIterator<Item = Reply>) -> (Stage, Server) {
    let (stage, server) = (Stage::new().await, Server::new(replies));
    server.switch_on(&stage, mode, format).await;
    (stage, server)
}

/// The commonest case.
pub(crate) async fn secure(replies: impl IntoIterator<Item = Reply>) -> (Stage, Server) {
    stage(Mode::Secure, Format::Json, replies).await
}

pub(crate) fn conversation(stage: &Stage) -> ConversationEntry {
    stage.sim.ledger().conversation(stage.li.openid()).unwrap().clone()
}

pub(crate) fn push(stage: &Stage, msg_id: &str) -> PushEntry {
    stage.sim.ledger().push(msg_id).unwrap().clone()
}

fn receiver(setup: &PushSetup) -> Receiver {
    Receiver {
        appid: appid(),
        mode: setup.mode,
        tokens: vec![setup.token.clone()],
        aes_keys: setup.aes_key.iter().cloned().collect(),
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<State>) {
    let Some((head, body)) = read(&mut stream) else { return };
    let target = head.lines().next().unwrap_or_default().to_owned();
    let address = target.split(' ').nth(1).unwrap_or_default();
    let query = Query::parse(address.split_once('?').map_or("", |(_, query)| query));
    let reply = {
        let mut state = shared.lock().unwrap();
        if target.starts_with("GET ") {
            state.questions.push(target.clone());
            let echostr = verify_url(&query, &state.receiver.tokens);
            let answer = echostr.map(|echostr| format!("{echostr}{}", state.behind_echostr));
            answer.map_or_else(|_| Some(http_answer("403 Forbidden", "")), |body| Some(http_answer("200 OK", &body)))
        } else {
            // How old a push may be is the business of the test.
            let now_s = query.timestamp.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
            let read = state.receiver.receive(&query, body.as_bytes(), now_s).map(weixin::Verified::into_inner);
            let reply = match state.replies.len() {
                1 => state.replies[0].clone(),
                _ => state.replies.pop_front().unwrap(),
            };
            let answer = write(&reply, &state.receiver, read.as_ref().ok());
            state.received.push(Received { head, body, query, read });
            answer
        }
    };
    if let Some(reply) = reply {
        let _ = stream.write_all(reply.as_bytes());
    }
}

fn write(reply: &Reply, receiver: &Receiver, push: Option<&Push>) -> Option<String> {
    let ok = |body: &str| Some(http_answer("200 OK", body));
    let transfer = |kf_account: Option<&str>| {
        let push = push.unwrap();
        let transfer = Transfer::of(&push.message, 1_769_063_402);
        let transfer = Transfer { kf_account: kf_account.map(str::to_owned), ..transfer };
        ok(&Answer::Transfer(transfer).write(receiver, push, 1_769_063_402, [7; 16]))
    };
    match reply {
        Reply::Success => ok("success"),
        Reply::Transfer => transfer(None),
        Reply::TransferTo(account) => transfer(Some(account)),
        Reply::Body(body) => ok(body),
        Reply::Raw(answer) => Some(answer.clone()),
        Reply::Nothing => None,
        Reply::Made(make) => ok(&make(receiver, push.unwrap())),
    }
}

fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if bytes.len() - end - 4 == length.unwrap_or(0_usize) {
            return Some((head, String::from_utf8(bytes[end + 4..].to_vec()).unwrap()));
        }
    }
}
