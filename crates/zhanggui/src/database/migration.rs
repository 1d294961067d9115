//! The schema: numbered SQL files, applied once each, in order, with a checksum. Called by `zhanggui migrate` and by
//! [`super::Database::open`], which only compares.
//!
//! A file is split into statements at every line that ends with `;`; lines that begin with `--` are comments. Each file runs in
//! one transaction. A file that was released is never changed: its checksum is in the databases of others. The column types are
//! described in `dialect.rs`. Constraints are not `DEFERRABLE`.

use aws_lc_rs::digest;

use super::{DatabaseError, Dialect, OpenError, Realm, Tx};

/// One file of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// The tree of this program, in order.
pub(super) const TREE: &[Migration] = &[
    Migration { number: 1, name: "foundation", sql: include_str!("migrations/0001_foundation.sql") },
    Migration { number: 2, name: "customer_service", sql: include_str!("migrations/0002_customer_service.sql") },
    Migration { number: 3, name: "money", sql: include_str!("migrations/0003_money.sql") },
    Migration { number: 4, name: "merchant", sql: include_str!("migrations/0004_merchant.sql") },
    Migration { number: 5, name: "look_ups", sql: include_str!("migrations/0005_look_ups.sql") },
];

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The names of the migrations applied by this call, such as `0001_foundation`; empty if there was nothing to do.
    pub applied: Vec<String>,
    /// The number of the newest migration in the database.
    pub version: i64,
}

/// Brings the database behind `tx` to the newest schema.
pub(super) fn migrate(
    tx: &mut Tx,
    realm: Realm,
    now_ms: i64,
    tree: &[Migration],
) -> Result<MigrationReport, OpenError> {
    in_transaction(tx, |tx| prepare(tx, realm, tree))?;
    let mut report = MigrationReport { applied: Vec::new(), version: newest(tree) };
    for migration in tree {
        // Another process may have been faster; what it applied is seen inside the transaction.
        if in_transaction(tx, |tx| apply(tx, migration, now_ms))? {
            report.applied.push(migration.file());
        }
    }
    Ok(report)
}

/// Whether a program with this tree may work with the database behind `tx`.
pub(super) fn check(tx: &mut Tx, realm: Realm, tree: &[Migration]) -> Result<(), OpenError> {
    let needed = newest(tree);
    let count_tables = tx.dialect().count_tables();
    for table in ["schema_migration", "meta"] {
        if tx.query_one(count_tables, crate::params![table])?.int("n")? == 0 {
            return Err(OpenError::Older { found: 0, needed });
        }
    }
    check_realm(tx, realm)?;
    check_not_newer(tx, tree)?;
    for migration in tree {
        if !is_applied(tx, migration)? {
            return Err(OpenError::Older { found: version(tx)?, needed });
        }
    }
    Ok(())
}

/// Makes the bookkeeping tables where they are missing and writes the realm down for ever.
fn prepare(tx: &mut Tx, realm: Realm, tree: &[Migration]) -> Result<(), OpenError> {
    let dialect = tx.dialect();
    if dialect == Dialect::Postgres {
        let found = tx.query_one(SELECT_ENCODING, &[])?.text("encoding")?.to_owned();
        if found != "UTF8" {
            return Err(OpenError::Encoding { found });
        }
    }
    for table in [SCHEMA_MIGRATION, META] {
        tx.batch(&dialect.migration_statement(table)).map_err(|failed| failed.error)?;
    }
    tx.execute(INSERT_REALM, crate::params![realm.as_str()])?;
    check_realm(tx, realm)?;
    check_not_newer(tx, tree)
}

/// `false` if it was applied before.
fn apply(tx: &mut Tx, migration: &Migration, now_ms: i64) -> Result<bool, OpenError> {
    if is_applied(tx, migration)? {
        return Ok(false);
    }
    let dialect = tx.dialect();
    for (index, statement) in statements(migration.sql).iter().enumerate() {
        tx.batch(&dialect.migration_statement(statement)).map_err(|failed| OpenError::Migration {
            file: migration.file(),
            statement: index + 1,
            source: failed.error,
        })?;
    }
    let row = crate::params![migration.number, migration.name, migration.checksum(), now_ms];
    tx.execute(INSERT_MIGRATION, row)?;
    Ok(true)
}

