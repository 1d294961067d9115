//! `zhanggui explain-signature`: reads a message and keys, and says what is wrong with the signature. The exit code is 0
//! if it is good, 1 if not, 2 if there is nothing to explain.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use jiff::Timestamp;
use weixin::{
    ApiV2Key, AppId, MchId,
    pay::v3::{Certificate, PublicKeyId, VerifyingKey},
};

use super::CliError;
use crate::{
    config::Config,
    explain::{Circumstances, GivenKey, HttpMessage, Input, Keys, Length, MerchantKeys, Start, explain},
    http::chain,
};

/// Arguments of `zhanggui explain-signature`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The message: XML (v2), an HTTP message as it went over the wire (v3), or the parameters of wx.requestPayment as
    /// JSON; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Instead of FILE: the HTTP method of a request or a callback; without it an answer is meant
    #[arg(long, requires = "header")]
    method: Option<String>,
    /// Instead of FILE: path and query
    #[arg(long, requires = "method")]
    path: Option<String>,
    /// Instead of FILE: a header; several times
    #[arg(long, value_name = "NAME:VALUE", conflicts_with = "file")]
    header: Vec<String>,
    /// Instead of FILE: the body, byte for byte
    #[arg(long, value_name = "FILE", requires = "header")]
    body: Option<PathBuf>,
    /// The configuration with the keys; zhanggui.toml if no key is given
    #[arg(long, value_name = "FILE", env = "ZHANGGUI_CONFIG")]
    config: Option<PathBuf>,
    /// Whose message it is, if it does not say
    #[arg(long)]
    mchid: Option<String>,
    /// The mini program, for the parameters of wx.requestPayment
    #[arg(long)]
    appid: Option<String>,
    /// The key of API v2
    #[arg(long, value_name = "FILE")]
    api_v2_key_file: Option<PathBuf>,
    /// A certificate: the merchant's for requests, a platform certificate for answers and callbacks
    #[arg(long, value_name = "FILE")]
    certificate_file: Option<PathBuf>,
    /// WeChat Pay's public key
    #[arg(long, value_name = "FILE", requires = "public_key_id")]
    public_key_file: Option<PathBuf>,
    /// Its id
    #[arg(long, value_name = "PUB_KEY_ID_...", requires = "public_key_file")]
    public_key_id: Option<String>,
    /// When it was sent or received (RFC 3339 or seconds since 1970); without it its age is not judged
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
    /// Show the whole text that is signed
    #[arg(long)]
    full: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExplainArgs) -> ExitCode {
    match explained(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::from(2)
        }
    }
}

/// Prints the explanation; whether the signature is good.
fn explained(arguments: &ExplainArgs) -> Result<bool, CliError> {
    let mchid = arguments.mchid.as_deref().map(MchId::parse).transpose().map_err(usage)?;
    let keys = keys(arguments, mchid.as_ref())?;
    let input = input(arguments)?;
    let explanation = explain(&input, &keys, Circumstances { mchid: mchid.as_ref(), now: arguments.now });
    let length = if arguments.full { Length::Full } else { Length::Short };
    if arguments.json {
        anstream::println!("{}", explanation.to_json(length));
    } else {
        anstream::print!("{}", explanation.to_text(length));
    }
    Ok(explanation.is_good())
}

fn input(arguments: &ExplainArgs) -> Result<Input, CliError> {
    let mut input = if arguments.header.is_empty() {
        Input::recognise(&read(&arguments.file)?)
    } else {
        Input::of_http(http_message(arguments)?)
    }
    .map_err(usage)?;
    if let (Input::RequestPayment(parameters), Some(appid)) = (&mut input, &arguments.appid) {
        let appid = AppId::parse(appid.as_str()).map_err(usage)?;
        parameters.insert("appId".to_owned(), appid.as_str().into());
    }
    Ok(input)
}

fn http_message(arguments: &ExplainArgs) -> Result<HttpMessage, CliError> {
    let start = match &arguments.method {
        Some(method) => {
            Start::Request { method: method.clone(), target: arguments.path.clone().unwrap_or_else(|| "/".to_owned()) }
        }
        None => Start::Answer { status: 200 },
    };
    let header = |text: &String| {
        let (name, value) = text.split_once(':').ok_or_else(|| usage("--header is NAME:VALUE"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    let headers = arguments.header.iter().map(header).collect::<Result<_, CliError>>()?;
    let body = arguments.body.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok(HttpMessage { start, headers, body })
}

/// Read if it is there and no key was given by hand.
const DEFAULT_CONFIG: &str = "zhanggui.toml";

/// Keys given by hand come first; the configuration is read if it is named, or if there are no others. Without any key
/// the text that is signed can be told all the same.
fn keys(arguments: &ExplainArgs, mchid: Option<&MchId>) -> Result<Keys, CliError> {
    let mut by_hand = Keys::default();
    if let Some(path) = &arguments.api_v2_key_file {
        by_hand.merchants.push(MerchantKeys {
            mchid: mchid.cloned(),
            api_v2_key: Some(api_v2_key(path)?),
            ..MerchantKeys::default()
        });
    }
    let wrong = |path: &Path, error: &dyn std::fmt::Display| usage(format!("{} {error}", path.display()));
    if let Some(path) = &arguments.certificate_file {
        let certificate = Certificate::from_pem(&text(path)?).map_err(|error| wrong(path, &error))?;
        by_hand.given.push(GivenKey::certificate(certificate));
    }
    if let (Some(path), Some(id)) = (&arguments.public_key_file, &arguments.public_key_id) {
        let id = PublicKeyId::parse(id.as_str()).map_err(usage)?;
        let key = VerifyingKey::from_public_key_pem(id, &text(path)?).map_err(|error| wrong(path, &error))?;
        by_hand.given.push(GivenKey::public_key(key));
    }
    let none = by_hand.merchants.is_empty() && by_hand.given.is_empty();
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None if none && Path::new(DEFAULT_CONFIG).exists() => Config::load(Path::new(DEFAULT_CONFIG))?,
        None => {
            if by_hand.merchants.is_empty() {
                by_hand.merchants.push(MerchantKeys { mchid: mchid.cloned(), ..MerchantKeys::default() });
            }
            return Ok(by_hand);
        }
    };
    by_hand.merchants.extend(Keys::of(&config).merchants);
    Ok(by_hand)
}

fn api_v2_key(path: &Path) -> Result<ApiV2Key, CliError> {
    let text = text(path)?;
    if text.trim_end_matches(['\r', '\n']) != text.trim() {
        anstream::eprintln!("note: {} has blanks around the key; they were left out", path.display());
    }
    ApiV2Key::parse(text.trim()).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    /// More than any message; keeps a wrong file from filling the memory.
    const INPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(INPUT_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(INPUT_BYTES_MAX).read_to_end(&mut bytes))
    };
    read.map_err(CliError::file(format!("cannot read {}", path.display())))?;
    Ok(bytes)
}

fn text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(CliError::file(format!("cannot read {}", path.display())))
}

fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let words = "must be a time such as 2026-03-01T10:00:00+08:00, or seconds since 1970";
    seconds.or_else(|| text.parse().ok()).ok_or_else(|| words.to_owned())
}

fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}
