//! `multipart/form-data` with a file, as WeChat's uploads want it.
//!
//! The writer makes one part with name, file name and type. The reader takes what other people's software writes, too;
//! its limits are on parts and their heads, the caller limits the whole.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc7578>.

use crate::{NonceStr, id::checked_text};

/// More parts than any upload has.
const PARTS_MAX: usize = 16;

/// The longest head of a part, in bytes.
const HEAD_BYTES_MAX: usize = 4096;

checked_text! {
    /// The line between two parts. It must not occur in a file, so make it of random bytes.
    Boundary, "boundary", "must be 1 to 70 letters, digits, -, _, ', (, ), +, ,, ., /, :, = or ?",
    |text| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_'()+,./:=?".contains(&byte);
        (1..=70).contains(&text.len()) && text.bytes().all(is_known)
    }
}

impl Boundary {
    /// A random text: no file has it by accident.
    pub fn from_nonce(nonce: &NonceStr) -> Self {
        Self(format!("zhanggui-{nonce}"))
    }

    /// The `Content-Type` of a body with this boundary.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={self}")
    }

    /// From the `Content-Type` of a body.
    fn from_content_type(content_type: &str) -> Option<Self> {
        let (media_type, parameters) = content_type.split_once(';')?;
        let is_form = media_type.trim().eq_ignore_ascii_case("multipart/form-data");
        Self::parse(parameter(parameters, "boundary").filter(|_| is_form)?).ok()
    }
}

checked_text! {
    /// The name of an uploaded file. WeChat wants one and does nothing else with it.
    FileName, "filename", "must be 1 to 128 letters, digits, ., - or _",
    |text| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (1..=128).contains(&text.len()) && text.bytes().all(is_known)
    }
}

/// A part of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The name of the field.
    pub name: &'a str,
    /// The name of the file; fields that are not files have none.
    pub filename: Option<&'a str>,
    /// What the sender says of the type.
    pub content_type: Option<&'a str>,
    /// The content.
    pub bytes: &'a [u8],
}

/// Writes a body with one file.
pub fn write(
    boundary: &Boundary,
    name: &'static str,
    filename: &FileName,
    content_type: &'static str,
    bytes: &[u8],
) -> Vec<u8> {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
}

/// Reads the parts of a body. File names are as the sender wrote them: not to be used as a path.
///
/// # Errors
/// Not `multipart/form-data`, or not in order.
pub fn read<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, MultipartError> {
    let boundary = Boundary::from_content_type(content_type).ok_or(MultipartError::ContentType)?;
    let delimiter = format!("\r\n--{boundary}");
    // The first one may stand at the very beginning, without a line break in front.
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => split_at_sequence(body, delimiter.as_bytes()).ok_or(MultipartError::Unterminated)?.1,
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == PARTS_MAX {
            return Err(MultipartError::TooMany);
        }
        let (_, after_line) = split_at_sequence(rest, b"\r\n").ok_or(MultipartError::Unterminated)?;
        let (part, next) = split_at_sequence(after_line, delimiter.as_bytes()).ok_or(MultipartError::Unterminated)?;
        parts.push(read_part(part)?);
        rest = next;
    }
    Ok(parts)
}

fn read_part(part: &[u8]) -> Result<Part<'_>, MultipartError> {
    let limit = part.len().min(HEAD_BYTES_MAX);
    let (head, _) = split_at_sequence(&part[..limit], b"\r\n\r\n").ok_or(MultipartError::Head)?;
    let bytes = &part[head.len() + 4..];
    let head = std::str::from_utf8(head).map_err(|_| MultipartError::Head)?;
    let header = |name: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let disposition = header("Content-Disposition").ok_or(MultipartError::Head)?;
    let (_, parameters) = disposition.split_once(';').ok_or(MultipartError::Head)?;
    Ok(Part {
        name: parameter(parameters, "name").ok_or(MultipartError::Head)?,
        filename: parameter(parameters, "filename"),
        content_type: header("Content-Type"),
        bytes,
    })
}

/// The value of a parameter such as `; name="media"`. What is escaped within quotes stays so.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters;
    loop {
        let (known, after) = rest.split_once('=')?;
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.match_indices('"').find(|(at, _)| !quoted[..*at].ends_with('\\'))?.0;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if known.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = next;
    }
}

