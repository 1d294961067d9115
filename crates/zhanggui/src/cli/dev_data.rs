//! The folder of `zhanggui dev`: what it keeps there, and whose the folder is.
//!
//! `dev` writes a configuration and keys, and `--fresh` removes a database. It does so only where an earlier `dev` began or
//! nothing is: a folder with a deployment in it is refused before anything is touched.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::Path,
};

use super::{
    CliError,
    init::{Readers, write_new},
    running_dev,
};

/// Says that the folder is ours. It is written first and stays.
const MARK: &str = "made-by-zhanggui-dev";

const MARK_TEXT: &str =
    "`zhanggui dev` keeps its simulated shop in this folder and overwrites what is here. All keys are fake.\n";

pub(super) const CONFIGURATION: &str = "zhanggui.toml";
pub(super) const API_KEY: &str = "api.key";
pub(super) const MASTER_KEY: &str = "master.key";
pub(super) const SIMULATOR: &str = "simulator.json";
pub(super) const WEBHOOK_SECRET: &str = "webhook.secret";

/// Stands in every configuration that `dev` writes, and in none of a live deployment.
pub(super) const REALM: &str = "realm = \"simulated\"";

/// The files that `dev` keeps. `--fresh` removes these and nothing else.
const FILES: [&str; 13] = [
    "zhanggui.db",
    "zhanggui.db-wal",
    "zhanggui.db-shm",
    SIMULATOR,
    CONFIGURATION,
    MASTER_KEY,
    API_KEY,
    WEBHOOK_SECRET,
    "apiclient_key.pem",
    "apiclient_cert.pem",
    "pub_key.pem",
    "wechat_ca.pem",
    running_dev::FILE,
];

/// What becomes of what an earlier `dev` kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    Kept,
    Removed,
}

/// Takes the folder for this process. The lock ends with it.
pub(super) fn take(data: &Path, earlier: Earlier) -> Result<File, CliError> {
    std::fs::create_dir_all(data).map_err(CliError::file(format!("cannot make the folder {}", data.display())))?;
    claim(data)?;
    let lock = lock(data)?;
    if earlier == Earlier::Removed {
        start_over(data)?;
    }
    Ok(lock)
}

/// A folder that is empty becomes ours; one of somebody else is an error.
fn claim(data: &Path) -> Result<(), CliError> {
    let unreadable = || CliError::file(format!("cannot read the folder {}", data.display()));
    if data.join(MARK).exists() {
        // The mark may have been copied or kept when a deployment was made out of the folder.
        return match std::fs::read_to_string(data.join(CONFIGURATION)) {
            Ok(text) if !text.contains(REALM) => Err(not_ours(data)),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unreadable()(error)),
            _ => Ok(()),
        };
    }
    if std::fs::read_dir(data).map_err(unreadable())?.next().is_some() {
        return Err(not_ours(data));
    }
    write_new(&data.join(MARK), MARK_TEXT, Readers::Everybody)
}

fn not_ours(data: &Path) -> CliError {
    CliError::Usage(format!(
        "the folder {} has files that `zhanggui dev` did not make, and `dev` would overwrite some of them; nothing was \
         changed. Name a new or an empty folder with --data",
        data.display()
    ))
}

/// Two of them in one folder would share the database and not the simulator.
fn lock(data: &Path) -> Result<File, CliError> {
    let path = data.join("lock");
    let file = File::create(&path).map_err(CliError::file(format!("cannot write {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(CliError::Usage(format!("`zhanggui dev` runs already with {}; choose another --data", data.display())))
        }
        Err(TryLockError::Error(error)) => Err(CliError::file(format!("cannot lock {}", path.display()))(error)),
    }
}

fn start_over(data: &Path) -> Result<(), CliError> {
    for file in FILES {
        let path = data.join(file);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::file(format!("cannot remove {}", path.display()))(error)),
        }
    }
    Ok(())
}
