//! What can go wrong with the database, in words that hold for both engines.
//!
//! No text in here ever contains a bound value, a connection string or a constraint name: the errors travel through logs.
//! [`DatabaseError`] is what a transaction gives; [`OpenError`] is what opening and migrating give.

use std::path::PathBuf;

use super::{Dialect, Realm};

/// A transaction or a statement of it did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The queue is full; nothing was done. The caller may try again later.
    #[error("the database is overloaded")]
    Overloaded,
    /// The database was closed; nothing was done.
    #[error("the database is closed")]
    Closed,
    /// Another process or connection kept a lock for longer than the busy timeout; nothing was done.
    #[error("the database is locked by somebody else")]
    Locked,
    /// There was no connection to the PostgreSQL server for several seconds, or it refuses us; nothing was done.
    #[error("there is no connection to the database server")]
    Unavailable(#[source] Option<EngineError>),
    /// Concurrent transactions got in each other's way more often than the limit of retries; nothing was done.
    #[error("the transaction was displaced by others {attempts} times")]
    Contended {
        /// How often the transaction was tried.
        attempts: u32,
    },
    /// The connection was lost during COMMIT: the transaction may or may not have happened.
    #[error("the connection was lost during commit, the outcome is unknown")]
    CommitUnknown,
    /// A unique index or a primary key already holds this value.
    #[error("a row with this key exists already")]
    UniqueViolation,
    /// A row that is referred to does not exist, or a row to be deleted is still referred to.
    #[error("a reference between rows is broken")]
    ForeignKeyViolation,
    /// A CHECK, NOT NULL or column type refused the value.
    #[error("a constraint of the table refuses the row")]
    ConstraintViolation,
    /// `query_one` found no row.
    #[error("no such row")]
    NotFound,
    /// `query_one` or `query_opt` found more than one row.
    #[error("more than one row where one was expected")]
    ManyRows,
    /// A column of a row is missing or holds something else than was asked for.
    #[error("column {column}: expected {expected}, found {found}")]
    Row {
        /// The name of the column, as in the SQL text.
        column: String,
        /// What the reader asked for.
        expected: &'static str,
        /// What is there (a kind, never the value).
        found: &'static str,
    },
    /// A text with the character U+0000, which PostgreSQL cannot store; refused on both engines.
    #[error("a text contains the character U+0000")]
    NulInText,
    /// An earlier statement of the same transaction failed; the transaction can only be undone.
    #[error("an earlier statement of this transaction failed")]
    Aborted,
    /// The closure panicked; its changes were undone.
    #[error("the code inside the transaction panicked")]
    Panicked,
    /// Everything else the engine reports.
    #[error("the database engine reports an error")]
    Engine(#[source] EngineError),
}

impl DatabaseError {
    /// Whether nothing was done and the same call may succeed a moment later (for answering with "try again").
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Locked | Self::Unavailable(_) | Self::Contended { .. })
    }
}

/// The report of an engine: its code and, where it cannot contain data, its sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {code}: {message}", engine.name())]
pub struct EngineError {
    engine: Dialect,
    code: String,
    message: String,
}

impl EngineError {
    pub(super) fn new(engine: Dialect, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { engine, code: code.into(), message: message.into() }
    }

    /// Whether it did not come from the engine but from the way to it.
    pub(super) fn is_from_outside(&self) -> bool {
        self.code == OUTSIDE
    }

    /// The SQLSTATE of PostgreSQL or the extended result code of SQLite; `-` if the error did not come from the engine itself.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

/// The code of errors that have none.
pub(super) const OUTSIDE: &str = "-";

/// The database could not be opened or migrated. The texts tell the operator what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no SQLite file at this path.
    #[error("there is no database at {}; run `zhanggui migrate` to create it", path.display())]
    Missing {
        /// The path from the URL.
        path: PathBuf,
    },
    /// The SQLite file could not be created or examined.
    #[error("the file {} cannot be used", path.display())]
    File {
        /// The path from the URL.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process holds a lock on the database for longer than the busy timeout.
    #[error("the database is locked by another process")]
    Locked,
    /// The schema is older than this program.
    #[error("the database has schema {found}, this program needs {needed}; run `zhanggui migrate`")]
    Older {
        /// Number of the newest migration in the database (0: none).
        found: i64,
        /// Number of the newest migration of this program.
        needed: i64,
    },
    /// The schema is newer than this program.
    #[error("the database has schema {found}, this program knows {known}: the program is older than the database")]
    Newer {
        /// Number of the newest migration in the database.
        found: i64,
        /// Number of the newest migration of this program.
        known: i64,
    },
    /// The database belongs to the other realm.
    #[error("the database holds {found} data, this program was started for {wanted} data")]
    OtherRealm {
        /// What the database says about itself.
        found: Realm,
        /// What was asked for.
        wanted: Realm,
    },
    /// The bookkeeping in the database does not say a realm this program knows.
    #[error(
        "the database does not say which realm it belongs to; run `zhanggui migrate`, or it is not a database of zhanggui"
    )]
    UnknownRealm,
    /// An applied migration is not the one that this program contains.
    #[error("migration {number} was applied in another form than this program contains")]
    ChangedMigration {
        /// Number of the migration.
        number: i64,
    },
    /// A statement of a migration failed; the migration was undone.
    #[error("migration {file} failed at its statement {statement}")]
    Migration {
        /// Name of the migration, such as `0001_foundation`.
        file: String,
        /// The how-manieth statement of the file, from 1.
        statement: usize,
        /// What the engine said.
        source: DatabaseError,
    },
    /// The PostgreSQL database cannot store every text.
    #[error("the database has the encoding {found}; create it with ENCODING 'UTF8'")]
    Encoding {
        /// Its encoding.
        found: String,
    },
    /// A certificate for TLS could not be read, or there is none.
    #[error("TLS to PostgreSQL: {reason}")]
    Tls {
        /// What is wrong, in words.
        reason: String,
    },
    /// A thread could not be started.
    #[error("a database thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The engine or the connection failed.
    #[error("the database does not answer as it should")]
    Database(#[source] DatabaseError),
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Locked => Self::Locked,
            other => Self::Database(other),
        }
    }
}