/// What stands before and after the first occurrence.
fn split_at_sequence<'a>(bytes: &'a [u8], sequence: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| Some(byte) == sequence.first())?;
        if let Some(after) = bytes[at..].strip_prefix(sequence) {
            return Some((&bytes[..at], after));
        }
        from = at + 1;
    }
}

/// Why a body has no parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The `Content-Type` is not `multipart/form-data` with a boundary.
    #[error("the content type is not multipart/form-data with a boundary")]
    ContentType,
    /// The boundary, or the last one, is missing.
    #[error("the form does not end")]
    Unterminated,
    /// A part without a readable head that names it.
    #[error("a part of the form has no name")]
    Head,
    /// Too many parts.
    #[error("the form has more than {PARTS_MAX} parts")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=x";

    fn read_text(body: &str) -> Result<Vec<Part<'_>>, MultipartError> {
        read(TYPE, body.as_bytes())
    }

    #[test]
    fn a_file_is_read_as_it_was_written_whatever_its_bytes() {
        let boundary = Boundary::from_nonce(&NonceStr::from_random([0xab; 16]));
        let name = FileName::parse("picture.png").unwrap();
        for bytes in [b"".as_slice(), b"\r\n", b"\r\n--", b"--zhanggui-abab\r\n\r\n", &(0..=255).collect::<Vec<u8>>()] {
            let body = write(&boundary, "media", &name, "image/png", bytes);
            let parts = read(&boundary.content_type(), &body).unwrap();
            let part = Part { name: "media", filename: Some("picture.png"), content_type: Some("image/png"), bytes };
            assert_eq!(parts, [part]);
        }
    }

    /// What curl, Python's requests and browsers send, each with its own habits.
    #[test]
    fn what_others_write_is_read() {
        let curl = "--x\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\n\
                    Content-Type: image/jpeg\r\n\r\nJPEG\r\n--x--\r\n";
        let python =
            "--x\r\ncontent-disposition: form-data; filename=\"a;b=\\\"c.jpg\"; name=media\r\n\r\nJPEG\r\n--x--";
        let browser = "preamble\r\n--x\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n{}\r\n--x  \r\n\
                       Content-Disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\n\r\nJPEG\r\n--x--epilogue";
        for body in [curl, python, browser] {
            let parts = read_text(body).unwrap();
            let file = parts.iter().find(|part| part.name == "media").unwrap();
            assert!(file.filename.is_some() && file.bytes == b"JPEG", "{body}");
        }
        assert_eq!(read_text(python).unwrap()[0].filename, Some("a;b=\\\"c.jpg"));
        assert!(read("Multipart/Form-Data; charset=utf-8; boundary=\"x\"", curl.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_a_form_is_refused() {
        for content_type in [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/mixed; boundary=x",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(read(content_type, b"--x--"), Err(MultipartError::ContentType), "{content_type}");
        }
        let head = "Content-Disposition: form-data; name=\"media\"";
        for body in [
            String::new(),
            "{}".into(),
            "--x".into(),
            "--x\r\n".into(),
            format!("--x\r\n{head}\r\n\r\nJPEG"),
            format!("--x\r\n{head}\r\n\r\nJPEG\r\n--"),
        ] {
            assert_eq!(read_text(&body), Err(MultipartError::Unterminated), "{body}");
        }
        for body in [
            "--x\r\n\r\nJPEG\r\n--x--".to_owned(),
            "--x\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nJPEG\r\n--x--".to_owned(),
            "--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\nJPEG\r\n--x--".to_owned(),
            format!("--x\r\n{head}\r\nX: {}\r\n\r\nJPEG\r\n--x--", "a".repeat(HEAD_BYTES_MAX)),
        ] {
            assert_eq!(read_text(&body), Err(MultipartError::Head), "{body}");
        }
        let part = format!("\r\n{head}\r\n\r\nJPEG\r\n--x");
        assert_eq!(read_text(&format!("--x{}--", part.repeat(PARTS_MAX + 1))), Err(MultipartError::TooMany));
        assert_eq!(read_text(&format!("--x{}--", part.repeat(PARTS_MAX))).unwrap().len(), PARTS_MAX);
    }
}
