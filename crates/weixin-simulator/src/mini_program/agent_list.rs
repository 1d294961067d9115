//! `GET /cgi-bin/customservice/getkflist` and `getonlinekflist`: WeChat's own agents of an app, and who is there.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-management/>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weixin::mini_program::{ErrCode, KfAccount};

use super::{Call, Refusal};
use crate::{answer::Answer, customer_service::Session};

/// Where all agents of an app are listed.
pub(super) const ALL: &str = "/cgi-bin/customservice/getkflist";

/// Where those are listed who are there.
pub(super) const ONLINE: &str = "/cgi-bin/customservice/getonlinekflist";

/// One of WeChat's own agents of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSetup {
    /// The account, `name@account`.
    pub kf_account: KfAccount,
    /// What customers see.
    pub nickname: String,
    /// Whether the agent is there.
    #[serde(default)]
    pub online: bool,
}

pub(super) fn all(call: Call<'_>) -> Result<Answer, Refusal> {
    list(&call, "kf_list", |_, id, agent| {
        Some(json!({ "kf_account": agent.kf_account, "kf_nick": agent.nickname, "kf_id": id, "kf_headimgurl": "" }))
    })
}

pub(super) fn online(call: Call<'_>) -> Result<Answer, Refusal> {
    list(&call, "kf_online_list", |call, id, agent| {
        let accepted_case = accepted(call, agent.kf_account.as_str());
        let entry = json!({ "kf_account": agent.kf_account, "status": 1, "kf_id": id, "accepted_case": accepted_case });
        agent.online.then_some(entry)
    })
}

fn list(
    call: &Call<'_>,
    name: &str,
    entry: impl Fn(&Call<'_>, usize, &AgentSetup) -> Option<Value>,
) -> Result<Answer, Refusal> {
    let app = call.world.apps.get(call.appid.as_str()).ok_or(ErrCode::INVALID_APPID)?;
    let entries = app.agents.iter().enumerate().filter_map(|(index, agent)| entry(call, 1001 + index, agent));
    let entries: Vec<_> = entries.collect();
    Ok(Answer::json(json!({ name: entries }).to_string()))
}

/// How many sessions of the app the agent holds.
fn accepted(call: &Call<'_>, account: &str) -> usize {
    let conversations = call.world.conversations.iter();
    let held = conversations.filter(|(key, conversation)| {
        let mine = call.world.customers.get(*key).is_some_and(|customer| customer.appid == call.appid);
        mine && matches!(conversation.session(call.now), Session::Taken { agent, .. } if agent == account)
    });
    held.count()
}
