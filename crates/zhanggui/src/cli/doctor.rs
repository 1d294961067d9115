//! `zhanggui doctor`: tests a deployment. The exit code is 1 if there is a problem.

use std::process::ExitCode;

use super::ConfigArgument;
use crate::{
    clock::{system_clock, system_entropy},
    config::Config,
    doctor::{Doctor, Reach, Report, of_broken_configuration},
};

/// Arguments of `zhanggui doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Leave out what needs WeChat
    #[arg(long)]
    offline: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &DoctorArgs) -> ExitCode {
    let report = match Config::load(&arguments.config.config) {
        Ok(config) => examine(&config, if arguments.offline { Reach::Offline } else { Reach::Wechat }).await,
        Err(error) => of_broken_configuration(&error),
    };
    if arguments.json {
        anstream::println!("{}", report.to_json());
    } else {
        anstream::print!("{}", report.to_text());
    }
    if report.has_problem() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn examine(config: &Config, reach: Reach) -> Report {
    Doctor { config, clock: system_clock(), entropy: system_entropy() }.examine(reach).await
}
