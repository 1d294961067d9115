//! `POST /wxa/media_check_async` (version 2): asks for a verdict on a picture or sound that a customer made for others.
//!
//! The answer is a number; the verdict comes within 30 minutes as the event `wxa_media_check` with the same number
//! ([`Event::MediaCheck`](crate::push::Event::MediaCheck)).
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/sec-center/sec-check/api_mediacheckasync.html>.

use serde::Deserialize;
use serde_json::json;

use super::{
    ErrCode, WebUrl,
    msg_sec_check::{Scene, VERSION},
    read_body,
};
use crate::OpenId;

/// The path below the host.
pub const PATH: &str = "/wxa/media_check_async";

/// How long the verdict may take, in seconds.
pub const VERDICT_WITHIN_S: i64 = 30 * 60;

/// Asks for a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where WeChat downloads it.
    pub media_url: WebUrl,
    /// What it is.
    pub media_type: MediaType,
    /// Where it is shown.
    pub scene: Scene,
    /// Who made it.
    pub openid: OpenId,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// mp3, aac, ac3, wma, flac, vorbis, opus or wav.
    Audio,
    /// jpg, jpeg, png, bmp or the first frame of a gif.
    Image,
}

impl MediaType {
    const fn number(self) -> i64 {
        match self {
            Self::Audio => 1,
            Self::Image => 2,
        }
    }
}

impl Request {
    /// The body.
    pub fn to_json(&self) -> String {
        json!({
            "media_url": self.media_url,
            "media_type": self.media_type.number(),
            "version": VERSION,
            "scene": self.scene.number(),
            "openid": self.openid,
        })
        .to_string()
    }

    /// Reads the body as WeChat does.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn from_json(body: &[u8]) -> Result<Self, ErrCode> {
        #[derive(Deserialize)]
        struct Wire {
            media_url: String,
            media_type: i64,
            version: i64,
            scene: i64,
            openid: String,
        }
        let wire: Wire = read_body(body)?;
        if wire.version != VERSION {
            return Err(ErrCode::INVALID_ARGS);
        }
        let mut types = [MediaType::Audio, MediaType::Image].into_iter();
        let media_type = types.find(|known| known.number() == wire.media_type).ok_or(ErrCode::INVALID_MEDIA_TYPE)?;
        Ok(Self {
            media_url: WebUrl::parse(wire.media_url).map_err(|_| ErrCode::INVALID_ARGS)?,
            media_type,
            scene: Scene::from_number(wire.scene)?,
            openid: OpenId::parse(wire.openid).map_err(|_| ErrCode::INVALID_OPENID)?,
        })
    }
}

/// The check was begun.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Response {
    /// Names the check; the event has the same.
    pub trace_id: String,
}

impl Response {
    /// Writes the answer.
    pub fn to_json(&self) -> String {
        json!({ "errcode": 0, "errmsg": "ok", "trace_id": self.trace_id }).to_string()
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_MEDIA_TYPE,
    ErrCode::INVALID_SCENE,
    ErrCode::OPENID_OF_OTHER_APP,
    ErrCode::MINUTE_FREQUENCE,
    ErrCode::DAILY_QUOTA,
    ErrCode::DATA_FORMAT,
    ErrCode::NO_RECENT_VISIT,
    ErrCode::REPEATED_CHECK,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for media_type in [MediaType::Audio, MediaType::Image] {
            let media_url = WebUrl::parse("https://shop.example.com/a.png?b=1").unwrap();
            let openid = OpenId::parse("o1").unwrap();
            let request = Request { media_url, media_type, scene: Scene::Forum, openid };
            assert_eq!(Request::from_json(request.to_json().as_bytes()), Ok(request));
        }
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        let body = |url: &str, media_type: i64, scene: i64| json!({ "media_url": url, "media_type": media_type, "version": 2, "scene": scene, "openid": "o1" });
        for (body, code) in [
            (json!({}), ErrCode::DATA_FORMAT),
            (body("file:///etc/passwd", 2, 1), ErrCode::INVALID_ARGS),
            (body("https://a/b", 3, 1), ErrCode::INVALID_MEDIA_TYPE),
            (body("https://a/b", 2, 0), ErrCode::INVALID_SCENE),
        ] {
            assert_eq!(Request::from_json(body.to_string().as_bytes()), Err(code), "{body}");
        }
    }
}
