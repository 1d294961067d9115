//! Pictures: those of customers are fetched at once, because WeChat forgets them after three days; ours are uploaded when
//! they are sent.
//!
//! A picture is what its bytes say: JPEG, PNG or GIF, of limited size. Customers' pictures are fetched from WeChat by their
//! number only; the address in a push is never called.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/material.html>.

use std::sync::Arc;

use axum::{
    extract::{Path, State as AppState},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use weixin::{
    AppId,
    mini_program::{
        ErrCode, MediaId,
        media_upload::{IMAGE_SENT_BYTES_MAX, MEDIA_VALID_S, Request},
        picture::Picture as Inspected,
    },
};
use weixin_client::AppCredential;

use super::store;
use crate::{
    api_key::Scope,
    app::App,
    database::{DatabaseError, Tx},
    http::{Caller, Code, Problem, QueryString, chain},
    id,
    idempotency::{Answered, CreatingOfBytes},
    job::Outcome,
};

/// The largest picture that can be sent, in bytes.
pub const PICTURE_BYTES_MAX: usize = IMAGE_SENT_BYTES_MAX;

/// A picture is uploaded again when WeChat will forget it within this time.
const UPLOAD_AGAIN_BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// A picture of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Our id.
    pub id: String,
    /// The app in whose chats it is.
    pub appid: AppId,
    /// Where it stands.
    pub state: State,
    /// Why it is not there.
    pub reason: Option<String>,
    /// What it is.
    pub content_type: Option<String>,
    /// Its bytes, if it is kept.
    pub bytes: Option<Vec<u8>>,
    /// WeChat's number for it, and until when that is good.
    pub media: Option<(String, Timestamp)>,
}

/// Where a picture stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has to be fetched.
    Pending,
    /// It is here.
    Kept,
    /// What came is no picture, or too large.
    Refused,
    /// WeChat does not have it any more.
    Gone,
}

impl State {
    /// The word in API and database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }

    /// Reads the word.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Kept, Self::Refused, Self::Gone].into_iter().find(|state| state.as_str() == word)
    }
}

/// Something else than a picture is believed when it came so often: it may be the page of a gateway.
const NO_PICTURE_ATTEMPTS: i64 = 3;

/// Fetches a customer's picture.
pub async fn run_fetch_job(app: &Arc<App>, picture_id: &str, attempts: i64) -> Outcome {
    match fetch(app, picture_id, attempts).await {
        Ok(None) => Outcome::Done,
        Ok(Some(why)) => Outcome::Retry(why),
        Err(error) => Outcome::retry(&error),
    }
}

/// Gives why it has to be tried again.
async fn fetch(app: &Arc<App>, picture_id: &str, attempts: i64) -> Result<Option<String>, DatabaseError> {
    let Some(picture) = find(app, picture_id).await? else { return Ok(None) };
    let (State::Pending, Some((media_id, until))) = (picture.state, &picture.media) else { return Ok(None) };
    let lose = |state: State, reason: String| {
        let id = picture_id.to_owned();
        app.database.write(move |tx| store::picture::lose(tx, &id, state, &reason))
    };
    let Some(credential) = app.app_credential(&picture.appid) else {
        return lose(State::Gone, "the app is not configured".to_owned()).await.map(|()| None);
    };
    let Ok(media_id) = MediaId::parse(media_id.as_str()) else {
        return lose(State::Gone, "WeChat gave no number for it".to_owned()).await.map(|()| None);
    };
    if app.now() > *until {
        return lose(State::Gone, "WeChat could not be asked for it in time".to_owned()).await.map(|()| None);
    }
    let error = match app.mini_program.media_get(&app.access_tokens, &credential, &media_id).await {
        Ok(bytes) => {
            let content_type = match Inspected::inspect(&bytes) {
                Ok(picture) => picture.kind.content_type(),
                Err(error) if attempts < NO_PICTURE_ATTEMPTS => return Ok(Some(error.to_string())),
                Err(error) => {
                    tracing::warn!(picture.id = picture_id, error.cause = %error, "a customer's picture was refused");
                    return lose(State::Refused, error.to_string()).await.map(|()| None);
                }
            };
            let (keeping, id) = (Arc::clone(app), picture_id.to_owned());
            let keep = move |tx: &mut Tx| store::picture::keep(tx, &keeping, &id, content_type, &bytes);
            return app.database.write(keep).await.map(|()| None);
        }
        Err(error) => error,
    };
    let why = chain(&error);
    if error.errcode() == Some(ErrCode::INVALID_MEDIA_ID) {
        return lose(State::Gone, "WeChat does not have it any more".to_owned()).await.map(|()| None);
    }
    if error.is_too_large() {
        return lose(State::Refused, "it is too large".to_owned()).await.map(|()| None);
    }
    Ok(Some(why))
}

/// Why a picture cannot be sent.
pub(super) enum MediaError {
    /// It may be possible later.
    Later(String),
    /// It never will.
    Never(String),
}

