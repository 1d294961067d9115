//! The transaction as storage functions see it: four ways to run a statement, the same on both engines.

use super::{DatabaseError, Dialect, Row, Value, postgres::Session, sqlite::Connection};

/// A running transaction. It begins and ends outside of the closure that gets it.
///
/// Statements are prepared once per connection, so they name their columns: `SELECT *` breaks when a migration adds one.
/// SQL texts are constants with `$1`, `$2`, ... placeholders (each may occur several times and in any order); values come
/// in `params![..]`. A failed statement dooms the transaction, on SQLite as on PostgreSQL: every further statement gives
/// [`DatabaseError::Aborted`] and nothing is kept, even if the closure answers `Ok`. Use `ON CONFLICT` where a conflict
/// is expected.
pub struct Tx {
    engine: Engine,
    failed: Option<Failed>,
}

pub(super) enum Engine {
    Sqlite(Connection),
    Postgres(Box<Session>),
}

/// A statement that failed, and what follows from it for the transaction.
pub(super) struct Failed {
    pub(super) error: DatabaseError,
    pub(super) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Undo this closure.
    Undo,
    /// SQLite: the whole group is lost.
    UndoGroup,
    /// PostgreSQL: displaced by another transaction, run the closure again.
    Retry,
    /// PostgreSQL: the connection is gone, connect and run the closure again.
    Reconnect,
}

impl From<DatabaseError> for Failed {
    fn from(error: DatabaseError) -> Self {
        Self { error, then: Then::Undo }
    }
}

impl Tx {
    /// Runs a statement and gives the number of rows it changed (with `RETURNING`: the number of rows it gave back).
    ///
    /// # Errors
    /// Violations of constraints, [`DatabaseError::NulInText`], [`DatabaseError::Engine`] and what else the engine reports.
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, DatabaseError> {
        self.run(params, |engine| match engine {
            Engine::Sqlite(connection) => connection.execute(sql, params),
            Engine::Postgres(session) => session.execute(sql, params),
        })
    }

    /// Runs a statement and gives all its rows; the SQL text limits their number.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        self.run(params, |engine| match engine {
            Engine::Sqlite(connection) => connection.query(sql, params),
            Engine::Postgres(session) => session.query(sql, params),
        })
    }

    /// Runs a statement that gives at most one row.
    ///
    /// # Errors
    /// As [`Tx::execute`], and [`DatabaseError::ManyRows`].
    pub fn query_opt(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, DatabaseError> {
        let mut rows = self.query(sql, params)?;
        let row = rows.pop();
        if rows.is_empty() { Ok(row) } else { Err(DatabaseError::ManyRows) }
    }

    /// Runs a statement that gives exactly one row.
    ///
    /// # Errors
    /// As [`Tx::query_opt`], and [`DatabaseError::NotFound`].
    pub fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Row, DatabaseError> {
        self.query_opt(sql, params)?.ok_or(DatabaseError::NotFound)
    }

    /// Which engine this is, for the few pieces of SQL that differ.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, failed: None }
    }

    pub(super) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// BEGIN, COMMIT and the like: one statement without placeholders and answer.
    pub(super) fn control(&mut self, sql: &str) -> Result<(), Failed> {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection.control(sql),
            Engine::Postgres(session) => session.control(sql),
        }
    }

    /// Statements of a migration: run once, not worth a place in the cache.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failed> {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection.batch(sql),
            Engine::Postgres(session) => session.control(sql),
        }
    }

    /// Whether a statement failed since the beginning of the closure.
    pub(super) fn is_doomed(&self) -> bool {
        self.failed.is_some()
    }

    /// The first failure, forgotten afterwards.
    pub(super) fn take_failed(&mut self) -> Option<Failed> {
        self.failed.take()
    }

    fn run<T>(
        &mut self,
        params: &[Value],
        statement: impl FnOnce(&mut Engine) -> Result<T, Failed>,
    ) -> Result<T, DatabaseError> {
        if self.failed.is_some() {
            return Err(DatabaseError::Aborted);
        }
        let has_nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
        let answer =
            if params.iter().any(has_nul) { Err(DatabaseError::NulInText.into()) } else { statement(&mut self.engine) };
        answer.map_err(|failed| {
            let error = failed.error.clone();
            self.failed = Some(failed);
            error
        })
    }
}
