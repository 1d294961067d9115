//! What only SQLite promises: group commit, its files, its locks.

use super::{
    super::{DatabaseError, OpenError, migrate},
    *,
};
use std::time::Duration;

fn quick(place: &Place) -> Options {
    Options { busy_timeout: Duration::from_millis(50), ..Options::new(place.url.clone()) }
}

fn stranger(place: &Place) -> rusqlite::Connection {
    rusqlite::Connection::open(place.url.sqlite_path().unwrap()).unwrap()
}

#[tokio::test]
async fn a_lock_of_somebody_else_is_an_error_and_not_a_hang() {
    let place = Place::sqlite();
    let database = place.open_with(quick(&place)).await;
    let stranger = stranger(&place);
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(database.write(insert("a")).await, Err(DatabaseError::Locked)));
    assert!(matches!(database.ping().await, Err(DatabaseError::Locked)));
    assert_eq!(count(&database).await, 0);
    let opened = open::open(quick(&place), Realm::Simulated, TREE).await;
    assert!(matches!(opened.err(), Some(OpenError::Locked)));
    stranger.execute_batch("ROLLBACK").unwrap();
    database.write(insert("a")).await.unwrap();
}

#[tokio::test]
async fn a_missing_file_is_refused_with_advice() {
    let place = Place::sqlite();
    let error = Database::open(Options::new(place.url.clone()), Realm::Live).await.err().unwrap();
    assert!(matches!(error, OpenError::Missing { .. }));
    assert!(error.to_string().contains("run `zhanggui migrate`"));
    assert!(!place.url.sqlite_path().unwrap().exists());
}

#[tokio::test]
async fn an_empty_file_needs_a_migration() {
    let place = Place::sqlite();
    std::fs::write(place.url.sqlite_path().unwrap(), "").unwrap();
    let opened = open::open(quick(&place), Realm::Simulated, TREE).await;
    assert!(matches!(opened.err(), Some(OpenError::Older { found: 0, needed: 1 })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let place = Place::sqlite();
    std::fs::write(place.url.sqlite_path().unwrap(), "x".repeat(5000)).unwrap();
    let opened = open::open(quick(&place), Realm::Simulated, TREE).await;
    assert!(matches!(opened.err(), Some(OpenError::Database(DatabaseError::Engine(_)))));
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let database = place.open().await;
    database.write(insert("a")).await.unwrap();
    let path = place.url.sqlite_path().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_directory_that_is_missing_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(directory.path().join("no/such.db"));
    let error = migrate(&url, Realm::Live, NOW).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }));
}

#[tokio::test]
async fn closing_leaves_one_complete_file() {
    let place = Place::sqlite();
    let database = place.open().await;
    database.write(insert("a")).await.unwrap();
    database.close().await;
    let path = place.url.sqlite_path().unwrap();
    let wal = format!("{}-wal", path.display());
    assert!(std::fs::metadata(wal).map_or(true, |wal| wal.len() == 0));
}

#[tokio::test]
async fn the_writer_syncs_every_commit_and_checks_references() {
    let place = Place::sqlite();
    let database = place.open().await;
    for (pragma, column, value) in [
        ("PRAGMA synchronous", "synchronous", 2),
        ("PRAGMA foreign_keys", "foreign_keys", 1),
        ("PRAGMA trusted_schema", "trusted_schema", 0),
    ] {
        let read = move |tx: &mut Tx| tx.query_one(pragma, &[])?.int(column);
        assert_eq!(database.write::<_, DatabaseError>(read).await.unwrap(), value, "{pragma}");
    }
    let mode = database
        .write(|tx| Ok::<_, DatabaseError>(tx.query_one("PRAGMA journal_mode", &[])?.text("journal_mode")?.to_owned()));
    assert_eq!(mode.await.unwrap(), "wal");
}

/// A full disk, played by a limit on the number of pages: nobody of the group may be told that his work was kept.
#[tokio::test]
async fn when_the_disk_is_full_the_whole_group_fails_and_nothing_is_kept() {
    let place = Place::sqlite();
    let database = place.open().await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, released) = (std::sync::Mutex::new(Some(begun)), std::sync::Mutex::new(released));
    let holding = {
        let database = database.clone();
        tokio::spawn(async move {
            database
                .write(move |tx| {
                    begun.lock().unwrap().take().unwrap().send(()).unwrap();
                    let _ = released.lock().unwrap().recv();
                    tx.query("PRAGMA max_page_count = 30", &[]).map(|_| ())
                })
                .await
        })
    };
    has_begun.await.unwrap();
    let big = |tx: &mut Tx| {
        let sql = "INSERT INTO counter (id, n, seal) VALUES ('big', 0, $1)";
        tx.execute(sql, params![vec![7_u8; 1_000_000]])
    };
    let before = tokio::spawn({
        let database = database.clone();
        async move { database.write(insert("before")).await }
    });
    tokio::task::yield_now().await;
    let full = tokio::spawn({
        let database = database.clone();
        async move { database.write(big).await }
    });
    tokio::task::yield_now().await;
    let after = tokio::spawn({
        let database = database.clone();
        async move { database.write(insert("after")).await }
    });
    tokio::task::yield_now().await;
    drop(release);
    holding.await.unwrap().unwrap();
    for answer in [before, full, after] {
        let answer = answer.await.unwrap();
        assert!(matches!(answer, Err(DatabaseError::Engine(_))), "{answer:?}");
    }
    assert_eq!(count(&database).await, 0);
    database.write(insert("small")).await.unwrap();
    assert_eq!(count(&database).await, 1);
}
