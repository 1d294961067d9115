//! What went over the wire, in both directions, without secrets.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

/// How many exchanges are kept.
pub const EXCHANGES_KEPT: usize = 2_000;

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Counts from 1, in the order of the answers.
    pub sequence: u64,
    /// Simulated time of the request.
    pub at: Timestamp,
    /// Who asked.
    pub direction: Direction,
    /// The HTTP method.
    pub method: String,
    /// The path with its query; of notifications the whole address.
    pub path: String,
    /// The headers that say something about the message.
    pub headers: Vec<(String, String)>,
    /// The body of the request.
    pub request: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The body of the answer.
    pub answer: String,
    /// The headers of the answer that say something about it: `Request-ID` and the signature of API v3.
    pub answer_headers: Vec<(String, String)>,
    /// What the simulator was told to do wrong here, or why there was no answer.
    pub note: Option<String>,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called WeChat.
    ToWechat,
    /// WeChat notified somebody.
    FromWechat,
}

/// The log: a ring, and a number that followers can wait for.
pub(crate) struct WireLog {
    ring: Mutex<VecDeque<Exchange>>,
    newest: watch::Sender<u64>,
}

impl Default for WireLog {
    fn default() -> Self {
        Self { ring: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl WireLog {
    /// Keeps an exchange, with its number and without its secrets.
    pub(crate) fn record(&self, mut exchange: Exchange) {
        exchange.path = redact(&exchange.path);
        exchange.request = redact(&exchange.request);
        exchange.answer = redact(&exchange.answer);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = *self.newest.borrow() + 1;
        exchange.sequence = sequence;
        if ring.len() == EXCHANGES_KEPT {
            ring.pop_front();
        }
        ring.push_back(exchange);
        self.newest.send_replace(sequence);
    }

    /// The exchanges with greater numbers that are still kept.
    pub(crate) fn since(&self, sequence: u64) -> Vec<Exchange> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let from = ring.partition_point(|exchange| exchange.sequence <= sequence);
        ring.range(from..).cloned().collect()
    }

    /// Changes with every new exchange, to its number.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// Names whose values are secrets, in queries and in JSON.
const SECRET_NAMES: [&str; 3] = ["secret", "access_token", "session_key"];
const REDACTED: &str = "[redacted]";

/// Takes the secrets out of a path or body.
pub(crate) fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for name in SECRET_NAMES {
        text = redact_between(&text, &format!("{name}="), |byte| byte == b'&');
        // JSON with or without a blank after the colon.
        for colon in ["\":\"", "\": \""] {
            text = redact_between(&text, &format!("\"{name}{colon}"), |byte| byte == b'"');
        }
    }
    text
}

/// Replaces what stands between every occurrence of `start` and the next end.
fn redact_between(text: &str, start: &str, is_end: impl Fn(u8) -> bool) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(index) = rest.find(start) {
        let (before, value) = rest.split_at(index + start.len());
        redacted.push_str(before);
        redacted.push_str(REDACTED);
        // An end is ASCII, so the cut is between characters.
        rest = &value[value.bytes().position(&is_end).unwrap_or(value.len())..];
    }
    redacted.push_str(rest);
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_the_log() {
        let query = "/sns/jscode2session?appid=wx1&secret=hidden&js_code=0abc&grant_type=a";
        assert_eq!(redact(query), "/sns/jscode2session?appid=wx1&secret=[redacted]&js_code=0abc&grant_type=a");
        let json = r#"{"access_token":"hidden","expires_in":7200,"session_key": "hidden","secret":"hidden"}"#;
        assert!(!redact(json).contains("hidden"));
        assert!(redact(json).contains("7200"));
    }
}
