//! What a log may show of a call: where, how long, with which status. Never what.

use std::{
    cell::RefCell,
    fmt::{Debug, Write as _},
    sync::{Arc, Once},
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
        // Only API v3 has something to say that should be seen: probes and a missing key.
        let loudest = if metadata.target() == "weixin_client::pay_v3" { Level::WARN } else { Level::DEBUG };
        assert!(!metadata.target().starts_with("weixin_client") || *metadata.level() >= loudest, "too loud");
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        LOG.with_borrow_mut(|log| span.record(&mut Fields(log)));
        span::Id::from_u64(1)
    }
    fn event(&self, event: &Event<'_>) {
        LOG.with_borrow_mut(|log| {
            writeln!(log, "{}", event.metadata().level()).unwrap();
            event.record(&mut Fields(log));
        });
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

/// From now on the events of this thread are written down.
pub(crate) fn record() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
    LOG.take();
}

/// The events of this thread since [`record`]. The runtime of a test has one thread, so they are those of the test.
pub(crate) fn recorded() -> String {
    LOG.take()
}

#[tokio::test]
async fn the_log_shows_where_and_how_long_but_nothing_secret() {
    record();
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
    let log = recorded();
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
