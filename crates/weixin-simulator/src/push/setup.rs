//! The setting of message push in the console: address, keys, mode and format. Saving it asks the address a question.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use weixin::{
    AppId, EncodingAesKey, FieldError, PushToken,
    push::{Format, Mode, Query, Receiver, signature},
};

use super::PUSH_TIMEOUT_S;
use crate::{
    Shared,
    login::UnknownApp,
    options::{DEMO_ENCODING_AES_KEY, DEMO_PUSH_TOKEN, constant},
    pay::{is_loopback, reason},
    wire::{Direction, Exchange},
};

/// The setting of message push of one app. Changes act at once.
#[derive(Clone, Debug)]
pub struct PushSetup {
    /// Where to push. Only addresses on this machine are called.
    pub url: String,
    /// The Token.
    pub token: PushToken,
    /// The EncodingAESKey. Only the plain mode works without.
    pub aes_key: Option<EncodingAesKey>,
    /// How pushes are protected.
    pub mode: Mode,
    /// In which form pushes and answers are written.
    pub format: Format,
    /// Whether it is switched on. Off: customers' messages go to WeChat's own agents, and events to nobody.
    pub enabled: bool,
}

impl PushSetup {
    /// The fake keys of the demonstration, secure mode, XML, switched on.
    pub fn demo(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: constant(PushToken::parse(DEMO_PUSH_TOKEN)),
            aes_key: Some(constant(EncodingAesKey::parse(DEMO_ENCODING_AES_KEY))),
            mode: Mode::Secure,
            format: Format::Xml,
            enabled: true,
        }
    }

    /// Another mode.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Another format.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// What WeChat and the server have agreed on.
    pub(super) fn receiver(&self, appid: &AppId) -> Receiver {
        Receiver {
            appid: appid.clone(),
            mode: self.mode,
            tokens: vec![self.token.clone()],
            aes_keys: self.aes_key.iter().cloned().collect(),
        }
    }

    fn check(&self) -> Result<(), PushSetupError> {
        if !is_loopback(&self.url) {
            return Err(PushSetupError::NotLoopback(self.url.clone()));
        }
        if self.aes_key.is_none() && self.mode != Mode::Plain {
            return Err(PushSetupError::NoAesKey);
        }
        Ok(())
    }
}

/// Puts the parameters behind an address, which may have some of its own.
pub(super) fn address(url: &str, query: &Query) -> String {
    let between = if url.contains('?') { '&' } else { '?' };
    format!("{url}{between}{}", query.to_query_string())
}

/// Saves the setting. If it is switched on, the address is asked first, and nothing changes unless it answers well.
pub(crate) async fn set_push(shared: &Shared, appid: &AppId, setup: PushSetup) -> Result<(), PushSetupError> {
    if !shared.world().apps.contains_key(appid.as_str()) {
        return Err(UnknownApp(appid.clone()).into());
    }
    if setup.enabled {
        setup.check()?;
        ask(shared, appid, &setup).await?;
    }
    let mut world = shared.world();
    if let Some(app) = world.apps.get_mut(appid.as_str()) {
        app.push = Some(setup);
    }
    world.give_up_pushes_without_address();
    drop(world);
    shared.changed();
    shared.push_work.notify_one();
    Ok(())
}

/// The question for the address: `GET` with `echostr`, in clear text in every mode.
async fn ask(shared: &Shared, appid: &AppId, setup: &PushSetup) -> Result<(), PushSetupError> {
    let (at, seed) = {
        let world = shared.world();
        (shared.time(&world), world.seed())
    };
    let counter = at.as_millisecond().unsigned_abs();
    let (timestamp, nonce) = (at.as_second().to_string(), seed.digits("push question", appid.as_str(), counter, 9));
    let echostr = seed.digits("echostr", appid.as_str(), counter, 19);
    let query = Query {
        signature: Some(signature(&[setup.token.expose(), &timestamp, &nonce])),
        timestamp: Some(timestamp),
        nonce: Some(nonce),
        echostr: Some(echostr.clone()),
        ..Query::default()
    };
    let url = address(&setup.url, &query);
    let answer = match Url::parse(&url) {
        Ok(url) => shared.mailer.send(shared.mailer.client().get(url)).await.map_err(|error| reason(&error)),
        Err(error) => Err(error.to_string()),
    };
    let result = match &answer {
        Err(reason) => Err(PushSetupError::NoAnswer { url: setup.url.clone(), reason: reason.clone() }),
        Ok((200, body)) if *body == echostr.as_bytes() => Ok(()),
        Ok((200, body)) => Err(PushSetupError::OtherBody {
            expected: echostr,
            got: String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]).into_owned(),
        }),
        Ok((status, _)) => Err(PushSetupError::Status(*status)),
    };
    let (status, answer) = answer.map_or((None, Vec::new()), |(status, body)| (Some(status), body));
    shared.wire.record(Exchange {
        sequence: 0,
        at,
        direction: Direction::FromWechat,
        method: "GET".to_owned(),
        path: url,
        headers: Vec::new(),
        request: String::new(),
        status,
        answer: String::from_utf8_lossy(&answer).into_owned(),
        answer_headers: Vec::new(),
        note: result.as_ref().err().map(ToString::to_string),
    });
    result
}

