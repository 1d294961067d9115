//! `GET /wxa/checksession` and `GET /wxa/resetusersessionkey`, against the current key of a customer.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_checksessionkey.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_resetusersessionkey.html>.

use serde_json::json;
use weixin::{
    SessionKey,
    mini_program::{Done, ErrCode, check_session_key::Claim},
};

use super::{Call, Refusal};
use crate::{answer::Answer, login::Customer};

pub(super) fn check(mut call: Call<'_>) -> Result<Answer, Refusal> {
    claimed(&mut call)?;
    Ok(Answer::json(Done.to_json()))
}

pub(super) fn reset(mut call: Call<'_>) -> Result<Answer, Refusal> {
    let seed = call.world.seed();
    let customer = claimed(&mut call)?;
    let session_key = customer.reset_session_key(seed);
    let answer = json!({
        "errcode": 0,
        "errmsg": "ok",
        "openid": customer.openid,
        "session_key": session_key.expose(),
    });
    Ok(Answer::json(answer.to_string()))
}

/// The customer whose current key the query was signed with.
fn claimed<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Customer, ErrCode> {
    let query = call.request.path_and_query().split_once('?').map_or("", |(_, query)| query);
    let claim = Claim::from_query(query)?;
    let (key, seed) = (call.customer(&claim.openid)?, call.world.seed());
    let customer = call.world.customers.get_mut(&key).ok_or(ErrCode::INVALID_OPENID)?;
    let current: Option<SessionKey> = customer.session_key(seed);
    claim.check(current.as_ref())?;
    Ok(customer)
}
