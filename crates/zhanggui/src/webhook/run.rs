//! Sends what is due. Each endpoint has a few places of its own on every node, so nobody waits for somebody else's slow
//! endpoint; a claim has a lease and a fencing number, so a node that dies leaves nothing unsent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    call::{Answer, Failure, Letter},
    signature::sign,
    state::{self, BLOCKED_AFTER, Effect, Next, Outcome},
    store::{self, Attempted, Claim},
};
use crate::{
    app::App,
    attention::{self, Reason},
    background::Background,
    clock::{from_ms, ms, random},
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    http::chain,
};

/// How many events are on their way to one endpoint at once, from this node.
const PLACES: i64 = 16;

/// How many tries use the database at once, however many endpoints there are: the rest of its queue is for customers. Nobody
/// keeps one of these while an endpoint is called.
const AT_DATABASE: usize = 64;

/// How long a claim holds. Longer than the longest call.
const LEASE: SignedDuration = SignedDuration::from_mins(2);

/// How often the tables are looked at when nothing was written on this node.
const TICK: Duration = Duration::from_secs(1);

/// Sends in the background.
pub fn start(app: Arc<App>) -> Background {
    Background::start(|stop| async move {
        let mut runner = Runner::new(Arc::clone(&app));
        loop {
            // Before the look, or an event between look and wait would be seen a tick later.
            let written = app.event_wake.notified();
            if let Err(error) = runner.launch().await {
                tracing::error!(error.cause = chain(&error), "webhooks could not be claimed");
            }
            tokio::select! {
                () = written => {}
                () = app.webhook_wake.notified() => {}
                Some(ended) = runner.sending.join_next_with_id() => runner.ended(ended),
                () = tokio::time::sleep(TICK) => {}
                () = stop.cancelled() => break,
            }
            while let Some(ended) = runner.sending.try_join_next_with_id() {
                runner.ended(ended);
            }
        }
        runner.wait().await;
    })
}

/// Sends everything that is due now and gives the number of tries.
///
/// # Errors
/// The database fails.
pub async fn run_due(app: &Arc<App>) -> Result<usize, DatabaseError> {
    let mut runner = Runner::new(Arc::clone(app));
    let mut tries = 0;
    loop {
        let launched = runner.launch().await?;
        tries += launched;
        if launched == 0 {
            return Ok(tries);
        }
        runner.wait().await;
    }
}

type Ended = Result<(tokio::task::Id, Result<(), DatabaseError>), tokio::task::JoinError>;

struct Runner {
    app: Arc<App>,
    at_database: Arc<Semaphore>,
    sending: JoinSet<Result<(), DatabaseError>>,
    /// The endpoint of each task.
    endpoint_of: HashMap<tokio::task::Id, String>,
    /// How many tasks each endpoint has.
    busy: HashMap<String, i64>,
}

impl Runner {
    fn new(app: Arc<App>) -> Self {
        let at_database = Arc::new(Semaphore::new(AT_DATABASE));
        Self { app, at_database, sending: JoinSet::new(), endpoint_of: HashMap::new(), busy: HashMap::new() }
    }

    /// Starts what can be started and gives the number.
    async fn launch(&mut self) -> Result<usize, DatabaseError> {
        loop {
            let now_ms = ms(self.app.now());
            let look = self.app.database.read(move |tx| store::look(tx, now_ms)).await?;
            let places = self.places(look.ready);
            if !look.has_events && places.is_empty() {
                return Ok(0);
            }
            let seal = Arc::clone(&self.app.seal);
            let claims = self.app.database.write(move |tx| {
                if look.has_events {
                    store::derive(tx, now_ms)?;
                }
                crash::point(Point::WebhookBeforeClaim);
                store::claim(tx, &seal, now_ms, LEASE.as_millis() as i64, &places)
            });
            let claims = claims.await?;
            let launched = claims.len();
            if launched > 0 {
                crash::point(Point::WebhookClaimed);
            }
            claims.into_iter().for_each(|claim| self.send(claim));
            // After events became deliveries, endpoints may be ready that were not before.
            if launched > 0 || !look.has_events {
                return Ok(launched);
            }
        }
    }

    /// The places that endpoints have left.
    fn places(&self, ready: Vec<String>) -> HashMap<String, i64> {
        let left = |endpoint: &String| PLACES - self.busy.get(endpoint).copied().unwrap_or_default();
        ready
            .into_iter()
            .map(|endpoint| (left(&endpoint), endpoint))
            .filter(|(left, _)| *left > 0)
            .map(|(left, endpoint)| (endpoint, left))
            .collect()
    }