/// WeChat's number for a picture of ours; it is uploaded if WeChat does not have it.
pub(super) async fn media_id(
    app: &Arc<App>,
    credential: &AppCredential,
    picture_id: &str,
) -> Result<MediaId, MediaError> {
    let picture = find(app, picture_id).await.map_err(|error| MediaError::Later(chain(&error)))?;
    let picture = picture.ok_or_else(|| MediaError::Never("the picture is gone".to_owned()))?;
    if let Some((media_id, until)) = &picture.media
        && app.now() + UPLOAD_AGAIN_BEFORE < *until
        && let Ok(media_id) = MediaId::parse(media_id.as_str())
    {
        return Ok(media_id);
    }
    let bytes = picture.bytes.ok_or_else(|| MediaError::Never("the picture is gone".to_owned()))?;
    let request = Request::image(bytes).map_err(|error| MediaError::Never(error.to_string()))?;
    let uploaded = app.mini_program.media_upload(&app.access_tokens, credential, &request, &app.nonce_str()).await;
    let media_id = match uploaded {
        Ok(answer) => answer.media_id,
        Err(error) => {
            let why = chain(&error);
            // A refusal of the picture itself is final; everything else is of the moment.
            return Err(if error.is_refused_for_good() { MediaError::Never(why) } else { MediaError::Later(why) });
        }
    };
    let (id, kept, until) =
        (picture_id.to_owned(), media_id.clone(), app.now() + SignedDuration::from_secs(MEDIA_VALID_S));
    let save = move |tx: &mut Tx| store::picture::uploaded(tx, &id, Some((kept.as_str(), until)));
    app.database.write(save).await.map_err(|error: DatabaseError| MediaError::Later(chain(&error)))?;
    Ok(media_id)
}

async fn find(app: &Arc<App>, picture_id: &str) -> Result<Option<Picture>, DatabaseError> {
    let (reading, id) = (Arc::clone(app), picture_id.to_owned());
    app.database.read(move |tx| store::picture::find(tx, &reading, &id)).await
}

/// In whose chats the picture will be sent.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForApp {
    appid: Option<String>,
}

/// A picture that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Picture)]
pub(super) struct Uploaded {
    id: String,
    content_type: &'static str,
    length_bytes: usize,
}

/// `POST /v1/pictures`: takes a picture that is to be sent. The body is the file.
///
/// # Errors
/// The key lacks the scope, the app is unknown, or the body is no picture that WeChat takes.
pub async fn upload(
    AppState(app): AppState<Arc<App>>,
    QueryString(for_app): QueryString<ForApp>,
    creating: CreatingOfBytes,
) -> Result<Answered, Problem> {
    let CreatingOfBytes { caller, bytes, once } = creating;
    caller.key_with(Scope::Messages)?;
    let mini_program = app.asked_app(for_app.appid.as_deref())?;
    let inspected = Inspected::inspect(&bytes).map_err(|error| {
        Problem::new(Code::PictureInvalid, format!("Send the bytes of a JPEG, PNG or GIF file as the body: {error}."))
    })?;
    let content_type = inspected.kind.content_type();
    let now = app.now();
    let id = id::new(id::Kind::Picture, now, &app.entropy);
    let (writing, appid) = (Arc::clone(&app), mini_program.appid.clone());
    let keep = move |tx: &mut Tx| {
        store::picture::insert_kept(tx, &writing, &id, appid.as_str(), (content_type, bytes.as_ref()), now)?;
        Ok::<_, DatabaseError>(Uploaded { id: id.clone(), content_type, length_bytes: bytes.len() })
    };
    once.write(&app, StatusCode::CREATED, keep).await
}

/// `GET /v1/pictures/{id}`: the picture. Its type is what its bytes say, and a browser is told to run nothing in it.
///
/// # Errors
/// The key lacks the scope, or there is no such picture (yet, or any more).
pub async fn download(
    AppState(app): AppState<Arc<App>>,
    caller: Caller,
    Path(picture_id): Path<String>,
) -> Result<Response, Problem> {
    caller.key_with(Scope::Messages)?;
    let unknown = || Problem::new(Code::PictureNotFound, "Look at the id of the picture.");
    if !id::is(id::Kind::Picture, &picture_id) {
        return Err(unknown());
    }
    let picture = find(&app, &picture_id).await?.ok_or_else(unknown)?;
    let (Some(bytes), Some(content_type)) = (picture.bytes, picture.content_type) else {
        return Err(match picture.state {
            State::Pending => {
                Problem::new(Code::PicturePending, "It is being fetched from WeChat; try again.").retry_after(2)
            }
            _ => {
                let reason = picture.reason.unwrap_or_default();
                Problem::new(Code::PictureGone, format!("It cannot be had: {reason}."))
            }
        });
    };
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &content_type);
    set(header::CONTENT_DISPOSITION, "inline; filename=\"picture\"");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    Ok((headers, bytes).into_response())
}
