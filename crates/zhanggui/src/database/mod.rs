//! The database: closures over a synchronous [`Tx`], on SQLite or PostgreSQL, chosen by URL.
//!
//! `database.write(move |tx| payment::settle(tx, now, &notice)).await` sends the closure to a thread that owns a connection; the
//! answer comes after the commit is durable. Nobody can hold a transaction across a network call, and the storage functions of
//! the domains are ordinary functions over `&mut Tx`. On SQLite one thread commits many closures with one sync (`sqlite.rs`); on
//! PostgreSQL a few threads run one serializable transaction each (`postgres/`). What differs in SQL is in `dialect.rs`.
//!
//! A closure may run several times and must have no effects outside of its transaction.

mod dialect;
mod error;
mod migration;
mod open;
mod postgres;
mod queue;
mod row;
mod sqlite;
#[cfg(test)]
mod tests;
mod tx;
mod url;
mod value;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use self::queue::{Call, Queue};
pub use self::{
    dialect::Dialect,
    error::{DatabaseError, EngineError, OpenError},
    migration::MigrationReport,
    open::migrate,
    row::Row,
    tx::Tx,
    url::{DatabaseUrl, UrlError},
    value::Value,
};
pub use crate::params;

/// An open database. Clones share the same threads and connections.
#[derive(Clone)]
pub struct Database(Arc<Shared>);

struct Shared {
    dialect: Dialect,
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    writers: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub url: DatabaseUrl,
    /// Threads for reading, each with a connection of its own, on both engines.
    pub reader_threads: usize,
    /// Threads for writing on PostgreSQL, each with a connection of its own. SQLite always has one.
    pub postgres_connections: usize,
    /// Closures that may wait for a thread, separately for reading and writing; more are refused with
    /// [`DatabaseError::Overloaded`].
    pub queue_capacity: usize,
    /// How long to wait for a lock that another process (SQLite) or connection (PostgreSQL) holds.
    pub busy_timeout: Duration,
}

impl Options {
    /// Values that suit one node: 2 readers, 4 writers, 1024 waiting, 5 seconds.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            reader_threads: 2,
            postgres_connections: 4,
            queue_capacity: 1024,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// Whether a database holds real payments or those of the simulator. It is written down at the first migration; a database of the
/// other realm is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Real payments.
    Live,
    /// Payments of the simulator.
    Simulated,
}

impl Realm {
    /// `live` or `simulated`, as in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Simulated => "simulated",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Simulated].into_iter().find(|realm| realm.as_str() == text)
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Database {
    /// Opens a migrated database and starts its threads.
    ///
    /// # Errors
    /// Refuses a missing SQLite file, a locked database, an older or newer schema, and a database of the other realm; see
    /// [`OpenError`], whose texts tell the operator what to do.
    pub async fn open(options: Options, realm: Realm) -> Result<Self, OpenError> {
        open::open(options, realm, migration::TREE).await
    }

    /// Runs the closure in a write transaction and gives its answer after the commit is durable. If it answers with an error,
    /// panics or had a failed statement, nothing of it is kept.
    ///
    /// The closure may run more than once (PostgreSQL repeats it after collisions). Work that was begun goes on when the caller
    /// stops waiting.
    ///
    /// # Errors
    /// The closure's own, and as `E::from`: [`DatabaseError::Overloaded`] at once when the queue is full,
    /// [`DatabaseError::Closed`], [`DatabaseError::Panicked`], [`DatabaseError::CommitUnknown`] and the engine's errors.
    pub async fn write<T, E>(&self, work: impl Fn(&mut Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        run(&self.0.writes, work).await
    }

    /// Runs the closure in a read-only transaction: all its statements see the same state.
    ///
    /// # Errors
    /// As [`Database::write`]; a statement that changes something is an error.
    pub async fn read<T, E>(&self, work: impl Fn(&mut Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        run(&self.0.reads, work).await
    }

    /// Proves that a writer answers, for `/readyz`. It waits behind the writes that are queued; the caller sets the time limit.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        self.write(|tx| tx.query_one("SELECT 1 AS one", &[]).map(|_| ())).await
    }

    /// Which engine this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// Finishes what is queued, moves SQLite's write-ahead log into the file and ends the threads. Afterwards all clones answer
    /// with [`DatabaseError::Closed`].
    pub async fn close(self) {
        let shared = Arc::clone(&self.0);
        let ended = tokio::task::spawn_blocking(move || {
            let threads = std::mem::take(&mut *shared.threads.lock().unwrap_or_else(PoisonError::into_inner));
            // Readers first: the writer's last checkpoint then has nobody to wait for.
            for (queue, threads) in [(&shared.reads, threads.readers), (&shared.writes, threads.writers)] {
                queue.close();
                for thread in threads {
                    if thread.join().is_err() {
                        tracing::error!("a database thread had panicked");
                    }
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!("the runtime ended before the database was closed");
        }
    }
}

/// Without `close` the threads still finish what is queued, but nobody waits for them.
impl Drop for Shared {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
    }
}

async fn run<T, E>(queue: &Queue, work: impl Fn(&mut Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
{
    let (call, answer) = Call::new(work);
    queue.push(Box::new(call))?;
    answer.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
}
