//! Forgets what was kept long enough, once an hour on every node: answers to repeated requests,
//! and what webhooks have had.

use std::{sync::Arc, time::Duration};

use crate::{app::App, background::Background, database::DatabaseError, http::chain, idempotency, webhook};

/// How often old things are looked for.
const TICK: Duration = Duration::from_secs(60 * 60);

/// Tidies up in the background.
pub fn start(app: Arc<App>) -> Background {
    Background::start(|stop| async move {
        loop {
            if let Err(error) = tidy(&app).await {
                tracing::warn!(error.cause = chain(&error), "old things could not be forgotten");
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = stop.cancelled() => return,
            }
        }
    })
}

async fn tidy(app: &App) -> Result<(), DatabaseError> {
    let answers = idempotency::forget_old(app).await?;
    let deliveries = webhook::forget_old(app).await?;
    tracing::debug!(answers, deliveries, "old things were forgotten");
    Ok(())
}
