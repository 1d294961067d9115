//! What holds on both engines.

use std::sync::{Arc, Barrier};

use super::{
    super::{DatabaseError, Dialect, Row, Tx, Value},
    *,
};

/// Runs an asynchronous check on every engine of this machine.
macro_rules! on_both_engines {
    ($($(#[$about:meta])* async fn $name:ident($database:ident: Database) $body:block)*) => {
        $($(#[$about])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for place in Place::all() {
                let $database = place.open().await;
                $body
                $database.close().await;
            }
        })*
    };
}

on_both_engines! {
    async fn a_failing_closure_leaves_the_others_alone(database: Database) {
        let mut calls = Vec::new();
        for index in 0..200 {
            let database = database.clone();
            calls.push(tokio::spawn(async move {
                database.write(move |tx| {
                    insert(&format!("c{index}"))(tx)?;
                    if index % 3 == 0 { Err(DatabaseError::NotFound) } else { Ok(()) }
                }).await
            }));
        }
        let mut kept = 0;
        for (index, call) in calls.into_iter().enumerate() {
            let answer = call.await.unwrap();
            assert_eq!(answer.is_err(), index % 3 == 0);
            kept += i64::from(answer.is_ok());
        }
        assert_eq!(count(&database).await, kept);
    }

    async fn a_panic_is_undone_and_the_writer_lives_on(database: Database) {
        for _ in 0..10 {
            let answer = database.write(|tx| -> Result<(), DatabaseError> {
                insert("a")(tx)?;
                panic!("on purpose");
            }).await;
            assert!(matches!(answer, Err(DatabaseError::Panicked)));
            let answer = database.read(|_| -> Result<(), DatabaseError> { panic!("on purpose") }).await;
            assert!(matches!(answer, Err(DatabaseError::Panicked)));
        }
        database.write(insert("a")).await.unwrap();
        assert_eq!(count(&database).await, 1);
    }

    async fn a_thousand_concurrent_increments_give_a_thousand(database: Database) {
        database.write(insert("a")).await.unwrap();
        let callers: Vec<_> = (0..20).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    database.write(|tx| {
                        let n = tx.query_one("SELECT n FROM counter WHERE id = $1", params!["a"])?.int("n")?;
                        tx.execute("UPDATE counter SET n = $1 WHERE id = $2", params![n + 1, "a"])
                    }).await.unwrap();
                }
            })
        }).collect();
        for caller in callers {
            caller.await.unwrap();
        }
        let n = database.read(|tx| tx.query_one("SELECT n FROM counter", &[])?.int("n")).await.unwrap();
        assert_eq!(n, 1000);
    }

    async fn violations_have_the_same_names(database: Database) {
        database.write(insert("a")).await.unwrap();
        let refused = async |sql: &'static str, params: &[Value]| {
            let params = params.to_vec();
            database.write(move |tx| tx.execute(sql, &params)).await.unwrap_err()
        };
        let error = database.write(insert("a")).await.unwrap_err();
        assert!(matches!(error, DatabaseError::UniqueViolation));
        let error = refused("INSERT INTO part (id, counter_id) VALUES ($1, $2)", params!["p", "nobody"]).await;
        assert!(matches!(error, DatabaseError::ForeignKeyViolation));
        let error = refused("UPDATE counter SET n = $1", params![-1_i64]).await;
        assert!(matches!(error, DatabaseError::ConstraintViolation));
        let error = refused("UPDATE counter SET n = $1", params![None::<i64>]).await;
        assert!(matches!(error, DatabaseError::ConstraintViolation));
        let error = refused("UPDATE counter SET n = $1", params!["text"]).await;
        assert!(matches!(error, DatabaseError::ConstraintViolation), "{error:?}");
        let error = refused("UPDATE counter SET note = $1", params!["a\0b"]).await;
        assert!(matches!(error, DatabaseError::NulInText));
        let error = refused("UPDATE nowhere SET note = 'secret'", &[]).await;
        assert!(matches!(error, DatabaseError::Engine(_)));
    }

    async fn a_wrong_number_of_values_is_an_error(database: Database) {
        for params in [&[][..], params!["a", "b"]] {
            let params = params.to_vec();
            let answer = database.write(move |tx| tx.execute("DELETE FROM counter WHERE id = $1", &params)).await;
            assert!(matches!(answer, Err(DatabaseError::Engine(_))));
        }
    }

    async fn placeholders_are_bound_by_number_whatever_their_order(database: Database) {
        let row = database.write(|tx| {
            let sql = "INSERT INTO counter (n, id, note) VALUES ($2, $1, $1) RETURNING id, n, note";
            tx.query_one(sql, params!["a", 7_i64])
        }).await.unwrap();
        assert_eq!((row.text("id").unwrap(), row.int("n").unwrap(), row.text("note").unwrap()), ("a", 7, "a"));
    }

    async fn all_kinds_of_values_come_back_as_they_were(database: Database) {
        let write = |id: &'static str, n: i64, seal: Option<Vec<u8>>, note: Option<String>| {
            database.write(move |tx| {
                let sql = "INSERT INTO counter (id, n, seal, note) VALUES ($1, $2, $3, $4)";
                tx.execute(sql, params![id, n, seal.clone(), note.clone()])
            })
        };
        write("a", i64::MAX, Some(vec![0, 255, 39]), Some("掌柜 '\"$1; 🧧".to_owned())).await.unwrap();
        write("b", 0, None, None).await.unwrap();
        let rows: Vec<Row> = database.read(|tx| tx.query("SELECT * FROM counter ORDER BY id", &[])).await.unwrap();
        let read = |row: &Row| {
            let seal = row.opt_bytes("seal").unwrap().map(<[u8]>::to_vec);
            (row.int("n").unwrap(), seal, row.opt_text("note").unwrap().map(str::to_owned))
        };
        assert_eq!(read(&rows[0]), (i64::MAX, Some(vec![0, 255, 39]), Some("掌柜 '\"$1; 🧧".to_owned())));
        assert_eq!(read(&rows[1]), (0, None, None));
    }

    async fn counts_sums_and_truths_are_integers(database: Database) {
        database.write(insert("a")).await.unwrap();
        let sql = "SELECT COUNT(*) AS count, CAST(SUM(n) AS BIGINT) AS sum, MAX(n) AS max, COUNT(*) = 1 AS yes, 1 AS one FROM counter";
        let row: Row = database.read(move |tx| tx.query_one(sql, &[])).await.unwrap();
        for (column, value) in [("count", 1), ("sum", 0), ("max", 0), ("yes", 1), ("one", 1)] {
            assert_eq!(row.int(column).unwrap(), value, "{column}");
        }
    }

    async fn texts_are_ordered_by_code_point(database: Database) {
        for id in ["b", "a", "B", "_", "中", "é"] {
            database.write(insert(id)).await.unwrap();
        }
        let rows: Vec<Row> = database.read(|tx| tx.query("SELECT id FROM counter ORDER BY id", &[])).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.text("id").unwrap()).collect();
        assert_eq!(ids, ["B", "_", "a", "b", "é", "中"]);
    }

    async fn a_conflict_that_is_expected_counts_as_no_row(database: Database) {
        let sql = "INSERT INTO counter (id, n) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING";
        let insert = || database.write(move |tx| tx.execute(sql, params!["a"]));
        assert_eq!((insert().await.unwrap(), insert().await.unwrap()), (1, 0));
        let update = || database.write(|tx| tx.execute("UPDATE counter SET n = 1 WHERE n = 0 RETURNING id", &[]));
        assert_eq!((update().await.unwrap(), update().await.unwrap()), (1, 0));
    }

    async fn one_row_means_one_row(database: Database) {
        let one = || database.read(|tx| tx.query_one("SELECT id FROM counter", &[]));
        let opt = || database.read(|tx| tx.query_opt("SELECT id FROM counter", &[]));
        assert!(matches!(one().await, Err(DatabaseError::NotFound)));
        assert!(matches!(opt().await, Ok(None)));
        database.write(insert("a")).await.unwrap();
        assert_eq!(one().await.unwrap().text("id").unwrap(), "a");
        database.write(insert("b")).await.unwrap();
        assert!(matches!(one().await, Err(DatabaseError::ManyRows)));
        assert!(matches!(opt().await, Err(DatabaseError::ManyRows)));
    }

    async fn nothing_is_kept_after_a_failed_statement_even_if_the_closure_is_content(database: Database) {
        database.write(insert("a")).await.unwrap();
        let answer = database.write(|tx| -> Result<(), DatabaseError> {
            insert("b")(tx)?;
            assert!(insert("a")(tx).is_err());
            assert!(matches!(insert("c")(tx), Err(DatabaseError::Aborted)));
            Ok(())
        }).await;
        assert!(matches!(answer, Err(DatabaseError::Aborted)));
        assert_eq!(count(&database).await, 1);
        database.write(insert("b")).await.unwrap();
    }

    async fn reading_sees_one_state_while_writing_goes_on(database: Database) {
        let barrier = Arc::new(Barrier::new(2));
        let meet = || {
            let barrier = Arc::clone(&barrier);
            tokio::task::spawn_blocking(move || barrier.wait())
        };
        let reading = tokio::spawn({
            let (database, barrier) = (database.clone(), Arc::clone(&barrier));
            async move {
                let count = |tx: &mut Tx| tx.query_one("SELECT COUNT(*) AS n FROM counter", &[])?.int("n");
                database.read::<_, DatabaseError>(move |tx| {
                    let before = count(tx)?;
                    barrier.wait();
                    barrier.wait();
                    Ok((before, count(tx)?))
                }).await
            }
        });
        meet().await.unwrap();
        database.write(insert("a")).await.unwrap();
        meet().await.unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
        assert_eq!(count(&database).await, 1);
    }

    async fn a_reader_cannot_write(database: Database) {
        assert!(matches!(database.read(insert("a")).await, Err(DatabaseError::Engine(_))));
        assert_eq!(count(&database).await, 0);
    }

    async fn the_answer_is_there_for_whoever_reads_next(database: Database) {
        for index in 0..50 {
            database.write(insert(&format!("c{index}"))).await.unwrap();
            assert_eq!(count(&database).await, index + 1);
        }
    }

    async fn the_writer_answers_a_ping(database: Database) {
        database.ping().await.unwrap();
    }

    async fn a_claim_with_a_subselect_works(database: Database) {
        database.write(insert("a")).await.unwrap();
        let claimed = database.write(|tx: &mut Tx| {
            let skip = tx.dialect().for_update_skip_locked();
            assert_eq!(skip.is_empty(), tx.dialect() == Dialect::Sqlite);
            let sql = format!(
                "UPDATE counter SET n = n + 1 WHERE id IN (SELECT id FROM counter WHERE n = 0 ORDER BY id LIMIT $1{skip}) RETURNING id"
            );
            tx.query(&sql, params![5_i64])
        }).await.unwrap();
        assert_eq!(claimed[0].text("id").unwrap(), "a");
    }

    async fn no_error_repeats_a_value(database: Database) {
        database.write(insert("geheim")).await.unwrap();
        for sql in [
            "INSERT INTO counter (id, n) VALUES ($1, 0)",
            "INSERT INTO part (id, counter_id) VALUES ('p', $1 || 'geheim')",
            "INSERT INTO counter (id, n) VALUES ('b', CAST($1 AS BIGINT) - 1)",
            "SELECT geheim('geheim', $1)",
            "UPDATE counter SET n = $1",
        ] {
            let error = database.write(move |tx| tx.execute(sql, params!["geheim"])).await.unwrap_err();
            let mut text = format!("{error} {error:?}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(&error.to_string());
                cause = error.source();
            }
            assert!(!text.contains("geheim") || sql.contains("geheim("), "{text}");
        }
    }
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    for place in Place::all() {
        let database = place.open().await;
        let calls: Vec<_> = (0..100)
            .map(|index| {
                let mut call = Box::pin(database.write(insert(&format!("c{index}"))));
                // The first look puts the closure into the queue.
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(call.as_mut().poll(&mut context).is_pending() || index < 100);
                call
            })
            .collect();
        database.clone().close().await;
        drop(calls);
        assert!(matches!(database.ping().await, Err(DatabaseError::Closed)));
        assert!(matches!(database.read(insert("x")).await, Err(DatabaseError::Closed)));
        assert_eq!(count(&place.open().await).await, 100);
    }
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    for place in Place::all() {
        let mut options = Options::new(place.url.clone());
        (options.queue_capacity, options.postgres_connections) = (3, 1);
        let database = place.open_with(options).await;
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (begun, (release, released)) = (std::sync::Mutex::new(Some(begun)), std::sync::mpsc::channel::<()>());
        let released = std::sync::Mutex::new(released);
        let busy = tokio::spawn({
            let database = database.clone();
            async move {
                database
                    .write::<(), DatabaseError>(move |_| {
                        if let Some(begun) = begun.lock().unwrap().take() {
                            begun.send(()).unwrap();
                            let _ = released.lock().unwrap().recv();
                        }
                        Ok(())
                    })
                    .await
            }
        });
        has_begun.await.unwrap();
        let answers: Vec<_> = (0..5)
            .map(|index| {
                let database = database.clone();
                async move { database.write(insert(&format!("c{index}"))).await }
            })
            .map(tokio::spawn)
            .collect();
        let mut refused = 0;
        let mut pending = Vec::new();
        for answer in answers {
            tokio::task::yield_now().await;
            if answer.is_finished() {
                assert!(matches!(answer.await.unwrap(), Err(DatabaseError::Overloaded)));
                refused += 1;
            } else {
                pending.push(answer);
            }
        }
        drop(release);
        for answer in pending {
            match answer.await.unwrap() {
                Ok(_) => {}
                Err(error) => {
                    assert!(matches!(error, DatabaseError::Overloaded));
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 2);
        busy.await.unwrap().unwrap();
        assert_eq!(count(&database).await, 3);
        database.close().await;
    }
}