fn is_applied(tx: &mut Tx, migration: &Migration) -> Result<bool, OpenError> {
    match tx.query_opt(SELECT_CHECKSUM, crate::params![migration.number])? {
        None => Ok(false),
        Some(row) if row.text("checksum")? == migration.checksum() => Ok(true),
        Some(_) => Err(OpenError::ChangedMigration { number: migration.number }),
    }
}

fn check_realm(tx: &mut Tx, wanted: Realm) -> Result<(), OpenError> {
    let row = tx.query_opt(SELECT_REALM, &[])?.ok_or(OpenError::UnknownRealm)?;
    let found = Realm::parse(row.text("value")?).ok_or(OpenError::UnknownRealm)?;
    if found == wanted { Ok(()) } else { Err(OpenError::OtherRealm { found, wanted }) }
}

fn check_not_newer(tx: &mut Tx, tree: &[Migration]) -> Result<(), OpenError> {
    let (found, known) = (version(tx)?, newest(tree));
    if found > known { Err(OpenError::Newer { found, known }) } else { Ok(()) }
}

fn version(tx: &mut Tx) -> Result<i64, DatabaseError> {
    tx.query_one(SELECT_VERSION, &[])?.int("version")
}

fn newest(tree: &[Migration]) -> i64 {
    tree.iter().map(|migration| migration.number).max().unwrap_or_default()
}

fn in_transaction<T>(tx: &mut Tx, work: impl FnOnce(&mut Tx) -> Result<T, OpenError>) -> Result<T, OpenError> {
    let begin = match tx.dialect() {
        Dialect::Sqlite => tx.dialect().begin_write(),
        // The advisory lock already keeps others away, and changes of the schema are not serializable anyway.
        Dialect::Postgres => "BEGIN",
    };
    tx.control(begin).map_err(|failed| failed.error)?;
    let answer = work(tx);
    tx.take_failed();
    let end = if answer.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = tx.control(end).map_err(|failed| failed.error);
    let value = answer?;
    ended?;
    Ok(value)
}

fn statements(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for line in sql.lines().map(str::trim_end).filter(|line| !line.trim_start().starts_with("--")) {
        let (line, ends) = line.strip_suffix(';').map_or((line, false), |line| (line, true));
        current.push_str(line);
        current.push('\n');
        if ends {
            statements.push(std::mem::take(&mut current));
        }
    }
    statements.push(current);
    statements.into_iter().map(|statement| statement.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

impl Migration {
    fn file(&self) -> String {
        format!("{:04}_{}", self.number, self.name)
    }

    /// SHA-256 of the text, so that the same file counts as the same on every machine.
    fn checksum(&self) -> String {
        let text = self.sql.replace("\r\n", "\n");
        hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
    }
}

const SCHEMA_MIGRATION: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_ms BIGINT NOT NULL
)";
const META: &str = "CREATE TABLE IF NOT EXISTS meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
)";
const INSERT_REALM: &str = "INSERT INTO meta (key, value) VALUES ('realm', $1) ON CONFLICT (key) DO NOTHING";
const SELECT_ENCODING: &str = "SELECT current_setting('server_encoding') AS encoding";
const SELECT_REALM: &str = "SELECT value FROM meta WHERE key = 'realm'";
const SELECT_VERSION: &str = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_migration";
const SELECT_CHECKSUM: &str = "SELECT checksum FROM schema_migration WHERE version = $1";
const INSERT_MIGRATION: &str =
    "INSERT INTO schema_migration (version, name, checksum, applied_ms) VALUES ($1, $2, $3, $4)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_at_semicolons_that_end_a_line() {
        let sql = "-- head;\nCREATE TABLE a (\n  t TEXT DEFAULT 'x;y' -- why\n);\r\n\n  -- more;\nINSERT INTO a VALUES ('1;2');\n";
        assert_eq!(
            statements(sql),
            ["CREATE TABLE a (\n  t TEXT DEFAULT 'x;y' -- why\n)", "INSERT INTO a VALUES ('1;2')"]
        );
    }

    #[test]
    fn the_tree_is_numbered_without_gaps_and_has_no_deferred_constraints() {
        for (index, migration) in TREE.iter().enumerate() {
            assert_eq!(usize::try_from(migration.number), Ok(index + 1));
            assert!(!migration.sql.to_uppercase().contains("DEFERRABLE"), "{}", migration.file());
            assert!(migration.sql.trim_end().ends_with(';'), "{}", migration.file());
        }
    }
}
