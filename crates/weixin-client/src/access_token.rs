//! The access token of each app: fetched once, shared by all, renewed early, replaced when WeChat refuses it.
//!
//! `stable_token` in normal mode gives everybody the same token, so several nodes may ask without taking it from
//! each other; the [`TokenStore`] saves them most of the asking. The keeper never forces a refresh: that kills the
//! token in everybody's hands and WeChat allows it 20 times a day. It is a decision for a person.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>.

use std::{
    collections::HashMap,
    error::Error,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use weixin::{AccessToken, AppId, AppSecret, mini_program::stable_token::TOKEN_VALID_S};

use crate::{ApiError, Clock, MiniProgramClient};

/// A token with less time than this is renewed, in seconds. WeChat gives the next one from 300 s before the end on
/// ([`weixin::mini_program::stable_token::OVERLAP_S`]) while the old one still works; asking earlier is useless.
const RENEW_BEFORE_END_S: i64 = 240;

/// How long WeChat is not asked again after asking was of no use, in seconds.
const PAUSE_S: i64 = 30;

/// Keeps the access tokens of all apps.
pub struct AccessTokenKeeper {
    client: MiniProgramClient,
    store: Arc<dyn TokenStore>,
    clock: Clock,
    /// One slot for each app of the configuration.
    slots: Mutex<HashMap<AppId, Arc<Slot>>>,
}

impl AccessTokenKeeper {
    /// Fetches through the client, shares through the store.
    pub fn new(client: MiniProgramClient, store: Arc<dyn TokenStore>, clock: Clock) -> Self {
        Self { client, store, clock, slots: Mutex::default() }
    }

    /// Makes a call that needs a token. If WeChat refuses the token (40001, 40014, 42001), the call is made once
    /// more with another one, if there is another one. So `call` runs once or twice.
    pub async fn with_token<T, F, C>(&self, app: &AppCredential, mut call: C) -> Result<T, ApiError>
    where
        C: FnMut(AccessToken) -> F,
        F: Future<Output = Result<T, ApiError>>,
    {
        let token = self.token(app).await?;
        let error = match call(token.clone()).await {
            Err(error) if error.is_stale_token() => error,
            other => return other,
        };
        match self.replacement(app, &token).await? {
            Some(next) => call(next).await,
            None => Err(error),
        }
    }

    /// A token to call with.
    async fn token(&self, app: &AppCredential) -> Result<AccessToken, ApiError> {
        let slot = self.slot(&app.appid);
        let seen = slot.fetches.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let now = (self.clock)();
        if let Some(token) = state.usable(now) {
            return Ok(token);
        }
        // Another node may have renewed it.
        if let Some(stored) = self.load(&app.appid).await
            && state.cached.as_ref().is_none_or(|cached| cached.expires_at < stored.expires_at)
        {
            state.cached = Some(stored);
        }
        if let Some(fresh) = state.cached.as_ref().filter(|token| token.remaining_s(now) >= RENEW_BEFORE_END_S) {
            return Ok(fresh.access_token.clone());
        }
        let fetched = self.fetch(app, &slot, &mut state, seen).await;
        // Renewal has time until the old token ends.
        fetched.or_else(|error| state.usable((self.clock)()).ok_or(error))
    }

    /// A token instead of one that WeChat refused; `None` if there is no other one.
    async fn replacement(&self, app: &AppCredential, used: &AccessToken) -> Result<Option<AccessToken>, ApiError> {
        let slot = self.slot(&app.appid);
        let seen = slot.fetches.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let now = (self.clock)();
        // Another call may have renewed it, and so may another node.
        let another = |token: &StoredToken| token.access_token != *used && token.remaining_s(now) > 0;
        if let Some(cached) = state.cached.as_ref().filter(|token| another(token)) {
            return Ok(Some(cached.access_token.clone()));
        }
        if state.no_other.as_ref().is_some_and(|(token, since)| token == used && is_paused(*since, now)) {
            return Ok(None);
        }
        if let Some(stored) = self.load(&app.appid).await.filter(another) {
            return Ok(Some(state.cached.insert(stored).access_token.clone()));
        }
        state.cached = None;
        let fetched = self.fetch(app, &slot, &mut state, seen).await?;
        if fetched != *used {
            return Ok(Some(fetched));
        }
        tracing::debug!(wechat.appid = app.appid.as_str(), "WeChat refuses the access token that it gives");
        state.no_other = Some((fetched, now));
        Ok(None)
    }

    /// Asks WeChat. The caller holds the state, so there is one question at a time. Whoever waited while the last
    /// question failed gets its failure instead of asking again.
    async fn fetch(
        &self,
        app: &AppCredential,
        slot: &Slot,
        state: &mut State,
        seen: u64,
    ) -> Result<AccessToken, ApiError> {
        if let Some((number, error)) = &state.failure
            && *number > seen
        {
            return Err(error.clone());
        }
        let asked_at = (self.clock)();
        state.asked_at = Some(asked_at);
        let answer = self.client.stable_token(&app.appid, &app.secret).await;
        let number = slot.fetches.fetch_add(1, Ordering::AcqRel) + 1;
        match answer {
            Ok(answer) => {
                let valid_s = answer.expires_in_s.clamp(0, TOKEN_VALID_S);
                let expires_at = asked_at.checked_add(SignedDuration::from_secs(valid_s)).unwrap_or(Timestamp::MAX);
                let token = StoredToken { access_token: answer.access_token, expires_at };
                self.save(&app.appid, &token).await;
                state.failure = None;
                Ok(state.cached.insert(token).access_token.clone())
            }
            Err(error) => {
                state.failure = Some((number, error.clone()));
                Err(error)
            }
        }
    }

    /// A store that fails costs more questions to WeChat, not the call.
    async fn load(&self, appid: &AppId) -> Option<StoredToken> {
        self.store.load(appid).await.unwrap_or_else(|error| {
            tracing::debug!(wechat.appid = appid.as_str(), error, "the access token could not be loaded");
            None
        })
    }

    async fn save(&self, appid: &AppId, token: &StoredToken) {
        if let Err(error) = self.store.save(appid, token).await {
            tracing::debug!(wechat.appid = appid.as_str(), error, "the access token could not be saved");
        }
    }

    fn slot(&self, appid: &AppId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(appid.clone()).or_default().clone()
    }
}

/// Whether the pause that began at `since` still holds. It ends, too, when the clock was set back.
fn is_paused(since: Timestamp, now: Timestamp) -> bool {
    (0..PAUSE_S).contains(&now.duration_since(since).as_secs())
}

/// What is known of one app's token.
#[derive(Default)]
struct Slot {
    /// How many questions to WeChat have come to an end.
    fetches: AtomicU64,
    /// Held while WeChat is asked.
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    cached: Option<StoredToken>,
    /// When WeChat was asked last.
    asked_at: Option<Timestamp>,
    /// The last question, by its number, if it failed.
    failure: Option<(u64, ApiError)>,
    /// A token that WeChat refused and gave again, and when.
    no_other: Option<(AccessToken, Timestamp)>,
}

impl State {
    /// The cached token, unless it is time to renew it.
    fn usable(&self, now: Timestamp) -> Option<AccessToken> {
        let token = self.cached.as_ref()?;
        let remaining_s = token.remaining_s(now);
        let paused = self.asked_at.is_some_and(|asked_at| is_paused(asked_at, now));
        let usable = remaining_s >= RENEW_BEFORE_END_S || (remaining_s > 0 && paused);
        usable.then(|| token.access_token.clone())
    }
}

/// An app and the secret with which its token is fetched.
#[derive(Clone, Debug)]
pub struct AppCredential {
    /// The app.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
}

/// A token and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub access_token: AccessToken,
    /// When WeChat stops taking it.
    pub expires_at: Timestamp,
}

