//! The command line: `weixin-simulator`, and the same as `zhanggui sim`.

mod announcement;
mod key_files;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use weixin::{ApiV2Key, ApiV3Key, AppId, AppSecret, FieldError, MchId, pay::v3::KeyError};

pub use key_files::KeyFileError;

use crate::{
    AppSetup, KeyMode, MerchantCertificate, MerchantSetup, MerchantV3Setup, Options, PhonePage, Scenario,
    ScenarioFileError, Setup, Simulator, StartError,
};

/// The arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct SimArgs {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    pub listen: SocketAddr,
    /// Where to listen with TLS, which refunds of API v2 need; without it the port after that of --listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen_tls: Option<SocketAddr>,
    /// Decides all random values
    /// [default: the scenario's, or 1]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// A mini program; may be given several times. Without any, one fake app is there
    #[arg(long = "app", value_name = "APPID:SECRET")]
    pub apps: Vec<String>,
    /// A merchant of API v2, bound to all apps; may be given several times. Without any merchant, a fake one is there
    #[arg(long = "merchant", value_name = "MCHID:KEY")]
    pub merchants: Vec<String>,
    /// A merchant of API v3 with its certificate in a file, bound to all apps; may be given several times
    #[arg(long = "merchant-v3", value_name = "MCHID:KEY:FILE")]
    pub merchants_v3: Vec<String>,
    /// Which keys WeChat Pay uses with the merchants of API v3
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub key_mode: KeyMode,
    /// Write the fake keys of API v3 into this directory, for other programs to load
    #[arg(long, value_name = "DIR")]
    pub write_keys: Option<PathBuf>,
    /// Keep the state in this file
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Let amounts from 9990.01 to 9990.99 yuan order faults
    #[arg(long)]
    pub magic_amounts: bool,
    /// Play the story in this file
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// The server that the mini program on the phone in the browser calls
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// The mini program on the phone in the browser: a folder with app.json. Without it the sample shop runs
    #[arg(long, value_name = "DIR")]
    pub program: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl SimArgs {
    /// The options that the arguments stand for.
    pub fn options(&self) -> Result<Options, RunError> {
        let demo = Setup::demo();
        let (merchants, mut merchants_v3) = match self.merchants.is_empty() && self.merchants_v3.is_empty() {
            true => (demo.merchants, demo.merchants_v3),
            false => (
                self.merchants.iter().map(|text| merchant(text)).collect::<Result<_, _>>()?,
                self.merchants_v3.iter().map(|text| merchant_v3(text)).collect::<Result<_, _>>()?,
            ),
        };
        for merchant in &mut merchants_v3 {
            merchant.key_mode = self.key_mode;
        }
        let v2 = merchants.iter().map(|merchant| &merchant.mchid);
        let mut bound: Vec<_> = v2.chain(merchants_v3.iter().map(|merchant| &merchant.mchid)).cloned().collect();
        bound.sort();
        bound.dedup();
        let mut apps = match self.apps.is_empty() {
            true => demo.apps,
            false => self.apps.iter().map(|text| app(text)).collect::<Result<_, _>>()?,
        };
        for app in &mut apps {
            app.merchants.clone_from(&bound);
        }
        let scenario = self.scenario.as_deref().map(Scenario::load).transpose()?;
        let seed = self.seed.or_else(|| scenario.as_ref()?.seed).unwrap_or(1);
        Ok(Options {
            listen: self.listen,
            listen_tls: Some(self.listen_tls.unwrap_or_else(|| next_port(self.listen))),
            seed,
            world: Setup { apps, merchants, merchants_v3 },
            state_file: self.state.clone(),
            magic_amounts: self.magic_amounts,
            scenario,
            phone_page: PhonePage { server: Some(self.server.clone()), program: self.program.clone() },
            ..Options::demo()
        })
    }
}

/// The port after this one; any is any, and so is the one after the last.
fn next_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(match address.port() {
        0 | u16::MAX => 0,
        port => port + 1,
    });
    address
}

fn app(text: &str) -> Result<AppSetup, RunError> {
    let (appid, secret) = text.split_once(':').ok_or(RunError::NoColon { argument: "--app", form: "APPID:SECRET" })?;
    let wrong = |source| RunError::Field { argument: "--app", source };
    let appid = AppId::parse(appid).map_err(wrong)?;
    Ok(AppSetup::new(appid, AppSecret::parse(secret).map_err(wrong)?))
}

fn merchant(text: &str) -> Result<MerchantSetup, RunError> {
    let (mchid, key) = text.split_once(':').ok_or(RunError::NoColon { argument: "--merchant", form: "MCHID:KEY" })?;
    let wrong = |source| RunError::Field { argument: "--merchant", source };
    Ok(MerchantSetup {
        mchid: MchId::parse(mchid).map_err(wrong)?,
        api_v2_key: ApiV2Key::parse(key).map_err(wrong)?,
        name: mchid.to_owned(),
    })
}

fn merchant_v3(text: &str) -> Result<MerchantV3Setup, RunError> {
    let no_colon = || RunError::NoColon { argument: "--merchant-v3", form: "MCHID:KEY:FILE" };
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().ok_or_else(no_colon);
    let (mchid, key, file) = (part()?, part()?, part()?);
    let wrong = |source| RunError::Field { argument: "--merchant-v3", source };
    let (mchid, key) = (MchId::parse(mchid).map_err(wrong)?, ApiV3Key::parse(key).map_err(wrong)?);
    Ok(MerchantV3Setup::new(mchid, key, certificate(Path::new(file))?))
}

