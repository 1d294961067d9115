//! The description is complete, committed, and breaks no caller.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{document, page};

const COMMITTED: &str = include_str!("../../../../docs/openapi.json");

#[test]
fn the_committed_description_is_that_of_the_code() {
    let committed: Value = serde_json::from_str(COMMITTED).unwrap();
    assert!(committed == document(), "run: cargo run -p zhanggui -- openapi > docs/openapi.json");
}

#[test]
fn nothing_that_callers_rely_on_is_taken_away() {
    let committed: Value = serde_json::from_str(COMMITTED).unwrap();
    assert_eq!(breaks(&committed, &document()), [""; 0]);
}

/// The route table is read as text, because a router does not tell its routes.
#[test]
fn every_route_is_described_and_nothing_else() {
    let source = include_str!("../http/mod.rs");
    let mut routed = BTreeSet::new();
    for line in source.split(".route(\"").skip(1) {
        let (path, rest) = line.split_once('"').unwrap();
        let call = rest.split("\n        .route(").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if path.starts_with("/v1/") && call.contains(&format!("{method}(")) {
                routed.insert(format!("{method} {path}"));
            }
        }
    }
    let described = document();
    let described = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{method} {path}")));
    let described: BTreeSet<_> = described.collect();
    assert!(routed.len() > 20);
    assert_eq!(routed, described);
}

#[test]
fn every_reference_has_its_schema_and_every_call_a_success() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
            assert!(answers.contains_key("default") && !operation["summary"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn every_body_and_every_answer_tells_its_fields() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().values();
            for content in answers.chain([&operation["requestBody"]]).map(|body| &body["content"]["application/json"]) {
                let schema = &content["schema"];
                let is_told = ["$ref", "properties", "oneOf"].iter().any(|key| !schema[*key].is_null());
                assert!(content.is_null() || is_told, "{method} {path}: {schema}");
            }
        }
    }
}

#[test]
fn the_page_shows_every_call_and_no_markup_of_others() {
    let document = json!({
        "info": { "description": "<script>alert(1)</script>" },
        "paths": { "/v1/<b>": { "get": { "tags": ["a&b"], "summary": "\"x\"", "responses": {} } } },
        "components": { "schemas": {} },
    });
    let page = page::write(&document);
    assert!(!page.contains("<script") && !page.contains("/<b>") && page.contains("a&amp;b"));
    let page = page::write(&super::document());
    for part in ["/v1/webhooks/{id}/replay", "id=\"CreateOrder\"", "Idempotency-Key", "茉莉花茶"] {
        assert!(page.contains(part), "{part}");
    }
}

/// What a caller of the old description could miss in the new one.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in old["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let call = format!("{method} {path}");
            let now = &new["paths"][path.as_str()][method.as_str()];
            if now.is_null() {
                found.push(format!("{call} is gone"));
                continue;
            }
            for status in operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status) {
                if now["responses"][status.as_str()].is_null() {
                    found.push(format!("{call} does not answer {status} any more"));
                }
            }
            let parameter = |of: &Value, name: &Value| {
                of["parameters"].as_array().into_iter().flatten().find(|other| other["name"] == *name).cloned()
            };
            for old_parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter(now, &old_parameter["name"]).is_none() {
                    found.push(format!("{call} does not take {} any more", old_parameter["name"]));
                }
            }
            for new_parameter in now["parameters"].as_array().into_iter().flatten() {
                let was_required =
                    parameter(operation, &new_parameter["name"]).is_some_and(|old| old["required"] == true);
                if new_parameter["required"] == true && !was_required {
                    found.push(format!("{call} needs {}", new_parameter["name"]));
                }
            }
            if now["requestBody"]["required"] == true && operation["requestBody"]["required"] != true {
                found.push(format!("{call} needs a body"));
            }
        }
    }
    for (name, schema) in old["components"]["schemas"].as_object().into_iter().flatten() {
        schema_breaks(name, schema, &new["components"]["schemas"][name.as_str()], &mut found);
    }
    found
}

fn schema_breaks(name: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    if new.is_null() {
        found.push(format!("{name} is gone"));
        return;
    }
    if old["type"] != new["type"] {
        found.push(format!("{name} is {} instead of {}", new["type"], old["type"]));
    }
    let list = |schema: &Value, key: &str| schema[key].as_array().cloned().unwrap_or_default();
    for value in list(old, "enum") {
        if !list(new, "enum").contains(&value) {
            found.push(format!("{name} is never {value} any more"));
        }
    }
    // A field that callers send may not become needed; one that they read may not become optional.
    let is_sent = old["additionalProperties"] == false;
    let (lost, gained) = (list(old, "required"), list(new, "required"));
    let changed = if is_sent { (&gained, &lost, "is needed now") } else { (&lost, &gained, "may be absent now") };
    for field in changed.0.iter().filter(|field| !changed.1.contains(field)) {
        found.push(format!("{name}.{field} {}", changed.2));
    }
    for (field, schema) in old["properties"].as_object().into_iter().flatten() {
        schema_breaks(&format!("{name}.{field}"), schema, &new["properties"][field.as_str()], found);
    }
}

#[test]
fn what_breaks_callers_is_named() {
    let old = json!({
        "paths": { "/v1/a": { "get": { "responses": { "200": {} }, "parameters": [{ "name": "x" }] } } },
        "components": { "schemas": {
            "Sent": { "additionalProperties": false, "required": ["a"], "properties": { "a": { "type": "string" }, "b": { "type": "string" } } },
            "Read": { "required": ["a"], "properties": { "a": { "type": "string", "enum": ["x", "y"] } } },
        } },
    });
    let after = |pointer: &str, value: Value| {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        breaks(&old, &new)
    };
    assert_eq!(breaks(&old, &old), [""; 0]);
    assert_eq!(after("/paths", json!({})), ["get /v1/a is gone"]);
    assert_eq!(after("/paths/~1v1~1a/get/responses", json!({ "201": {} })), ["get /v1/a does not answer 200 any more"]);
    assert_eq!(after("/paths/~1v1~1a/get/parameters", json!([])), ["get /v1/a does not take \"x\" any more"]);
    let needed = json!([{ "name": "x" }, { "name": "y", "required": true }]);
    assert_eq!(after("/paths/~1v1~1a/get/parameters", needed), ["get /v1/a needs \"y\""]);
    let schemas = "/components/schemas";
    assert_eq!(after(&format!("{schemas}/Sent/required"), json!(["a", "b"])), ["Sent.\"b\" is needed now"]);
    assert_eq!(after(&format!("{schemas}/Sent/required"), json!([])), [""; 0]);
    assert_eq!(after(&format!("{schemas}/Read/required"), json!([])), ["Read.\"a\" may be absent now"]);
    assert_eq!(after(&format!("{schemas}/Read/properties"), json!({})), ["Read.a is gone"]);
    assert_eq!(after(&format!("{schemas}/Read/properties/a/enum"), json!(["x"])), ["Read.a is never \"y\" any more"]);
    assert_eq!(
        after(&format!("{schemas}/Read/properties/a/type"), json!("integer")),
        ["Read.a is \"integer\" instead of \"string\""]
    );
    // More is fine.
    let more = json!({ "a": { "type": "string", "enum": ["x", "y", "z"] }, "b": { "type": "string" } });
    assert_eq!(after(&format!("{schemas}/Read/properties"), more), [""; 0]);
}
