//! The command line: `weixin-simulator`, and the same as `zhanggui sim`.

use std::{net::SocketAddr, path::PathBuf};

use serde_json::json;
use weixin::{ApiV2Key, AppId, AppSecret, FieldError, MchId};

use crate::{AppSetup, MerchantSetup, Options, Setup, Simulator, StartError};

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    pub listen: SocketAddr,
    /// Decides all random values
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// A mini program; may be given several times. Without any, one fake app is there
    #[arg(long = "app", value_name = "APPID:SECRET")]
    pub apps: Vec<String>,
    /// A merchant, bound to all apps; may be given several times. Without any, one fake merchant is there
    #[arg(long = "merchant", value_name = "MCHID:KEY")]
    pub merchants: Vec<String>,
    /// Keep the state in this file
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl SimArgs {
    /// The options that the arguments stand for.
    pub fn options(&self) -> Result<Options, RunError> {
        let demo = Setup::demo();
        let merchants = match self.merchants.is_empty() {
            true => demo.merchants,
            false => self.merchants.iter().map(|text| merchant(text)).collect::<Result<_, _>>()?,
        };
        let bound: Vec<_> = merchants.iter().map(|merchant| merchant.mchid.clone()).collect();
        let mut apps = match self.apps.is_empty() {
            true => demo.apps,
            false => self.apps.iter().map(|text| app(text)).collect::<Result<_, _>>()?,
        };
        for app in &mut apps {
            app.merchants.clone_from(&bound);
        }
        Ok(Options {
            listen: self.listen,
            seed: self.seed,
            world: Setup { apps, merchants },
            state_file: self.state.clone(),
            ..Options::demo()
        })
    }
}

fn app(text: &str) -> Result<AppSetup, RunError> {
    let (appid, secret) = text.split_once(':').ok_or(RunError::NoColon { argument: "--app", form: "APPID:SECRET" })?;
    let wrong = |source| RunError::Field { argument: "--app", source };
    Ok(AppSetup {
        appid: AppId::parse(appid).map_err(wrong)?,
        secret: AppSecret::parse(secret).map_err(wrong)?,
        merchants: Vec::new(),
        name: appid.to_owned(),
        open_platform: None,
    })
}

fn merchant(text: &str) -> Result<MerchantSetup, RunError> {
    let (mchid, key) = text.split_once(':').ok_or(RunError::NoColon { argument: "--merchant", form: "MCHID:KEY" })?;
    let wrong = |source| RunError::Field { argument: "--merchant", source };
    Ok(MerchantSetup {
        mchid: MchId::parse(mchid).map_err(wrong)?,
        api_v2_key: ApiV2Key::parse(key).map_err(wrong)?,
        name: mchid.to_owned(),
    })
}

/// Runs a simulator until Ctrl-C or SIGTERM.
pub async fn run(args: SimArgs) -> Result<(), RunError> {
    let options = args.options()?;
    let setup = options.world.clone();
    let sim = Simulator::start(options).await?;
    if args.json {
        println!("{}", announcement_json(&sim, &setup));
    } else {
        println!("{}", announcement(&sim, &setup));
    }
    stopped().await.map_err(RunError::Signal)?;
    sim.shutdown().await;
    Ok(())
}

/// Waits for Ctrl-C, or on Unix for the polite signal of a service manager.
async fn stopped() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn announcement_json(sim: &Simulator, setup: &Setup) -> serde_json::Value {
    let url = sim.base_url();
    let apps: Vec<_> =
        setup.apps.iter().map(|app| json!({ "appid": app.appid, "secret": app.secret.expose() })).collect();
    let merchants: Vec<_> = setup
        .merchants
        .iter()
        .map(|merchant| json!({ "mchid": merchant.mchid, "api_v2_key": merchant.api_v2_key.expose() }))
        .collect();
    json!({ "base_url": url, "control_url": format!("{url}/_sim/"), "apps": apps, "merchants": merchants })
}

/// The keys are shown, because the keys of a simulator are there to be copied.
fn announcement(sim: &Simulator, setup: &Setup) -> String {
    let url = sim.base_url();
    let mut text = format!(
        "WeChat is played at {url}\n\
         Use it in place of https://api.mch.weixin.qq.com and https://api.weixin.qq.com. No money moves, no key is real.\n"
    );
    for app in &setup.apps {
        text.push_str(&format!("\n  app       {}  secret      {}", app.appid, app.secret.expose()));
    }
    for merchant in &setup.merchants {
        text.push_str(&format!(
            "\n  merchant  {:<18}  API v2 key  {}",
            merchant.mchid.as_str(),
            merchant.api_v2_key.expose()
        ));
    }
    let appid = setup.apps.first().map_or("APPID", |app| app.appid.as_str());
    text.push_str(&format!(
        "\n\nA customer logs in, pays, and what became of it:\n\
         \x20 curl -s {url}/_sim/wx/login -H 'content-type: application/json' -d '{{\"appid\":\"{appid}\",\"customer\":\"li\"}}'\n\
         \x20 curl -s {url}/_sim/wx/requestPayment -H 'content-type: application/json' \\\n\
         \x20   -d '{{\"appid\":\"{appid}\",\"customer\":\"li\",\"parameters\":{{…}},\"choice\":\"pay\"}}'\n\
         \x20 curl -s {url}/_sim/ledger\n\
         Also: /_sim/status /_sim/wire /_sim/clock /_sim/faults /_sim/deliver /_sim/apps /_sim/merchants\n\
         Ctrl-C stops."
    ));
    text
}

/// Why the command ends with an error. `Display` is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A pair is no pair.
    #[error("{argument} must have the form {form}")]
    NoColon {
        /// The argument.
        argument: &'static str,
        /// How it must look.
        form: &'static str,
    },
    /// A part of a pair is malformed.
    #[error("{argument}")]
    Field {
        /// The argument.
        argument: &'static str,
        /// What is wrong with it.
        source: FieldError,
    },
    /// The simulator does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Ctrl-C cannot be listened for.
    #[error("the program cannot listen for Ctrl-C")]
    Signal(#[source] std::io::Error),
}
