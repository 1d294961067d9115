//! `zhanggui dev`: server, simulated WeChat and sample products on this machine, with nothing to configure.
//!
//! Everything listens on 127.0.0.1 and keeps its data in one folder: the database, the simulator's books, the
//! generated configuration and an API key. All keys are fake and open nothing but the simulator.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tokio::net::TcpListener;
use weixin::{AppId, Fen};
use weixin_simulator::{
    DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_ENCODING_AES_KEY, DEMO_MCHID,
    DEMO_MERCHANT_CERTIFICATE_PEM, DEMO_MERCHANT_KEY_PEM, DEMO_PAID_TEMPLATE_ID, DEMO_PUBLIC_KEY_ID,
    DEMO_PUBLIC_KEY_PEM, DEMO_PUSH_TOKEN, DEMO_TLS_AUTHORITY_PEM, Options, PhonePage, PushSetup, Simulator, StartError,
};

use super::{
    CliError,
    dev_data::{self, Earlier, REALM},
    init::{Readers, write_new},
    log,
    running_dev::{self, RunningDev},
    serve::{Running, interruption},
};
use crate::{
    api_key::{self, NewKey, Scope},
    app::App,
    clock::system_entropy,
    config::{Api, Config, LogFormat, empty_environment, new_master_key},
    database::{Realm, migrate},
    product::{self, Product},
    webhook,
};

/// Arguments of `zhanggui dev`.
#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// Where everything is kept: an empty or new folder, or one that an earlier `dev` began
    #[arg(long, value_name = "FOLDER", default_value = "zhanggui-dev")]
    data: PathBuf,
    /// Start over: removes what an earlier `dev` kept in the folder
    #[arg(long)]
    fresh: bool,
    /// Open the phone in the browser
    #[arg(long)]
    open: bool,
    /// The first port to try for the server; the next free one is taken, WeChat gets the one after it (0 = any)
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The mini program on the phone: a folder with app.json. Without it the sample shop runs
    #[arg(long, value_name = "FOLDER")]
    program: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// How many ports are tried one after the other.
const PORTS_TRIED: u16 = 100;

/// The system chooses one that is free.
const ANY_PORT: u16 = 0;

/// What can be bought in the sample shop: sku, name, price in fen.
const SAMPLE_PRODUCTS: [(&str, &str, i64); 3] =
    [("coffee", "手冲咖啡", 2800), ("tea", "茉莉花茶", 1990), ("cake", "抹茶蛋糕", 3200)];

pub(super) async fn run(arguments: DevArgs) -> Result<(), CliError> {
    log::start(LogFormat::Text, "warn");
    let data = &arguments.data;
    let earlier = if arguments.fresh { Earlier::Removed } else { Earlier::Kept };
    let _alone = dev_data::take(data, earlier)?;
    // Held from now on, so that nobody else takes it meanwhile.
    let (listener, port) = listen_from(arguments.port).await?;
    let simulator = start_wechat(Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port.checked_add(1).unwrap_or(ANY_PORT))),
        state_file: Some(data.join(dev_data::SIMULATOR)),
        phone_page: PhonePage { server: Some(format!("http://127.0.0.1:{port}")), program: arguments.program.clone() },
        ..Options::demo()
    })
    .await?;
    let config = configuration(&Place { folder: data, port, api: Api::V3 }, &simulator)?;
    // One time for both: whoever moves WeChat's clock sees what the server does later.
    let clock = simulator.clock();
    migrate(&config.database, Realm::Simulated, clock()).await?;
    let server = Running::on(listener, config, clock).await?;
    add_sample_products(&server.app).await?;
    switch_push_on(&simulator, port).await?;
    let key = development_key(data, &server).await?;
    let dev = RunningDev {
        server: format!("http://{}", server.http.address()),
        wechat: simulator.base_url(),
        control: format!("{}/_sim/", simulator.base_url()),
        phone: simulator.phone_url(),
        api_key: key,
        webhook_secret: webhook_secret(data)?,
        appid: DEMO_APPID.to_owned(),
        data: data.display().to_string(),
        realm: Realm::Simulated.as_str().to_owned(),
    };
    let end = interruption();
    dev.leave_in(data)?;
    announce(&arguments, &dev);
    if arguments.open {
        open_in_browser(&dev.phone)?;
    }
    end.await;
    running_dev::remove_from(data);
    server.stop().await;
    simulator.shutdown().await;
    Ok(())
}