    fn send(&mut self, claim: Claim) {
        let (app, at_database) = (Arc::clone(&self.app), Arc::clone(&self.at_database));
        let endpoint = claim.endpoint_id.clone();
        *self.busy.entry(endpoint.clone()).or_default() += 1;
        let task = self.sending.spawn(async move { attempt(&app, &at_database, claim).await });
        self.endpoint_of.insert(task.id(), endpoint);
    }

    fn ended(&mut self, ended: Ended) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        match ended {
            Ok((_, Ok(()))) => {}
            // The lease ends, and the delivery is tried again.
            Ok((_, Err(error))) => tracing::error!(error.cause = chain(&error), "a try could not be written down"),
            Err(panic) => tracing::error!(error.cause = %panic, "a try panicked"),
        }
        let Some(endpoint) = self.endpoint_of.remove(&id) else { return };
        if let Some(busy) = self.busy.get_mut(&endpoint) {
            *busy -= 1;
        }
        self.busy.retain(|_, busy| *busy > 0);
    }

    /// Lets everything end that was started.
    async fn wait(&mut self) {
        while let Some(ended) = self.sending.join_next_with_id().await {
            self.ended(ended);
        }
    }
}

/// One try: read the event, send it, write down what came of it.
async fn attempt(app: &Arc<App>, at_database: &Semaphore, claim: Claim) -> Result<(), DatabaseError> {
    let place = at_database.acquire().await;
    let body = body(app, claim.position).await?;
    drop(place);
    let started = app.now();
    let answer = match body {
        Some(body) => {
            let (id, timestamp_s) = (claim.event_id.clone(), started.as_second());
            let signature = sign(&claim.secrets, &id, timestamp_s, &body);
            app.webhooks.post(&claim.url, Letter { id, timestamp_s, signature, body }, started).await
        }
        None => Err(Failure::EventUnreadable),
    };
    crash::point(Point::WebhookAfterAnswer);
    let ended = app.now();
    let verdict = state::after(claim.failures, outcome(&answer), ended, u64::from_be_bytes(random(&app.entropy)));
    tracing::debug!(
        webhook.id = claim.endpoint_id,
        event.id = claim.event_id,
        http.status = answer.as_ref().ok().map(|answer| answer.status),
        webhook.failure = answer.as_ref().err().map(|failure| failure.as_str()),
        webhook.attempts = claim.attempts,
        "an event was sent"
    );
    let attempted = Attempted {
        started,
        ended,
        http_status: answer.as_ref().ok().map(|answer| answer.status),
        failure: answer.as_ref().err().map(|failure| failure.as_str()),
        answer: answer.ok().map(|answer| answer.start),
    };
    let writing = Arc::clone(app);
    let _place = at_database.acquire().await;
    app.database
        .write(move |tx| match store::finish(tx, &writing.seal, &claim, &attempted, verdict)? {
            Some(followed) => tell_a_person(tx, &writing, &claim, ended, followed),
            None => Ok(()),
        })
        .await
}

/// The event as the API shows it; `None` if it cannot be read any more.
async fn body(app: &Arc<App>, position: i64) -> Result<Option<Bytes>, DatabaseError> {
    let reading = Arc::clone(app);
    match app.database.read(move |tx| event::at(tx, &reading, position)).await {
        // Texts, numbers and JSON can always be written.
        Ok(event) => Ok(event.map(|event| serde_json::to_vec(&event).unwrap_or_default().into())),
        Err(DatabaseError::Row { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn outcome(answer: &Result<Answer, Failure>) -> Outcome {
    match answer {
        Ok(Answer { status: 200..=299, .. }) => Outcome::Taken,
        Ok(Answer { status: 410, .. }) => Outcome::Gone,
        Ok(answer) => Outcome::Failed { retry_after: answer.retry_after },
        Err(_) => Outcome::Failed { retry_after: None },
    }
}

fn tell_a_person(
    tx: &mut Tx,
    app: &App,
    claim: &Claim,
    now: Timestamp,
    followed: (Next, Effect),
) -> Result<(), DatabaseError> {
    let id = claim.endpoint_id.as_str();
    let waits_long = now.duration_since(from_ms(claim.event_ms)) >= BLOCKED_AFTER;
    let (reason, detail) = match followed {
        (_, Effect::Disable) => (Reason::WebhookGone, format!("{id} answered 410 and gets nothing any more.")),
        (Next::Exhausted, _) => {
            (Reason::WebhookExhausted, format!("{id} did not take {} in three days.", claim.event_id))
        }
        (Next::Again(_), _) if waits_long => {
            (Reason::WebhookBlocked, format!("{id} did not take {}, which is more than an hour old.", claim.event_id))
        }
        _ => return Ok(()),
    };
    attention::raise_again(tx, app, now, id, reason, &detail)
}
