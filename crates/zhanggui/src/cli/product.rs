//! `zhanggui product`: what can be bought, changed on a running server, too.

use std::{io::Read as _, path::PathBuf};

use serde_json::json;
use weixin::{AppId, Fen};

use super::{CliError, ConfigArgument, open};
use crate::{
    clock::system_clock,
    config::Config,
    product::{self, Offer, Product},
};

/// The commands about products.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProductCommand {
    /// Add a product or change its name and price
    Set(SetArgs),
    /// Take a product out of the shop
    Remove(RemoveArgs),
    /// Add and change products from a table (CSV): sku, name, price_fen or price (yuan), active; all or none
    Import(ImportArgs),
    /// Show what is and was sold
    List(ListArgs),
}

/// Which shop is meant.
#[derive(Debug, clap::Args)]
struct Shop {
    #[command(flatten)]
    config: ConfigArgument,
    /// The mini program; needed if the configuration has several
    #[arg(long)]
    appid: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Shop {
    /// Tells what was done.
    fn tell(&self, object: &serde_json::Value, text: &str) {
        match self.json {
            true => anstream::println!("{object}"),
            false => anstream::println!("{text}"),
        }
    }

    fn load(&self) -> Result<(Config, AppId), CliError> {
        let config = self.config.load()?;
        let app = config.app(self.appid.as_deref());
        let appid = app.map(|app| app.appid.clone()).ok_or_else(|| {
            let known = config.apps.iter().map(|app| app.appid.as_str()).collect::<Vec<_>>().join(", ");
            CliError::Usage(format!("choose the app with --appid; the configuration has {known}"))
        })?;
        Ok((config, appid))
    }
}

/// Arguments of `zhanggui product set`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    shop: Shop,
    /// Your own name of the thing
    #[arg(long)]
    sku: String,
    /// What the customer reads
    #[arg(long)]
    name: String,
    /// The price in fen: 19.90 yuan is 1990
    #[arg(long, value_name = "FEN")]
    price_fen: i64,
}

/// Arguments of `zhanggui product remove`.
#[derive(Debug, clap::Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    shop: Shop,
    /// The product
    #[arg(long)]
    sku: String,
}

/// Arguments of `zhanggui product import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    shop: Shop,
    /// The table; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `zhanggui product list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    shop: Shop,
}

pub(super) async fn run(command: ProductCommand) -> Result<(), CliError> {
    let now = system_clock()();
    match command {
        ProductCommand::Set(arguments) => {
            let product = Product::new(&arguments.sku, &arguments.name, Fen::new(arguments.price_fen));
            let product = product.map_err(CliError::Usage)?;
            let (config, appid) = arguments.shop.load()?;
            let database = open(&config).await?;
            product::set(&database, &appid, &product, now).await?;
            database.close().await;
            let text = format!("{}: {} costs {}.", product.sku, product.name, product.price);
            arguments.shop.tell(&json!({ "product": product }), &text);
        }
        ProductCommand::Remove(arguments) => {
            let (config, appid) = arguments.shop.load()?;
            let database = open(&config).await?;
            let removed = product::remove(&database, &appid, &arguments.sku, now).await?;
            database.close().await;
            if !removed {
                return Err(CliError::Usage(format!("there is no product {} in the shop of {appid}", arguments.sku)));
            }
            let text = format!("{} is not sold any more.", arguments.sku);
            arguments.shop.tell(&json!({ "removed": arguments.sku }), &text);
        }
        ProductCommand::Import(arguments) => import(&arguments).await?,
        ProductCommand::List(arguments) => list(&arguments).await?,
    }
    Ok(())
}

async fn import(arguments: &ImportArgs) -> Result<(), CliError> {
    let path = arguments.file.display();
    let read = CliError::file(format!("cannot read {path}"));
    let bytes = match arguments.file.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes).map_err(read)?
        }
        false => std::fs::read(&arguments.file).map_err(read)?,
    };
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| CliError::Usage(format!("{path} is not UTF-8; save the table as \"CSV UTF-8\"")))?;
    let offers = product::read_csv(&text).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
        CliError::Usage(format!("nothing was imported from {path}:{}", lines.concat()))
    })?;
    let (config, appid) = arguments.shop.load()?;
    let database = open(&config).await?;
    let count = offers.len();
    product::set_all(&database, &appid, offers, system_clock()()).await?;
    database.close().await;
    let text = format!("{count} products of {appid} were added or changed.");
    arguments.shop.tell(&json!({ "appid": appid, "imported": count }), &text);
    Ok(())
}

async fn list(arguments: &ListArgs) -> Result<(), CliError> {
    let (config, appid) = arguments.shop.load()?;
    let database = open(&config).await?;
    let offers = product::offers(&database, &appid).await?;
    database.close().await;
    if arguments.shop.json {
        anstream::println!("{}", json!({ "appid": appid, "products": offers }));
        return Ok(());
    }
    for Offer { product, is_active } in offers {
        let sold = if is_active { "" } else { "  (not sold)" };
        anstream::println!("{}  {}  {}{sold}", product.sku, product.name, product.price);
    }
    Ok(())
}
