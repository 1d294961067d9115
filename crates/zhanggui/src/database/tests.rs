//! The promises of the database, each kept on both engines; what only SQLite promises is in `sqlite_only`.

#[path = "../../tests/support/postgres.rs"]
mod support;

mod both;
mod opening;
mod postgres_only;
mod sqlite_only;

use tempfile::TempDir;

use super::{Database, DatabaseError, DatabaseUrl, Options, Realm, Tx, migration::Migration, open, params};

/// A migrated database that goes with the value.
struct Place {
    url: DatabaseUrl,
    _directory: Option<TempDir>,
}

impl Place {
    fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { url: DatabaseUrl::sqlite(directory.path().join("test.db")), _directory: Some(directory) }
    }

    fn postgres() -> Option<Self> {
        Some(Self { url: support::url_or_skip()?.parse().unwrap(), _directory: None })
    }

    /// One place per engine that this machine has.
    fn all() -> impl Iterator<Item = Self> {
        [Some(Self::sqlite()), Self::postgres()].into_iter().flatten()
    }

    async fn migrate(&self) {
        open::migrate_tree(&self.url, Realm::Simulated, NOW, TREE).await.unwrap();
    }

    async fn open(&self) -> Database {
        self.open_with(Options::new(self.url.clone())).await
    }

    async fn open_with(&self, options: Options) -> Database {
        self.migrate().await;
        open::open(options, Realm::Simulated, TREE).await.unwrap()
    }
}

fn insert(id: &str) -> impl Fn(&mut Tx) -> Result<u64, DatabaseError> + Send + use<> {
    let id = id.to_owned();
    move |tx| tx.execute("INSERT INTO counter (id, n) VALUES ($1, 0)", params![&id])
}

async fn count(database: &Database) -> i64 {
    let count = |tx: &mut Tx| tx.query_one("SELECT COUNT(*) AS n FROM counter", &[])?.int("n");
    database.read::<_, DatabaseError>(count).await.unwrap()
}

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

const TREE: &[Migration] = &[Migration {
    number: 1,
    name: "test",
    sql: "CREATE TABLE counter (
    id TEXT PRIMARY KEY,
    n BIGINT NOT NULL CHECK (n >= 0),
    seal BYTES,
    note TEXT
);
CREATE TABLE part (
    id TEXT PRIMARY KEY,
    counter_id TEXT NOT NULL REFERENCES counter (id)
);
",
}];
