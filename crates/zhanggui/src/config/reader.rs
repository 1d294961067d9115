//! Reads a TOML file key by key, remembers the line of each, and collects problems instead of stopping at the first.

use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::database::DatabaseUrl;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A configuration that cannot work.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong. Never contains the value of a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1; absent for what comes from the environment or is missing.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub text: String,
}

impl ConfigError {
    pub(super) fn single(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), problems: vec![Problem { line: None, text }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration {} cannot work:", self.path.display())?;
        for problem in &self.problems {
            match problem.line {
                Some(line) => write!(f, "\n  line {line}: {}", problem.text)?,
                None => write!(f, "\n  {}", problem.text)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A value and where it stands.
pub(super) struct Found {
    pub(super) value: String,
    name: String,
    line: Option<usize>,
}

pub(super) struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    environment: &'a dyn Fn(&str) -> Option<String>,
    root: Vec<Entry>,
    known_sections: Vec<&'static str>,
    problems: Vec<Problem>,
}

struct Entry {
    key: String,
    line: usize,
    value: Item,
}

enum Item {
    Text(String),
    Number(i64),
    Flag(bool),
    Tables(Vec<(Vec<Entry>, usize)>),
    Texts(Vec<String>),
    Table(Vec<Entry>),
    Other,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let mut reader =
            Self { text, path, environment, root: Vec::new(), known_sections: Vec::new(), problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => reader.root = reader.entries(table.get_ref()),
            Err(error) => {
                let line = error.span().map(|span| reader.line(span.start));
                reader.problems.push(Problem { line, text: format!("not TOML: {}", error.message()) });
            }
        }
        reader
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())].matches('\n').count() + 1
    }

    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().to_string(),
            line: self.line(key.span().start),
            value: self.item(value),
        };
        table.iter().map(entry).collect()
    }

    fn item(&self, value: &Spanned<DeValue<'_>>) -> Item {
        match value.get_ref() {
            DeValue::String(text) => Item::Text(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Item::Other, Item::Number)
            }
            DeValue::Boolean(flag) => Item::Flag(*flag),
            DeValue::Table(table) => Item::Table(self.entries(table)),
            DeValue::Array(array) => {
                let table = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                    DeValue::Table(table) => Some((self.entries(table), self.line(item.span().start))),
                    _ => None,
                };
                let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
                if let Some(texts) = array.iter().map(text).collect::<Option<_>>() {
                    return Item::Texts(texts);
                }
                array.iter().map(table).collect::<Option<_>>().map_or(Item::Other, Item::Tables)
            }
            _ => Item::Other,
        }
    }

    /// `[name]`; an empty one if the file has none, because the environment may give the values.
    pub(super) fn section(&mut self, name: &'static str) -> Section {
        self.known_sections.push(name);
        let mut section =
            Section { name, env_prefix: name.to_uppercase(), entries: Vec::new(), known: Vec::new(), line: None };
        if let Some(index) = self.root.iter().position(|entry| entry.key == name) {
            let entry = self.root.remove(index);
            section.line = Some(entry.line);
            match entry.value {
                Item::Table(entries) => section.entries = entries,
                _ => self.push(Some(entry.line), format!("{name} must be a section: [{name}]")),
            }
        }
        section
    }

    /// All `[[name]]`.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Section> {
        self.known_sections.push(name);
        let Some(index) = self.root.iter().position(|entry| entry.key == name) else { return Vec::new() };
        let entry = self.root.remove(index);
        let Item::Tables(tables) = entry.value else {
            self.push(Some(entry.line), format!("{name} must be a list of sections: [[{name}]]"));
            return Vec::new();
        };
        let section = |(index, (entries, line))| Section {
            name,
            env_prefix: format!("{}_{}", name.to_uppercase(), index + 1),
            entries,
            known: Vec::new(),
            line: Some(line),
        };
        tables.into_iter().enumerate().map(section).collect()
    }

    /// A SQLite file is looked for beside the configuration, like every other file that it names.
    pub(super) fn beside_the_file(&self, url: DatabaseUrl) -> DatabaseUrl {
        match url.sqlite_path() {
            Some(path) => DatabaseUrl::sqlite(self.path.parent().unwrap_or(Path::new("")).join(path)),
            None => url,
        }
    }

    /// Everything that nobody asked for is unknown.
    pub(super) fn end(&mut self) {
        for entry in std::mem::take(&mut self.root) {
            let nearest = nearest(&entry.key, &self.known_sections);
            self.push(Some(entry.line), format!("unknown section or key {}{nearest}", entry.key));
        }
    }

    /// Takes the value, or notes the problem.
    pub(super) fn check<T>(&mut self, found: &Found, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.problem(found, &text)).ok()
    }

    pub(super) fn problem(&mut self, found: &Found, text: &str) {
        self.push(found.line, format!("{} {text}", found.name));
    }

    pub(super) fn missing(&mut self, text: &str) {
        self.push(None, text.to_owned());
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    fn push(&mut self, line: Option<usize>, text: String) {
        self.problems.push(Problem { line, text });
    }

    pub(super) fn finish<T>(mut self, config: Option<T>) -> Result<T, ConfigError> {
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => {
                self.problems.sort_by_key(|problem| problem.line);
                Err(ConfigError { path: self.path.to_owned(), problems: self.problems })
            }
        }
    }
}

