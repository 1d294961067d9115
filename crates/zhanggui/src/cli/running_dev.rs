//! Talks to the `zhanggui dev` that runs with a folder: to its server as the merchant's system does, and to its WeChat.
//!
//! `dev` leaves a file in its folder that says where it is; it goes away with the process.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CliError, init::Readers, init::write_new};

/// Where `dev` says where it is.
pub(super) const FILE: &str = "running.json";

/// What `dev` prints with `--json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunningDev {
    /// Address of the server.
    pub(super) server: String,
    /// Address of the simulated WeChat.
    pub(super) wechat: String,
    /// Its control API.
    pub(super) control: String,
    /// The phone in the browser.
    pub(super) phone: String,
    /// A key of the merchant's own systems, with all scopes.
    pub(super) api_key: String,
    /// With it `listen` signs what it forwards. It stays the same until `--fresh`.
    pub(super) webhook_secret: String,
    /// The mini program.
    pub(super) appid: String,
    /// The folder.
    pub(super) data: String,
    /// `simulated`.
    pub(super) realm: String,
}

/// Which `dev` is meant.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DevFolder {
    /// The folder of the running `zhanggui dev`
    #[arg(long, value_name = "FOLDER", default_value = "zhanggui-dev")]
    data: PathBuf,
}

impl DevFolder {
    /// Where the `dev` of the folder is.
    pub(super) fn find(&self) -> Result<RunningDev, CliError> {
        let found = std::fs::read(self.data.join(FILE)).ok();
        found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
            CliError::Usage(format!(
                "no `zhanggui dev` runs with the folder {}; start it in another terminal, or name its folder with --data",
                self.data.display()
            ))
        })
    }
}

impl RunningDev {
    /// Leaves the file. It has the API key and the secret in it.
    pub(super) fn leave_in(&self, folder: &Path) -> Result<(), CliError> {
        remove_from(folder);
        write_new(&folder.join(FILE), &serde_json::json!(self).to_string(), Readers::Owner)
    }
}

/// Takes the file away.
pub(super) fn remove_from(folder: &Path) {
    // One that stays names a port at which nobody answers, and that is said then.
    let _ = std::fs::remove_file(folder.join(FILE));
}

/// Calls on loopback: no TLS, no proxy.
#[derive(Clone, Debug)]
pub(super) struct Loopback(reqwest::Client);

impl Loopback {
    pub(super) fn new() -> Result<Self, CliError> {
        // Somebody else of this process may have chosen the same before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build();
        Ok(Self(client.map_err(|error| CliError::Usage(format!("there is no network: {error}")))?))
    }

    /// A request to be made.
    pub(super) fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        self.0.request(method, url)
    }

    /// Posts JSON, or gets if there is none, and reads JSON. An error has what the other side said.
    pub(super) async fn call(&self, url: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, CliError> {
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::GET };
        let mut request = self.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.answer_of(request, url).await?;
        let text = answer.text().await.map_err(|_| unreachable_at(url))?;
        serde_json::from_str(&text).map_err(|_| CliError::Usage(format!("{url} answered no JSON: {text}")))
    }
}

impl Loopback {
    /// The answer, if it is a good one.
    pub(super) async fn answer_of(
        &self,
        request: reqwest::RequestBuilder,
        url: &str,
    ) -> Result<reqwest::Response, CliError> {
        let answer = request.send().await.map_err(|_| unreachable_at(url))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        Err(CliError::Usage(format!("{url} answered {status} {}", problem(&text))))
    }
}

/// Code and sentence of an error of the server, the sentence of one of WeChat's control API; of others all that they said.
fn problem(text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    match (problem["code"].as_str(), problem["detail"].as_str(), problem["error"]["message"].as_str()) {
        (Some(code), Some(detail), _) => format!("{code}: {detail}"),
        (_, _, Some(sentence)) => sentence.to_owned(),
        _ => text.to_owned(),
    }
}

fn unreachable_at(url: &str) -> CliError {
    CliError::Usage(format!("nothing answers at {url}; is `zhanggui dev` still running?"))
}
