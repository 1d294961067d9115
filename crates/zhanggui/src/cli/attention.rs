//! `zhanggui attention`: what a person has to look at.

use super::{CliError, ConfigArgument, open};
use crate::{attention, clock::system_clock};

/// Arguments of `zhanggui attention`.
#[derive(Debug, clap::Args)]
pub(super) struct AttentionArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Somebody has looked at this mark
    #[arg(long, value_name = "ID")]
    resolve: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &AttentionArgs) -> Result<(), CliError> {
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    if let Some(id) = &arguments.resolve
        && !attention::resolve(&database, id, system_clock()()).await?
    {
        database.close().await;
        return Err(CliError::Usage(format!("there is no open mark {id}; `zhanggui attention` lists them")));
    }
    let marks = attention::open(&database).await?;
    database.close().await;
    if arguments.json {
        anstream::println!("{}", serde_json::json!({ "marks": marks }));
    } else if marks.is_empty() {
        anstream::println!("There is nothing to look at.");
    }
    if !arguments.json {
        for mark in marks {
            anstream::println!("{}  {}  {}  {}\n    {}", mark.id, mark.since, mark.reason, mark.subject, mark.detail);
        }
    }
    Ok(())
}
