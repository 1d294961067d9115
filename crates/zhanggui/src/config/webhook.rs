//! `[webhook]`: how events are sent to the merchant's own systems.

use std::time::Duration;

use reqwest::Certificate;

use super::reader::Reader;
use crate::{database::Realm, network::Network, webhook::Reach};

/// How events are sent.
#[derive(Clone)]
pub struct Webhook {
    /// Whom the server may call.
    pub reach: Reach,
    /// How long an endpoint may take to answer.
    pub timeout: Duration,
    /// Certificate authorities beside the public ones.
    pub extra_ca: Vec<Certificate>,
}

pub(super) fn read(reader: &mut Reader<'_>, realm: Realm) -> Option<Webhook> {
    let mut section = reader.section("webhook");
    let timeout_s = section.number_or(reader, "timeout_s", 15, 1..=30);
    let internal = section.text_or(reader, "internal_networks", "").and_then(|text| {
        let networks = Network::parse_list(&text.value).map_err(|error| format!("must be networks: {error}"));
        reader.check(&text, networks)
    });
    let extra_ca = match section.optional_text_file(reader, "ca_file") {
        None => Some(Vec::new()),
        Some(text) => {
            let authorities = Certificate::from_pem_bundle(text.value.as_bytes()).ok().filter(|list| !list.is_empty());
            reader.check(&text, authorities.ok_or_else(|| "has no certificates (PEM)".to_owned()))
        }
    };
    section.end(reader);
    let timeout = Duration::from_secs(timeout_s?.unsigned_abs());
    Some(Webhook { reach: Reach::new(realm, internal?), timeout, extra_ca: extra_ca? })
}
