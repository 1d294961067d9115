//! `Idempotency-Key`: a request that creates something has its effect once, however often it is sent.
//!
//! [`Creating`] is the extractor of every such call ([`CreatingOfBytes`] if its body is a file); [`Once::write`] runs the effect and keeps the answer in one
//! transaction, so there is no moment at which only one of them exists. A repetition gets the same bytes. What was
//! refused had no effect and is not kept: it may be corrected and sent again with the same key.
//!
//! The header is that of <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.

mod request;
mod store;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    app::App,
    clock::ms,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    http::{Code, Problem},
};
pub use request::{Creating, CreatingBare, CreatingOfBytes};

/// How long an answer is kept at least.
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// So many old answers are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 1000;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The right to have an effect once. Without a key from the caller every request is the first.
#[derive(Debug)]
pub struct Once(Option<Keyed>);

/// A request that its caller has named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Keyed {
    caller_id: String,
    key: String,
    /// The hash of method, path and body.
    fingerprint: String,
}

/// The answer to a creating request: of this request, or of the first one with its key.
#[derive(Debug)]
pub struct Answered {
    status: StatusCode,
    body: Bytes,
    is_fresh: bool,
}

impl Answered {
    /// Whether the effect belongs to this request. After a repetition there is nothing to log and nobody to wake.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (self.status, json, self.body).into_response();
        if !self.is_fresh {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl Once {
    /// Runs the effect and keeps its answer, in one transaction; or gives the answer that is kept.
    ///
    /// # Errors
    /// The effect's own, [`Code::IdempotencyKeyUsed`] for another request with the same key, and
    /// [`Code::IdempotencyKeyRunning`] while this node works on the first one.
    pub async fn write<T, E>(
        self,
        app: &Arc<App>,
        status: StatusCode,
        effect: impl Fn(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<Answered, Problem>
    where
        T: Serialize + 'static,
        E: From<DatabaseError> + Into<Problem> + Send + 'static,
    {
        self.write_with_status(app, move |tx| effect(tx).map(|value| (status, value))).await
    }

    /// As [`Once::write`] for an effect that decides on the status of its answer, too.
    ///
    /// # Errors
    /// As [`Once::write`].
    pub async fn write_with_status<T, E>(
        self,
        app: &Arc<App>,
        effect: impl Fn(&mut Tx) -> Result<(StatusCode, T), E> + Send + 'static,
    ) -> Result<Answered, Problem>
    where
        T: Serialize + 'static,
        E: From<DatabaseError> + Into<Problem> + Send + 'static,
    {
        let effect = move |tx: &mut Tx| {
            let (status, value) = effect(tx)?;
            // What the API shows is made of texts, numbers and lists, which can always be written.
            let body = serde_json::to_vec(&value).expect("an answer is JSON");
            Ok(Answered { status, body: body.into(), is_fresh: true })
        };
        let Some(keyed) = self.0 else { return app.database.write(effect).await.map_err(E::into) };
        let _running = app.running.enter(&keyed)?;
        let (now_ms, writing) = (ms(app.now()), Arc::clone(app));
        let effect = move |tx: &mut Tx| {
            if let Some(kept) = store::find(tx, &writing.seal, &keyed)? {
                return kept.ok_or(WriteError::OtherRequest);
            }
            let answered = effect(tx).map_err(WriteError::Effect)?;
            crash::point(Point::IdempotencyBeforeKeep);
            store::keep(tx, &writing.seal, &keyed, &answered, now_ms)?;
            Ok(answered)
        };
        let answered = app.database.write(effect).await;
        crash::point(Point::IdempotencyKept);
        answered.map_err(|error| match error {
            WriteError::Effect(error) => error.into(),
            WriteError::OtherRequest => Problem::new(
                Code::IdempotencyKeyUsed,
                "This Idempotency-Key belongs to a request with another path or body; send a new key.",
            ),
        })
    }
}

enum WriteError<E> {
    OtherRequest,
    Effect(E),
}

impl<E: From<DatabaseError>> From<DatabaseError> for WriteError<E> {
    fn from(error: DatabaseError) -> Self {
        Self::Effect(error.into())
    }
}

/// The named requests that this node works on. Other nodes are kept apart by the database.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashSet<(String, String)>>);

impl Running {
    fn enter(&self, keyed: &Keyed) -> Result<Entered<'_>, Problem> {
        let name = (keyed.caller_id.clone(), keyed.key.clone());
        // A panic while holding this lock leaves the set as it was.
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        is_first.then(|| Entered { running: self, name }).ok_or_else(|| {
            Problem::new(Code::IdempotencyKeyRunning, "The first request with this key is being worked on; ask again.")
                .retry_after(1)
        })
    }
}

struct Entered<'a> {
    running: &'a Running,
    name: (String, String),
}

/// Also when the caller hangs up. What the database was given goes on, and a repetition queues behind it.
impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Forgets answers that were kept long enough, and gives their number.
///
/// # Errors
/// The database fails.
pub async fn forget_old(app: &App) -> Result<u64, DatabaseError> {
    let before_ms = ms(app.now() - KEPT);
    let mut forgotten = 0;
    loop {
        let rows = app.database.write(move |tx| store::forget(tx, before_ms, FORGOTTEN_AT_ONCE)).await?;
        forgotten += rows;
        if rows < FORGOTTEN_AT_ONCE.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}
