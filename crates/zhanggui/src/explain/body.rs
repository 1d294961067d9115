//! Other spellings of a body, as frameworks and serialisers make them. The first one is the body itself.

use serde_json::Value;

use super::cause::{Cause, Code};

/// All spellings with what is wrong with them; equal bytes only once, the likeliest first. JSON of more bytes than
/// `json_bytes_max` is not written anew.
pub(super) fn spellings(body: &[u8], json_bytes_max: usize) -> Vec<(Option<Cause>, Vec<u8>)> {
    let mut all: Vec<(Option<Cause>, Vec<u8>)> = vec![(None, body.to_vec())];
    let mut add = |code: Code, detail: &str, bytes: Vec<u8>| {
        if !all.iter().any(|(_, known)| *known == bytes) {
            all.push((Some(Cause::found(code).with(detail)), bytes));
        }
    };
    add(Code::BodyEnd, "signed with a line feed at the end", [body, b"\n"].concat());
    add(Code::BodyEnd, "signed without the white space at the end", body.trim_ascii_end().to_vec());
    add(Code::BodyEnd, "signed without the white space around it", body.trim_ascii().to_vec());
    if body.is_empty() {
        for other in ["{}", "null", "\"\""] {
            add(Code::BodyNotSent, &format!("signed with {other}"), other.into());
        }
        return all;
    }
    add(Code::BodyLeftOut, "signed as an empty line", Vec::new());
    let text = String::from_utf8_lossy(body);
    add(Code::BodyLineFeeds, "signed with LF", text.replace("\r\n", "\n").into_bytes());
    add(Code::BodyLineFeeds, "signed with CR LF", text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes());
    if body.len() <= json_bytes_max
        && let Some(tokens) = tokens(&text)
    {
        for style in Style::all() {
            add(Code::BodyReserialised, &style.describe(), style.write(&tokens).into_bytes());
        }
        if let Ok(sorted) = serde_json::from_str::<Sorted>(&text) {
            add(Code::BodyReserialised, "signed with sorted fields", sorted.0.to_string().into_bytes());
        }
    }
    all
}

/// The text of the part `meta` of an upload.
pub(super) fn upload_meta(body: &[u8]) -> Option<&[u8]> {
    let text = |needle: &[u8], from: usize| {
        let rest = body.get(from..)?;
        rest.windows(needle.len()).position(|window| window == needle).map(|place| place + from)
    };
    let part = text(b"name=\"meta\"", 0)?;
    let start = text(b"\r\n\r\n", part)? + 4;
    let end = text(b"\r\n--", start)?;
    body.get(start..end)
}

/// JSON with its fields in order of their names.
#[derive(serde::Deserialize)]
#[serde(from = "Value")]
struct Sorted(Value);

impl From<Value> for Sorted {
    fn from(value: Value) -> Self {
        Self(sort(value))
    }
}

/// Sorts whatever order the library keeps.
fn sort(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sort(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        other => other,
    }
}

