//! A folder with a configuration and its keys, and what a command prints in it.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use weixin_simulator::{
    DEMO_API_V2_KEY, DEMO_API_V3_KEY, DEMO_APP_SECRET, DEMO_APPID, DEMO_MCHID, DEMO_MERCHANT_CERTIFICATE_PEM,
    DEMO_MERCHANT_KEY_PEM, DEMO_PUBLIC_KEY_ID, DEMO_PUBLIC_KEY_PEM,
};

const MASTER_KEY: &str = "6d61737465726b65796d61737465726b65796d61737465726b65796d61737465";

/// A deployment in a folder of its own.
pub(crate) struct Place {
    folder: TempDir,
    toml: String,
}

impl Place {
    /// Everything as it should be, with the simulator at this address.
    pub(crate) fn new(wechat: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("apiclient_key.pem", DEMO_MERCHANT_KEY_PEM),
            ("apiclient_cert.pem", DEMO_MERCHANT_CERTIFICATE_PEM),
            ("pub_key.pem", DEMO_PUBLIC_KEY_PEM),
            ("api_v2.key", DEMO_API_V2_KEY),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let toml = format!(
            "[server]\npublic_url = \"http://127.0.0.1:8080\"\n[database]\nurl = \"sqlite:zhanggui.db\"\n\
             [secrets]\nmaster_key = \"{MASTER_KEY}\"\n\
             [wechat]\nrealm = \"simulated\"\npay_url = \"{wechat}\"\napi_url = \"{wechat}\"\n\
             [[merchant]]\nmchid = \"{DEMO_MCHID}\"\napi = \"v3\"\nprivate_key_file = \"apiclient_key.pem\"\n\
             certificate_file = \"apiclient_cert.pem\"\napi_v3_key = \"{DEMO_API_V3_KEY}\"\n\
             public_key_id = \"{DEMO_PUBLIC_KEY_ID}\"\npublic_key_file = \"pub_key.pem\"\n\
             api_v2_key = \"{DEMO_API_V2_KEY}\"\n\
             [[app]]\nappid = \"{DEMO_APPID}\"\nsecret = \"{DEMO_APP_SECRET}\"\nmerchant = \"{DEMO_MCHID}\"\n"
        );
        let place = Self { folder, toml };
        place.write("zhanggui.toml", &place.toml);
        place
    }

    /// The configuration with this text instead of that.
    pub(crate) fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.toml.contains(old), "{old}");
        self.toml = self.toml.replace(old, new);
        self.write("zhanggui.toml", &self.toml);
        self
    }

    /// The database exists.
    pub(crate) fn migrated(self) -> Self {
        assert!(self.run(&["migrate"]).status.success());
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Runs `zhanggui` in the folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, b"")
    }

    /// Runs `zhanggui` in the folder with this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zhanggui"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("ZHANGGUI_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }
}

/// What a command printed.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command printed, as JSON.
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
