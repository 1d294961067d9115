//! The calls of an app's server that need an access token: messages to customers, media, personal data, checks.
//!
//! Each file is an endpoint. All have the same beginning: the method, then the token, which says which app asks.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/>.

pub(crate) mod agent_list;
pub(crate) mod content_check;
mod custom_send;
mod media;
pub(crate) mod phone_number;
mod session_key;
pub(crate) mod subscribe;
mod typing;

use jiff::Timestamp;
use weixin::{
    AppId, OpenId,
    mini_program::{self as protocol, ErrCode},
};

use crate::{answer::Answer, server::Request, world::World};

/// A call whose token was found good.
struct Call<'a> {
    world: &'a mut World,
    now: Timestamp,
    request: &'a Request,
    /// The app of the token.
    appid: AppId,
}

/// One endpoint.
struct Endpoint {
    path: &'static str,
    method: &'static str,
    run: fn(Call<'_>) -> Result<Answer, Refusal>,
}

const fn post(path: &'static str, run: fn(Call<'_>) -> Result<Answer, Refusal>) -> Endpoint {
    Endpoint { path, method: "POST", run }
}

const fn get(path: &'static str, run: fn(Call<'_>) -> Result<Answer, Refusal>) -> Endpoint {
    Endpoint { path, method: "GET", run }
}

const ENDPOINTS: [Endpoint; 13] = [
    post(protocol::custom_send::PATH, custom_send::send),
    post(protocol::typing::PATH, typing::typing),
    post(protocol::typing::SHORT_PATH, typing::typing),
    post(protocol::media_upload::PATH, media::upload),
    get(protocol::media_get::PATH, media::get),
    post(protocol::phone_number::PATH, phone_number::phone_number),
    get(protocol::check_session_key::PATH, session_key::check),
    get(protocol::reset_session_key::PATH, session_key::reset),
    post(protocol::subscribe_send::PATH, subscribe::send),
    post(protocol::msg_sec_check::PATH, content_check::text),
    post(protocol::media_check_async::PATH, content_check::media),
    get(agent_list::ALL, agent_list::all),
    get(agent_list::ONLINE, agent_list::online),
];

/// The paths of the endpoints.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ENDPOINTS.iter().map(|endpoint| endpoint.path)
}

/// Why a call is refused.
struct Refusal {
    code: ErrCode,
    /// What is said instead of the meaning of the code.
    errmsg: Option<String>,
}

impl From<ErrCode> for Refusal {
    fn from(code: ErrCode) -> Self {
        Self { code, errmsg: None }
    }
}

/// Answers a call, if the path is that of an endpoint.
pub(crate) fn answer(world: &mut World, now: Timestamp, request: &Request) -> Option<Answer> {
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == request.path)?;
    let seed = world.seed();
    let result = if request.method != endpoint.method {
        let wanted = if endpoint.method == "GET" { ErrCode::REQUIRE_GET } else { ErrCode::REQUIRE_POST };
        Err(wanted.into())
    } else {
        let appid = world.check_token(now, request).map_err(Refusal::from);
        appid.and_then(|appid| (endpoint.run)(Call { world, now, request, appid }))
    };
    Some(result.unwrap_or_else(|Refusal { code, errmsg }| {
        Answer::errcode_saying(seed, now, request, code, errmsg.as_deref().unwrap_or(code.meaning()))
    }))
}

impl Call<'_> {
    /// The key of a customer of the app that asks.
    fn customer(&self, openid: &OpenId) -> Result<String, ErrCode> {
        let key = self.world.openids.get(openid.as_str());
        let key = key.filter(|key| self.world.customers.get(*key).is_some_and(|known| known.appid == self.appid));
        key.cloned().ok_or(ErrCode::INVALID_OPENID)
    }

    /// Whether media exist for the app that asks.
    fn check_media(&self, media_id: &str) -> Result<(), ErrCode> {
        self.world.media.get(self.now, self.appid.as_str(), media_id).map(|_| ())
    }
}
