//! Posts a single event exactly as a delivery does, to a program on this machine. For `zhanggui listen`.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    call::{Letter, Sender},
    reach::Reach,
    signature::{Secret, sign},
};
use crate::{clock::Entropy, config, database::Realm};

/// As long as an endpoint may take unless the configuration says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A new secret, as [`Forwarder::new`] takes it.
pub fn new_secret(entropy: &Entropy) -> String {
    Secret::new(entropy).text()
}

/// Signs with a secret that the receiver knows, and posts.
pub struct Forwarder {
    sender: Sender,
    secret: Secret,
}

/// Why there is no forwarder.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderError {
    /// The secret is none of Standard Webhooks.
    #[error("the secret must be whsec_ and base64")]
    Secret,
    /// The connections cannot be prepared.
    #[error("there is no network")]
    Network(#[from] reqwest::Error),
}

impl Forwarder {
    /// A forwarder with this secret (`whsec_…`). It calls this machine and public addresses.
    ///
    /// # Errors
    /// The secret cannot be one, or the connections cannot be prepared.
    pub fn new(secret: &str) -> Result<Self, ForwarderError> {
        let secret = Secret::parse(secret).ok_or(ForwarderError::Secret)?;
        let reach = Reach::new(Realm::Simulated, Vec::new());
        let sender = Sender::new(&config::Webhook { reach, timeout: TIMEOUT, extra_ca: Vec::new() })?;
        Ok(Self { sender, secret })
    }

    /// Posts an event, and gives the status, or why there is none.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, url: &str, event_id: &str, body: Bytes, now: Timestamp) -> Result<u16, String> {
        let (id, timestamp_s) = (event_id.to_owned(), now.as_second());
        let signature = sign(std::slice::from_ref(&self.secret), &id, timestamp_s, &body);
        let answer = self.sender.post(url, Letter { id, timestamp_s, signature, body }, now).await;
        answer.map(|answer| answer.status).map_err(|failure| failure.to_string())
    }
}
