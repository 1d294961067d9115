//! The command line. One file for each command; errors are one sentence that names the fix.

mod attention;
mod check;
mod completion;
#[cfg(feature = "simulator")]
mod dev;
#[cfg(feature = "simulator")]
mod dev_data;
mod doctor;
mod explain;
mod init;
mod key;
#[cfg(feature = "simulator")]
mod listen;
mod log;
mod migrate;
mod openapi;
mod product;
#[cfg(feature = "simulator")]
mod running_dev;
mod serve;
#[cfg(feature = "simulator")]
mod sim;
#[cfg(feature = "simulator")]
mod tour;
#[cfg(feature = "simulator")]
mod trigger;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, ConfigError},
    database::{self, Database, DatabaseError, OpenError},
    http::{ServeError, chain},
};

/// The back end of a WeChat mini program: log-in, WeChat Pay, and a WeChat on your own machine to try it against
#[derive(Debug, Parser)]
#[command(name = "zhanggui", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "zhanggui.toml", env = "ZHANGGUI_CONFIG")]
    config: PathBuf,
}

impl ConfigArgument {
    fn load(&self) -> Result<Config, CliError> {
        Ok(Config::load(&self.config)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Server, simulated WeChat and sample data on this machine; nothing to configure
    #[cfg(feature = "simulator")]
    Dev(dev::DevArgs),
    /// Walk through the whole story against the simulator and show what went over the wire
    #[cfg(feature = "simulator")]
    Tour(tour::TourArgs),
    /// Write a commented configuration and a fresh master key
    Init(init::InitArgs),
    /// Create the database or bring it up to date
    Migrate(migrate::MigrateArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Test the configuration, the database and the way to WeChat; say in plain words what is wrong
    Doctor(doctor::DoctorArgs),
    /// Say what was signed, with which key, and why a signature does not fit
    ExplainSignature(Box<explain::ExplainArgs>),
    /// What a person has to look at
    Attention(attention::AttentionArgs),
    /// Verify the promises about money on the database
    Check(check::CheckArgs),
    /// Keys of the merchant's own systems
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
    /// What can be bought
    #[command(subcommand)]
    Product(product::ProductCommand),
    /// Make something happen at the running `dev`: a payment, a message
    #[cfg(feature = "simulator")]
    Trigger(trigger::TriggerArgs),
    /// Post the events of the running `dev` to a program on this machine, or show them
    #[cfg(feature = "simulator")]
    Listen(listen::ListenArgs),
    /// Run the simulated WeChat alone, play a scenario, or move the time of a running one
    #[cfg(feature = "simulator")]
    Sim(Box<sim::SimCommand>),
    /// Print the script with which a shell completes commands
    Completion(completion::CompletionArgs),
}

/// Runs the command of the process.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        #[cfg(feature = "simulator")]
        Command::Dev(arguments) => dev::run(arguments).await,
        #[cfg(feature = "simulator")]
        Command::Tour(arguments) => tour::run(arguments).await,
        Command::Init(arguments) => init::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::Serve(arguments) => serve::run(&arguments).await,
        // These tell with their exit code what they found.
        Command::Doctor(arguments) => return doctor::run(&arguments).await,
        Command::ExplainSignature(arguments) => return explain::run(&arguments),
        Command::Check(arguments) => return check::run(&arguments).await,
        Command::Attention(arguments) => attention::run(&arguments).await,
        Command::Key(command) => key::run(command).await,
        Command::Openapi => {
            openapi::run();
            Ok(())
        }
        Command::Product(command) => product::run(command).await,
        #[cfg(feature = "simulator")]
        Command::Trigger(arguments) => trigger::run(&arguments).await,
        #[cfg(feature = "simulator")]
        Command::Listen(arguments) => listen::run(&arguments).await,
        #[cfg(feature = "simulator")]
        Command::Sim(command) => sim::run(*command).await,
        Command::Completion(arguments) => {
            completion::run(&arguments);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Opens the database of a configuration.
async fn open(config: &Config) -> Result<Database, CliError> {
    let options = database::Options::new(config.database.clone());
    Ok(Database::open(options, config.wechat.realm).await?)
}

/// Why a command ends with an error.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database did not do it")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the connection to WeChat cannot be prepared")]
    Transport(#[from] weixin_client::TransportError),
    #[error("{what}")]
    File { what: String, source: std::io::Error },
    #[error("{0}")]
    Usage(String),
    #[cfg(feature = "simulator")]
    #[error(transparent)]
    Sim(weixin_simulator::RunError),
    #[cfg(feature = "simulator")]
    #[error("the simulator cannot start")]
    Simulator(#[from] weixin_simulator::StartError),
    #[cfg(feature = "simulator")]
    #[error("the simulated WeChat cannot push messages to the server")]
    Push(#[from] weixin_simulator::PushSetupError),
    #[cfg(feature = "simulator")]
    #[error("events cannot be forwarded")]
    Forward(#[from] crate::webhook::ForwarderError),
    #[cfg(feature = "simulator")]
    #[error("{failed} of {steps} steps did not end as they must")]
    Tour { failed: usize, steps: usize },
    #[cfg(feature = "simulator")]
    #[error("{failed} of {steps} steps of the scenario did not happen")]
    Scenario { failed: usize, steps: usize },
}

impl CliError {
    fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
