//! What a log may show of a call: where, how long, with which status. Never what.

use std::{
    cell::RefCell,
    fmt::{Debug, Write as _},
    sync::Arc,
};

use tracing::{Event, Level, Metadata, Subscriber, field::Visit, span};
use weixin::AccessToken;
use weixin_client::{AccessTokenKeeper, MemoryTokenStore, MiniProgramClient};

use crate::{
    fixture::{APP_SECRET, JS_CODE, TOKEN, TestClock, app, appid, js_code, secret, transport},
    peer::{Peer, Reply},
};

thread_local! {
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes the events of each thread down. It serves the whole process, because what a subscriber of one thread sees
/// depends on which thread comes first to an event.
struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        assert!(!metadata.target().starts_with("weixin_client") || *metadata.level() >= Level::DEBUG, "too loud");
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        LOG.with_borrow_mut(|log| span.record(&mut Fields(log)));
        span::Id::from_u64(1)
    }
    fn event(&self, event: &Event<'_>) {
        LOG.with_borrow_mut(|log| event.record(&mut Fields(log)));
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        LOG.with_borrow_mut(|log| values.record(&mut Fields(log)));
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        writeln!(self.0, "{field}={value:?}").unwrap();
    }
}

#[tokio::test]
async fn the_log_shows_where_and_how_long_but_nothing_secret() {
    tracing::subscriber::set_global_default(Recorder).unwrap();
    let peer = Peer::start(|request| match request.path() {
        "/sns/jscode2session" => Reply::Close,
        "/cgi-bin/stable_token" => Reply::text(format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#)),
        _ => Reply::text(r#"{"errcode":40001,"errmsg":"invalid credential"}"#),
    });
    let client = MiniProgramClient::new(transport(), peer.hosts());
    client.code2session(&appid(), &secret(), js_code()).await.unwrap_err();
    let keeper = AccessTokenKeeper::new(client.clone(), Arc::<MemoryTokenStore>::default(), TestClock::new().clock());
    let call = async |token: AccessToken| client.callback_ip(&token).await;
    keeper.with_token(&app(), call).await.unwrap_err();
    // The runtime of a test has one thread, so these are the events of this test.
    let log = LOG.take();
    for expected in [
        "wechat.path=\"/sns/jscode2session\"",
        "wechat.path=\"/cgi-bin/stable_token\"",
        &format!("wechat.host=\"{}\"", peer.address),
        "http.status=200",
        "duration_ms=",
    ] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
    for secret in [APP_SECRET, JS_CODE, TOKEN, "needle"] {
        assert!(!log.contains(secret), "{log}");
    }
}