/// Message push, as its switch in WeChat's console: WeChat asks the server for its address first.
pub(super) async fn switch_push_on(simulator: &Simulator, port: u16) -> Result<(), CliError> {
    let setup = PushSetup::demo(&format!("http://127.0.0.1:{port}/wechat/push/{DEMO_APPID}"));
    simulator.set_push(&simulator.demo_appid(), setup).await?;
    Ok(())
}

/// Which ports are tried one after the other; in the end the system chooses.
fn ports_from(first: u16) -> impl Iterator<Item = u16> {
    (first..=first.saturating_add(PORTS_TRIED)).chain([ANY_PORT])
}

/// Listens on the first port from here on that nobody has.
pub(super) async fn listen_from(first: u16) -> Result<(TcpListener, u16), CliError> {
    let failed = || CliError::file("cannot listen on 127.0.0.1");
    for port in ports_from(first) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(_) if port != ANY_PORT => {}
            bound => {
                let listener = bound.map_err(failed())?;
                let port = listener.local_addr().map_err(failed())?.port();
                return Ok((listener, port));
            }
        }
    }
    Err(CliError::Usage("no port of 127.0.0.1 is free".to_owned()))
}

/// Starts WeChat on the first port from the wanted one on that nobody has.
async fn start_wechat(options: Options) -> Result<Simulator, CliError> {
    let mut wanted = options.listen;
    for port in ports_from(options.listen.port()) {
        wanted.set_port(port);
        match Simulator::start(Options { listen: wanted, ..options.clone() }).await {
            Err(StartError::AddressInUse(_)) => {}
            started => return Ok(started?),
        }
    }
    Err(CliError::Usage("no port of 127.0.0.1 is free".to_owned()))
}

/// Where a server of the simulated realm works.
pub(super) struct Place<'a> {
    /// Database, configuration and master key.
    pub(super) folder: &'a Path,
    /// On 127.0.0.1.
    pub(super) port: u16,
    /// The version of WeChat Pay with which new payments are made.
    pub(super) api: Api,
}

/// Writes the configuration, so that `zhanggui serve --config` can use it, too, and reads it as `serve` would.
pub(super) fn configuration(place: &Place<'_>, simulator: &Simulator) -> Result<Config, CliError> {
    let Place { folder: data, port, api } = place;
    let wechat = simulator.base_url();
    // Where WeChat wants to see the merchant's certificate, it speaks TLS.
    let certified = simulator
        .tls_base_url()
        .map_or_else(String::new, |url| format!("pay_certified_url = \"{url}\"\nca_file = \"wechat_ca.pem\"\n"));
    let key = data.join(dev_data::MASTER_KEY);
    if !key.exists() {
        write_new(&key, &new_master_key(&system_entropy()), Readers::Owner)?;
    }
    let fake_keys = [
        ("apiclient_key.pem", DEMO_MERCHANT_KEY_PEM),
        ("apiclient_cert.pem", DEMO_MERCHANT_CERTIFICATE_PEM),
        ("pub_key.pem", DEMO_PUBLIC_KEY_PEM),
        ("wechat_ca.pem", DEMO_TLS_AUTHORITY_PEM),
    ];
    for (file, pem) in fake_keys {
        let path = data.join(file);
        if !path.exists() {
            write_new(&path, pem, Readers::Owner)?;
        }
    }
    let api = api.as_str();
    let text = format!(
        "# Made by `zhanggui dev`, which writes it anew at every start. All keys are fake.\n\
         [server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n\n\
         [database]\nurl = \"sqlite:zhanggui.db\"\n\n\
         [secrets]\nmaster_key_file = \"master.key\"\n\n\
         [wechat]\n{REALM}\npay_url = \"{wechat}\"\napi_url = \"{wechat}\"\n{certified}\n\
         [log]\nformat = \"text\"\n\n\
         [[merchant]]\nmchid = \"{DEMO_MCHID}\"\napi = \"{api}\"\n\
         private_key_file = \"apiclient_key.pem\"\ncertificate_file = \"apiclient_cert.pem\"\n\
         api_v3_key = \"{DEMO_API_V3_KEY}\"\n\
         public_key_id = \"{DEMO_PUBLIC_KEY_ID}\"\npublic_key_file = \"pub_key.pem\"\n\
         api_v2_key = \"{DEMO_API_V2_KEY}\"\n\n\
         [[app]]\nappid = \"{DEMO_APPID}\"\nsecret = \"{DEMO_APP_SECRET}\"\nmerchant = \"{DEMO_MCHID}\"\n\n\
         [app.push]\ntoken = \"{DEMO_PUSH_TOKEN}\"\nencoding_aes_key = \"{DEMO_ENCODING_AES_KEY}\"\n\n\
         [[app.subscribe_message]]\nname = \"paid\"\ntemplate_id = \"{DEMO_PAID_TEMPLATE_ID}\"\non = \"order.paid\"\n\
         data = {{ character_string1 = \"{{order_number}}\", amount2 = \"{{amount_yuan}}元\", time3 = \"{{paid_at}}\" }}\n"
    );
    let path = data.join(dev_data::CONFIGURATION);
    std::fs::write(&path, &text).map_err(CliError::file(format!("cannot write {}", path.display())))?;
    Ok(Config::parse(&text, &path, &empty_environment)?)
}

