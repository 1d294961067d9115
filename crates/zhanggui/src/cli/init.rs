//! `zhanggui init`: a commented configuration and a fresh master key. Never overwrites a file.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::CliError;
use crate::{
    clock::system_entropy,
    config::{TEMPLATE, new_master_key},
};

/// Arguments of `zhanggui init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// The folder to write to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &InitArgs) -> Result<(), CliError> {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir).map_err(CliError::file(format!("cannot make the folder {}", dir.display())))?;
    let config = dir.join("zhanggui.toml");
    let key = dir.join("master.key");
    // Looked at before anything is written, so that a second run changes nothing.
    for path in [&config, &key] {
        if path.exists() {
            return Err(CliError::Usage(format!(
                "{} exists already; remove it or choose another --dir",
                path.display()
            )));
        }
    }
    write_new(&key, &new_master_key(&system_entropy()), Readers::Owner)?;
    write_new(&config, TEMPLATE, Readers::Everybody)?;
    if arguments.json {
        anstream::println!("{}", serde_json::json!({ "config": config, "master_key_file": key }));
        return Ok(());
    }
    anstream::println!(
        "Written: {} and {} (keep a copy of the key in a safe place).\n\
         Next: put your numbers and key files into the configuration, then\n  \
         zhanggui migrate --config {config}\n  \
         zhanggui doctor --config {config}\n  \
         zhanggui product set --config {config} --sku tea --name Tea --price-fen 1990\n  \
         zhanggui key create --config {config} --name shop-backend\n  \
         zhanggui serve --config {config}",
        config.display(),
        key.display(),
        config = config.display(),
    );
    Ok(())
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Owner,
    Everybody,
}

/// Writes a file that must not exist yet.
pub(super) fn write_new(path: &Path, content: &str, readers: Readers) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(CliError::file(format!("cannot write {}", path.display())))
}
