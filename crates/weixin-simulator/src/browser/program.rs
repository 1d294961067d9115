//! The mini program on the phone: the sample shop, which is embedded, or a folder on this machine.

use std::path::{Component, Path, PathBuf};

use super::{content_type, embedded};

/// What the phone in the browser runs, and against which server.
#[derive(Clone, Debug, Default)]
pub struct PhonePage {
    /// Address of the server; the mini program gets it as `baseUrl` of `wx.getExtConfigSync()`.
    pub server: Option<String>,
    /// The folder of a mini program, with its `app.json`. Without one the sample shop runs.
    pub program: Option<PathBuf>,
}

/// The sample shop.
const SHOP: &[(&str, &[u8])] = embedded!("../../../../examples/shop/":
    "app.js" "app.json" "app.wxss" "config.js" "format.js" "orders.js" "text.js" "zhanggui.js"
    "images/cake.svg" "images/coffee.svg" "images/tea.svg"
    "pages/index/index.js" "pages/index/index.json" "pages/index/index.wxml" "pages/index/index.wxss"
    "pages/me/me.js" "pages/me/me.json" "pages/me/me.wxml" "pages/me/me.wxss"
    "pages/order/order.js" "pages/order/order.json" "pages/order/order.wxml" "pages/order/order.wxss");

/// So many files of a folder are listed.
const FILES_MAX: usize = 2_000;

/// The largest file that is given out. WeChat takes 2 MiB for a whole package.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The names of all files of the mini program.
pub(super) async fn files(page: &PhonePage) -> Vec<String> {
    let Some(folder) = page.program.clone() else {
        return SHOP.iter().map(|(name, _)| (*name).to_owned()).collect();
    };
    let listed = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        list(&folder, "", &mut files);
        files.sort();
        files
    });
    listed.await.unwrap_or_default()
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || name == "node_modules" || files.len() >= FILES_MAX {
            continue;
        }
        let path = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&entry.path(), &format!("{path}/"), files),
            Ok(kind) if kind.is_file() && content_type(&name).is_some() => files.push(path),
            _ => {}
        }
    }
}

/// A file of the mini program. Code comes as a function of what WeChat gives to a module, which the page calls.
pub(super) async fn file(page: &PhonePage, name: &str) -> Option<(&'static str, Vec<u8>)> {
    let kind = content_type(name)?;
    let bytes = match page.program.clone() {
        None => SHOP.iter().find(|(known, _)| *known == name)?.1.to_vec(),
        Some(folder) => {
            let name = PathBuf::from(name);
            tokio::task::spawn_blocking(move || read(&folder, &name)).await.ok().flatten()?
        }
    };
    Some((kind, if name.ends_with(".js") { module(name, &bytes) } else { bytes }))
}

/// Reads a file inside of the folder.
fn read(folder: &Path, name: &Path) -> Option<Vec<u8>> {
    let plain =
        |part: Component<'_>| matches!(part, Component::Normal(text) if !text.to_string_lossy().starts_with('.'));
    if !name.components().all(plain) {
        return None;
    }
    // A link must not lead out of the folder.
    let folder = folder.canonicalize().ok()?;
    let path = folder.join(name).canonicalize().ok()?;
    let small = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
    if path.starts_with(folder) && small { std::fs::read(path).ok() } else { None }
}

fn module(name: &str, source: &[u8]) -> Vec<u8> {
    let name = serde_json::Value::from(name);
    // In the first line, so that the lines of the file keep their numbers.
    let head = format!(
        "miniprogram.define({name}, function (require, module, exports, wx, App, Page, getApp, getCurrentPages) {{ "
    );
    [head.as_bytes(), source, b"\n});\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_page(folder: &Path) -> PhonePage {
        PhonePage { server: None, program: Some(folder.to_owned()) }
    }

    #[tokio::test]
    async fn the_whole_shop_is_embedded() {
        let shop = folder_page(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shop")));
        // What only the developer tools read.
        let tools = ["project.config.json", "project.private.config.json", "sitemap.json"];
        let there: Vec<_> = files(&shop).await.into_iter().filter(|name| !tools.contains(&name.as_str())).collect();
        let mut embedded = files(&PhonePage::default()).await;
        embedded.sort();
        assert_eq!(there, embedded);
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_given_out() {
        let outside = tempfile::tempdir().expect("a directory");
        let folder = outside.path().join("program");
        std::fs::create_dir_all(folder.join(".git")).expect("folders");
        std::fs::write(outside.path().join("secret.json"), "{}").expect("written");
        std::fs::write(folder.join(".git/config.json"), "{}").expect("written");
        std::fs::write(folder.join("app.json"), "{}").expect("written");
        std::fs::write(folder.join("notes.txt"), "private").expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("secret.json"), folder.join("link.json")).expect("a link");
        let page = folder_page(&folder);
        assert!(file(&page, "app.json").await.is_some());
        for name in
            ["../secret.json", "pages/../../secret.json", "/secret.json", ".git/config.json", "link.json", "notes.txt"]
        {
            assert!(file(&page, name).await.is_none(), "{name}");
        }
        assert_eq!(files(&page).await, ["app.json"]);
    }

    #[test]
    fn code_keeps_the_numbers_of_its_lines() {
        let text = String::from_utf8(module("pages/a.js", b"first\nsecond")).expect("text");
        assert!(
            text.starts_with("miniprogram.define(\"pages/a.js\", function") && text.contains("{ first\nsecond\n});")
        );
    }
}
