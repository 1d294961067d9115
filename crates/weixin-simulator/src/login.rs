//! Customers, `wx.login`, and `GET /sns/jscode2session`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_code2session.html>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{
    AppId, JsCode, OpenId, SessionKey, UnionId,
    mini_program::{
        ErrCode,
        code2session::{JS_CODE_VALID_S, Response},
    },
};

use crate::{answer::Answer, mini_program::phone_number::PhoneNumber, random::Seed, server::Request, world::World};

/// How often one customer may log in within a minute. The older page said so; the newer gives no number.
pub const LOGINS_PER_MINUTE_MAX: u32 = 100;

/// How long a `session_key` stays at least, in seconds. WeChat says that there is such a period, not how long.
pub const SESSION_KEY_STAYS_S: i64 = 60;

/// How many codes are remembered. An older one is answered like one that never was.
const CODES_KEPT: usize = 100_000;

/// A person with a phone, as one app knows them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) appid: AppId,
    pub(crate) name: String,
    pub(crate) openid: OpenId,
    pub(crate) unionid: Option<UnionId>,
    /// WeChat takes the customer for a risk: log-in is refused with 40226.
    pub(crate) blocked: bool,
    codes_made: u64,
    session_keys_made: u64,
    session_key_made_at: Option<Timestamp>,
    minute: i64,
    logins_in_minute: u32,
    /// When the customer last had the app open.
    #[serde(default)]
    pub(crate) active_at: Option<Timestamp>,
    /// Which number the phone has, if it was set.
    #[serde(default)]
    pub(crate) phone_number: Option<PhoneNumber>,
    /// How many messages of which template the customer agreed to.
    #[serde(default)]
    pub(crate) subscriptions: BTreeMap<String, u32>,
}

/// What `wx.login` gave to a phone.
#[derive(Serialize, Deserialize)]
pub(crate) struct LoginCode {
    /// The key of the customer.
    customer: String,
    made_at: Timestamp,
    used: bool,
}

/// There is no such app in the simulator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulator has no app {0}; add it to the set-up or with POST /_sim/apps")]
pub struct UnknownApp(pub AppId);

impl World {
    /// The key of the customer of that name; a new one if nobody of that name was there.
    pub(crate) fn customer(&mut self, appid: &AppId, name: &str) -> Result<String, UnknownApp> {
        let app = self.apps.get(appid.as_str()).ok_or_else(|| UnknownApp(appid.clone()))?;
        let key = format!("{appid}/{name}");
        if !self.customers.contains_key(&key) {
            let openid = self.seed().openid(appid.as_str(), name);
            let unionid = app.open_platform.as_ref().map(|account| self.seed().unionid(account, name));
            self.openids.insert(openid.to_string(), key.clone());
            let customer = Customer {
                appid: appid.clone(),
                name: name.to_owned(),
                openid,
                unionid,
                blocked: false,
                codes_made: 0,
                session_keys_made: 0,
                session_key_made_at: None,
                minute: 0,
                logins_in_minute: 0,
                active_at: None,
                phone_number: None,
                subscriptions: BTreeMap::new(),
            };
            self.customers.insert(key.clone(), customer);
        }
        Ok(key)
    }

    /// Gives a customer this very number.
    pub(crate) fn set_openid(&mut self, key: &str, openid: OpenId) {
        if let Some(customer) = self.customers.get_mut(key) {
            self.openids.remove(customer.openid.as_str());
            self.openids.insert(openid.to_string(), key.to_owned());
            customer.openid = openid;
        }
    }

    /// `wx.login` on the phone of the customer.
    pub(crate) fn wx_login(&mut self, now: Timestamp, customer: &str) -> JsCode {
        let seed = self.seed();
        // The key comes from `customer` above and customers are never taken away.
        let made = self.customers.get_mut(customer).map_or(0, |customer| {
            customer.codes_made += 1;
            customer.active_at = Some(now);
            customer.codes_made
        });
        let code = seed.js_code(customer, made);
        let login = LoginCode { customer: customer.to_owned(), made_at: now, used: false };
        self.codes.insert(code.to_string(), login);
        self.codes_by_age.push_back(code.to_string());
        if self.codes_by_age.len() > CODES_KEPT
            && let Some(oldest) = self.codes_by_age.pop_front()
        {
            self.codes.remove(&oldest);
        }
        code
    }

