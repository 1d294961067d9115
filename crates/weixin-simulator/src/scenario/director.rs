//! Plays a scenario: notices when a step is due, and does it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Scenario, Step, Trigger};
use crate::{Shared, fault::is_here, world::World};

/// A scenario that is being played.
pub(crate) struct Director {
    title: String,
    began_at: Timestamp,
    parts: Vec<Part>,
}

struct Part {
    step: Step,
    /// How many calls that its trigger counts have come.
    seen: u32,
    /// When the last one came that it waited for.
    reached_at: Option<Timestamp>,
    done: Option<Done>,
}

struct Done {
    at: Timestamp,
    failure: Option<String>,
}

/// How far a scenario is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScenarioReport {
    /// What it is about.
    pub title: String,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepReport>,
}

impl ScenarioReport {
    /// Whether every step has happened as it should.
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.done_at.is_some() && step.failure.is_none())
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where it stands in the file.
    pub line: usize,
    /// When it happened, in simulated time.
    pub done_at: Option<Timestamp>,
    /// Why it could not be done.
    pub failure: Option<String>,
}

impl Director {
    /// Begins a scenario.
    pub(crate) fn new(scenario: Scenario, began_at: Timestamp) -> Self {
        let part = |step| Part { step, seen: 0, reached_at: None, done: None };
        Self { title: scenario.title, began_at, parts: scenario.steps.into_iter().map(part).collect() }
    }

    /// Somebody has called, or was told, at this place.
    fn called(&mut self, now: Timestamp, path: &str, pattern: &str, contains: impl Fn(&str) -> bool) {
        for part in self.parts.iter_mut().filter(|part| part.done.is_none()) {
            if let Trigger::AfterCall { path: wanted, count, about, .. } = &part.step.trigger
                && is_here(wanted, path, pattern)
                && about.as_deref().is_none_or(&contains)
            {
                part.seen = part.seen.saturating_add(1);
                if part.seen == *count {
                    part.reached_at = Some(now);
                }
            }
        }
    }

    /// The first step that is due.
    fn due(&self, now: Timestamp) -> Option<usize> {
        let after = |at: Timestamp, seconds: u32| {
            at.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
        };
        let is_due = |part: &Part| match &part.step.trigger {
            Trigger::AtS(seconds) => now >= after(self.began_at, *seconds),
            Trigger::AfterCall { wait_s, .. } => part.reached_at.is_some_and(|at| now >= after(at, *wait_s)),
            Trigger::AfterStep { index, wait_s } => {
                let done = self.parts[*index].done.as_ref();
                done.is_some_and(|done| now >= after(done.at, *wait_s))
            }
        };
        self.parts.iter().position(|part| part.done.is_none() && is_due(part))
    }

    /// How far it is.
    pub(crate) fn report(&self) -> ScenarioReport {
        let step = |part: &Part| StepReport {
            name: part.step.name.clone(),
            line: part.step.line,
            done_at: part.done.as_ref().map(|done| done.at),
            failure: part.done.as_ref().and_then(|done| done.failure.clone()),
        };
        ScenarioReport { title: self.title.clone(), steps: self.parts.iter().map(step).collect() }
    }
}

impl Shared {
    /// Counts a call for the scenario.
    pub(crate) fn tell_scenario(&self, world: &mut World, path: &str, pattern: &str, contains: impl Fn(&str) -> bool) {
        let now = self.time(world);
        if let Some(director) = &mut world.director {
            director.called(now, path, pattern, contains);
        }
        self.play_scenario(world);
    }

    /// Does the steps that are due, in the order of the file. A step may make others due; each happens once.
    pub(crate) fn play_scenario(&self, world: &mut World) {
        let Some(mut director) = world.director.take() else { return };
        let mut played = false;
        while let Some(index) = director.due(self.time(world)) {
            let part = &mut director.parts[index];
            let at = self.time(world);
            let failure = part.step.action.perform(self, world).err();
            let (step, line) = (part.step.name.as_deref().unwrap_or_default(), part.step.line);
            match &failure {
                None => tracing::info!(step, line, "a step of the scenario happened"),
                Some(failure) => tracing::warn!(step, line, failure, "a step of the scenario could not be done"),
            }
            part.done = Some(Done { at, failure });
            played = true;
        }
        world.director = Some(director);
        if played {
            self.changed();
            self.work.notify_one();
            self.push_work.notify_one();
        }
    }
}
