//! The description as a page for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Writes the page.
pub(super) fn write(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Zhanggui API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/docs.css\"></head><body>\
         <h1>Zhanggui 掌柜</h1>",
    );
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "<p>{}</p><p>For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>",
        escaped(text(&document["info"]["description"]))
    );
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let calls = paths.iter().flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let mut calls: Vec<_> = calls.collect();
    calls.sort_by_key(|(path, _, operation)| (text(&operation["tags"][0]).to_owned(), (*path).clone()));
    let mut tag = "";
    for (path, method, operation) in calls {
        if text(&operation["tags"][0]) != tag {
            tag = text(&operation["tags"][0]);
            let _ = write!(page, "<h2>{}</h2>", escaped(tag));
        }
        call(&mut page, path, method, operation);
    }
    page.push_str("<h2>Types</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap_or(&empty) {
        let _ = write!(page, "<details id=\"{0}\"><summary>{0}</summary>", escaped(name));
        code(&mut page, schema);
        page.push_str("</details>");
    }
    page.push_str("</body></html>");
    page
}

fn call(page: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        page,
        "<details><summary><b>{}</b> <code>{}</code> {}</summary><p>{}</p>",
        escaped(&method.to_uppercase()),
        escaped(path),
        escaped(text(&operation["summary"])),
        escaped(text(&operation["description"]))
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let _ = write!(
            page,
            "<p><code>{}</code> ({}) {}</p>",
            escaped(text(&parameter["name"])),
            escaped(text(&parameter["in"])),
            escaped(text(&parameter["description"]))
        );
    }
    for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(Map::values) {
        body(page, "Send", content);
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let contents = response["content"].as_object();
        let label = format!("{status}: {}", text(&response["description"]));
        match contents.into_iter().flat_map(Map::values).next() {
            Some(content) => body(page, &label, content),
            None => {
                let _ = write!(page, "<p>{}</p>", escaped(&label));
            }
        }
    }
    page.push_str("</details>");
}

/// A body: the type behind it, and an example.
fn body(page: &mut String, label: &str, content: &Value) {
    let name = text(&content["schema"]["$ref"]).rsplit('/').next().unwrap_or_default();
    let _ = write!(page, "<p>{}", escaped(label));
    if !name.is_empty() {
        let _ = write!(page, " <a href=\"#{0}\">{0}</a>", escaped(name));
    }
    page.push_str("</p>");
    if let Some(example) = content.get("example") {
        code(page, example);
    }
}

fn code(page: &mut String, value: &Value) {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = write!(page, "<pre>{}</pre>", escaped(&pretty));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