    /// The customer has the app open.
    pub(crate) fn is_active(&mut self, customer: &str, now: Timestamp) {
        if let Some(customer) = self.customers.get_mut(customer) {
            customer.active_at = Some(now);
        }
    }

    /// Tells the app's server who ran `wx.login`. The checks stand in WeChat's order.
    fn code_to_session(&mut self, now: Timestamp, request: &Request) -> Result<Response, ErrCode> {
        let appid = request.query("appid").ok_or(ErrCode::APPID_MISSING)?;
        let secret = request.query("secret").ok_or(ErrCode::APPSECRET_MISSING)?;
        let code = request.query("js_code").ok_or(ErrCode::CODE_MISSING)?;
        if request.query("grant_type") != Some("authorization_code") {
            return Err(ErrCode::INVALID_GRANT_TYPE);
        }
        let app = self.apps.get(appid).ok_or(ErrCode::INVALID_APPID)?;
        if app.secret.expose() != secret {
            return Err(ErrCode::INVALID_APPSECRET);
        }
        let seed = self.seed();
        let login = self.codes.get_mut(code).ok_or(ErrCode::INVALID_CODE)?;
        // The key was made by `customer`, which never takes one away.
        let customer = self.customers.get_mut(&login.customer).ok_or(ErrCode::INVALID_CODE)?;
        if customer.appid.as_str() != appid {
            return Err(ErrCode::INVALID_CODE);
        }
        customer.count_login(now)?;
        if login.used {
            return Err(ErrCode::CODE_USED);
        }
        if now.as_second() - login.made_at.as_second() > JS_CODE_VALID_S {
            return Err(ErrCode::INVALID_CODE);
        }
        if customer.blocked {
            return Err(ErrCode::CODE_BLOCKED);
        }
        login.used = true;
        customer.rotate_session_key(now);
        Ok(Response {
            openid: customer.openid.clone(),
            session_key: customer.session_key(seed).ok_or(ErrCode::BUSY)?,
            unionid: customer.unionid.clone(),
        })
    }
}

impl Customer {
    fn count_login(&mut self, now: Timestamp) -> Result<(), ErrCode> {
        let minute = now.as_second().div_euclid(60);
        if self.minute != minute {
            self.minute = minute;
            self.logins_in_minute = 0;
        }
        if self.logins_in_minute >= LOGINS_PER_MINUTE_MAX {
            return Err(ErrCode::MINUTE_QUOTA);
        }
        self.logins_in_minute += 1;
        Ok(())
    }

    /// The current key, if the customer ever logged in.
    pub(crate) fn session_key(&self, seed: Seed) -> Option<SessionKey> {
        (self.session_keys_made > 0).then(|| seed.session_key(self.openid.as_str(), self.session_keys_made))
    }

    /// Replaces the key at once. It counts as old as the one before.
    pub(crate) fn reset_session_key(&mut self, seed: Seed) -> SessionKey {
        self.session_keys_made += 1;
        seed.session_key(self.openid.as_str(), self.session_keys_made)
    }

    /// A log-in may replace the key, but not each one does.
    ///
    /// Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html>.
    fn rotate_session_key(&mut self, now: Timestamp) {
        let young =
            self.session_key_made_at.is_some_and(|made_at| now.as_second() - made_at.as_second() < SESSION_KEY_STAYS_S);
        if !young {
            self.session_keys_made += 1;
            self.session_key_made_at = Some(now);
        }
    }
}

/// `GET /sns/jscode2session`. The answer is JSON, but says `text/plain`. Another method finds no parameters.
pub(crate) fn jscode2session(world: &mut World, now: Timestamp, request: &Request) -> Answer {
    let result = match request.method.as_str() {
        "GET" => world.code_to_session(now, request),
        _ => Err(ErrCode::APPID_MISSING),
    };
    match result {
        Ok(session) => Answer::text_plain(session.to_json()),
        Err(code) => Answer { content_type: "text/plain", ..Answer::errcode(world.seed(), now, request, code) },
    }
}
