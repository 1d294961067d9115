//! SQLite: one writer with group commit, a few readers. Used by `mod.rs` only.
//!
//! The writer opens one transaction, runs the waiting closures each in its savepoint, commits with one sync and only then
//! lets the answers go. Whoever read what another closure of the group wrote therefore shares its fate.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{CachedStatement, ErrorCode, OpenFlags, config::DbConfig, ffi, types::ValueRef};

use super::{
    DatabaseError, Dialect, Row, Tx, Value,
    error::{EngineError, OUTSIDE},
    queue::{Queue, Verdict, Work},
    tx::{Engine, Failed, Then},
};

/// Runs until the queue is closed and empty; ends with a checkpoint.
pub(super) fn write_loop(mut tx: Tx, queue: &Queue) {
    while let Some(mut group) = queue.take(GROUP_MAX) {
        match run_group(&mut tx, &mut group) {
            Ok(()) => group.into_iter().for_each(|work| work.answer()),
            Err(failed) => {
                roll_back(&mut tx);
                group.into_iter().for_each(|work| work.fail(failed.error.clone()));
            }
        }
    }
    if let Engine::Sqlite(connection) = tx.engine() {
        connection.checkpoint();
    }
}

/// Runs until the queue is closed and empty.
pub(super) fn read_loop(mut tx: Tx, queue: &Queue) {
    while let Some(works) = queue.take(1) {
        for mut work in works {
            let answer = run_read(&mut tx, work.as_mut());
            roll_back(&mut tx);
            match answer {
                Ok(()) => work.answer(),
                Err(failed) => work.fail(failed.error),
            }
        }
    }
}

/// One transaction for all of the group. An error from here means that nothing of the group was kept.
fn run_group(tx: &mut Tx, group: &mut [Box<dyn Work>]) -> Result<(), Failed> {
    tx.control(Dialect::Sqlite.begin_write())?;
    for work in group {
        tx.control("SAVEPOINT work")?;
        let verdict = work.run(tx);
        match tx.take_failed() {
            Some(failed) if failed.then == Then::UndoGroup => return Err(failed),
            // SQLite itself gave up the transaction, and with it the work of the others.
            Some(failed) if !in_transaction(tx) => return Err(failed),
            _ => {}
        }
        if verdict == Verdict::Undo {
            tx.control("ROLLBACK TO work")?;
        }
        tx.control("RELEASE work")?;
    }
    tx.control("COMMIT").map_err(|failed| match failed.error {
        // The commit record may have reached the disk although the sync was refused.
        DatabaseError::Engine(error) if is_io_error(&error) => DatabaseError::CommitUnknown.into(),
        error => error.into(),
    })
}

fn run_read(tx: &mut Tx, work: &mut dyn Work) -> Result<(), Failed> {
    tx.control(Dialect::Sqlite.begin_read())?;
    work.run(tx);
    tx.take_failed();
    Ok(())
}

fn roll_back(tx: &mut Tx) {
    tx.take_failed();
    if in_transaction(tx)
        && let Err(failed) = tx.control("ROLLBACK")
    {
        tracing::error!(error = %failed.error, "the database could not roll back");
    }
}

fn in_transaction(tx: &mut Tx) -> bool {
    matches!(tx.engine(), Engine::Sqlite(connection) if !connection.inner.is_autocommit())
}

fn is_io_error(error: &EngineError) -> bool {
    error.code().parse::<i32>().is_ok_and(|code| code & 0xff == ffi::SQLITE_IOERR)
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// The first switch needs the database alone, and SQLite does not wait for that by itself.
fn switch_to_wal(inner: &rusqlite::Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        let switched = inner.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && waited < busy_timeout => {
                std::thread::park_timeout(PAUSE);
                waited += PAUSE;
            }
            switched => return switched.map(drop),
        }
    }
}

pub(super) struct Connection {
    inner: rusqlite::Connection,
}

impl Connection {
    pub(super) fn open(path: &Path, access: Access, busy_timeout: Duration) -> Result<Self, DatabaseError> {
        let flags = match access {
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        // One thread owns the connection, so SQLite needs no mutex of its own.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = rusqlite::Connection::open_with_flags(path, flags).map_err(database_error)?;
        let connection = Self { inner };
        connection.configure(access, busy_timeout).map_err(database_error)?;
        Ok(connection)
    }

    fn configure(&self, access: Access, busy_timeout: Duration) -> rusqlite::Result<()> {
        let inner = &self.inner;
        inner.busy_timeout(busy_timeout)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // A misspelt column in double quotes is an error, as on PostgreSQL, and not a text.
        inner.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        inner.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        inner.pragma_update(None, "trusted_schema", "OFF")?;
        inner.pragma_update(None, "foreign_keys", "ON")?;
        match access {
            Access::Write => {
                switch_to_wal(inner, busy_timeout)?;
                inner.pragma_update(None, "synchronous", "FULL")?;
                inner.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)
            }
            Access::Read => inner.pragma_update(None, "query_only", "ON"),
        }
    }

