//! What the tests of calls with an access token share: a WeChat with tokens, and a server that calls it.

use std::sync::Arc;

use weixin::OpenId;
use weixin_client::{AccessTokenKeeper, Hosts, MemoryTokenStore, MiniProgramClient, Transport};

use crate::{
    fixture::{TestClock, transport},
    peer::{Peer, Received, Reply},
};

pub(crate) const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

/// Answers of hosts that are broken after they have read the request.
pub(crate) const BROKEN: [fn(&Received) -> Reply; 7] = [
    |_| Reply::Silence,
    |_| Reply::Close,
    |_| Reply::half(r#"{"errcode":0,"errmsg":"ok"}"#),
    |_| Reply::Raw(b"garbage".to_vec()),
    |_| Reply::status("502 Bad Gateway"),
    |_| Reply::text("<html>200</html>"),
    |_| Reply::text("{}"),
];

/// A WeChat that gives another token each time and answers all else like this.
pub(crate) fn wechat(mut answer: impl FnMut(&Received) -> Reply + Send + 'static) -> Peer {
    let mut tokens = 0;
    Peer::start(move |request| {
        if request.path() == STABLE_TOKEN {
            tokens += 1;
            return Reply::text(format!(r#"{{"access_token":"needletoken-{tokens}","expires_in":7200}}"#));
        }
        answer(request)
    })
}

/// A WeChat that refuses every token but the second one.
pub(crate) fn wechat_with_a_stale_token(mut answer: impl FnMut(&Received) -> Reply + Send + 'static) -> Peer {
    wechat(move |request| match request.target().contains("access_token=needletoken-2") {
        true => answer(request),
        false => Reply::text(r#"{"errcode":42001,"errmsg":"access_token expired"}"#),
    })
}

/// A server that calls WeChat.
pub(crate) struct Caller {
    pub(crate) client: MiniProgramClient,
    pub(crate) tokens: AccessTokenKeeper,
}

impl Caller {
    pub(crate) fn of(peer: &Peer) -> Self {
        Self::new(transport(), peer.hosts(), peer.hosts())
    }

    /// Tokens come from the one, all else from the other.
    pub(crate) fn new(transport: Transport, tokens: Hosts, calls: Hosts) -> Self {
        let keeper = MiniProgramClient::new(transport.clone(), tokens);
        let store = Arc::<MemoryTokenStore>::default();
        let tokens = AccessTokenKeeper::new(keeper, store, TestClock::new().clock());
        Self { client: MiniProgramClient::new(transport, calls), tokens }
    }
}

pub(crate) fn openid() -> OpenId {
    OpenId::parse("oZ8kT5JmQ7sXb0aYwP3nLdR6uVcE").unwrap()
}

/// What was asked for besides tokens.
pub(crate) fn calls(peer: &Peer) -> Vec<Received> {
    peer.received().into_iter().filter(|request| request.path() != STABLE_TOKEN).collect()
}