/// So many bytes of a wrong answer are shown.
const SHOWN_BYTES_MAX: usize = 200;

/// Why the setting was not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushSetupError {
    /// There is no such app.
    #[error(transparent)]
    UnknownApp(#[from] UnknownApp),
    /// The address is not on this machine.
    #[error("{0} is not on this machine; the simulator calls nobody beyond 127.0.0.1, [::1] and localhost")]
    NotLoopback(String),
    /// A sealed mode without EncodingAESKey.
    #[error("the compatible and the secure mode need an EncodingAESKey")]
    NoAesKey,
    /// Nobody answered.
    #[error("{url} did not answer the question for the address within {PUSH_TIMEOUT_S} s: {reason}")]
    NoAnswer {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Another status than 200.
    #[error("the question for the address was answered with status {0} instead of 200; is the Token the same?")]
    Status(u16),
    /// Another body than `echostr`.
    #[error("the question for the address must be answered with exactly {expected:?}, not with {got:?}")]
    OtherBody {
        /// The `echostr`.
        expected: String,
        /// What came, or its beginning.
        got: String,
    },
}

/// The setting in the state file and in the control API. What is left out is as in the demonstration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushSetupFile {
    url: String,
    token: Option<String>,
    encoding_aes_key: Option<String>,
    mode: Option<String>,
    format: Option<String>,
    enabled: Option<bool>,
}

impl TryFrom<PushSetupFile> for PushSetup {
    type Error = FieldError;

    fn try_from(file: PushSetupFile) -> Result<Self, FieldError> {
        let demo = Self::demo(&file.url);
        let word = |field, rule| FieldError { field, rule };
        let mode = file.mode.map_or(Some(demo.mode), |mode| Mode::from_word(&mode));
        let format = file.format.map_or(Some(demo.format), |format| Format::from_word(&format));
        Ok(Self {
            token: file.token.map_or(Ok(demo.token), PushToken::parse)?,
            aes_key: file.encoding_aes_key.map_or(Ok(demo.aes_key), |key| EncodingAesKey::parse(key).map(Some))?,
            mode: mode.ok_or_else(|| word("mode", "must be plain, compatible or secure"))?,
            format: format.ok_or_else(|| word("format", "must be xml or json"))?,
            enabled: file.enabled.unwrap_or(demo.enabled),
            url: file.url,
        })
    }
}

impl From<&PushSetup> for PushSetupFile {
    fn from(setup: &PushSetup) -> Self {
        Self {
            url: setup.url.clone(),
            token: Some(setup.token.expose().to_owned()),
            encoding_aes_key: setup.aes_key.as_ref().map(|key| key.expose().to_owned()),
            mode: Some(setup.mode.as_str().to_owned()),
            format: Some(setup.format.as_str().to_owned()),
            enabled: Some(setup.enabled),
        }
    }
}

pub(crate) fn expose_push<S: serde::Serializer>(setup: &Option<PushSetup>, serializer: S) -> Result<S::Ok, S::Error> {
    setup.as_ref().map(PushSetupFile::from).serialize(serializer)
}

pub(crate) fn read_push<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PushSetup>, D::Error> {
    let file = Option::<PushSetupFile>::deserialize(deserializer)?;
    file.map(PushSetup::try_from).transpose().map_err(serde::de::Error::custom)
}
