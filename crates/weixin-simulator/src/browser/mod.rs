//! The phone in the browser: the page `/phone`, its files, and the mini program that runs on it.
//!
//! Everything is embedded, nothing is built and nothing is loaded from elsewhere. The page does through the control API
//! what WeChat does on a real phone; the mini program is the sample shop, or a folder of the developer's own.

mod program;

use std::sync::Arc;

use serde_json::json;

use crate::{Shared, answer::Answer, control, server::Request};

pub use program::PhonePage;

/// Where the page is.
pub(crate) const PATH: &str = "/phone";

/// The page may load what is here and nothing else. The mini program's code comes as scripts, never as texts that are
/// evaluated, so the page needs no exception.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Embeds files of a folder under their names.
macro_rules! embedded {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_bytes!(concat!($folder, $name)))),*]
    };
}
pub(crate) use embedded;

/// The files of the page.
const FILES: &[(&str, &[u8])] = embedded!("../../phone/":
    "index.html" "style.css" "main.js" "control.js" "text.js" "dom.js"
    "wxml.js" "expression.js" "wxss.js" "program.js" "runtime.js" "wx.js"
    "phone.js" "cashier.js" "dialogs.js" "chat.js" "letters.js" "wire.js" "trouble.js" "paytwice.js" "agents.js");

/// Whether a request is for the page.
pub(crate) fn is_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for the page or the mini program.
pub(crate) async fn answer(shared: &Arc<Shared>, request: &Request) -> Answer {
    if let Some(refusal) = control::refusal(request) {
        return refusal;
    }
    if request.method != "GET" {
        return Answer::page(405);
    }
    let name = request.path.strip_prefix(PATH).unwrap_or_default();
    let found = match name {
        // The page's addresses are relative.
        "" => return Answer { headers: vec![("location", format!("{PATH}/"))], ..Answer::new(308, "", "") },
        "/" => file("index.html"),
        "/program.json" => {
            let files = program::files(&shared.phone_page).await;
            Some(("application/json", json!({ "files": files }).to_string().into_bytes()))
        }
        name => match name.strip_prefix("/program/") {
            Some(name) => program::file(&shared.phone_page, name).await,
            None => file(name.trim_start_matches('/')),
        },
    };
    let Some((content_type, body)) = found else { return Answer::page(404) };
    let mut answer = Answer::new(200, content_type, body);
    answer.headers = vec![
        ("content-security-policy", CONTENT_SECURITY_POLICY.to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("cache-control", "no-cache".to_owned()),
    ];
    answer
}

fn file(name: &str) -> Option<(&'static str, Vec<u8>)> {
    let (_, bytes) = FILES.iter().find(|(known, _)| *known == name)?;
    Some((content_type(name)?, bytes.to_vec()))
}

/// What a file is, by its name. Files of other kinds are not given out.
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "wxml" | "wxss" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let mut there: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/phone"))
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        there.sort();
        let mut embedded: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
        embedded.sort();
        assert_eq!(there, embedded);
    }
}
