//! `POST /cgi-bin/message/custom/business/typing`, and the same at the path of public accounts.
//!
//! It needs an allowance, but uses none up; it lasts until something is said.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_typing.html>.

use jiff::SignedDuration;
use weixin::mini_program::{
    Done, ErrCode,
    typing::{AFTER_MESSAGE_S, Command, Request, SHOWN_S},
};

use super::{Call, Refusal};
use crate::answer::Answer;

pub(super) fn typing(call: Call<'_>) -> Result<Answer, Refusal> {
    let request = Request::from_json(&call.request.body)?;
    let customer = call.customer(&request.touser)?;
    let now = call.now;
    let conversation = call.world.conversation(&customer);
    if conversation.allowance.is_over(now) {
        return Err(ErrCode::RESPONSE_TIME.into());
    }
    match request.command {
        Command::CancelTyping => conversation.typing_until = None,
        Command::Typing => {
            if conversation.typing_until.is_some_and(|until| now < until) {
                return Err(ErrCode::ALREADY_TYPING.into());
            }
            if conversation.said_at.is_none_or(|at| now.as_second() - at.as_second() > AFTER_MESSAGE_S) {
                return Err(ErrCode::TYPING_WITHOUT_MESSAGE.into());
            }
            conversation.typing_until = now.checked_add(SignedDuration::from_secs(SHOWN_S)).ok();
        }
    }
    Ok(Answer::json(Done.to_json()))
}
