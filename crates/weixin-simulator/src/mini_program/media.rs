//! `POST /cgi-bin/media/upload` and `GET /cgi-bin/media/get`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_uploadtempmedia.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_getmedia.html>.

use weixin::mini_program::{
    ErrCode, MediaId,
    media_upload::{Request, Response},
};

use super::{Call, Refusal};
use crate::answer::Answer;

pub(super) fn upload(call: Call<'_>) -> Result<Answer, Refusal> {
    let Call { world, now, request, appid } = call;
    let picture = Request::read(request.query("type"), request.header("content-type"), &request.body)?;
    let media_id = world.media.store(world.seed(), now, &appid, picture.into_bytes());
    let media_id = MediaId::parse(media_id).map_err(|_| ErrCode::BUSY)?;
    Ok(Answer::json(Response { media_id, created_at_s: now.as_second() }.to_json()))
}

pub(super) fn get(call: Call<'_>) -> Result<Answer, Refusal> {
    let media_id = call.request.query("media_id").ok_or(ErrCode::MEDIA_ID_MISSING)?;
    let media = call.world.media.get(call.now, call.appid.as_str(), media_id)?;
    let mut answer = Answer::new(200, media.content_type(), media.bytes.clone());
    let name = format!("attachment; filename=\"{media_id}.{}\"", media.extension());
    answer.headers.push(("content-disposition", name));
    Ok(answer)
}
