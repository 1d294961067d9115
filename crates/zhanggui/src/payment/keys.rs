//! Keeps the platform certificates of WeChat Pay fresh: at the start and then every hour, for merchants with API v3.
//!
//! WeChat wants them asked for at least every twelve hours. A failure changes nothing: the keys that are known stay.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012551764>.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use weixin_client::Refreshed;

use crate::{app::App, background::Background, http::chain};

/// How often certificates are looked at.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Certificates that were fetched within this time are fresh.
const AGE_MAX: SignedDuration = SignedDuration::from_mins(50);

/// Refreshes keys in the background. A download that is under way when it is stopped is given up; nothing is lost.
pub fn keep_keys_fresh(app: Arc<App>) -> Background {
    Background::start(|stop| async move {
        let forever = async {
            loop {
                refresh(&app).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = forever => {}
            () = stop.cancelled() => {}
        }
    })
}

async fn refresh(app: &App) {
    for (mchid, merchant) in app.merchants_v3() {
        match app.pay_v3.refresh(merchant, AGE_MAX).await {
            Ok(Refreshed::Replaced { certificates }) => {
                tracing::info!(merchant.mchid = mchid.as_str(), certificates, "platform certificates fetched");
            }
            Ok(Refreshed::Fresh | Refreshed::NoCertificates) => {}
            Err(error) => {
                let cause = chain(&error);
                tracing::warn!(
                    merchant.mchid = mchid.as_str(),
                    error.cause = cause,
                    "platform certificates could not be fetched; the known keys stay"
                );
            }
        }
    }
}
