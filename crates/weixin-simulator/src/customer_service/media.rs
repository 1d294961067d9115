//! Temporary media: pictures that customers send and that servers upload. Each is kept for three days.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/material.html>.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weixin::{
    AppId,
    mini_program::{ErrCode, media_upload::MEDIA_VALID_S, picture::ImageKind},
};

use crate::{answer::Answer, random::Seed, server::Request, world::World};

/// Where the pictures of customers are served (`PicUrl`, `ThumbUrl`).
pub(crate) const PICTURE_PREFIX: &str = "/mmbiz_pic/";

/// So many bytes of media are kept; the oldest are forgotten before their time.
const BYTES_KEPT: usize = 256 * 1024 * 1024;

/// All media, by their id.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct MediaStore(BTreeMap<String, Media>);

/// A picture, or what somebody took for one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Media {
    appid: AppId,
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub(crate) bytes: Vec<u8>,
    stored_at: Timestamp,
}

impl Media {
    pub(crate) fn content_type(&self) -> &'static str {
        ImageKind::sniff(&self.bytes).map_or("application/octet-stream", ImageKind::content_type)
    }

    /// The end of a file name.
    pub(crate) fn extension(&self) -> &'static str {
        ImageKind::sniff(&self.bytes).map_or("bin", ImageKind::extension)
    }
}

impl MediaStore {
    /// Keeps bytes and gives their id. The same bytes at the same moment are the same media.
    pub(crate) fn store(&mut self, seed: Seed, now: Timestamp, appid: &AppId, bytes: Vec<u8>) -> String {
        self.0.retain(|_, media| media.is_kept(now));
        while self.0.values().map(|media| media.bytes.len()).sum::<usize>() + bytes.len() > BYTES_KEPT {
            let oldest = self.0.iter().min_by_key(|(_, media)| media.stored_at).map(|(media_id, _)| media_id.clone());
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
        }
        let subject = format!("{appid}/{}", hex::encode(digest(&SHA256, &bytes)));
        let media_id = seed.alphanumeric("media_id", &subject, now.as_millisecond().unsigned_abs(), 64);
        self.0.insert(media_id.clone(), Media { appid: appid.clone(), bytes, stored_at: now });
        media_id
    }

    /// Media of the app that are still kept.
    pub(crate) fn get(&self, now: Timestamp, appid: &str, media_id: &str) -> Result<&Media, ErrCode> {
        let media = self.0.get(media_id).filter(|media| media.appid.as_str() == appid && media.is_kept(now));
        media.ok_or(ErrCode::INVALID_MEDIA_ID)
    }
}

impl Media {
    fn is_kept(&self, now: Timestamp) -> bool {
        now.as_second() - self.stored_at.as_second() <= MEDIA_VALID_S
    }
}

/// A picture at its temporary address, for everybody who knows it.
pub(crate) fn picture(world: &World, now: Timestamp, request: &Request) -> Answer {
    let media_id = request.path.strip_prefix(PICTURE_PREFIX).unwrap_or_default();
    match world.media.0.get(media_id).filter(|media| media.is_kept(now)) {
        Some(media) => Answer::new(200, media.content_type(), media.bytes.clone()),
        None => Answer::page(404),
    }
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
