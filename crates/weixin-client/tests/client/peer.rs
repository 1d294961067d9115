//! A server that says exactly what the test wants, byte for byte, and remembers what it was sent.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use weixin_client::Hosts;

/// Signs the certificate of the encrypted peers. `tls/README.md` says how it was made.
pub(crate) const AUTHORITY_PEM: &[u8] = include_bytes!("tls/authority.pem");
/// For 127.0.0.1 only.
const CERTIFICATE: &[u8] = include_bytes!("tls/server.der");
const KEY: &[u8] = include_bytes!("tls/server-key.der");

/// What the peer does after it has read a request.
pub(crate) enum Reply {
    /// Status 200 with this body; the connection stays open for the next request.
    Body(Vec<u8>),
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// The connection is closed without a word.
    Close,
    /// Nothing, until the other side gives up.
    Silence,
}

impl Reply {
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self::Body(body.into().into_bytes())
    }

    pub(crate) fn status(status: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>").into_bytes())
    }

    /// The first half of what was announced.
    pub(crate) fn half(body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::Raw([head.as_bytes(), &body.as_bytes()[..body.len() / 2]].concat())
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn path(&self) -> &str {
        self.head.split([' ', '?']).nth(1).unwrap_or_default()
    }

    /// Path and query as they came.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The server. It lives as long as the process; its port is its own.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    scheme: &'static str,
}

impl Peer {
    pub(crate) fn start(answer: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        Self::listen("http", answer, |stream| stream)
    }

    pub(crate) fn start_tls(answer: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CERTIFICATE.to_vec().into()], PrivateKeyDer::try_from(KEY.to_vec()).unwrap())
            .unwrap();
        let config = Arc::new(config);
        Self::listen("https", answer, move |stream| {
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
        })
    }

    /// A peer that must not be asked.
    pub(crate) fn forbidden() -> Self {
        Self::start(|_| Reply::Close)
    }

    /// Where nobody listens.
    pub(crate) fn absent() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    fn listen<S: Read + Write>(
        scheme: &'static str,
        answer: impl FnMut(&Received) -> Reply + Send + 'static,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (answer, wrap) = (Arc::new(Mutex::new(answer)), Arc::new(wrap));
        let log = Arc::clone(&received);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (answer, wrap, log) = (Arc::clone(&answer), Arc::clone(&wrap), Arc::clone(&log));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(wrap(stream));
                    while let Some(request) = read_request(&mut stream) {
                        log.lock().unwrap().push(request.clone());
                        let reply = answer.lock().unwrap()(&request);
                        if !write_reply(&mut stream, reply) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, received, scheme }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn hosts(&self) -> Hosts {
        Hosts::new(&self.url(), None).unwrap()
    }

    /// This peer as the main host, the other one as its back-up.
    pub(crate) fn hosts_with_backup(&self, backup: &Peer) -> Hosts {
        Hosts::new(&self.url(), Some(&backup.url())).unwrap()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.received().iter().filter(|request| request.path() == path).count()
    }
}

fn read_request(stream: &mut BufReader<impl Read>) -> Option<Received> {
    let mut request = Received { head: String::new(), body: Vec::new() };
    while !request.head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request.head).ok()? == 0 {
            return None;
        }
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Whether the connection stays open.
fn write_reply<S: Read + Write>(stream: &mut BufReader<S>, reply: Reply) -> bool {
    let (bytes, stays_open) = match reply {
        Reply::Body(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            ([head.into_bytes(), body].concat(), true)
        }
        Reply::Raw(bytes) => (bytes, false),
        Reply::Close => (Vec::new(), false),
        Reply::Silence => {
            let _ = stream.read_to_end(&mut Vec::new());
            (Vec::new(), false)
        }
    };
    stream.get_mut().write_all(&bytes).and_then(|()| stream.get_mut().flush()).is_ok() && stays_open
}