fn certificate(path: &Path) -> Result<MerchantCertificate, RunError> {
    let path = path.to_owned();
    let pem = match std::fs::read_to_string(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(RunError::CertificateFile { path, source }),
    };
    MerchantCertificate::from_pem(&pem).map_err(|source| RunError::Certificate { path, source })
}

/// Runs a simulator until Ctrl-C or SIGTERM.
pub async fn run(args: SimArgs) -> Result<(), RunError> {
    let options = args.options()?;
    let setup = options.world.clone();
    if let Some(directory) = &args.write_keys {
        key_files::write(directory)?;
    }
    let sim = Simulator::start(options).await?;
    if args.json {
        println!("{}", announcement::json(&sim, &setup));
    } else {
        println!("{}", announcement::text(&sim, &setup, args.write_keys.as_deref()));
    }
    stopped().await.map_err(RunError::Signal)?;
    sim.shutdown().await;
    Ok(())
}

/// Waits for Ctrl-C, or on Unix for the polite signal of a service manager.
async fn stopped() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Why the command ends with an error. `Display` is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A pair is no pair.
    #[error("{argument} must have the form {form}")]
    NoColon {
        /// The argument.
        argument: &'static str,
        /// How it must look.
        form: &'static str,
    },
    /// A part of a pair is malformed.
    #[error("{argument}")]
    Field {
        /// The argument.
        argument: &'static str,
        /// What is wrong with it.
        source: FieldError,
    },
    /// A certificate cannot be read.
    #[error("the certificate {path} cannot be read", path = .path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A certificate is none.
    #[error("{path}, the apiclient_cert.pem of a merchant, cannot be used", path = .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The scenario cannot be played.
    #[error(transparent)]
    Scenario(#[from] ScenarioFileError),
    /// The fake keys cannot be written.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The simulator does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Ctrl-C cannot be listened for.
    #[error("the program cannot listen for Ctrl-C")]
    Signal(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        sim: SimArgs,
    }

    fn options(arguments: &[&str]) -> Result<Options, RunError> {
        let arguments = ["sim"].iter().chain(arguments);
        Program::try_parse_from(arguments).expect("arguments").sim.options()
    }

    #[test]
    fn without_merchants_the_demonstration_has_both_versions() {
        let world = options(&["--key-mode", "both"]).expect("options").world;
        assert_eq!(world.merchants[0].mchid, world.merchants_v3[0].mchid);
        assert_eq!(world.merchants_v3[0].key_mode, KeyMode::Both);
        assert_eq!(world.apps[0].merchants.len(), 1);
    }

    #[test]
    fn the_tls_listener_has_the_next_port_unless_told_otherwise() {
        let port = |arguments: &[&str]| options(arguments).expect("options").listen_tls.map(|address| address.port());
        assert_eq!(port(&[]), Some(8089));
        assert_eq!(port(&["--listen", "127.0.0.1:0"]), Some(0));
        assert_eq!(port(&["--listen", "127.0.0.1:65535"]), Some(0));
        assert_eq!(port(&["--listen-tls", "127.0.0.1:7000"]), Some(7000));
    }

    #[test]
    fn a_scenario_brings_its_seed_unless_another_is_wanted() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("story.toml");
        std::fs::write(&path, "title = \"x\"\nseed = 7").expect("written");
        let argument = path.display().to_string();
        assert_eq!(options(&["--scenario", &argument]).expect("options").seed, 7);
        assert_eq!(options(&["--scenario", &argument, "--seed", "8"]).expect("options").seed, 8);
        assert_eq!(options(&[]).expect("options").seed, 1);
        std::fs::write(&path, "title = 1").expect("written");
        let wrong = options(&["--scenario", &argument]).expect_err("a number");
        assert!(matches!(wrong, RunError::Scenario(_)), "{wrong}");
    }

    #[test]
    fn a_merchant_brings_its_certificate_in_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("apiclient_cert.pem");
        let key = crate::DEMO_API_V3_KEY;
        let argument = format!("1600000007:{key}:{}", path.display());
        let missing = options(&["--merchant-v3", &argument]).expect_err("there is no file");
        assert!(missing.to_string().ends_with("apiclient_cert.pem cannot be read"), "{missing}");
        std::fs::write(&path, crate::DEMO_MERCHANT_KEY_PEM).expect("written");
        let wrong = options(&["--merchant-v3", &argument]).expect_err("a private key");
        assert!(matches!(wrong, RunError::Certificate { .. }), "{wrong}");
        std::fs::write(&path, crate::DEMO_MERCHANT_CERTIFICATE_PEM).expect("written");
        let world = options(&["--merchant-v3", &argument]).expect("options").world;
        assert!(world.merchants.is_empty());
        assert_eq!(world.merchants_v3[0].certificates[0].serial_no().as_str(), crate::DEMO_MERCHANT_SERIAL);
        assert_eq!(world.apps[0].merchants, [world.merchants_v3[0].mchid.clone()]);
        let short = options(&["--merchant-v3", "1600000007"]).expect_err("no colon");
        assert_eq!(short.to_string(), "--merchant-v3 must have the form MCHID:KEY:FILE");
    }
}
