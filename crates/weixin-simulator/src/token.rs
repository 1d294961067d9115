//! Access tokens: `POST /cgi-bin/stable_token`, `GET /cgi-bin/token`, and the check that every other call makes.
//!
//! Each app has two families of tokens, which know nothing of each other: fetching a classic token never ends a
//! stable one.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getstableaccesstoken.html>
//! and <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-access-token/api_getaccesstoken.html>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weixin::{
    AppId,
    mini_program::{
        ErrCode,
        stable_token::{OVERLAP_S, TOKEN_VALID_S},
    },
};

use crate::{answer::Answer, random::Seed, server::Request, world::World};

/// How often a day the stable token may be replaced by force.
pub const FORCED_PER_DAY_MAX: u32 = 20;
/// A forced refresh so soon after the last one, in seconds, gives the same token.
pub const FORCED_PAUSE_S: i64 = 30;
/// How often a day the classic token may be fetched. The number is commonly quoted, not documented.
pub const CLASSIC_PER_DAY_MAX: u32 = 2_000;
/// How many tokens of a kind are remembered. An older one is answered like one of another app.
const TOKENS_KEPT: usize = 50;

/// The tokens of one app.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    classic: Family,
    stable: Family,
    forced: DayCount,
    forced_at: Option<Timestamp>,
    fetched: DayCount,
}

/// The tokens of one kind: the last ones that were given, the newest at the end.
#[derive(Default, Serialize, Deserialize)]
struct Family {
    made: u64,
    tokens: Vec<Token>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    text: String,
    /// When it stops to work: at its age, or earlier if it was replaced.
    dead_at: Timestamp,
}

#[derive(Default, Serialize, Deserialize)]
struct DayCount {
    day: i64,
    count: u32,
}

impl DayCount {
    /// Counts one more on the day (UTC+8), or says that the day has no more.
    fn take(&mut self, now: Timestamp, max: u32) -> Result<(), ErrCode> {
        let day = (now.as_second() + 8 * 3600).div_euclid(86_400);
        if self.day != day {
            *self = Self { day, count: 0 };
        }
        if self.count >= max {
            return Err(ErrCode::DAILY_QUOTA);
        }
        self.count += 1;
        Ok(())
    }
}

impl Family {
    /// A new token. The one before it works on for the given time, at most.
    fn renew(&mut self, seed: Seed, subject: &str, now: Timestamp, old_works_on_s: i64) -> &Token {
        if let Some(old) = self.tokens.last_mut() {
            old.dead_at = old.dead_at.min(after(now, old_works_on_s));
        }
        if self.tokens.len() == TOKENS_KEPT {
            self.tokens.remove(0);
        }
        // 136 characters that begin like real ones.
        let text = format!("{:02}_{}", 60 + self.made % 40, seed.alphanumeric("access_token", subject, self.made, 133));
        self.made += 1;
        let index = self.tokens.len();
        self.tokens.push(Token { text, dead_at: after(now, TOKEN_VALID_S) });
        &self.tokens[index]
    }

    fn newest(&self) -> Option<&Token> {
        self.tokens.last()
    }
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now)
}

/// `POST /cgi-bin/stable_token`.
pub(crate) fn stable_token(world: &mut World, now: Timestamp, request: &Request) -> Answer {
    let result = if request.method != "POST" {
        Err(ErrCode::REQUIRE_POST)
    } else if request.body.is_empty() {
        Err(ErrCode::EMPTY_POST_DATA)
    } else {
        world.fetch_stable(now, &request.body)
    };
    answer(world, now, request, result)
}

/// `GET /cgi-bin/token`: each call gives a new token.
pub(crate) fn classic_token(world: &mut World, now: Timestamp, request: &Request) -> Answer {
    let result = if request.method != "GET" { Err(ErrCode::REQUIRE_GET) } else { world.fetch_classic(now, request) };
    answer(world, now, request, result)
}

/// `GET /cgi-bin/getcallbackip`: the cheapest call that needs a token.
///
/// Source: <https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Get_the_WeChat_server_IP_address.html>.
pub(crate) fn callback_ip(world: &mut World, now: Timestamp, request: &Request) -> Answer {
    let result = if request.method != "GET" { Err(ErrCode::REQUIRE_GET) } else { world.check_token(now, request) };
    answer(world, now, request, result.map(|_| json!({ "ip_list": ["127.0.0.1"] })))
}

