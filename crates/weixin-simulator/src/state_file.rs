//! The state file: the world as JSON, so that it outlives the process.
//!
//! It is written whole to a neighbour and renamed, so that a reader finds the old state or the new one, never half of
//! one. It contains the keys of the world: fake ones, but on Unix only the owner may read it all the same.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{Shared, world::World};

/// How long changes are collected before they are written.
const COLLECT: Duration = Duration::from_millis(100);

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the state file {path} cannot be read", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not a state of this version.
    #[error("the state file {path} is not a state of this simulator; move it away to begin anew", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

/// Reads the state, if there is a file.
pub(crate) fn load(path: &Path) -> Result<Option<World>, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::Unreadable { path: path.to_owned(), source }),
    };
    let mut world: World =
        serde_json::from_slice(&bytes).map_err(|source| StateError::Malformed { path: path.to_owned(), source })?;
    world.after_loading();
    Ok(Some(world))
}

/// Writes the state soon after changes. What happens at the end is for whoever waits for all tasks.
pub(crate) async fn keep(shared: Arc<Shared>, path: PathBuf) {
    loop {
        tokio::select! {
            () = shared.dirty.notified() => {}
            () = shared.stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(COLLECT) => {}
            () = shared.stop.cancelled() => return,
        }
        save(&shared, &path).await;
    }
}

/// Writes the state now.
pub(crate) async fn save(shared: &Shared, path: &Path) {
    let json = serde_json::to_vec(&*shared.world());
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let result =
        tokio::task::spawn_blocking(move || json.map_err(io::Error::from).and_then(|json| write(&path, &json)));
    match result.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, path = shown, "the state of the simulator could not be written"),
        Err(error) => tracing::warn!(%error, path = shown, "writing the state of the simulator was broken off"),
    }
}

fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    use std::io::Write as _;

    let mut neighbour = path.as_os_str().to_owned();
    neighbour.push(".new");
    let neighbour = PathBuf::from(neighbour);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&neighbour)?;
    file.write_all(json)?;
    file.sync_all()?;
    fs::rename(&neighbour, path)
}