pub(super) struct Section {
    name: &'static str,
    env_prefix: String,
    entries: Vec<Entry>,
    known: Vec<String>,
    line: Option<usize>,
}

impl Section {
    /// The value of a key: the environment wins over the file.
    fn take(&mut self, reader: &Reader<'_>, key: &str) -> Option<(Item, Found)> {
        self.known.push(key.to_owned());
        let index = self.entries.iter().position(|entry| entry.key == key);
        let entry = index.map(|index| self.entries.remove(index));
        let variable = format!("ZHANGGUI_{}_{}", self.env_prefix, key.to_uppercase());
        if let Some(value) = (reader.environment)(&variable) {
            let found = Found { value: value.clone(), name: variable, line: None };
            return Some((Item::Text(value), found));
        }
        let entry = entry?;
        let name = format!("{}.{key}", self.name);
        Some((entry.value, Found { value: String::new(), name, line: Some(entry.line) }))
    }

    /// A section inside of this one, such as `[app.push]` after an `[[app]]`, if the file has it.
    pub(super) fn section(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Section> {
        self.known.push(key.to_owned());
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.remove(index);
        let Item::Table(entries) = entry.value else {
            reader.push(Some(entry.line), format!("{}.{key} must be a section: [{}.{key}]", self.name, self.name));
            return None;
        };
        let env_prefix = format!("{}_{}", self.env_prefix, key.to_uppercase());
        Some(Section { name: key, env_prefix, entries, known: Vec::new(), line: Some(entry.line) })
    }

    /// All sections of a list inside of this one, such as `[[app.rule]]`.
    pub(super) fn sections(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<Section> {
        self.known.push(key.to_owned());
        let Some(index) = self.entries.iter().position(|entry| entry.key == key) else { return Vec::new() };
        let entry = self.entries.remove(index);
        let tables = match entry.value {
            Item::Tables(tables) => tables,
            Item::Texts(texts) if texts.is_empty() => Vec::new(),
            _ => {
                let text = format!("{}.{key} must be a list of sections: [[{}.{key}]]", self.name, self.name);
                reader.push(Some(entry.line), text);
                Vec::new()
            }
        };
        let section = |(index, (entries, line))| Section {
            name: key,
            env_prefix: format!("{}_{}_{}", self.env_prefix, key.to_uppercase(), index + 1),
            entries,
            known: Vec::new(),
            line: Some(line),
        };
        tables.into_iter().enumerate().map(section).collect()
    }

    /// A list of texts; none if the key is not there. The environment gives them with commas.
    pub(super) fn texts(&mut self, reader: &mut Reader<'_>, key: &str) -> Vec<String> {
        match self.take(reader, key) {
            None => Vec::new(),
            Some((Item::Texts(texts), _)) => texts,
            Some((Item::Text(text), found)) if found.line.is_none() => {
                text.split(',').map(|text| text.trim().to_owned()).collect()
            }
            Some((_, found)) => {
                reader.problem(&found, "must be a list of texts, such as [\"a\", \"b\"]");
                Vec::new()
            }
        }
    }

    /// All keys of a section whose names are free; every value is a text.
    pub(super) fn free_texts(&mut self, reader: &mut Reader<'_>) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            match entry.value {
                Item::Text(text) => texts.push((entry.key, text)),
                _ => {
                    let text = format!("{}.{} must be a text in quotation marks", self.name, entry.key);
                    reader.push(Some(entry.line), text);
                }
            }
        }
        texts
    }

