//! `zhanggui tour`: the whole story against the simulator, each step with what went over the wire.
//!
//! Server and simulator run in this process, talk over real sockets, and are thrown away at the end. The simulator
//! delivers notifications when the story says so, so that the steps always come in the same order. The exit code is
//! 0 only if every step ended as it must and the books of both sides agree.

mod chat;
mod report;
mod stage;
mod story;
mod trouble;

use std::path::PathBuf;

use super::{CliError, log};
use crate::config::{Api, LogFormat};
use report::Report;
use stage::Stage;

/// Arguments of `zhanggui tour`.
#[derive(Debug, clap::Args)]
pub(super) struct TourArgs {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Tell the steps without the messages
    #[arg(long)]
    short: bool,
    /// Decides all random values of the simulator
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The version of WeChat Pay: v3 or v2
    #[arg(long, value_name = "VERSION", default_value = "v3", value_parser = api)]
    api: Api,
}

fn api(word: &str) -> Result<Api, String> {
    Api::from_word(word).ok_or_else(|| "choose v3 or v2".to_owned())
}

pub(super) async fn run(arguments: TourArgs) -> Result<(), CliError> {
    log::start(LogFormat::Text, "off");
    let folder = Folder::new()?;
    let stage = Stage::set(&folder.0, arguments.seed, arguments.api).await?;
    let mut report = Report::new(arguments.json, arguments.short);
    report.begin(&stage);
    story::tell(&stage, &mut report).await;
    trouble::tell(&stage, &mut report).await;
    chat::tell(&stage, &mut report).await;
    stage.clear().await;
    report.end()
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, CliError> {
        let name = format!("zhanggui-tour-{}", hex::encode(crate::clock::random::<8>(&crate::clock::system_entropy())));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(CliError::file(format!("cannot make the folder {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
