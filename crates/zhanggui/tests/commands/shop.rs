//! `zhanggui key` and `zhanggui product`: what the operator of a shop does at the command line.

use serde_json::json;

use crate::place::{Place, json as json_of, printed};

fn place() -> Place {
    Place::new("http://127.0.0.1:9").migrated()
}

fn error_of(place: &Place, arguments: &[&str], input: &str) -> String {
    let output = place.run_with(arguments, input.as_bytes());
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_key_is_made_listed_and_revoked() {
    let place = place();
    assert!(printed(&place.run(&["key", "list"])).contains("There are no keys"));
    let more = ["--scope", "read,refunds", "--expires-in-days", "30", "--address", "10.0.0.0/8,192.0.2.7"];
    let arguments = [&["key", "create", "--name", "till", "--json"] as &[&str], &more].concat();
    let key = json_of(&place.run(&arguments))["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("zg_sim_"));
    let listed = printed(&place.run(&["key", "list"]));
    assert!(listed.contains(&key[..13]) && !listed.contains(&key) && listed.contains("never used"), "{listed}");
    let listed = json_of(&place.run(&["key", "list", "--json"]));
    let shown = &listed["keys"][0];
    assert_eq!(
        (&shown["scopes"], &shown["addresses"]),
        (&json!(["read", "refunds"]), &json!(["10.0.0.0/8", "192.0.2.7"]))
    );
    let id = shown["id"].as_str().unwrap();
    assert_eq!(printed(&place.run(&["key", "revoke", &key[..13]])), format!("{id} does not work any more.\n"));
    assert!(error_of(&place, &["key", "revoke", id], "").contains("no working key"));
    assert!(printed(&place.run(&["key", "list"])).contains("revoked 20"));
}

#[test]
fn a_key_that_makes_no_sense_is_not_made() {
    let place = place();
    let create = |more: &[&str]| error_of(&place, &[&["key", "create", "--name", "till"], more].concat(), "");
    assert!(create(&["--scope", "everything"]).contains("there are read, orders, refunds, messages, admin"));
    assert!(create(&["--address", "10.0.0.0/40"]).contains("is not an address"));
    assert!(create(&["--expires-in-days", "0"]).contains("1..=36500"));
    assert!(create(&["--refunds-fen-per-day=-1"]).contains("must not be negative"));
    assert!(printed(&place.run(&["key", "list"])).contains("There are no keys"));
}

#[test]
fn a_table_is_imported_or_every_wrong_line_is_named_and_nothing_is() {
    let place = place();
    let import = &["product", "import", "-"];
    let error = error_of(&place, import, "sku,name,price\ntea,茶,19.90\ncup,杯,x\n,杯,1.00\n");
    assert!(
        error.contains("nothing was imported")
            && error.contains("line 3: the price \"x\"")
            && error.contains("line 4: ")
    );
    assert_eq!(printed(&place.run(&["product", "list"])), "");
    place.write("shelf.csv", "sku,name,price,active\r\ntea,茉莉花茶,19.90,\r\ncup,茶杯,28.00,no\r\n");
    assert!(printed(&place.run(&["product", "import", "shelf.csv"])).starts_with("2 products of wxfake"));
    let listed = printed(&place.run(&["product", "list"]));
    assert!(listed.contains("tea  茉莉花茶  ¥19.90") && listed.contains("cup  茶杯  ¥28.00  (not sold)"), "{listed}");
    place.write("latin1.csv", b"sku,name,price\ntea,caf\xe9,1.00\n");
    assert!(error_of(&place, &["product", "import", "latin1.csv"], "").contains("CSV UTF-8"));
    assert!(error_of(&place, &["product", "import", "gone.csv"], "").contains("cannot read gone.csv"));
}
