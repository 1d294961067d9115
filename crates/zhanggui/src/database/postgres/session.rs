//! One connection to PostgreSQL, connected when needed, with its prepared statements.

use std::{collections::HashMap, error::Error as _, sync::Arc, time::Duration};

use postgres::{
    Client, NoTls, Statement,
    config::SslMode,
    error::{DbError, Severity},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::{
        DatabaseError, Dialect, OpenError, Row, Value,
        error::{EngineError, OUTSIDE},
        tx::{Failed, Then},
        url::Server,
    },
    codec, tls,
};

/// How to connect; shared by the sessions of a database.
#[derive(Clone)]
pub(crate) struct Settings {
    config: postgres::Config,
    tls: Option<MakeRustlsConnect>,
    limits: Limits,
}

/// How long the server lets us wait and work.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// For a lock.
    pub(crate) lock: Duration,
    /// For a statement, and between the statements of a transaction.
    pub(crate) statement: Duration,
}

impl Settings {
    pub(crate) fn new(server: &Server, limits: Limits) -> Result<Self, OpenError> {
        let mut config = server.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_BORNE);
        }
        if config.get_application_name().is_none() {
            config.application_name("zhanggui");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            SslMode::Prefer => Some(tls::unverified()?),
            _ => Some(tls::verified(server.root_certificates.as_deref())?),
        };
        Ok(Self { config, tls, limits })
    }
}

pub(crate) struct Session {
    settings: Settings,
    client: Option<Client>,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// Connects with the first statement.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, client: None, statements: HashMap::new() }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    pub(crate) fn disconnect(&mut self) {
        self.client = None;
        self.statements.clear();
    }

    pub(crate) fn control(&mut self, sql: &str) -> Result<(), Failed> {
        let answer = self.connected()?.batch_execute(sql);
        answer.map_err(|error| self.failed(&error))
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Failed> {
        let statement = self.prepare(sql)?;
        let answer = self.connected()?.execute(&statement, &bound(params));
        answer.map_err(|error| self.failed(&error))
    }

    pub(crate) fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Failed> {
        let statement = self.prepare(sql)?;
        let answer = self.connected()?.query(&statement, &bound(params));
        let found = answer.map_err(|error| self.failed(&error))?;
        let columns: Arc<[String]> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let values = (0..columns.len()).map(|index| codec::decode(row, index)).collect::<Result<_, _>>()?;
            rows.push(Row::new(Arc::clone(&columns), values));
        }
        Ok(rows)
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, Failed> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let answer = self.connected()?.prepare(sql);
        let statement = answer.map_err(|error| self.failed(&error))?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn connected(&mut self) -> Result<&mut Client, Failed> {
        if self.client.as_ref().is_some_and(Client::is_closed) {
            self.disconnect();
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => connect(&self.settings)?,
        };
        Ok(self.client.insert(client))
    }

    fn failed(&mut self, error: &postgres::Error) -> Failed {
        let failed = classify(error);
        if failed.then == Then::Reconnect {
            self.disconnect();
        }
        failed
    }
}

fn connect(settings: &Settings) -> Result<Client, Failed> {
    let connected = match &settings.tls {
        Some(tls) => settings.config.connect(tls.clone()),
        None => settings.config.connect(NoTls),
    };
    let (lock, statement) = (settings.limits.lock, settings.limits.statement);
    let limits = format!(
        "SET lock_timeout = {lock_ms}; SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; \
         SET client_min_messages = warning",
        lock_ms = lock.as_millis().max(1),
        ms = statement.as_millis()
    );
    let prepared = connected.and_then(|mut client| client.batch_execute(&limits).map(|()| client));
    prepared.map_err(|error| {
        let refused = error.as_db_error().is_some_and(|error| refuses_for_good(error.code().code()));
        let then = if refused { Then::Undo } else { Then::Reconnect };
        Failed { error: DatabaseError::Unavailable(Some(engine_error(&error))), then }
    })
}

/// Wrong password, no such role or database: waiting does not help.
fn refuses_for_good(code: &str) -> bool {
    code.starts_with("28") || code.starts_with("3D")
}

fn bound(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn classify(error: &postgres::Error) -> Failed {
    let Some(report) = error.as_db_error() else {
        let cause = error.source();
        if cause.is_some_and(|cause| cause.is::<codec::WrongKind>()) {
            return DatabaseError::ConstraintViolation.into();
        }
        let lost = error.is_closed() || cause.is_some_and(|cause| cause.is::<std::io::Error>());
        let error = engine_error(error);
        return if lost { reconnect(error) } else { DatabaseError::Engine(error).into() };
    };
    if matches!(report.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return reconnect(engine_error(error));
    }
    match report.code().code() {
        "40001" | "40P01" => Failed { error: DatabaseError::Contended { attempts: 1 }, then: Then::Retry },
        "23505" => DatabaseError::UniqueViolation.into(),
        "23503" => DatabaseError::ForeignKeyViolation.into(),
        "55P03" => DatabaseError::Locked.into(),
        code if code.starts_with("23") => DatabaseError::ConstraintViolation.into(),
        code if code.starts_with("08") => reconnect(engine_error(error)),
        _ => DatabaseError::Engine(engine_error(error)).into(),
    }
}

fn reconnect(error: EngineError) -> Failed {
    Failed { error: DatabaseError::Unavailable(Some(error)), then: Then::Reconnect }
}

/// The error in words that cannot contain data: neither DETAIL nor the messages about values are repeated.
fn engine_error(error: &postgres::Error) -> EngineError {
    let told = |code: &str, message: String| EngineError::new(Dialect::Postgres, code, message);
    match error.as_db_error() {
        Some(report) if speaks_of_values(report) => told(report.code().code(), "a value is refused".to_owned()),
        Some(report) => told(report.code().code(), report.message().to_owned()),
        None => match error.source() {
            Some(cause) => told(OUTSIDE, format!("{error}: {cause}")),
            None => told(OUTSIDE, error.to_string()),
        },
    }
}

/// Class 22 are data exceptions, 23 violations of constraints, P0 is raised by code in the database.
fn speaks_of_values(report: &DbError) -> bool {
    ["22", "23", "P0"].iter().any(|class| report.code().code().starts_with(class))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay without an answer of the network.
const SILENCE_BORNE: Duration = Duration::from_secs(30);
/// More than the SQL texts of the program.
const STATEMENTS_MAX: usize = 512;
