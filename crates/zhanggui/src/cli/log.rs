//! The log: JSON lines for machines or text for people, on standard error. `RUST_LOG` chooses what is shown.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::LogFormat;

/// Starts the log of the process. A second call changes nothing.
pub(super) fn start(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let lines = fmt::layer().with_target(false).with_ansi(std::io::stderr().is_terminal());
            registry.with(lines.with_writer(std::io::stderr)).try_init()
        }
    };
    // Another subscriber is there already, for example in a test.
    let _ = started;
}