    pub(super) fn control(&mut self, sql: &str) -> Result<(), Failed> {
        let mut statement = self.inner.prepare_cached(sql).map_err(failed)?;
        statement.raw_execute().map_err(failed)?;
        Ok(())
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failed> {
        self.inner.execute_batch(sql).map_err(failed)
    }

    pub(super) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failed> {
        let mut statement = self.prepare(sql, params)?;
        if statement.column_count() == 0 {
            let count = statement.raw_execute().map_err(failed)?;
            return Ok(u64::try_from(count).unwrap_or(u64::MAX));
        }
        let mut rows = statement.raw_query();
        let mut count = 0;
        while rows.next().map_err(failed)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    pub(super) fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failed> {
        let mut statement = self.prepare(sql, params)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns.len());
            for (index, column) in columns.iter().enumerate() {
                values.push(decode(row.get_ref(index).map_err(failed)?, column)?);
            }
            answer.push(Row::new(Arc::clone(&columns), values));
        }
        Ok(answer)
    }

    /// SQLite numbers `$n` by first appearance, so each is bound by its name.
    fn prepare(&mut self, sql: &str, params: &[Value]) -> Result<CachedStatement<'_>, Failed> {
        let mut statement = self.inner.prepare_cached(sql).map_err(failed)?;
        let mut expected = 0;
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
            let number: usize = name.and_then(|name| name.parse().ok()).unwrap_or_default();
            expected = expected.max(number);
            let value = number.checked_sub(1).and_then(|position| params.get(position));
            let value = value.ok_or_else(|| misuse("a placeholder has no value"))?;
            statement.raw_bind_parameter(index, Bound(value)).map_err(failed)?;
        }
        if expected != params.len() {
            return Err(misuse("more values than placeholders"));
        }
        Ok(statement)
    }

    /// Moves the write-ahead log into the database and empties it. SQLite repeats this by itself where it fails.
    fn checkpoint(&self) {
        if let Err(error) = self.inner.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            let error = database_error(error);
            tracing::warn!(%error, "the write-ahead log could not be emptied");
        }
    }
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}

fn decode(value: ValueRef<'_>, column: &str) -> Result<Value, DatabaseError> {
    let wrong =
        |found| DatabaseError::Row { column: column.to_owned(), expected: "a text, an integer or bytes", found };
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(int) => Ok(Value::Int(int)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Text(bytes) => {
            String::from_utf8(bytes.to_vec()).map(Value::Text).map_err(|_| wrong("a text that is not UTF-8"))
        }
        ValueRef::Real(_) => Err(wrong("a floating point number")),
    }
}

fn misuse(message: &str) -> Failed {
    DatabaseError::Engine(EngineError::new(Dialect::Sqlite, OUTSIDE, message)).into()
}

fn failed(error: rusqlite::Error) -> Failed {
    let ends_transaction = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::InternalMalfunction
        )
    );
    Failed { error: database_error(error), then: if ends_transaction { Then::UndoGroup } else { Then::Undo } }
}

fn database_error(error: rusqlite::Error) -> DatabaseError {
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code, message),
        // Its Display repeats the SQL text.
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg)),
        other => return DatabaseError::Engine(EngineError::new(Dialect::Sqlite, OUTSIDE, other.to_string())),
    };
    match (code.code, code.extended_code) {
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => DatabaseError::Locked,
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => {
            DatabaseError::UniqueViolation
        }
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => DatabaseError::ForeignKeyViolation,
        (ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch, _) => DatabaseError::ConstraintViolation,
        (_, extended) => {
            let message = message.unwrap_or_else(|| ffi::code_to_str(extended).to_owned());
            DatabaseError::Engine(EngineError::new(Dialect::Sqlite, extended.to_string(), message))
        }
    }
}

/// So many transactions share one sync; more brings little and lets the first of them wait longer.
const GROUP_MAX: usize = 64;
/// More than the SQL texts of the program.
const STATEMENTS_MAX: usize = 512;
/// A write-ahead log that grew during a burst is cut back to this.
const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;