fn answer(world: &World, now: Timestamp, request: &Request, result: Result<Value, ErrCode>) -> Answer {
    match result {
        Ok(value) => Answer::json(value.to_string()),
        Err(code) => Answer::errcode(world.seed(), now, request, code),
    }
}

impl World {
    fn fetch_stable(&mut self, now: Timestamp, body: &[u8]) -> Result<Value, ErrCode> {
        let body: Value = serde_json::from_slice(body).map_err(|_| ErrCode::DATA_FORMAT)?;
        let field = |name| body[name].as_str().filter(|text| !text.is_empty());
        let force = match &body["force_refresh"] {
            Value::Null => false,
            Value::Bool(force) => *force,
            _ => return Err(ErrCode::DATA_FORMAT),
        };
        let seed = self.seed();
        let (appid, tokens) = self.authenticate(field("grant_type"), field("appid"), field("secret"))?;
        let subject = format!("{appid}/stable");
        if force {
            let pausing = tokens.forced_at.is_some_and(|at| now.as_second() - at.as_second() < FORCED_PAUSE_S);
            if !pausing {
                tokens.forced.take(now, FORCED_PER_DAY_MAX)?;
                tokens.forced_at = Some(now);
                // By force the old token is dead at once.
                return Ok(told(tokens.stable.renew(seed, &subject, now, 0), now));
            }
        }
        match tokens.stable.newest() {
            Some(token) if token.dead_at.as_second() - now.as_second() >= OVERLAP_S => Ok(told(token, now)),
            // In the last five minutes both work.
            _ => Ok(told(tokens.stable.renew(seed, &subject, now, OVERLAP_S), now)),
        }
    }

    fn fetch_classic(&mut self, now: Timestamp, request: &Request) -> Result<Value, ErrCode> {
        let seed = self.seed();
        let (appid, tokens) =
            self.authenticate(request.query("grant_type"), request.query("appid"), request.query("secret"))?;
        tokens.fetched.take(now, CLASSIC_PER_DAY_MAX)?;
        Ok(told(tokens.classic.renew(seed, &format!("{appid}/classic"), now, OVERLAP_S), now))
    }

    fn authenticate(
        &mut self,
        grant_type: Option<&str>,
        appid: Option<&str>,
        secret: Option<&str>,
    ) -> Result<(String, &mut Tokens), ErrCode> {
        if grant_type != Some("client_credential") {
            return Err(ErrCode::INVALID_GRANT_TYPE);
        }
        let appid = appid.ok_or(ErrCode::APPID_MISSING)?;
        let secret = secret.ok_or(ErrCode::APPSECRET_MISSING)?;
        let app = self.apps.get_mut(appid).ok_or(ErrCode::INVALID_APPID)?;
        if app.secret.expose() != secret {
            return Err(ErrCode::INVALID_APPSECRET);
        }
        Ok((appid.to_owned(), &mut app.tokens))
    }

    /// Whether the access token of a request is good, and which app asks: only the token says so.
    ///
    /// A newer token of its kind exists: 40001. The newest one ran out: 42001. Never given: 40001, or 40014 if it
    /// has not even the form of a token.
    pub(crate) fn check_token(&self, now: Timestamp, request: &Request) -> Result<AppId, ErrCode> {
        let text = request.query("access_token").ok_or(ErrCode::ACCESS_TOKEN_MISSING)?;
        for app in self.apps.values() {
            for family in [&app.tokens.classic, &app.tokens.stable] {
                let Some(token) = family.tokens.iter().find(|token| token.text == text) else { continue };
                if now < token.dead_at {
                    return Ok(app.appid.clone());
                }
                let newest = family.newest().is_some_and(|newest| newest.text == text);
                return Err(if newest { ErrCode::ACCESS_TOKEN_EXPIRED } else { ErrCode::INVALID_CREDENTIAL });
            }
        }
        let form = text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        Err(if form { ErrCode::INVALID_CREDENTIAL } else { ErrCode::INVALID_ACCESS_TOKEN })
    }
}

/// What the app is told: the token and the seconds that it has left.
fn told(token: &Token, now: Timestamp) -> Value {
    json!({ "access_token": token.text, "expires_in": token.dead_at.as_second() - now.as_second() })
}
