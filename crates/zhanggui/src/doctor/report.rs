//! What the doctor says.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Everything that was looked at, in order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What kind of thing: `database`, `clock`, `v3`, …
    pub name: &'static str,
    /// Which one: a merchant, an app, an address; may be empty.
    pub subject: String,
    /// How it is.
    pub outcome: Outcome,
    /// How it is, in words. Never contains a secret.
    pub text: String,
    /// What to do; every problem has it.
    pub fix: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but not for ever or not always.
    Warning,
    /// It does not work.
    Problem,
}

impl Outcome {
    /// The word in both forms of the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Check {
    pub(super) fn ok(name: &'static str, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name, subject: subject.into(), outcome: Outcome::Ok, text: text.into(), fix: None }
    }

    pub(super) fn warning(name: &'static str, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, ..Self::ok(name, subject, text) }
    }

    pub(super) fn problem(name: &'static str, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Problem, ..Self::ok(name, subject, text) }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// What was looked at.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether something does not work.
    pub fn has_problem(&self) -> bool {
        self.count(Outcome::Problem) > 0
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Check { name, subject, outcome, text: words, fix } in &self.checks {
            let subject = if subject.is_empty() { String::new() } else { format!(" {subject}") };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:<8} {name}{subject}: {words}", outcome.as_str());
            if let Some(fix) = fix {
                let _ = writeln!(text, "         -> {fix}");
            }
        }
        let (problems, warnings) = (self.count(Outcome::Problem), self.count(Outcome::Warning));
        let _ = match (problems, warnings) {
            (0, 0) => writeln!(text, "Everything is as it should be."),
            _ => writeln!(text, "problems: {problems}, warnings: {warnings}"),
        };
        text
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "check": check.name,
                "subject": check.subject,
                "outcome": check.outcome.as_str(),
                "text": check.text,
                "fix": check.fix,
            })
        });
        json!({ "ok": !self.has_problem(), "checks": checks.collect::<Vec<_>>() })
    }
}
