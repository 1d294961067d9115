//! Scenarios: a whole story in one TOML file. Customers and orders come from the server under test; the file says when
//! which fault strikes, what the phone does and how the clock moves.
//!
//! ```toml
//! title = "The notification is lost"
//! seed = 7
//! start = "2026-03-01T10:00:00+08:00"
//!
//! [[step]]
//! name = "nobody is told"
//! fault = { path = "notification", kind = "lost", times = 2 }
//!
//! [[step]]
//! after_call = { path = "order" }
//! pay = { order = "latest" }
//! ```
//!
//! Each step happens once: at the beginning, `at_s` seconds of simulated time later, after a call (`after_call`), or
//! after another step (`after_step`). Steps that are due together happen in the order of the file. The same seed and the
//! same calls at the same simulated times give the same bytes. `docs/simulator.md` lists all steps.

mod action;
mod director;
mod file;

use std::{fmt, fs, io, path::Path};

use jiff::Timestamp;

pub(crate) use action::Action;
pub(crate) use director::Director;
pub use director::{ScenarioReport, StepReport};

/// A story that was read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub title: String,
    /// Decides all random values, unless somebody chooses another seed.
    pub seed: Option<u64>,
    /// When it begins, on the simulator's clock; without it, now.
    pub start: Option<Timestamp>,
    pub(crate) steps: Vec<Step>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// It is malformed; line and field are told.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        file::read(text)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn load(path: &Path) -> Result<Self, ScenarioFileError> {
        let path_of_error = || path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| ScenarioFileError::Unreadable { path: path_of_error(), source })?;
        Self::parse(&text).map_err(|source| ScenarioFileError::Malformed { path: path_of_error(), source })
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: Option<String>,
    /// Where it stands in the file.
    pub(crate) line: usize,
    pub(crate) trigger: Trigger,
    pub(crate) action: Action,
}

/// When a step happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// So many simulated seconds after the beginning.
    AtS(u32),
    /// So many simulated seconds after so many calls to this place, whatever became of them; only of those in which this
    /// text stands.
    AfterCall { path: String, count: u32, about: Option<String>, wait_s: u32 },
    /// So many simulated seconds after the step of this index.
    AfterStep { index: usize, wait_s: u32 },
}

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The line, from 1.
    pub line: usize,
    /// The field, for example `step 2, fault.path`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}", self.line, self.field, self.reason)
    }
}

impl std::error::Error for ScenarioError {}

/// Why a scenario file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioFileError {
    /// It cannot be read.
    #[error("the scenario {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is malformed.
    #[error("the scenario {path} cannot be played")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong, and where.
        source: ScenarioError,
    },
}