impl StoredToken {
    fn remaining_s(&self, now: Timestamp) -> i64 {
        self.expires_at.duration_since(now).as_secs()
    }
}

/// Where the nodes of one server share their tokens. The last token saved counts. Tokens are secrets: seal them.
pub trait TokenStore: Send + Sync {
    /// The token of an app, if one was saved, also an old one.
    fn load<'a>(&'a self, appid: &'a AppId) -> BoxFuture<'a, Result<Option<StoredToken>, TokenStoreError>>;

    /// Replaces the token of an app.
    fn save<'a>(&'a self, appid: &'a AppId, token: &'a StoredToken) -> BoxFuture<'a, Result<(), TokenStoreError>>;
}

/// What the methods of a [`TokenStore`] return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whatever a store fails with. It is written to the log, so it must not contain the token.
pub type TokenStoreError = Box<dyn Error + Send + Sync>;

/// Shares tokens within one process only.
#[derive(Debug, Default)]
pub struct MemoryTokenStore(Mutex<HashMap<AppId, StoredToken>>);

impl TokenStore for MemoryTokenStore {
    fn load<'a>(&'a self, appid: &'a AppId) -> BoxFuture<'a, Result<Option<StoredToken>, TokenStoreError>> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(appid).cloned();
        Box::pin(std::future::ready(Ok(token)))
    }

    fn save<'a>(&'a self, appid: &'a AppId, token: &'a StoredToken) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(appid.clone(), token.clone());
        Box::pin(std::future::ready(Ok(())))
    }
}
