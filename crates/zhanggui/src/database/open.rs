//! Opening and migrating: from a URL to threads with connections.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Database, Dialect, OpenError, Options, Realm, Shared, Threads, Tx,
    migration::{self, Migration, MigrationReport},
    postgres::{self, Limits, Session, Settings},
    queue::Queue,
    sqlite::{self, Access, Connection},
    tx::Engine,
    url::{DatabaseUrl, Place},
};

/// Brings the database to the schema of this program; running it twice changes nothing. A missing SQLite file is created with
/// mode 0600 in an existing directory, and the realm is written down at the first time. `now` is recorded in the bookkeeping.
///
/// # Errors
/// A locked database, a newer schema, a changed migration, the other realm, a file that cannot be created, a failing statement.
pub async fn migrate(url: &DatabaseUrl, realm: Realm, now: Timestamp) -> Result<MigrationReport, OpenError> {
    migrate_tree(url, realm, now, migration::TREE).await
}

pub(super) async fn migrate_tree(
    url: &DatabaseUrl,
    realm: Realm,
    now: Timestamp,
    tree: &'static [Migration],
) -> Result<MigrationReport, OpenError> {
    let url = url.clone();
    blocking(move || {
        let mut tx = match &url.0 {
            Place::Sqlite(path) => {
                create_if_missing(path)?;
                Tx::new(Engine::Sqlite(Connection::open(path, Access::Write, BUSY_TIMEOUT)?))
            }
            Place::Postgres(server) => {
                let mut session = Session::new(Settings::new(server, MIGRATION_LIMITS)?);
                session.control(MIGRATION_LOCK).map_err(|failed| failed.error)?;
                Tx::new(Engine::Postgres(Box::new(session)))
            }
        };
        // The advisory lock goes with the connection.
        migration::migrate(&mut tx, realm, now.as_millisecond(), tree)
    })
    .await
}

pub(super) async fn open(options: Options, realm: Realm, tree: &'static [Migration]) -> Result<Database, OpenError> {
    blocking(move || match &options.url.0 {
        Place::Sqlite(path) => open_sqlite(path, &options, realm, tree),
        Place::Postgres(server) => {
            let settings = Settings::new(server, Limits { lock: options.busy_timeout, statement: STATEMENT_TIMEOUT })?;
            open_postgres(&settings, &options, realm, tree)
        }
    })
    .await
}

fn open_sqlite(path: &Path, options: &Options, realm: Realm, tree: &[Migration]) -> Result<Database, OpenError> {
    let exists = path.try_exists().map_err(|source| OpenError::File { path: path.to_owned(), source })?;
    if !exists {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let connect =
        |access| Ok::<_, OpenError>(Tx::new(Engine::Sqlite(Connection::open(path, access, options.busy_timeout)?)));
    let mut writer = connect(Access::Write)?;
    check(&mut writer, realm, tree)?;
    let start = Start::new(Dialect::Sqlite, options);
    for _ in 0..options.reader_threads.max(1) {
        start.reader(connect(Access::Read)?, sqlite::read_loop)?;
    }
    start.writer(writer, sqlite::write_loop)?;
    Ok(start.finish())
}

fn open_postgres(
    settings: &Settings,
    options: &Options,
    realm: Realm,
    tree: &[Migration],
) -> Result<Database, OpenError> {
    let connect = || Tx::new(Engine::Postgres(Box::new(Session::new(settings.clone()))));
    let mut first = connect();
    check(&mut first, realm, tree)?;
    warn_of_lost_commits(&mut first)?;
    let start = Start::new(Dialect::Postgres, options);
    for _ in 0..options.reader_threads.max(1) {
        start.reader(connect(), |tx, queue| postgres::work_loop(tx, queue, Dialect::Postgres.begin_read()))?;
    }
    for tx in std::iter::once(first).chain(std::iter::repeat_with(connect)).take(options.postgres_connections.max(1)) {
        start.writer(tx, |tx, queue| postgres::work_loop(tx, queue, Dialect::Postgres.begin_write()))?;
    }
    Ok(start.finish())
}

/// Inside a write transaction, which also shows whether somebody else holds the lock.
fn check(tx: &mut Tx, realm: Realm, tree: &[Migration]) -> Result<(), OpenError> {
    tx.control(tx.dialect().begin_write()).map_err(|failed| failed.error)?;
    let checked = migration::check(tx, realm, tree);
    tx.take_failed();
    tx.control("ROLLBACK").map_err(|failed| failed.error)?;
    checked
}

fn warn_of_lost_commits(tx: &mut Tx) -> Result<(), OpenError> {
    for setting in ["fsync", "synchronous_commit"] {
        let row = tx.query_one("SELECT current_setting($1) AS value", crate::params![setting])?;
        if row.text("value")? == "off" {
            tracing::warn!(
                database.setting = setting,
                "PostgreSQL may forget committed payments when it crashes: a setting is off"
            );
        }
    }
    Ok(())
}

fn create_if_missing(path: &Path) -> Result<(), OpenError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

/// A database whose threads are being started. Dropped half-way it closes the queues, which ends the threads.
struct Start(Database);

impl Start {
    fn new(dialect: Dialect, options: &Options) -> Self {
        let queue = || Arc::new(Queue::new(options.queue_capacity));
        let shared = Shared { dialect, writes: queue(), reads: queue(), threads: Mutex::new(Threads::default()) };
        Self(Database(Arc::new(shared)))
    }

    fn reader(&self, tx: Tx, work: impl FnOnce(Tx, &Queue) + Send + 'static) -> Result<(), OpenError> {
        let thread = spawn("database-read", tx, Arc::clone(&self.0.0.reads), work)?;
        self.threads().readers.push(thread);
        Ok(())
    }

    fn writer(&self, tx: Tx, work: impl FnOnce(Tx, &Queue) + Send + 'static) -> Result<(), OpenError> {
        let thread = spawn("database-write", tx, Arc::clone(&self.0.0.writes), work)?;
        self.threads().writers.push(thread);
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Threads> {
        self.0.0.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn finish(self) -> Database {
        self.0
    }
}

fn spawn(
    name: &str,
    tx: Tx,
    queue: Arc<Queue>,
    work: impl FnOnce(Tx, &Queue) + Send + 'static,
) -> Result<thread::JoinHandle<()>, OpenError> {
    /// Whatever ends the thread, nobody waits in vain.
    struct Abandon(Arc<Queue>);
    impl Drop for Abandon {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }
    let body = move || {
        let abandon = Abandon(queue);
        work(tx, &abandon.0);
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(OpenError::Thread)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(super::DatabaseError::Closed.into()),
        },
    }
}

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Far more than any statement of this program needs; ends what hangs.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Another node may be migrating, and building an index over years of payments takes its time.
const MIGRATION_LIMITS: Limits = Limits { lock: Duration::from_secs(60), statement: Duration::from_secs(3600) };
/// Any number that only this program uses: "zhanggui" in ASCII.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(8820406997014246761)";
