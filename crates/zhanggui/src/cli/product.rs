//! `zhanggui product`: what can be bought, changed on a running server, too.

use weixin::{AppId, Fen};

use super::{CliError, ConfigArgument, open};
use crate::{
    clock::system_clock,
    config::Config,
    product::{self, Product},
};

/// The commands about products.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProductCommand {
    /// Add a product or change its name and price
    Set(SetArgs),
    /// Take a product out of the shop
    Remove(RemoveArgs),
}

/// Which shop is meant.
#[derive(Debug, clap::Args)]
struct Shop {
    #[command(flatten)]
    config: ConfigArgument,
    /// The mini program; needed if the configuration has several
    #[arg(long)]
    appid: Option<String>,
}

impl Shop {
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
            anstream::println!("{}: {} costs {}.", product.sku, product.name, product.price);
        }
        ProductCommand::Remove(arguments) => {
            let (config, appid) = arguments.shop.load()?;
            let database = open(&config).await?;
            let removed = product::remove(&database, &appid, &arguments.sku, now).await?;
            database.close().await;
            if !removed {
                return Err(CliError::Usage(format!("there is no product {} in the shop of {appid}", arguments.sku)));
            }
            anstream::println!("{} is not sold any more.", arguments.sku);
        }
    }
    Ok(())
}
