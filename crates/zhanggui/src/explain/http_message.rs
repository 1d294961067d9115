//! An HTTP message as it went over the wire: start line, headers, an empty line, and the body byte for byte.

/// A request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpMessage {
    /// The first line.
    pub start: Start,
    /// In their order; names in any case.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Of a request.
    Request {
        /// As it stands there.
        method: String,
        /// Path and query.
        target: String,
    },
    /// Of an answer.
    Answer {
        /// The HTTP status.
        status: u16,
    },
}

impl HttpMessage {
    /// Reads a message; lines of the head may end with LF or CR LF. If `Content-Length` says that the last bytes are
    /// not part of the body and they are white space, an editor has added them, and they are left out.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let start = Start::parse(next_line(&mut rest)?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        while !rest.is_empty() {
            let line = next_line(&mut rest)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let mut message = Self { start, headers, body: rest.to_vec() };
        let length = message.header("Content-Length").and_then(|text| text.parse::<usize>().ok());
        if let Some(added) = length.and_then(|length| message.body.get(length..))
            && added.trim_ascii().is_empty()
        {
            message.body.truncate(message.body.len() - added.len());
        }
        Some(message)
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it claims to come from WeChat Pay: an answer, or a callback.
    pub(super) fn is_signed_by_wechat(&self) -> bool {
        match self.start {
            Start::Answer { .. } => true,
            Start::Request { .. } => {
                self.header("Authorization").is_none()
                    && self.headers.iter().any(|(name, _)| {
                        let name = name.to_ascii_lowercase();
                        // Requests carry Wechatpay-Serial, too.
                        name.starts_with("wechatpay-") && name != "wechatpay-serial"
                    })
            }
        }
    }
}

impl Start {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next()?;
        let second = words.next()?;
        if first.starts_with("HTTP/") {
            return Some(Self::Answer { status: second.parse().ok()? });
        }
        let method = first.bytes().all(|byte| byte.is_ascii_alphabetic());
        let target = second.starts_with('/') || second.contains("://");
        let version = words.next().is_none_or(|word| word.starts_with("HTTP/"));
        (method && target && version).then(|| Self::Request { method: first.to_owned(), target: second.to_owned() })
    }
}

fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let bytes: &'a [u8] = rest;
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, after) = end.map_or((bytes, &bytes[bytes.len()..]), |end| (&bytes[..end], &bytes[end + 1..]));
    *rest = after;
    std::str::from_utf8(line).ok().map(|line| line.trim_end_matches('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_kept_byte_for_byte() {
        let message = HttpMessage::parse(b"POST /a?b=1 HTTP/1.1\r\nA: 1\r\n\r\n {\r\n} \n").unwrap();
        assert_eq!(message.body, b" {\r\n} \n");
        assert_eq!(message.header("a"), Some("1"));
        let start = Start::Request { method: "POST".to_owned(), target: "/a?b=1".to_owned() };
        assert_eq!(message.start, start);
    }

    #[test]
    fn a_line_feed_that_an_editor_added_is_not_the_body() {
        let message = HttpMessage::parse(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}\n").unwrap();
        assert_eq!(message.body, b"{}");
        let shorter = HttpMessage::parse(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}x").unwrap();
        assert_eq!(shorter.body, b"{}x");
    }

    #[test]
    fn what_is_not_http_is_not_read() {
        for bad in ["", "hello", "GET", "a b c", "GET / HTTP/1.1\nno colon\n\n"] {
            assert_eq!(HttpMessage::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
