//! The keys of WeChat Pay that a merchant trusts, and when platform certificates are downloaded.
//!
//! A configured public key and downloaded certificates stand side by side: during the change-over WeChat signs with
//! either. What is trusted is replaced by a whole set or not at all, and no failure takes anything away. Anybody can
//! send a message that names an unknown certificate, so such messages cause one download in five minutes at most.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012551764> (certificates) and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012153196> (keys).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use weixin::{
    ApiV3Key,
    pay::v3::{
        Certificate, KeyId, SignatureHeaders, TrustedKeys, VerifyError, VerifyingKey,
        certificates::{CertificatesError, GetCertificates, bootstrap},
        read_answer, verify,
    },
};

use crate::{pay_v3::CallErrorV3, transport::Unreadable};

/// How long certificates are not downloaded again because of a message that names an unknown one, in seconds.
const ON_DEMAND_PAUSE_S: i64 = 300;

/// How long a call without any key fails with the last failure instead of downloading again, in seconds. Strangers
/// cannot cause such downloads, so this is shorter.
const FIRST_KEYS_PAUSE_S: i64 = 30;

/// The keys of WeChat Pay that a merchant trusts: a configured public key and downloaded certificates side by side.
pub struct TrustStore {
    public_key: Option<VerifyingKey>,
    /// Never held while anything is awaited.
    current: RwLock<Arc<TrustedKeys>>,
    /// Held while certificates are downloaded: one download at a time.
    pub(crate) downloads: Arc<tokio::sync::Mutex<Downloads>>,
    /// When somebody was last told that a public key is missing.
    warned_at: Mutex<Option<Timestamp>>,
}

impl TrustStore {
    /// Trusts this public key from the start; without one, platform certificates only.
    pub fn new(public_key: Option<VerifyingKey>) -> Self {
        let keys = public_key.iter().cloned().collect();
        Self {
            public_key,
            current: RwLock::new(Arc::new(keys)),
            downloads: Arc::default(),
            warned_at: Mutex::default(),
        }
    }

    /// What is trusted now.
    pub fn current(&self) -> Arc<TrustedKeys> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What requests carry as `Wechatpay-Serial`, so that answers are signed with this key: the public key, if one is
    /// configured. Without the header WeChat signs with a platform certificate.
    pub fn answer_key(&self) -> Option<KeyId> {
        let id = self.public_key.as_ref().map(VerifyingKey::id);
        id.filter(|id| matches!(id, KeyId::PublicKey(_))).cloned()
    }

    /// Reads downloaded certificates. Signed by a known key, or by one of the certificates themselves: they are sealed
    /// with the APIv3 key, which nobody else has, and this is how the first one comes.
    pub(crate) fn read(
        &self,
        headers: &SignatureHeaders,
        body: &[u8],
        key: &ApiV3Key,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, CallErrorV3> {
        let certificates = match verify(headers, body, &self.current(), now) {
            Ok(verified) => {
                let answer = read_answer::<GetCertificates>(verified).map_err(Unreadable::V3)?;
                answer.open(key).map_err(Unreadable::Certificates)?
            }
            Err(VerifyError::UnknownKey { .. }) => match bootstrap(headers, body, key, now) {
                Ok((_, certificates)) => certificates,
                Err(CertificatesError::NotVerified(error)) => return Err(CallErrorV3::NotAuthentic(error)),
                Err(error) => return Err(Unreadable::Certificates(error).into()),
            },
            Err(error) => return Err(CallErrorV3::NotAuthentic(error)),
        };
        let good = |certificate: &Certificate| certificate.not_before <= now && now < certificate.not_after;
        let certificates: Vec<_> = certificates.into_iter().filter(good).collect();
        if certificates.is_empty() { Err(Unreadable::NoCertificate.into()) } else { Ok(certificates) }
    }

    /// Trusts these certificates from now on, beside the public key, and no older ones.
    pub(crate) fn replace(&self, certificates: Vec<Certificate>) {
        let keys = certificates.into_iter().map(|certificate| certificate.key).chain(self.public_key.clone());
        let keys = Arc::new(keys.collect());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whether to say aloud, now, that a message names a public key that is not configured. Strangers can name one,
    /// too, so it is not said each time.
    pub(crate) fn may_warn(&self, now: Timestamp) -> bool {
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = warned_at.is_some_and(|warned_at| is_within(warned_at, now, ON_DEMAND_PAUSE_S));
        if !silent {
            *warned_at = Some(now);
        }
        !silent
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current().ids()).finish()
    }
}

/// Why certificates are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// It is time: the last good answer is as old as this.
    Scheduled(SignedDuration),
    /// A call cannot be made, because there is nothing to verify its answer with.
    FirstKeys,
    /// A message names a certificate that is not known. A merchant who is known to have none is left alone until a scheduled
    /// download says otherwise.
    Unknown,
}