/// How a serialiser writes.
#[derive(Clone, Copy, Debug)]
struct Style {
    spacing: Spacing,
    letters: Letters,
    slashes: Slashes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// JavaScript, Go, PHP, Java.
    Compact,
    /// Python's default: a blank after comma and colon.
    Blanks,
    /// Pretty with this indentation.
    Indented(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letters {
    AsTheyAre,
    /// Everything beyond ASCII as \u and four digits: Python and PHP.
    Escaped,
    /// \u resolved.
    Plain,
    /// `<`, `>` and `&` as \u and four digits: Go, Gson.
    EscapedForHtml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slashes {
    AsTheyAre,
    /// PHP's default.
    Escaped,
    Plain,
}

impl Style {
    fn all() -> impl Iterator<Item = Self> {
        let spacings = [Spacing::Compact, Spacing::Blanks, Spacing::Indented(2), Spacing::Indented(4)];
        let letters = [Letters::AsTheyAre, Letters::Escaped, Letters::Plain, Letters::EscapedForHtml];
        let slashes = [Slashes::AsTheyAre, Slashes::Escaped, Slashes::Plain];
        spacings.into_iter().flat_map(move |spacing| {
            letters
                .into_iter()
                .flat_map(move |letters| slashes.into_iter().map(move |slashes| Self { spacing, letters, slashes }))
        })
    }

    fn describe(self) -> String {
        let spacing = match self.spacing {
            Spacing::Compact => "compact",
            Spacing::Blanks => "a blank after comma and colon",
            Spacing::Indented(_) => "indented",
        };
        let letters = match self.letters {
            Letters::AsTheyAre => "",
            Letters::Escaped => ", letters as \\u escapes",
            Letters::Plain => ", letters without \\u escapes",
            Letters::EscapedForHtml => ", < > & as \\u escapes",
        };
        let slashes = match self.slashes {
            Slashes::AsTheyAre => "",
            Slashes::Escaped => ", / as \\/",
            Slashes::Plain => ", / without \\",
        };
        format!("signed {spacing}{letters}{slashes}")
    }

    fn write(self, tokens: &[Token<'_>]) -> String {
        let mut text = String::new();
        let mut depth = 0_usize;
        let mut before = None;
        for token in tokens {
            match token {
                Token::Mark(mark @ ('{' | '[')) => {
                    if before == Some(',') || before == Some('{') || before == Some('[') {
                        self.break_line(&mut text, depth);
                    }
                    text.push(*mark);
                    depth += 1;
                }
                Token::Mark(mark @ ('}' | ']')) => {
                    depth = depth.saturating_sub(1);
                    if before != Some('{') && before != Some('[') {
                        self.break_line(&mut text, depth);
                    }
                    text.push(*mark);
                }
                Token::Mark(mark) => {
                    text.push(*mark);
                    let blank = match self.spacing {
                        Spacing::Compact => false,
                        Spacing::Blanks => true,
                        Spacing::Indented(_) => *mark == ':',
                    };
                    if blank {
                        text.push(' ');
                    }
                }
                Token::Text(value) | Token::Bare(value) => {
                    if before.is_some_and(|mark| mark != ':') {
                        self.break_line(&mut text, depth);
                    }
                    match token {
                        Token::Text(value) => text.push_str(&self.spell(value)),
                        _ => text.push_str(value),
                    }
                }
            }
            before = match token {
                Token::Mark(mark) => Some(*mark),
                Token::Text(_) | Token::Bare(_) => Some('x'),
            };
        }
        text
    }

    fn break_line(self, text: &mut String, depth: usize) {
        if let Spacing::Indented(width) = self.spacing {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', depth.min(DEPTH_MAX) * width));
        }
    }

    /// A string with its quotation marks.
    fn spell(self, quoted: &str) -> String {
        let quoted = match self.slashes {
            Slashes::AsTheyAre => quoted.to_owned(),
            Slashes::Plain => quoted.replace("\\/", "/"),
            Slashes::Escaped => quoted.replace("\\/", "/").replace('/', "\\/"),
        };
        match self.letters {
            Letters::AsTheyAre => quoted,
            Letters::Plain => unescape(&quoted),
            Letters::Escaped => escape(&unescape(&quoted), |character| !character.is_ascii()),
            Letters::EscapedForHtml => escape(&quoted, |character| matches!(character, '<' | '>' | '&')),
        }
    }
}

/// Deeper than any message.
const DEPTH_MAX: usize = 64;

fn escape(text: &str, which: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if which(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Resolves escapes of letters beyond ASCII and leaves all others: they may be needed.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        plain.push_str(&rest[..place]);
        rest = &rest[place..];
        let units: Vec<u16> = [unit(rest), rest.get(6..).and_then(unit)].into_iter().map_while(|unit| unit).collect();
        let letter = char::decode_utf16(units).next().and_then(Result::ok).filter(|letter| !letter.is_ascii());
        let length = match letter {
            Some(letter) => {
                plain.push(letter);
                6 * letter.len_utf16()
            }
            None => {
                // The backslash and what it escapes, which is ASCII in well-formed JSON.
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                plain.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    plain.push_str(rest);
    plain
}

/// The number in `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

enum Token<'a> {
    Mark(char),
    /// With its quotation marks.
    Text(&'a str),
    /// Numbers and words.
    Bare(&'a str),
}

/// JSON in pieces, as they are spelled. `None` if it is not JSON.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        let start = place;
        place += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'}' | b'[' | b']' | b',' | b':' => tokens.push(Token::Mark(char::from(*byte))),
            b'"' => {
                while bytes.get(place).is_some_and(|byte| *byte != b'"') {
                    place += if bytes[place] == b'\\' { 2 } else { 1 };
                }
                place += 1;
                tokens.push(Token::Text(text.get(start..place)?));
            }
            _ => {
                let end = |byte: &u8| b" \t\r\n{}[],:\"".contains(byte);
                place += bytes[place..].iter().position(end).unwrap_or(bytes.len() - place);
                tokens.push(Token::Bare(text.get(start..place)?));
            }
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn spelled(body: &str, expected: &str) {
        let all = spellings(body.as_bytes(), 1024);
        assert!(all.iter().any(|(_, bytes)| bytes == expected.as_bytes()), "{expected}");
        assert_eq!(all[0], (None, body.as_bytes().to_vec()));
    }

    #[test]
    fn serialisers_of_all_languages_are_imitated() {
        let body = "{\"b\":\"茶/<a>\",\"a\":[1,{}],\"c\":{\"d\":null}}";
        spelled(body, "{\"b\": \"\\u8336/<a>\", \"a\": [1, {}], \"c\": {\"d\": null}}");
        spelled(body, "{\"b\":\"\\u8336\\/<a>\",\"a\":[1,{}],\"c\":{\"d\":null}}");
        spelled(body, "{\"b\":\"茶/\\u003ca\\u003e\",\"a\":[1,{}],\"c\":{\"d\":null}}");
        spelled(body, "{\"a\":[1,{}],\"b\":\"茶/<a>\",\"c\":{\"d\":null}}");
        spelled(body, "{\n  \"b\": \"茶/<a>\",\n  \"a\": [\n    1,\n    {}\n  ],\n  \"c\": {\n    \"d\": null\n  }\n}");
        spelled("{ \"a\" : \"\\u8336 \\ud83c\\udf75\\n\" }", "{\"a\":\"茶 🍵\\n\"}");
    }

    #[test]
    fn what_is_not_json_has_other_ends_only() {
        assert!(spellings(b"\xff\xfe{", 1024).len() <= 6);
        assert!(spellings(b"{\"a\":\"\\", 1024).len() <= 6);
    }

    #[test]
    fn of_an_upload_meta_is_found() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"meta\"\r\n\r\n{\"a\":1}\r\n--x\r\n";
        assert_eq!(upload_meta(body), Some(&b"{\"a\":1}"[..]));
    }
}
