//! `zhanggui migrate`: creates the database or brings it up to date. Running it twice changes nothing.

use super::{CliError, ConfigArgument};
use crate::{clock::system_clock, database};

/// Arguments of `zhanggui migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &MigrateArgs) -> Result<(), CliError> {
    let config = arguments.config.load()?;
    let report = database::migrate(&config.database, config.wechat.realm, system_clock()()).await?;
    if arguments.json {
        let object = serde_json::json!({ "version": report.version, "applied": report.applied });
        anstream::println!("{object}");
    } else if report.applied.is_empty() {
        anstream::println!("{} is up to date (version {}).", config.database, report.version);
    } else {
        let applied = report.applied.join(", ");
        anstream::println!("{} is now at version {}: {applied}.", config.database, report.version);
    }
    Ok(())
}
