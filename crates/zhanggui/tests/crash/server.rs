//! The process: `zhanggui serve` as it is deployed, and somebody who starts it again whenever it has died.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinHandle;
use zhanggui::{config::Api, crash::Point};

/// How often it is looked whether the process lives.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// So many of the last lines of the log are shown.
const LOG_LINES: usize = 60;

/// The version of WeChat Pay with which new payments are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Versions {
    Always(Api),
    /// Another one after each start. A payment keeps its version.
    TakingTurns,
}

impl Versions {
    pub(crate) fn of_start(self, number: usize) -> Api {
        match self {
            Self::Always(api) => api,
            Self::TakingTurns if number.is_multiple_of(2) => Api::V3,
            Self::TakingTurns => Api::V2,
        }
    }
}

/// A folder with a database, and the process that works in it.
pub(crate) struct Server {
    folder: PathBuf,
    running: Arc<Mutex<Running>>,
    keeper: JoinHandle<()>,
}

struct Running {
    child: Child,
    deaths: Vec<ExitStatus>,
}

impl Server {
    /// Starts the process, and starts it again whenever it has died. In so many of its lives it dies at the point.
    pub(crate) fn start(folder: &Path, versions: Versions, dies_at: Option<(Point, usize)>) -> Self {
        let dies = move |life: usize| dies_at.filter(|(_, lives)| life < *lives).map(|(point, _)| point);
        let child = spawn(folder, versions.of_start(0), dies(0));
        let running = Arc::new(Mutex::new(Running { child, deaths: Vec::new() }));
        let (kept, place) = (Arc::clone(&running), folder.to_owned());
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let mut kept = kept.lock().unwrap();
                if let Some(death) = kept.child.try_wait().unwrap() {
                    kept.deaths.push(death);
                    let life = kept.deaths.len();
                    kept.child = spawn(&place, versions.of_start(life), dies(life));
                }
            }
        });
        Self { folder: folder.to_owned(), running, keeper }
    }

    /// SIGKILL.
    pub(crate) async fn kill(&self) {
        loop {
            {
                let mut running = self.running.lock().unwrap();
                if running.child.try_wait().unwrap().is_none() {
                    running.child.kill().unwrap();
                    return;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How it has died, each time.
    pub(crate) fn deaths(&self) -> Vec<ExitStatus> {
        self.running.lock().unwrap().deaths.clone()
    }

    /// The last lines of its log, of all its lives.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.join(LOG)).unwrap();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().filter(|line| !line.contains("/livez")).collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// How often this stands in its log.
    pub(crate) fn logged(&self, text: &str) -> usize {
        String::from_utf8_lossy(&std::fs::read(self.folder.join(LOG)).unwrap()).matches(text).count()
    }
}

/// Nobody starts it again.
impl Drop for Server {
    fn drop(&mut self) {
        self.keeper.abort();
        let mut running = self.running.lock().unwrap();
        let _ = running.child.kill();
        let _ = running.child.wait();
    }
}

const LOG: &str = "server.log";

/// The configuration of a version.
pub(crate) fn config_of(api: Api) -> String {
    format!("{}.toml", api.as_str())
}

/// The file with the seconds that everybody is ahead of the machine.
pub(crate) const CLOCK: &str = "clock";

fn spawn(folder: &Path, api: Api, dies_at: Option<Point>) -> Child {
    let log = File::options().append(true).create(true).open(folder.join(LOG)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhanggui"));
    command.args(["serve", "--config", &config_of(api)]).current_dir(folder).env_clear();
    command.env("RUST_LOG", "info").env("ZHANGGUI_CRASH_CLOCK", CLOCK);
    if let Some(point) = dies_at {
        command.env("ZHANGGUI_CRASH_AT", point.name());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Runs another command of the program in the folder.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_zhanggui")).args(arguments).current_dir(folder).env_clear().output()
}
