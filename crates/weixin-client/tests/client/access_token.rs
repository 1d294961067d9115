//! Lesson 29: processes that fetch tokens on their own take them from each other. One keeper, one question at a time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use tokio::task::JoinSet;
use weixin::{AccessToken, AppId, mini_program::ErrCode};
use weixin_client::{
    AccessTokenKeeper, ApiError, BoxFuture, MemoryTokenStore, MiniProgramClient, StoredToken, TokenStore,
    TokenStoreError,
};

use crate::{
    fixture::{APP_SECRET, TestClock, app, print, transport},
    peer::{Peer, Reply},
};

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

/// A WeChat that gives tokens and knows which ones are good.
struct Wechat {
    peer: Peer,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Given out; the last one is the one that is given now.
    tokens: usize,
    expires_in_s: i64,
    /// What the token endpoint answers instead, while it is set.
    failure: Option<fn() -> Reply>,
    /// With which code calls are refused whose token is not the last one.
    stale_code: i64,
    /// Tokens that are refused although they are the last ones.
    refuse_all: bool,
}

impl Wechat {
    fn start() -> Self {
        let state = State { tokens: 1, expires_in_s: 7200, failure: None, stale_code: 40001, refuse_all: false };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let peer = Peer::start(move |request| {
            let state = shared.lock().unwrap();
            if request.path() == STABLE_TOKEN {
                let body =
                    format!(r#"{{"access_token":"{}","expires_in":{}}}"#, name(state.tokens), state.expires_in_s);
                return state.failure.map_or_else(|| Reply::text(body), |failure| failure());
            }
            let good = request.head.contains(&format!("access_token={} ", name(state.tokens))) && !state.refuse_all;
            Reply::text(if good {
                r#"{"ip_list":["101.226.103.0/25"]}"#.to_owned()
            } else {
                format!(r#"{{"errcode":{},"errmsg":"stale rid: 61725984-6126f6f9-040f19c4"}}"#, state.stale_code)
            })
        });
        Self { peer, state }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn fetches(&self) -> usize {
        self.peer.count(STABLE_TOKEN)
    }
}

fn name(number: usize) -> String {
    format!("needletoken-{number}-of-the-app")
}

/// One process of the server.
#[derive(Clone)]
struct Node {
    keeper: Arc<AccessTokenKeeper>,
    client: MiniProgramClient,
}

impl Node {
    fn new(peer: &Peer, store: Arc<dyn TokenStore>, clock: &TestClock) -> Self {
        let client = MiniProgramClient::new(transport(), peer.hosts());
        Self { keeper: Arc::new(AccessTokenKeeper::new(client.clone(), store, clock.clock())), client }
    }

    /// A call that needs a token; the cheapest there is.
    async fn call(&self) -> Result<(), ApiError> {
        let call = async |token: AccessToken| self.client.callback_ip(&token).await.map(drop);
        self.keeper.with_token(&app(), call).await
    }

    /// The token that a call gets.
    async fn token(&self) -> Result<String, ApiError> {
        self.keeper.with_token(&app(), |token| async move { Ok(token.expose().to_owned()) }).await
    }
}

struct BrokenStore;

impl TokenStore for BrokenStore {
    fn load<'a>(&'a self, _: &'a AppId) -> BoxFuture<'a, Result<Option<StoredToken>, TokenStoreError>> {
        Box::pin(std::future::ready(Err("the disk is full".into())))
    }
    fn save<'a>(&'a self, _: &'a AppId, _: &'a StoredToken) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        Box::pin(std::future::ready(Err("the disk is full".into())))
    }
}

fn alone() -> (Wechat, Node, TestClock) {
    let (wechat, clock) = (Wechat::start(), TestClock::new());
    let node = Node::new(&wechat.peer, Arc::<MemoryTokenStore>::default(), &clock);
    (wechat, node, clock)
}

#[tokio::test]
async fn lesson_29_many_calls_fetch_one_token() {
    let (wechat, node, _) = alone();
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let node = node.clone();
        calls.spawn(async move { node.call().await });
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
    assert_eq!(wechat.fetches(), 1);
    let body = String::from_utf8(wechat.peer.received()[0].body.clone()).unwrap();
    assert!(body.contains(r#""force_refresh":false"#), "the keeper never forces: {body}");
}

#[tokio::test]
async fn lesson_29_nodes_share_a_token_through_the_store() {
    let (wechat, clock) = (Wechat::start(), TestClock::new());
    let store = Arc::<MemoryTokenStore>::default();
    let nodes = [(); 3].map(|()| Node::new(&wechat.peer, store.clone(), &clock));
    for node in &nodes {
        assert_eq!(node.token().await.unwrap(), name(1));
    }
    assert_eq!(wechat.fetches(), 1);
    let stored = store.load(&app().appid).await.unwrap().unwrap();
    assert_eq!(stored.expires_at.duration_since(clock.now()).as_secs(), 7200);
}

#[tokio::test]
async fn lesson_29_a_token_is_kept_until_240_s_before_its_end() {
    let (wechat, node, clock) = alone();
    node.call().await.unwrap();
    clock.advance_s(7200 - 240);
    node.call().await.unwrap();
    assert_eq!(wechat.fetches(), 1, "exactly 240 s are enough");
    wechat.change(|state| state.tokens = 2);
    clock.advance_s(1);
    assert_eq!(node.token().await.unwrap(), name(2));
    assert_eq!(wechat.fetches(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_token_until_its_end() {
    let (wechat, node, clock) = alone();
    node.call().await.unwrap();
    wechat.change(|state| state.failure = Some(|| Reply::text(r#"{"errcode":-1,"errmsg":"system error"}"#)));
    clock.advance_s(7200 - 100);
    for _ in 0..5 {
        node.call().await.unwrap();
    }
    assert_eq!(wechat.fetches(), 2, "one try, then a pause");
    clock.advance_s(30);
    node.call().await.unwrap();
    assert_eq!(wechat.fetches(), 3, "the next try after 30 s");
    clock.advance_s(70);
    assert_eq!(node.call().await.unwrap_err().errcode(), Some(ErrCode::BUSY));
    wechat.change(|state| state.failure = None);
    node.call().await.unwrap();
}

#[tokio::test]
async fn another_nodes_renewal_is_taken_from_the_store() {
    let (wechat, clock) = (Wechat::start(), TestClock::new());
    let store = Arc::<MemoryTokenStore>::default();
    let [first, second] = [(); 2].map(|()| Node::new(&wechat.peer, store.clone(), &clock));
    first.call().await.unwrap();
    second.call().await.unwrap();
    clock.advance_s(7000);
    wechat.change(|state| state.tokens = 2);
    first.call().await.unwrap();
    assert_eq!(second.token().await.unwrap(), name(2));
    assert_eq!(wechat.fetches(), 2);
}

#[tokio::test]
async fn lesson_29_a_stale_token_is_replaced_and_the_call_made_once_more() {
    for code in [40001, 40014, 42001] {
        let (wechat, node, _) = alone();
        node.call().await.unwrap();
        wechat.change(|state| (state.tokens, state.stale_code) = (2, code));
        node.call().await.unwrap();
        assert_eq!(wechat.fetches(), 2, "{code}");
        assert_eq!(wechat.peer.count("/cgi-bin/getcallbackip"), 3, "{code}");
    }
}

#[tokio::test]
async fn other_refusals_are_not_repeated() {
    for code in [-1, 41001, 40013, 40125, 40164, 45009, 48001, 42007] {
        let (wechat, node, _) = alone();
        wechat.change(|state| (state.refuse_all, state.stale_code) = (true, code));
        assert_eq!(node.call().await.unwrap_err().errcode(), Some(ErrCode(code)));
        assert_eq!((wechat.fetches(), wechat.peer.count("/cgi-bin/getcallbackip")), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn lesson_29_many_stale_errors_cause_one_fetch() {
    let wechat = Wechat::start();
    // Without a store nobody but the keeper itself can know of the new token.
    let node = Node::new(&wechat.peer, Arc::new(BrokenStore), &TestClock::new());
    assert_eq!(node.token().await.unwrap(), name(1));
    wechat.change(|state| state.tokens = 2);
    let mut calls = JoinSet::new();
    // All hold the first token before the first of them is refused.
    let together = Arc::new(tokio::sync::Barrier::new(30));
    for _ in 0..30 {
        let (node, together) = (node.clone(), Arc::clone(&together));
        calls.spawn(async move {
            let call = |token: AccessToken| {
                let (client, together) = (node.client.clone(), Arc::clone(&together));
                async move {
                    if token.expose() == name(1) {
                        together.wait().await;
                    }
                    client.callback_ip(&token).await
                }
            };
            node.keeper.with_token(&app(), call).await
        });
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
    assert_eq!(wechat.fetches(), 2);
}

#[tokio::test]
async fn lesson_29_a_stale_token_that_another_node_replaced_costs_no_fetch() {
    let (wechat, clock) = (Wechat::start(), TestClock::new());
    let store = Arc::<MemoryTokenStore>::default();
    let [first, second] = [(); 2].map(|()| Node::new(&wechat.peer, store.clone(), &clock));
    first.call().await.unwrap();
    second.call().await.unwrap();
    wechat.change(|state| state.tokens = 2);
    first.call().await.unwrap();
    second.call().await.unwrap();
    assert_eq!(wechat.fetches(), 2);
}

#[tokio::test]
async fn lesson_29_the_same_refused_token_again_is_not_a_loop() {
    let (wechat, node, clock) = alone();
    wechat.change(|state| state.refuse_all = true);
    for _ in 0..10 {
        assert_eq!(node.call().await.unwrap_err().errcode(), Some(ErrCode::INVALID_CREDENTIAL));
    }
    assert_eq!(wechat.fetches(), 2, "once at the beginning, once because of the refusal");
    assert_eq!(wechat.peer.count("/cgi-bin/getcallbackip"), 10, "no call was repeated with the same token");
    clock.advance_s(29);
    node.call().await.unwrap_err();
    assert_eq!(wechat.fetches(), 2);
    clock.advance_s(1);
    node.call().await.unwrap_err();
    assert_eq!(wechat.fetches(), 3);
    wechat.change(|state| state.refuse_all = false);
    node.call().await.unwrap();
    assert_eq!(wechat.fetches(), 3, "it is the right token after all");
}

#[tokio::test]
async fn a_new_token_that_is_refused_as_well_ends_the_matter() {
    let (wechat, node, _) = alone();
    node.call().await.unwrap();
    wechat.change(|state| (state.tokens, state.refuse_all) = (2, true));
    assert_eq!(node.call().await.unwrap_err().errcode(), Some(ErrCode::INVALID_CREDENTIAL));
    assert_eq!((wechat.fetches(), wechat.peer.count("/cgi-bin/getcallbackip")), (2, 3));
}

#[tokio::test]
async fn lesson_29_whoever_waits_for_a_fetch_that_fails_does_not_fetch_again() {
    let (release, released) = mpsc::channel::<()>();
    let peer = Peer::start(move |_| {
        released.recv().unwrap();
        Reply::text(format!(r#"{{"errcode":40125,"errmsg":"invalid appsecret {APP_SECRET}"}}"#))
    });
    let node = Node::new(&peer, Arc::<MemoryTokenStore>::default(), &TestClock::new());
    let asking = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (node, asking) = (node.clone(), Arc::clone(&asking));
        calls.spawn(async move {
            asking.fetch_add(1, Ordering::Relaxed);
            node.call().await
        });
    }
    // The runtime of a test has one thread, and none of the calls yields between counting and waiting.
    while asking.load(Ordering::Relaxed) < 20 {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    for result in calls.join_all().await {
        let error = result.unwrap_err();
        assert_eq!(error.errcode(), Some(ErrCode::INVALID_APPSECRET));
        assert!(!print(&error).contains(APP_SECRET), "{error:?}");
    }
    assert_eq!(peer.received().len(), 1);
    release.send(()).unwrap();
    node.call().await.unwrap_err();
    assert_eq!(peer.received().len(), 2, "a later call asks again");
}

/// A caller that goes away (its client hung up) while it fetches for all.
#[tokio::test]
async fn a_fetch_that_is_abandoned_is_taken_over_by_the_next_call() {
    let (release, released) = mpsc::channel::<()>();
    let (arrived, arrival) = tokio::sync::oneshot::channel();
    let mut arrived = Some(arrived);
    let peer = Peer::start(move |_| match arrived.take() {
        Some(arrived) => {
            arrived.send(()).unwrap();
            released.recv().unwrap();
            Reply::Close
        }
        None => Reply::text(format!(r#"{{"access_token":"{}","expires_in":7200}}"#, name(1))),
    });
    let node = Node::new(&peer, Arc::<MemoryTokenStore>::default(), &TestClock::new());
    let [first, second] = [(); 2].map(|()| {
        let node = node.clone();
        tokio::spawn(async move { node.token().await })
    });
    arrival.await.unwrap();
    first.abort();
    release.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap(), name(1));
}

#[tokio::test]
async fn a_store_that_fails_costs_fetches_but_no_call() {
    let (wechat, clock) = (Wechat::start(), TestClock::new());
    let node = Node::new(&wechat.peer, Arc::new(BrokenStore), &clock);
    node.call().await.unwrap();
    node.call().await.unwrap();
    assert_eq!(wechat.fetches(), 1);
}

#[tokio::test]
async fn a_token_that_says_it_lives_too_long_or_too_short_does_no_harm() {
    let (wechat, node, clock) = alone();
    wechat.change(|state| state.expires_in_s = i64::MAX);
    node.call().await.unwrap();
    clock.advance_s(7200);
    node.call().await.unwrap();
    assert_eq!(wechat.fetches(), 2, "no token lives longer than 7200 s");
    wechat.change(|state| state.expires_in_s = 60);
    clock.advance_s(7200);
    for _ in 0..5 {
        node.call().await.unwrap();
    }
    assert_eq!(wechat.fetches(), 3, "one that is nearly over is used, too");
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stop_the_keeper() {
    let (wechat, node, clock) = alone();
    wechat.change(|state| state.refuse_all = true);
    node.call().await.unwrap_err();
    clock.advance_s(-100_000);
    wechat.change(|state| (state.tokens, state.refuse_all) = (2, false));
    node.call().await.unwrap();
}

#[test]
fn a_kept_token_is_never_printed() {
    let store = MemoryTokenStore::default();
    let token = StoredToken { access_token: AccessToken::parse(name(1)).unwrap(), expires_at: TestClock::new().now() };
    drop(store.save(&app().appid, &token));
    let text = format!("{store:?} {token:?} {:?}", app());
    assert!(text.contains("[redacted]") && !text.contains("needle"), "{text}");
}
