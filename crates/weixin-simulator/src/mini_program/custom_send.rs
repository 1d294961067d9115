//! `POST /cgi-bin/message/custom/send`: the form, then the customer, then media and app of a card, and last whether
//! anything may be sent at all. The order is an assumption.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_sendcustommessage.html>.

use weixin::mini_program::{
    Done, ErrCode,
    custom_send::{Author, Message, Request},
};

use super::{Call, Refusal};
use crate::{
    answer::Answer,
    customer_service::{Said, Sent},
};

pub(super) fn send(call: Call<'_>) -> Result<Answer, Refusal> {
    let request = Request::from_json(&call.request.body)?;
    let customer = call.customer(&request.touser)?;
    let said = said(&call, request.message)?;
    let now = call.now;
    let conversation = call.world.conversation(&customer);
    conversation.allowance.take(now)?;
    let kf_account = request.kf_account.map(String::from);
    conversation.send(now, Sent { at: now, said, kf_account, ai: request.author == Author::Ai });
    Ok(Answer::json(Done.to_json()))
}

/// What the customer will see.
fn said(call: &Call<'_>, message: Message) -> Result<Said, ErrCode> {
    Ok(match message {
        Message::Text(text) => Said::Text { content: text.into() },
        Message::Image(media_id) => {
            call.check_media(media_id.as_str())?;
            Said::Image { media_id: media_id.into() }
        }
        Message::Link(link) => Said::Link {
            title: link.title.into(),
            description: link.description.into(),
            url: link.url.into(),
            thumb_url: link.thumb_url.into(),
        },
        Message::MiniProgramPage(card) => {
            if card.appid.is_some_and(|appid| appid != call.appid) {
                return Err(ErrCode::INVALID_APPID);
            }
            call.check_media(card.thumb_media_id.as_str())?;
            Said::Card {
                title: card.title.into(),
                appid: call.appid.to_string(),
                page_path: card.pagepath.into(),
                thumb_media_id: card.thumb_media_id.into(),
            }
        }
    })
}