    pub(super) fn optional_number(
        &mut self,
        reader: &mut Reader<'_>,
        key: &str,
        bounds: RangeInclusive<i64>,
    ) -> Option<i64> {
        let (item, found) = self.take(reader, key)?;
        let number = match item {
            Item::Number(number) => Some(number),
            Item::Text(text) if found.line.is_none() => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            reader.problem(&found, &format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }

    pub(super) fn optional_text(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Found> {
        match self.take(reader, key)? {
            (Item::Text(value), found) => Some(Found { value, ..found }),
            (_, found) => {
                reader.problem(&found, "must be a text in quotation marks");
                None
            }
        }
    }

    pub(super) fn text(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Found> {
        let before = reader.problems.len();
        let found = self.optional_text(reader, key);
        if found.is_none() && reader.problems.len() == before {
            self.problem(reader, key, "is missing");
        }
        found
    }

    pub(super) fn text_or(&mut self, reader: &mut Reader<'_>, key: &str, default: &str) -> Option<Found> {
        let before = reader.problems.len();
        let found = self.optional_text(reader, key);
        if found.is_none() && reader.problems.len() == before {
            return Some(Found { value: default.to_owned(), name: format!("{}.{key}", self.name), line: None });
        }
        found
    }

    pub(super) fn parsed<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &str,
        parse: impl FnOnce(String) -> Result<T, weixin::FieldError>,
    ) -> Option<T> {
        let found = self.text(reader, key)?;
        let parsed = parse(found.value.clone()).map_err(|error| error.rule.to_owned());
        reader.check(&found, parsed)
    }

    pub(super) fn flag_or(&mut self, reader: &mut Reader<'_>, key: &str, default: bool) -> Option<bool> {
        match self.take(reader, key) {
            None => Some(default),
            Some((Item::Flag(flag), _)) => Some(flag),
            Some((Item::Text(text), found)) if found.line.is_none() && (text == "true" || text == "false") => {
                Some(text == "true")
            }
            Some((_, found)) => {
                reader.problem(&found, "must be true or false");
                None
            }
        }
    }

    pub(super) fn number_or(
        &mut self,
        reader: &mut Reader<'_>,
        key: &str,
        default: i64,
        bounds: RangeInclusive<i64>,
    ) -> Option<i64> {
        let before = reader.problems.len();
        let number = self.optional_number(reader, key, bounds);
        if number.is_none() && reader.problems.len() == before { Some(default) } else { number }
    }

    /// A secret: `key` with the value, `key_file` with the name of a file or `key_env` with the name of a variable;
    /// exactly one of them.
    pub(super) fn secret(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Found> {
        let before = reader.problems.len();
        let found = self.optional_secret(reader, key);
        if found.is_none() && reader.problems.len() == before {
            self.problem(reader, key, &once(key));
        }
        found
    }

    /// As [`Section::secret`], but none of the three is fine, too.
    pub(super) fn optional_secret(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Found> {
        let direct = self.optional_text(reader, key);
        let file = self.optional_text(reader, &format!("{key}_file"));
        let variable = self.optional_text(reader, &format!("{key}_env"));
        let given = [&direct, &file, &variable].into_iter().flatten().count();
        if given > 1 {
            self.problem(reader, key, &once(key));
            return None;
        }
        if let Some(file) = file {
            let value = text_of(reader, &file)?;
            // Editors end a file with a line break; a key never has one.
            return Some(Found { value: value.trim_end_matches(['\r', '\n']).to_owned(), ..file });
        }
        if let Some(variable) = variable {
            let value = (reader.environment)(&variable.value)
                .ok_or_else(|| format!("names the variable {}, which is not set", variable.value));
            let value = reader.check(&variable, value)?;
            return Some(Found { value, ..variable });
        }
        direct
    }

    pub(super) fn optional_file(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Vec<u8>> {
        let found = self.optional_text(reader, key)?;
        read_file(reader, &found)
    }

    /// The bytes in the file that the key names, and the key for what is wrong with them.
    pub(super) fn optional_bytes_file(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<(Vec<u8>, Found)> {
        let found = self.optional_text(reader, key)?;
        Some((read_file(reader, &found)?, found))
    }

    /// The text in the file that the key names.
    pub(super) fn optional_text_file(&mut self, reader: &mut Reader<'_>, key: &str) -> Option<Found> {
        let found = self.optional_text(reader, key)?;
        Some(Found { value: text_of(reader, &found)?, ..found })
    }

    pub(super) fn problem(&self, reader: &mut Reader<'_>, key: &str, text: &str) {
        reader.push(self.line, format!("{}.{key} {text}", self.name));
    }

    /// Keys that nobody asked for are unknown.
    pub(super) fn end(&mut self, reader: &mut Reader<'_>) {
        for entry in std::mem::take(&mut self.entries) {
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            let nearest = nearest(&entry.key, &known);
            reader.push(Some(entry.line), format!("unknown key {}.{}{nearest}", self.name, entry.key));
        }
    }
}

fn once(key: &str) -> String {
    format!("must be given once: as {key}, as {key}_file or as {key}_env")
}

fn text_of(reader: &mut Reader<'_>, found: &Found) -> Option<String> {
    let bytes = read_file(reader, found)?;
    reader.check(found, String::from_utf8(bytes).map_err(|_| "names a file that is not UTF-8 text".to_owned()))
}

fn read_file(reader: &mut Reader<'_>, found: &Found) -> Option<Vec<u8>> {
    let path = reader.path.parent().unwrap_or(Path::new("")).join(&found.value);
    let bytes =
        std::fs::read(&path).map_err(|error| format!("names {}, which cannot be read: {error}", path.display()));
    reader.check(found, bytes)
}

/// "; did you mean …?", if a known name is near, or else all that are known.
fn nearest(key: &str, known: &[&str]) -> String {
    let near = nearest_of(key, known);
    if near.is_empty() { format!("; known are {}", known.join(", ")) } else { near }
}

/// "; did you mean …?", if a known name is near.
pub(super) fn nearest_of(key: &str, known: &[&str]) -> String {
    let distance = |name: &&&str| strsim::damerau_levenshtein(key, name);
    let near = known.iter().min_by_key(distance).filter(|name| distance(name) <= 3.max(key.len() / 3));
    near.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}
