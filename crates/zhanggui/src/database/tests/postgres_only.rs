//! What only PostgreSQL can do to us: lose connections, know passwords, offer TLS or not.

use super::{
    super::{DatabaseError, OpenError},
    *,
};

#[tokio::test]
async fn lost_connections_are_made_again() {
    let Some(url) = support::url_or_skip() else { return };
    let place = Place { url: url.parse().unwrap(), _directory: None };
    let database = place.open().await;
    for index in 0..3 {
        database.write(insert(&format!("c{index}"))).await.unwrap();
        support::server().unwrap().disconnect_all(&url);
        assert_eq!(count(&database).await, index + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_inside_a_transaction_runs_the_closure_again() {
    let Some(url) = support::url_or_skip() else { return };
    let place = Place { url: url.parse().unwrap(), _directory: None };
    let database = place.open().await;
    let first = std::sync::atomic::AtomicBool::new(true);
    let work = move |tx: &mut Tx| {
        let changed = insert("a")(tx)?;
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            support::server().unwrap().disconnect_all(&url);
            tx.query("SELECT 1 AS one", &[])?;
        }
        Ok::<_, DatabaseError>(changed)
    };
    assert_eq!(database.write(work).await.unwrap(), 1);
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_at_commit_leaves_the_outcome_unknown() {
    let Some(url) = support::url_or_skip() else { return };
    let place = Place { url: url.parse().unwrap(), _directory: None };
    let database = place.open().await;
    let work = move |tx: &mut Tx| {
        insert("a")(tx)?;
        support::server().unwrap().disconnect_all(&url);
        Ok::<_, DatabaseError>(())
    };
    assert!(matches!(database.write(work).await, Err(DatabaseError::CommitUnknown)));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let url: DatabaseUrl = "postgres://shop:geheim@127.0.0.1:1/x?connect_timeout=1".parse().unwrap();
    let error = Database::open(Options::new(url), Realm::Live).await.err().unwrap();
    let OpenError::Database(DatabaseError::Unavailable(Some(cause))) = &error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("refused"), "{cause}");
    assert!(!format!("{error:?}").contains("geheim"));
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_reported() {
    for (file, words) in [("/no/such/file.pem", "cannot be read"), ("/dev/null", "contains no certificate")] {
        let url: DatabaseUrl = format!("postgres://shop@127.0.0.1:1/x?sslrootcert={file}").parse().unwrap();
        let error = Database::open(Options::new(url), Realm::Live).await.err().unwrap();
        assert!(matches!(&error, OpenError::Tls { .. }) && error.to_string().contains(words), "{error}");
    }
}
