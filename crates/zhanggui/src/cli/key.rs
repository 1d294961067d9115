//! `zhanggui key`: keys of the merchant's own systems.

use super::{CliError, ConfigArgument, open};
use crate::{
    api_key::{self, Scope},
    clock::{system_clock, system_entropy},
};

/// The commands about keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and show it, once
    Create(CreateArgs),
}

/// Arguments of `zhanggui key create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// What the key is for
    #[arg(long)]
    name: String,
    /// What the key may do: read, orders, messages; several with commas
    #[arg(long, value_delimiter = ',', default_value = "read,orders")]
    scope: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: KeyCommand) -> Result<(), CliError> {
    let KeyCommand::Create(arguments) = command;
    let scopes: Vec<Scope> = arguments
        .scope
        .iter()
        .map(|word| {
            let known = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
            Scope::from_word(word)
                .ok_or_else(|| CliError::Usage(format!("there is no scope {word}; there are {}", known())))
        })
        .collect::<Result<_, _>>()?;
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    let (realm, now, entropy) = (config.wechat.realm, system_clock()(), system_entropy());
    let key = api_key::create(&database, realm, &arguments.name, &scopes, now, &entropy).await?;
    database.close().await;
    if arguments.json {
        anstream::println!("{}", serde_json::json!({ "key": key, "name": arguments.name, "scopes": arguments.scope }));
    } else {
        anstream::println!("{key}\nIt is shown this once; only its hash is stored.");
    }
    Ok(())
}
