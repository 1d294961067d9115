//! The flat XML dialect of API v2: one root, one level of uniquely named elements, texts as values.
//!
//! Callbacks are parsed before their signature can be checked (it is inside), so the reader is the attack
//! surface: it knows neither DTDs nor entities beyond the five, no attributes, no nesting, and it has caps on
//! bytes and elements. Signature and values come from the same parse.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules); the incident of 2018
//! (CVE-2018-13439) is why everything beyond the dialect is refused.

use std::fmt::Write as _;

use roxmltree::{Document, NodeType, ParsingOptions};

/// The largest message in bytes. Real ones have a few thousand; `detail` may have 6,000 characters.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The largest number of elements in a message. A notification with coupons has fewer than fifty.
pub const FIELDS_MAX: usize = 200;

/// The fields of one message, in the order in which they stand in it. Names are unique.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a message with the root element `<xml>`.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        Self::parse_root("xml", bytes)
    }

    /// Reads a message with another root element (`<root>` in the encrypted part of refund notifications).
    pub fn parse_root(root: &str, bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(XmlError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        // Four nodes for an element: itself, its text, and generously white space and comments around it.
        let nodes_limit = FIELDS_MAX as u32 * 4 + 16;
        let options = ParsingOptions { allow_dtd: false, nodes_limit, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|error| match error {
            roxmltree::Error::DtdDetected => XmlError::Dtd,
            roxmltree::Error::NodesLimitReached => XmlError::TooManyFields,
            other => XmlError::Malformed(other.pos().row),
        })?;
        if document.root().children().any(|node| node.is_pi()) {
            return Err(XmlError::NotFlat);
        }
        let element = document.root_element();
        if !element.has_tag_name(root) || element.attributes().len() > 0 {
            return Err(XmlError::WrongRoot);
        }
        let mut fields = Self::new();
        for child in element.children() {
            match child.node_type() {
                NodeType::Element => fields.read(&child)?,
                NodeType::Comment => {}
                NodeType::Text if child.text().unwrap_or_default().trim().is_empty() => {}
                _ => return Err(XmlError::NotFlat),
            }
        }
        Ok(fields)
    }

    fn read(&mut self, element: &roxmltree::Node<'_, '_>) -> Result<(), XmlError> {
        let name = element.tag_name();
        if name.namespace().is_some() || element.attributes().len() > 0 {
            return Err(XmlError::NotFlat);
        }
        let mut value = String::new();
        for part in element.children() {
            match part.node_type() {
                NodeType::Text => value.push_str(part.text().unwrap_or_default()),
                NodeType::Comment => {}
                _ => return Err(XmlError::NotFlat),
            }
        }
        if self.0.len() == FIELDS_MAX {
            return Err(XmlError::TooManyFields);
        }
        if self.0.iter().any(|(known, _)| known == name.name()) {
            return Err(XmlError::Duplicate(name.name().to_owned()));
        }
        self.0.push((name.name().to_owned(), value));
        Ok(())
    }

    /// Appends a field. A field of that name that is there already gets the new value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.to_owned(), value.into())),
        }
        self
    }

    /// Appends a field, or nothing.
    pub fn set_some(&mut self, name: &str, value: Option<impl Into<String>>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    /// Takes a field away.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    /// The value of a field. Empty elements are absent to WeChat (and not signed), so they are absent here too.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// All names and values, empty values included, in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the message as WeChat itself writes it: a line per element, whole numbers bare, everything else in
    /// CDATA. The end mark of CDATA inside a value is split over two sections, so that no value can add elements.
    pub fn to_xml(&self) -> String {
        self.write("xml", |value| {
            !value.is_empty() && value.len() < 16 && value.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    /// Writes the message under another root element with every value in CDATA, as WeChat writes the encrypted part of
    /// refund notifications.
    pub fn to_cdata(&self, root: &str) -> String {
        self.write(root, |_| false)
    }

    fn write(&self, root: &str, is_bare: impl Fn(&str) -> bool) -> String {
        let mut xml = String::with_capacity(64 + 48 * self.0.len());
        // Writing to a string cannot fail.
        let _ = write!(xml, "<{root}>");
        for (name, value) in self.iter() {
            let _ = if is_bare(value) {
                writeln!(xml, "<{name}>{value}</{name}>")
            } else {
                writeln!(xml, "<{name}><![CDATA[{}]]></{name}>", value.replace("]]>", "]]]]><![CDATA[>"))
            };
        }
        let _ = write!(xml, "</{root}>");
        xml
    }
}

/// Prints the names only: values may be personal.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Self::new();
        for (name, value) in pairs {
            fields.set(&name.into(), value);
        }
        fields
    }
}

/// Why bytes are not a message of the dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// More than [`MESSAGE_BYTES_MAX`] bytes.
    #[error("the message has more than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// More than [`FIELDS_MAX`] elements.
    #[error("the message has more than {FIELDS_MAX} elements")]
    TooManyFields,
    /// Bytes that are not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// A DOCTYPE: the door to external entities and entity bombs.
    #[error("the message has a DOCTYPE")]
    Dtd,
    /// Not well-formed XML; the line is told.
    #[error("the message is not well-formed XML, line {0}")]
    Malformed(u32),
    /// Another root element than expected.
    #[error("the message has another root element than expected")]
    WrongRoot,
    /// Attributes, elements inside values, text between elements or processing instructions.
    #[error("the message is not a flat list of elements")]
    NotFlat,
    /// Two elements of one name.
    #[error("the element {0} stands twice in the message")]
    Duplicate(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_bomb_meets_the_cap() {
        let bomb = format!("<xml>{}</xml>", (0..2_000).map(|n| format!("<f{n}>1</f{n}>")).collect::<String>());
        assert_eq!(Fields::parse(bomb.as_bytes()), Err(XmlError::TooManyFields));
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let deep = format!("<xml>{}", "<a>".repeat(10_000));
        assert!(Fields::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_huge_body_is_refused_before_it_is_parsed() {
        let huge = vec![b'<'; MESSAGE_BYTES_MAX + 1];
        assert_eq!(Fields::parse(&huge), Err(XmlError::TooLarge));
    }

    #[test]
    fn attributes_instructions_and_loose_text_are_refused() {
        for bad in [
            "<xml a='1'/>",
            "<xml><a b='1'>1</a></xml>",
            "<xml>loose<a>1</a></xml>",
            "<xml><?php x?><a>1</a></xml>",
            "<?php x?><xml><a>1</a></xml>",
            "<xml><a xmlns='u'>1</a></xml>",
            "<root><a>1</a></root>",
        ] {
            assert!(Fields::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_customer_cannot_inject_an_element() {
        let mut fields = Fields::new();
        fields.set("body", "tea]]></body><total_fee>1</total_fee><body><![CDATA[");
        fields.set("total_fee", "100");
        let read = Fields::parse(fields.to_xml().as_bytes()).unwrap();
        assert_eq!(read, fields);
        assert_eq!(read.get("total_fee"), Some("100"));
    }
}
