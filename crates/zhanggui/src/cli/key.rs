//! `zhanggui key`: keys of the merchant's own systems.

use jiff::SignedDuration;
use weixin::Fen;

use super::{CliError, ConfigArgument, open};
use crate::{
    api_key::{self, Listed, NewKey, Scope},
    clock::{system_clock, system_entropy},
    network::Network,
};

/// The commands about keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and show it, once
    Create(CreateArgs),
    /// Show what keys there are and when they were last used
    List(ListArgs),
    /// Let a key stop working at once
    Revoke(RevokeArgs),
}

/// Arguments of `zhanggui key create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// What the key is for
    #[arg(long)]
    name: String,
    /// What the key may do: read, orders, refunds, messages, admin; several with commas
    #[arg(long, value_delimiter = ',', default_value = "read,orders")]
    scope: Vec<String>,
    /// After how many days it stops working; it works for ever if absent
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,
    /// From where it may be used: addresses or networks such as 10.0.0.0/8, several with commas; from everywhere if absent
    #[arg(long, value_delimiter = ',')]
    address: Vec<Network>,
    /// What it may refund in a day of Beijing; without limit if absent
    #[arg(long, value_name = "FEN")]
    refunds_fen_per_day: Option<i64>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Arguments of `zhanggui key list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Arguments of `zhanggui key revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    config: ConfigArgument,
    /// Its id (key_…) or its first characters, as `zhanggui key list` shows them
    key: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: KeyCommand) -> Result<(), CliError> {
    match command {
        KeyCommand::Create(arguments) => create(arguments).await,
        KeyCommand::List(arguments) => list(arguments).await,
        KeyCommand::Revoke(arguments) => revoke(arguments).await,
    }
}

async fn create(arguments: CreateArgs) -> Result<(), CliError> {
    let now = system_clock()();
    let new = NewKey {
        name: arguments.name.clone(),
        scopes: Scope::from_words(arguments.scope.iter().map(String::as_str)).map_err(CliError::Usage)?,
        expires: arguments.expires_in_days.map(|days| now + SignedDuration::from_hours(24 * i64::from(days))),
        addresses: arguments.address,
        refunds_per_day: arguments.refunds_fen_per_day.map(Fen::new),
    };
    let new = new.checked(now).map_err(CliError::Usage)?;
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    let key = api_key::create(&database, config.wechat.realm, new, now, &system_entropy()).await?;
    database.close().await;
    if arguments.json {
        anstream::println!("{}", serde_json::json!({ "key": key, "name": arguments.name, "scopes": arguments.scope }));
    } else {
        anstream::println!("{key}\nIt is shown this once; only its hash is stored.");
    }
    Ok(())
}

async fn list(arguments: ListArgs) -> Result<(), CliError> {
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    let keys = api_key::list(&database).await?;
    database.close().await;
    if arguments.json {
        anstream::println!("{}", serde_json::json!({ "keys": keys }));
        return Ok(());
    }
    if keys.is_empty() {
        anstream::println!("There are no keys; `zhanggui key create --name …` makes one.");
    }
    let now = system_clock()();
    for key in keys {
        let standing = match (key.revoked_at, key.expires_at) {
            (Some(revoked), _) => format!("revoked {revoked:.0}"),
            (None, Some(expires)) if expires <= now => format!("expired {expires:.0}"),
            (None, Some(expires)) => format!("works until {expires:.0}"),
            (None, None) => "works".to_owned(),
        };
        anstream::println!("{}", line(&key, &standing));
    }
    Ok(())
}

fn line(key: &Listed, standing: &str) -> String {
    let last_used = key.last_used_at.map_or("never used".to_owned(), |at| format!("last used {at:.0}"));
    let from = match key.addresses.as_slice() {
        [] => String::new(),
        addresses => format!("  from {}", addresses.join(", ")),
    };
    let cap = key.refunds_fen_per_day.map(|fen| format!("  refunds up to {fen} fen a day")).unwrap_or_default();
    let shown = key.prefix.as_deref().unwrap_or("-");
    format!("{}  {shown}…  {}  [{}]  {standing}, {last_used}{from}{cap}", key.id, key.name, key.scopes.join(", "))
}

async fn revoke(arguments: RevokeArgs) -> Result<(), CliError> {
    let config = arguments.config.load()?;
    let database = open(&config).await?;
    let which = arguments.key.trim_end_matches('…');
    let revoked = api_key::revoke(&database, which, system_clock()()).await?;
    database.close().await;
    let id = revoked
        .ok_or_else(|| CliError::Usage(format!("there is no working key {which}; `zhanggui key list` shows all")))?;
    match arguments.json {
        true => anstream::println!("{}", serde_json::json!({ "revoked": id })),
        false => anstream::println!("{id} does not work any more."),
    }
    Ok(())
}
