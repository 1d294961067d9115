//! `zhanggui listen --forward-to URL`: posts the events of the running `zhanggui dev` to a program on this machine, as its
//! webhooks post them: one event a request, signed.
//!
//! It reads the stream of `GET /v1/events`, and goes on after a break where it was, also when `dev` was started anew. An
//! event is posted once: what the program did not take is shown, and the server's own webhooks are for what must arrive.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    CliError,
    running_dev::{DevFolder, Loopback, RunningDev},
    serve::interruption,
};
use crate::{clock::system_clock, event, webhook::Forwarder};

/// Arguments of `zhanggui listen`.
#[derive(Debug, clap::Args)]
pub(super) struct ListenArgs {
    /// Where to post events; without it they are only shown
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,
    /// Only these types, such as order.paid,message.received
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    #[command(flatten)]
    dev: DevFolder,
    /// Print one JSON object for each event instead of text
    #[arg(long)]
    json: bool,
}

/// After a break it is tried again so much later, then after twice as long, and so on.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The longest pause between two tries.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// A line of the stream that is longer is no event.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) async fn run(arguments: &ListenArgs) -> Result<(), CliError> {
    let (dev, network) = (arguments.dev.find()?, Loopback::new()?);
    let forwarder = Forwarder::new(&dev.webhook_secret)?;
    let mut listener = Listener { dev, network, forwarder, arguments, last: None };
    let stream = listener.open().await?;
    listener.announce();
    tokio::select! {
        () = interruption() => {}
        () = listener.listen(stream) => {}
    }
    Ok(())
}

struct Listener<'a> {
    dev: RunningDev,
    network: Loopback,
    forwarder: Forwarder,
    arguments: &'a ListenArgs,
    /// The id of the last event that came, or after which the stream began.
    last: Option<String>,
}

impl Listener<'_> {
    fn announce(&self) {
        let secret = &self.dev.webhook_secret;
        match (&self.arguments.forward_to, self.arguments.json) {
            (Some(url), true) => anstream::println!("{}", json!({ "forward_to": url, "secret": secret })),
            (Some(url), false) => anstream::println!(
                "events of {} go to {url}\nthey are signed with {secret} (Standard Webhooks)\nCtrl-C stops.",
                self.dev.server
            ),
            (None, true) => {}
            (None, false) => {
                anstream::println!("events of {}; --forward-to URL posts them\nCtrl-C stops.", self.dev.server)
            }
        }
    }

    /// Reads the stream, and the next one after a break. Never ends by itself.
    async fn listen(&mut self, mut stream: Response) {
        loop {
            self.follow(stream).await;
            anstream::eprintln!("the stream of events ended; waiting for `zhanggui dev`");
            stream = self.reopen().await;
            anstream::eprintln!("events come again, from {}", self.dev.server);
        }
    }

    /// Opens the stream where it broke, as soon as a `dev` runs with the folder again: perhaps at another address.
    async fn reopen(&mut self) -> Response {
        let mut pause = AGAIN_AFTER;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
            let Ok(dev) = self.arguments.dev.find() else { continue };
            let Ok(forwarder) = Forwarder::new(&dev.webhook_secret) else { continue };
            let has_started_over = dev.api_key != self.dev.api_key;
            (self.dev, self.forwarder) = (dev, forwarder);
            if has_started_over {
                // Nobody there knows the event, and the secret is another one. Everything there is new.
                self.last = Some(event::BEGINNING.to_owned());
                self.announce();
            }
            if let Ok(stream) = self.open().await {
                return stream;
            }
        }
    }

    async fn open(&self) -> Result<Response, CliError> {
        let mut url = format!("{}/v1/events", self.dev.server);
        if let Some(types) = &self.arguments.types {
            url.push_str(&format!("?types={types}"));
        }
        let mut request = self.network.request(Method::GET, &url).bearer_auth(&self.dev.api_key);
        request = request.header("accept", "text/event-stream");
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        self.network.answer_of(request, &url).await
    }

    /// Reads the stream until it breaks.
    async fn follow(&mut self, mut stream: Response) {
        let (mut unread, mut id) = (Vec::new(), None);
        while let Ok(Some(chunk)) = stream.chunk().await {
            unread.extend_from_slice(&chunk);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = unread.drain(..=end).collect();
                let event = line.strip_prefix(b"data: ").and_then(|data| serde_json::from_slice::<Value>(data).ok());
                if let Some(event) = event {
                    self.tell(&event).await;
                } else if let Some(text) = line.strip_prefix(b"id: ") {
                    id = Some(String::from_utf8_lossy(text).trim().to_owned());
                } else if line == b"\n" {
                    // The end of an event, which was told, or of the opening.
                    self.last = id.take().or(self.last.take());
                }
            }
            if unread.len() > LINE_BYTES_MAX {
                return;
            }
        }
    }

    async fn tell(&self, event: &Value) {
        let (kind, subject) =
            (event["type"].as_str().unwrap_or_default(), event["subject"].as_str().unwrap_or_default());
        let Some(url) = &self.arguments.forward_to else {
            return match self.arguments.json {
                true => anstream::println!("{event}"),
                false => anstream::println!("{kind}  {subject}"),
            };
        };
        let began = Instant::now();
        let (id, body) = (event["id"].as_str().unwrap_or_default(), Bytes::from(event.to_string()));
        let answer = self.forwarder.post(url, id, body, system_clock()()).await;
        let took_ms = began.elapsed().as_millis();
        let (status, error) = (answer.as_ref().ok(), answer.as_ref().err());
        if self.arguments.json {
            anstream::println!("{}", json!({ "event": event, "status": status, "error": error, "took_ms": took_ms }));
        } else {
            let end = answer.map_or_else(|error| error, |status| status.to_string());
            anstream::println!("{kind}  {subject}  ->  {end}  ({took_ms} ms)");
        }
    }
}
