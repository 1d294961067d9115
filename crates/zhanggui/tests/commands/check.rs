//! `zhanggui check`: what it prints, and what its exit code says.

use zhanggui::{
    config::{Config, empty_environment},
    database::{Database, Options, Realm},
};

use crate::place::{Place, json, printed};

const ORDER: &str = "
    INSERT INTO shop_order (
        id, appid, mchid, customer_id, description, items_json, amount_fen, currency, refunded_fen, state, created_ms,
        expires_ms
    )
    SELECT 'ord_1', 'wxfake000000000001', '1600000001', id, 'tea', '[]', 100, 'CNY', 1, 'open', 0, 0
    FROM customer";

const CUSTOMER: &str =
    "INSERT INTO customer (id, appid, openid, created_ms) VALUES ('cus_1', 'wxfake000000000001', 'o1', 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_says_whether_every_promise_is_kept() {
    let place = Place::new("http://127.0.0.1:9").migrated();
    let good = place.run(&["check"]);
    assert_eq!(good.status.code(), Some(0));
    assert!(printed(&good).contains("invariants hold."), "{}", printed(&good));

    // An order of which money went back that nobody has paid, and that never expires.
    let text = std::fs::read_to_string(place.path().join("zhanggui.toml")).unwrap();
    let config = Config::parse(&text, &place.path().join("zhanggui.toml"), &empty_environment).unwrap();
    let database = Database::open(Options::new(config.database), Realm::Simulated).await.unwrap();
    for sql in [CUSTOMER, ORDER] {
        database.write(move |tx| tx.execute(sql, &[])).await.unwrap();
    }
    database.close().await;
    let bad = place.run(&["check"]);
    assert_eq!(bad.status.code(), Some(1));
    let lines = printed(&bad);
    assert!(lines.contains("WRONG  M3  an order tells how much of its money went back: 1 of 1"), "{lines}");
    assert!(lines.contains("ord_1") && lines.contains("2 of "), "{lines}");
    let object = json(&place.run(&["check", "--json"]));
    assert_eq!(object["ok"], false);
    let broken = object["invariants"].as_array().unwrap().iter().filter(|checked| checked["violations"] != 0);
    assert!(broken.map(|checked| &checked["examples"][0]).eq(["ord_1", "ord_1"]));
}

#[test]
fn a_database_that_cannot_be_looked_at_is_not_called_good() {
    let place = Place::new("http://127.0.0.1:9");
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
}
