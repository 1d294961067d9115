//! Whether a database keeps the promises about money: `zhanggui check`, and the end of every test.
//!
//! Each invariant has its number, a sentence, how many things were looked at and which ones break it. Nothing is changed.
//! `rules.rs` are questions in SQL; `replay.rs` folds the evidence again and compares it with what is stored.

mod replay;
mod rules;

use serde::Serialize;

use crate::database::{Database, DatabaseError, Tx, params};

/// How many things that break an invariant are named.
const EXAMPLES_MAX: usize = 10;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether every invariant holds.
    pub ok: bool,
    /// One after the other.
    pub invariants: Vec<Checked>,
}

/// One invariant.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Its number, for example `M2`.
    pub number: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// How many things were looked at.
    pub examined: i64,
    /// How many of them break it.
    pub violations: i64,
    /// Some of those that break it.
    pub examples: Vec<String>,
}

impl Report {
    /// What breaks, one line for each invariant.
    pub fn broken(&self) -> Vec<String> {
        let broken = self.invariants.iter().filter(|checked| checked.violations > 0);
        broken.map(|checked| format!("{}: {}: {:?}", checked.number, checked.rule, checked.examples)).collect()
    }
}

/// Looks at everything. The invariants of one question are seen in one snapshot; the server may go on working meanwhile.
///
/// # Errors
/// The database fails.
pub async fn run(database: &Database) -> Result<Report, DatabaseError> {
    let mut invariants = database.read(|tx| rules::RULES.iter().map(|rule| examine(tx, rule)).collect()).await?;
    let folded: Vec<Checked> = replay::run(database).await?;
    Vec::extend(&mut invariants, folded);
    Ok(Report { ok: invariants.iter().all(|checked: &Checked| checked.violations == 0), invariants })
}

/// A question: which things are looked at, and which of them are wrong. `broken` gives a column `id`.
struct Rule {
    number: &'static str,
    rule: &'static str,
    examined: &'static str,
    broken: &'static str,
}

fn examine(tx: &mut Tx, rule: &Rule) -> Result<Checked, DatabaseError> {
    let examined = tx.query_one(&format!("SELECT COUNT(*) AS n FROM {}", rule.examined), params![])?.int("n")?;
    let violations = tx.query_one(&format!("SELECT COUNT(*) AS n FROM ({}) AS broken", rule.broken), params![])?;
    let examples =
        tx.query(&format!("SELECT id FROM ({}) AS broken ORDER BY id LIMIT {EXAMPLES_MAX}", rule.broken), params![])?;
    Ok(Checked {
        number: rule.number,
        rule: rule.rule,
        examined,
        violations: violations.int("n")?,
        examples: examples.iter().map(|row| Ok(row.text("id")?.to_owned())).collect::<Result<_, DatabaseError>>()?,
    })
}