/// What is known of downloads.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    /// When WeChat was asked last, whatever came of it.
    asked_at: Option<Timestamp>,
    /// The last good answer, and when it came.
    known: Option<(Timestamp, Known)>,
    /// The last question, if it failed.
    failure: Option<CallErrorV3>,
    /// Tells the nonces of questions in the same moment apart.
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Certificates,
    /// The merchant has none and needs none.
    None,
}

impl Downloads {
    /// What to say without asking WeChat; `None` if it has to be asked.
    pub(crate) fn without_asking(
        &self,
        wish: &Wish,
        current: &TrustedKeys,
        now: Timestamp,
    ) -> Option<Result<Refreshed, CallErrorV3>> {
        let asked_within = |pause_s| self.asked_at.is_some_and(|asked_at| is_within(asked_at, now, pause_s));
        match wish {
            Wish::Scheduled(max_age) => match self.known {
                Some((at, known)) if is_within(at, now, max_age.as_secs()) => Some(Ok(match known {
                    Known::Certificates => Refreshed::Fresh,
                    Known::None => Refreshed::NoCertificates,
                })),
                _ => None,
            },
            Wish::FirstKeys if !current.is_empty() => Some(Ok(Refreshed::Fresh)),
            Wish::FirstKeys => self.failure.clone().filter(|_| asked_within(FIRST_KEYS_PAUSE_S)).map(Err),
            // Whoever waited for somebody else's download comes here, too, and sees its certificates afterwards.
            Wish::Unknown => {
                let has_none = matches!(self.known, Some((_, Known::None)));
                (has_none || asked_within(ON_DEMAND_PAUSE_S)).then_some(Ok(Refreshed::Fresh))
            }
        }
    }

    /// WeChat is going to be asked. Gives a number that no other question of this moment has.
    pub(crate) fn begin(&mut self, now: Timestamp) -> u64 {
        self.asked_at = Some(now);
        self.count += 1;
        self.count
    }

    /// WeChat has been asked.
    pub(crate) fn end(&mut self, now: Timestamp, result: &Result<Refreshed, CallErrorV3>) {
        match result {
            Ok(Refreshed::NoCertificates) => self.known = Some((now, Known::None)),
            Ok(_) => self.known = Some((now, Known::Certificates)),
            Err(_) => {}
        }
        self.failure = result.as_ref().err().cloned();
    }
}

/// Whether less time than this has gone by. A clock that was set back ends every pause.
fn is_within(since: Timestamp, now: Timestamp, seconds: i64) -> bool {
    (0..seconds).contains(&now.duration_since(since).as_secs())
}

/// What became of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// What is there is young enough. WeChat was not asked.
    Fresh,
    /// The certificates in use are now those that WeChat gave.
    Replaced {
        /// How many are good today: one, or two during a rotation.
        certificates: usize,
    },
    /// WeChat has no certificates for this merchant, who uses the public key: normal. Possibly remembered.
    NoCertificates,
}