/// Puts the sample products on an empty shelf.
pub(super) async fn add_sample_products(app: &App) -> Result<(), CliError> {
    let appid = AppId::parse(DEMO_APPID).map_err(|error| CliError::Usage(error.to_string()))?;
    if !product::all(&app.database, &appid).await?.is_empty() {
        return Ok(());
    }
    for (sku, name, price_fen) in SAMPLE_PRODUCTS {
        let product = Product::new(sku, name, Fen::new(price_fen)).map_err(CliError::Usage)?;
        product::set(&app.database, &appid, &product, app.now()).await?;
    }
    Ok(())
}

/// The API key of the folder; a new one if there is none or the database does not know it.
async fn development_key(data: &Path, server: &Running) -> Result<String, CliError> {
    let path = data.join(dev_data::API_KEY);
    if let Ok(text) = std::fs::read_to_string(&path) {
        let key = text.trim();
        if api_key::find(&server.app, key).await?.is_some() {
            return Ok(key.to_owned());
        }
        std::fs::remove_file(&path).map_err(CliError::file(format!("cannot remove {}", path.display())))?;
    }
    let (now, entropy) = (server.app.now(), system_entropy());
    let new = NewKey { name: "dev".to_owned(), scopes: Scope::ALL.to_vec(), ..NewKey::default() };
    let key = api_key::create(&server.app.database, Realm::Simulated, new, now, &entropy).await?;
    write_new(&path, &format!("{key}\n"), Readers::Owner)?;
    Ok(key)
}

/// The secret with which `listen` signs; a new one if the folder has none.
fn webhook_secret(data: &Path) -> Result<String, CliError> {
    let path = data.join(dev_data::WEBHOOK_SECRET);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().to_owned());
    }
    let secret = webhook::new_secret(&system_entropy());
    write_new(&path, &format!("{secret}\n"), Readers::Owner)?;
    Ok(secret)
}

fn announce(arguments: &DevArgs, dev: &RunningDev) {
    if arguments.json {
        anstream::println!("{}", serde_json::json!(dev));
        return;
    }
    let RunningDev { server, wechat, phone, api_key, webhook_secret, data, .. } = dev;
    anstream::println!(
        "Zhanggui runs on this machine. Everything is simulated: all keys are fake, no money moves.\n\n  \
         phone     {phone}   open it: a shop, its customers, and WeChat\n  \
         server    {server}\n  \
         WeChat    {wechat}   its control API is /_sim/\n  \
         API key   {api_key}\n  \
         webhooks  {webhook_secret}   signs what `zhanggui listen` forwards\n  \
         data      {data}   is kept; --fresh starts over\n\n\
         In another terminal:\n\n  \
         zhanggui trigger payment     a customer orders and pays\n  \
         zhanggui trigger message     a customer asks something\n  \
         zhanggui listen --forward-to http://127.0.0.1:3000/hook\n  \
         zhanggui sim clock +2h       two hours later\n\n\
         Ctrl-C stops."
    );
}

/// Shows an address in the browser of the person at this machine.
fn open_in_browser(url: &str) -> Result<(), CliError> {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let quiet = || std::process::Stdio::null();
    let started = std::process::Command::new(program).arg(url).stdout(quiet()).stderr(quiet()).spawn();
    started.map_err(CliError::file(format!("cannot start {program}; open {url} by hand")))?;
    Ok(())
}
