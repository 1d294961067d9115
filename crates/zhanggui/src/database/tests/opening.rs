//! Migrating and opening on both engines: which databases are refused.

use super::{
    super::{OpenError, Value},
    *,
};

const CHANGED: &[Migration] =
    &[Migration { number: 1, name: "test", sql: "CREATE TABLE other (id TEXT PRIMARY KEY);\n" }];
const LONGER: &[Migration] =
    &[TREE[0], Migration { number: 2, name: "more", sql: "ALTER TABLE counter ADD COLUMN more BYTES;\n" }];
const BROKEN: &[Migration] = &[
    TREE[0],
    Migration {
        number: 2,
        name: "broken",
        sql: "CREATE TABLE early (id TEXT PRIMARY KEY);\nINSERT INTO nowhere VALUES (1);\n",
    },
];

async fn migrate(place: &Place, realm: Realm, tree: &'static [Migration]) -> Result<Vec<String>, OpenError> {
    open::migrate_tree(&place.url, realm, NOW, tree).await.map(|report| report.applied)
}

async fn open_error(place: &Place, realm: Realm, tree: &'static [Migration]) -> OpenError {
    open::open(Options::new(place.url.clone()), realm, tree).await.err().unwrap()
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    for place in Place::all() {
        assert_eq!(migrate(&place, Realm::Live, TREE).await.unwrap(), ["0001_test"]);
        assert_eq!(migrate(&place, Realm::Live, TREE).await.unwrap(), [""; 0]);
        assert_eq!(migrate(&place, Realm::Live, LONGER).await.unwrap(), ["0002_more"]);
        open::open(Options::new(place.url.clone()), Realm::Live, LONGER).await.unwrap().close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_migrate_at_once_apply_each_migration_once() {
    for place in Place::all() {
        let run = || {
            tokio::spawn({
                let url = place.url.clone();
                async move { open::migrate_tree(&url, Realm::Live, NOW, LONGER).await.unwrap().applied.len() }
            })
        };
        let runs = [run(), run(), run(), run()];
        let mut applied = 0;
        for run in runs {
            applied += run.await.unwrap();
        }
        assert_eq!(applied, 2);
    }
}

#[tokio::test]
async fn an_older_schema_is_refused_with_advice() {
    for place in Place::all() {
        place.migrate().await;
        let error = open_error(&place, Realm::Simulated, LONGER).await;
        assert!(matches!(error, OpenError::Older { found: 1, needed: 2 }));
        assert!(error.to_string().contains("run `zhanggui migrate`"));
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for place in Place::all() {
        migrate(&place, Realm::Simulated, LONGER).await.unwrap();
        let error = open_error(&place, Realm::Simulated, TREE).await;
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1 }));
        assert!(error.to_string().contains("the program is older than the database"));
        let error = migrate(&place, Realm::Simulated, TREE).await.unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1 }));
    }
}

#[tokio::test]
async fn the_other_realm_is_refused() {
    for place in Place::all() {
        place.migrate().await;
        let refused = |error| matches!(error, OpenError::OtherRealm { found: Realm::Simulated, wanted: Realm::Live });
        assert!(refused(open_error(&place, Realm::Live, TREE).await));
        assert!(refused(migrate(&place, Realm::Live, TREE).await.unwrap_err()));
        place.open().await.close().await;
    }
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    for place in Place::all() {
        place.migrate().await;
        let refused = |error| matches!(error, OpenError::ChangedMigration { number: 1 });
        assert!(refused(open_error(&place, Realm::Simulated, CHANGED).await));
        assert!(refused(migrate(&place, Realm::Simulated, CHANGED).await.unwrap_err()));
    }
}

#[tokio::test]
async fn a_broken_migration_is_undone_as_a_whole_and_named() {
    for place in Place::all() {
        let error = migrate(&place, Realm::Simulated, BROKEN).await.unwrap_err();
        let OpenError::Migration { file, statement, .. } = error else { panic!("{error:?}") };
        assert_eq!((file.as_str(), statement), ("0002_broken", 2));
        let database = place.open().await;
        let early = database.read(|tx| {
            let name: &[Value] = params!["early"];
            tx.query_one(tx.dialect().count_tables(), name)?.int("n")
        });
        assert_eq!(early.await.unwrap(), 0);
        database.close().await;
    }
}

#[tokio::test]
async fn the_tree_of_this_program_can_be_applied_and_opened() {
    for place in Place::all() {
        super::super::migrate(&place.url, Realm::Simulated, NOW).await.unwrap();
        Database::open(Options::new(place.url.clone()), Realm::Simulated).await.unwrap().close().await;
    }
}
