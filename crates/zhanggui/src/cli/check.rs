//! `zhanggui check`: whether the database keeps the promises about money. The exit code says it.

use std::process::ExitCode;

use super::{CliError, ConfigArgument, open};
use crate::{
    check::{self, Checked},
    http::chain,
};

/// Arguments of `zhanggui check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// 0: every invariant holds; 1: one does not; 2: the database could not be looked at.
pub(super) async fn run(arguments: &CheckArgs) -> ExitCode {
    match look(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::from(2)
        }
    }
}

async fn look(arguments: &CheckArgs) -> Result<bool, CliError> {
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    let report = check::run(&database).await;
    database.close().await;
    let report = report?;
    if arguments.json {
        anstream::println!("{}", serde_json::json!(report));
        return Ok(report.ok);
    }
    report.invariants.iter().for_each(print);
    let broken = report.invariants.iter().filter(|checked| checked.violations > 0).count();
    match broken {
        0 => anstream::println!("All {} invariants hold.", report.invariants.len()),
        broken => anstream::println!("{broken} of {} invariants do not hold.", report.invariants.len()),
    }
    Ok(report.ok)
}

fn print(checked: &Checked) {
    let Checked { number, rule, examined, violations, examples } = checked;
    let mark = if *violations == 0 { "ok   " } else { "WRONG" };
    anstream::println!("{mark}  {number}  {rule}: {violations} of {examined}");
    for id in examples {
        anstream::println!("           {id}");
    }
}
