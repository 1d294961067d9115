//! `POST /wxa/msg_sec_check` and `POST /wxa/media_check_async`, by lists of words.
//!
//! A text is judged by the words that it has; of a picture or sound the address is judged, because the simulator
//! downloads nothing. The verdict on a picture comes as the event `wxa_media_check`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/sec-center/sec-check/api_msgseccheck.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/server/API/sec-center/sec-check/api_mediacheckasync.html>.

use serde::{Deserialize, Serialize};
use weixin::{
    OpenId,
    mini_program::{
        ErrCode, media_check_async,
        msg_sec_check::{Detail, Request, Response, Suggest, VERSION, Verdict},
    },
    push::Fields,
};

use super::{Call, Refusal};
use crate::{answer::Answer, pay::after, push::NewPush, world::World};

/// How recently the customer must have had the app open, in seconds.
pub const VISIT_WITHIN_S: i64 = 2 * 3600;

/// How long the verdict on a picture takes here, in seconds. In reality it may be half an hour.
pub const MEDIA_CHECK_AFTER_S: u32 = 3;

/// "Nothing found" and "something else".
const NORMAL: i64 = 100;
const OTHER: i64 = 21000;

/// What is found in texts and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentWords {
    /// Words of which WeChat says `risky`.
    pub risky: Vec<String>,
    /// Words of which WeChat says `review`.
    pub review: Vec<String>,
}

impl Default for ContentWords {
    /// Words that nobody uses by chance.
    fn default() -> Self {
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        Self { risky: words(["违规示例", "risky-example"]), review: words(["可疑示例", "review-example"]) }
    }
}

impl ContentWords {
    /// The advice and the word that decides.
    fn judge(&self, texts: &[&str]) -> (Suggest, Option<String>) {
        let found = |words: &[String]| words.iter().find(|word| texts.iter().any(|text| text.contains(*word))).cloned();
        match (found(&self.risky), found(&self.review)) {
            (Some(word), _) => (Suggest::Risky, Some(word)),
            (None, Some(word)) => (Suggest::Review, Some(word)),
            (None, None) => (Suggest::Pass, None),
        }
    }
}

pub(super) fn text(call: Call<'_>) -> Result<Answer, Refusal> {
    let request = Request::from_json(&call.request.body)?;
    let customer = visitor(&call, &request.openid)?;
    let further = [&request.title, &request.nickname].into_iter().flatten().map(|text| text.as_str());
    let texts: Vec<_> = std::iter::once(request.content.as_str()).chain(further).collect();
    let (suggest, keyword) = call.world.content_words.judge(&texts);
    let label = label(&suggest);
    let detail = Detail {
        strategy: "keyword".to_owned(),
        errcode: 0,
        suggest: Some(suggest.clone()),
        label: Some(label),
        prob: keyword.is_some().then_some(90),
        keyword,
    };
    let trace_id = trace_id(call.world, &customer);
    let response = Response { trace_id, result: Verdict { suggest, label }, detail: vec![detail] };
    Ok(Answer::json(response.to_json()))
}

pub(super) fn media(call: Call<'_>) -> Result<Answer, Refusal> {
    let request = media_check_async::Request::from_json(&call.request.body)?;
    let customer = visitor(&call, &request.openid)?;
    let Call { world, now, appid, .. } = call;
    let (suggest, _) = world.content_words.judge(&[request.media_url.as_str()]);
    let trace_id = trace_id(world, &customer);
    let push = NewPush {
        fields: media_check_fields(appid.as_str(), &trace_id, &suggest),
        from: request.openid,
        chat: None,
        subject: format!("{appid}/{trace_id}"),
        appid,
    };
    world.push_at(now, after(now, MEDIA_CHECK_AFTER_S), push);
    Ok(Answer::json(media_check_async::Response { trace_id }.to_json()))
}

/// The event with the verdict on a picture or sound, version 2.
pub(crate) fn media_check_fields(appid: &str, trace_id: &str, suggest: &Suggest) -> Fields {
    let word = String::from(suggest.clone());
    let result = Fields::new().with("suggest", word.as_str()).with("label", label(suggest));
    let detail = Fields::new().with("strategy", "content_model").with("errcode", 0);
    let detail = detail.with("suggest", word).with("label", label(suggest)).with("prob", 90);
    Fields::new()
        .with("MsgType", "event")
        .with("Event", "wxa_media_check")
        .with("appid", appid)
        .with("trace_id", trace_id)
        .with("version", VERSION)
        .with("detail", detail)
        .with("errcode", 0)
        .with("errmsg", "ok")
        .with("result", result)
}

fn label(suggest: &Suggest) -> i64 {
    if *suggest == Suggest::Pass { NORMAL } else { OTHER }
}

/// The key of a customer who has had the app open recently.
fn visitor(call: &Call<'_>, openid: &OpenId) -> Result<String, ErrCode> {
    let key = call.customer(openid).map_err(|code| match call.world.openids.contains_key(openid.as_str()) {
        true => ErrCode::OPENID_OF_OTHER_APP,
        false => code,
    })?;
    let active_at = call.world.customers.get(&key).and_then(|customer| customer.active_at);
    let recent = active_at.is_some_and(|at| call.now.as_second() - at.as_second() <= VISIT_WITHIN_S);
    if recent { Ok(key) } else { Err(ErrCode::NO_RECENT_VISIT) }
}

fn trace_id(world: &mut World, customer: &str) -> String {
    let (seed, made) = (world.seed(), world.conversation(customer).next());
    let digits = seed.hexadecimal("trace_id", customer, made, 24);
    format!("{}-{}-{}", &digits[..8], &digits[8..16], &digits[16..])
}
