//! Events as `text/event-stream`: each with its id, so that a client that comes back says where it was.
//!
//! A task for each stream reads the table when something was written on this node, and every second for what other nodes
//! wrote. A client that reads slowly holds up nobody but itself. Each look begins with the key: a stream whose key was
//! revoked or has ended is over.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::{BEGINNING, Event, store, store::Filter};
use crate::{
    api_key::{self, ApiKey},
    app::App,
    database::DatabaseError,
    http::{Code, Problem, chain},
};

/// How many streams a node keeps open.
pub const STREAMS_MAX: usize = 256;

/// How often the table is looked at when nothing was written on this node.
const TICK: Duration = Duration::from_secs(1);

/// After so many ticks without an event a comment shows that the connection lives; proxies end silent ones.
const SILENT_TICKS_MAX: u32 = 15;

/// How long a client may leave what was sent unread: its key may end meanwhile, and others want its place.
const STALLED_MAX: Duration = Duration::from_secs(30);

/// So many events are read at once.
const BATCH: i64 = 100;

/// Streams what comes after the position, as long as the key works.
pub(super) fn start(app: &Arc<App>, key: ApiKey, position: i64, filter: Filter) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(&app.event_streams).try_acquire_owned() else {
        return Err(Problem::new(Code::Overloaded, "Too many streams are open; close some, or list events instead."));
    };
    let (sender, body) = Channel::<Bytes>::new(1);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let stream = Stream { app, key, position, filter, sender };
        if let Err(error) = stream.run().await {
            // The client comes back with the id of its last event.
            tracing::warn!(error.cause = chain(&error), "a stream of events ended early");
        }
        drop(place);
    });
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx keeps answers back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Stream {
    app: Arc<App>,
    key: ApiKey,
    position: i64,
    filter: Filter,
    sender: Sender<Bytes>,
}

impl Stream {
    async fn run(mut self) -> Result<(), DatabaseError> {
        // A client that comes back before anything has happened begins here again.
        let position = self.position;
        let id = self.app.database.read(move |tx| store::id_at(tx, position)).await?;
        let id = id.as_deref().unwrap_or(BEGINNING);
        if !self.send(Bytes::from(format!(": events\nid: {id}\n\n"))).await {
            return Ok(());
        }
        let app = Arc::clone(&self.app);
        let mut silent_ticks = 0;
        while !app.is_draining() {
            // Before the look, or a write between look and wait would be seen a tick later.
            let written = app.event_wake.notified();
            let Some(events) = self.next().await? else { break };
            if !events.is_empty() {
                silent_ticks = 0;
                for event in events {
                    if !self.send(lines(&event)).await {
                        return Ok(());
                    }
                }
                continue;
            }
            tokio::select! {
                () = written => {}
                () = tokio::time::sleep(TICK) => silent_ticks += 1,
            }
            if silent_ticks == SILENT_TICKS_MAX {
                silent_ticks = 0;
                if !self.send(Bytes::from_static(b":\n\n")).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the client goes on reading. One that does not is cut off, with what it was about to be sent.
    async fn send(&mut self, bytes: Bytes) -> bool {
        matches!(tokio::time::timeout(STALLED_MAX, self.sender.send_data(bytes)).await, Ok(Ok(())))
    }

    /// What comes next; `None` if the key does not work any more.
    async fn next(&mut self) -> Result<Option<Vec<Event>>, DatabaseError> {
        let (app, key_id, position) = (Arc::clone(&self.app), self.key.id.clone(), self.position);
        let (filter, now) = (self.filter.clone(), app.now());
        let read = self.app.database.read(move |tx| {
            let works = api_key::works(tx, &key_id, now)?;
            works.then(|| store::after(tx, &app, position, &filter, BATCH)).transpose()
        });
        let Some(read) = read.await? else { return Ok(None) };
        if let Some((last, _)) = read.last() {
            self.position = *last;
        }
        Ok(Some(read.into_iter().map(|(_, event)| event).collect()))
    }
}

/// One event. JSON has no line breaks outside of texts, where they are escaped.
fn lines(event: &Event) -> Bytes {
    // A struct of texts, numbers and JSON can always be written.
    let data = serde_json::to_string(event).unwrap_or_default();
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.r#type))
}
