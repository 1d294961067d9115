//! The content of a push as a tree of named values, the same for XML and JSON.
//!
//! Names may repeat: two `<List>` elements are what JSON writes as an array, and one is what JSON writes as an object.
//! Callbacks come from anybody, so the reader knows no DTD, no entities beyond the five and no attributes, and has caps
//! on nodes and depth.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html>.

use std::fmt::Write as _;

use roxmltree::{Document, NodeType, ParsingOptions};

use super::Format;

/// The largest number of values in a message. Real ones have a few dozen.
pub const NODES_MAX: usize = 1_000;

/// The deepest nesting. Real messages have three levels.
pub const DEPTH_MAX: usize = 8;

/// Named values in the order of the message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Value)>);

/// A value of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A text. Numbers that come as text (all of XML, some of JSON) stay texts.
    Text(String),
    /// A number of JSON; 64 bits, because a `MsgId` does not fit into a double.
    Number(i64),
    /// Values below the name.
    Fields(Fields),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

impl Fields {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a value; a name may stand several times.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// All but those of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// All names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text or number of that name, as text. An empty text is there.
    pub fn text(&self, name: &str) -> Option<String> {
        self.iter().find(|(known, _)| *known == name).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Fields(_) => None,
        })
    }

    /// The number of that name, whether it came as number or text.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// The values below every occurrence of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Fields> {
        self.iter().filter(move |(known, _)| *known == name).filter_map(|(_, value)| match value {
            Value::Fields(fields) => Some(fields),
            Value::Text(_) | Value::Number(_) => None,
        })
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Not the form, or more than the caps allow.
    pub fn read(text: &str, format: Format) -> Result<Self, FieldsError> {
        let mut budget = NODES_MAX;
        match format {
            Format::Xml => read_xml(text, &mut budget),
            Format::Json => {
                // Numbers are read as 64-bit integers; what is none stays a text.
                let value: serde_json::Value = serde_json::from_str(text).map_err(|_| FieldsError::Malformed)?;
                let serde_json::Value::Object(object) = value else { return Err(FieldsError::Malformed) };
                read_object(object, &mut budget, 1)
            }
        }
    }

    /// Writes the message: texts in CDATA and numbers bare, or JSON with characters as they are.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Xml => {
                let mut xml = String::from("<xml>");
                self.write_xml(&mut xml);
                xml.push_str("</xml>");
                xml
            }
            Format::Json => {
                let mut json = String::new();
                self.write_json(&mut json);
                json
            }
        }
    }

    fn write_xml(&self, xml: &mut String) {
        for (name, value) in self.iter() {
            // Writing to a string cannot fail.
            let _ = write!(xml, "<{name}>");
            match value {
                Value::Number(number) => drop(write!(xml, "{number}")),
                // The end mark of CDATA is split over two sections, so that no text can add elements.
                Value::Text(text) => drop(write!(xml, "<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))),
                Value::Fields(fields) => fields.write_xml(xml),
            }
            let _ = write!(xml, "</{name}>");
        }
    }

    /// In the order of the message: a map of the JSON library would sort the names.
    fn write_json(&self, json: &mut String) {
        json.push('{');
        let mut written: Vec<&str> = Vec::new();
        for (name, _) in self.iter() {
            if written.contains(&name) {
                continue;
            }
            if !written.is_empty() {
                json.push(',');
            }
            written.push(name);
            push_text(json, name);
            json.push(':');
            let values: Vec<&Value> = self.iter().filter(|(known, _)| *known == name).map(|(_, value)| value).collect();
            if values.len() > 1 {
                json.push('[');
            }
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                match value {
                    Value::Text(text) => push_text(json, text),
                    Value::Number(number) => drop(write!(json, "{number}")),
                    Value::Fields(fields) => fields.write_json(json),
                }
            }
            if values.len() > 1 {
                json.push(']');
            }
        }
        json.push('}');
    }
}

fn push_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

fn read_xml(text: &str, budget: &mut usize) -> Result<Fields, FieldsError> {
    // Three nodes for a value: the element, its text, and white space.
    let nodes_limit = NODES_MAX as u32 * 3 + 16;
    let options = ParsingOptions { allow_dtd: false, nodes_limit, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => FieldsError::Dtd,
        roxmltree::Error::NodesLimitReached => FieldsError::TooManyNodes,
        _ => FieldsError::Malformed,
    })?;
    let root = document.root_element();
    let instructions = document.root().children().any(|node| node.is_pi());
    if instructions || !root.has_tag_name("xml") || root.attributes().len() > 0 {
        return Err(FieldsError::Malformed);
    }
    match read_element(&root, budget, 1)? {
        Value::Fields(fields) => Ok(fields),
        Value::Text(text) if text.trim().is_empty() => Ok(Fields::new()),
        Value::Text(_) | Value::Number(_) => Err(FieldsError::Malformed),
    }
}

/// An element with elements in it has fields; any other has text.
fn read_element(element: &roxmltree::Node<'_, '_>, budget: &mut usize, depth: usize) -> Result<Value, FieldsError> {
    if depth > DEPTH_MAX {
        return Err(FieldsError::TooDeep);
    }
    let (mut fields, mut text) = (Fields::new(), String::new());
    for child in element.children() {
        match child.node_type() {
            NodeType::Element if child.attributes().len() == 0 && child.tag_name().namespace().is_none() => {
                take(budget)?;
                let value = read_element(&child, budget, depth + 1)?;
                fields.0.push((child.tag_name().name().to_owned(), value));
            }
            NodeType::Text => text.push_str(child.text().unwrap_or_default()),
            NodeType::Comment => {}
            _ => return Err(FieldsError::Malformed),
        }
    }
    match (fields.is_empty(), text.trim().is_empty()) {
        (true, _) => Ok(Value::Text(text)),
        (false, true) => Ok(Value::Fields(fields)),
        (false, false) => Err(FieldsError::Malformed),
    }
}

fn read_object(
    object: serde_json::Map<String, serde_json::Value>,
    budget: &mut usize,
    depth: usize,
) -> Result<Fields, FieldsError> {
    if depth > DEPTH_MAX {
        return Err(FieldsError::TooDeep);
    }
    let mut fields = Fields::new();
    for (name, value) in object {
        match value {
            serde_json::Value::Array(values) => {
                for value in values {
                    fields.0.extend(read_json(value, budget, depth)?.map(|value| (name.clone(), value)));
                }
            }
            value => fields.0.extend(read_json(value, budget, depth)?.map(|value| (name, value))),
        }
    }
    Ok(fields)
}

/// `null` is as good as absent.
fn read_json(value: serde_json::Value, budget: &mut usize, depth: usize) -> Result<Option<Value>, FieldsError> {
    take(budget)?;
    Ok(match value {
        serde_json::Value::Null => None,
        serde_json::Value::Bool(flag) => Some(Value::Text(flag.to_string())),
        serde_json::Value::Number(number) => {
            Some(number.as_i64().map_or_else(|| Value::Text(number.to_string()), Value::Number))
        }
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Object(object) => Some(Value::Fields(read_object(object, budget, depth + 1)?)),
        // No message has lists in lists.
        serde_json::Value::Array(_) => return Err(FieldsError::TooDeep),
    })
}

fn take(budget: &mut usize) -> Result<(), FieldsError> {
    *budget = budget.checked_sub(1).ok_or(FieldsError::TooManyNodes)?;
    Ok(())
}

/// Prints no texts: they are personal.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::Number(_) => f.write_str("number"),
            Self::Fields(fields) => fields.fmt(f),
        }
    }
}

/// Prints the names only: values are personal.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a text is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Neither the XML nor the JSON of a message.
    #[error("the message is not well-formed")]
    Malformed,
    /// A DOCTYPE: the door to external entities and entity bombs.
    #[error("the message has a DOCTYPE")]
    Dtd,
    /// More than [`NODES_MAX`] values.
    #[error("the message has more than {NODES_MAX} values")]
    TooManyNodes,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("the message is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let list = |id: &str| Fields::new().with("TemplateId", id);
        let fields = Fields::new().with("Event", "e").with("List", list("a")).with("List", list("]]><b/>"));
        for format in [Format::Xml, Format::Json] {
            assert!(Fields::read(&fields.write(format), format) == Ok(fields.clone()), "{format:?}");
        }
        assert_eq!(fields.write(Format::Json), r#"{"Event":"e","List":[{"TemplateId":"a"},{"TemplateId":"]]><b/>"}]}"#);
    }

    #[test]
    fn a_single_entry_of_a_json_list_is_an_object() {
        let fields = Fields::new().with("List", Fields::new().with("n", 1));
        assert_eq!(fields.write(Format::Json), r#"{"List":{"n":1}}"#);
    }

    #[test]
    fn a_large_number_keeps_all_its_digits() {
        let fields = Fields::read(r#"{"MsgId":23637352235060881}"#, Format::Json).unwrap();
        assert_eq!(fields.text("MsgId").as_deref(), Some("23637352235060881"));
        let fields = Fields::read(r#"{"MsgId":18446744073709551615}"#, Format::Json).unwrap();
        assert_eq!(fields.text("MsgId").as_deref(), Some("18446744073709551615"));
    }

    #[test]
    fn bombs_meet_the_caps() {
        let wide = format!("<xml>{}</xml>", "<a>1</a>".repeat(NODES_MAX + 1));
        assert_eq!(Fields::read(&wide, Format::Xml), Err(FieldsError::TooManyNodes));
        let deep = format!("<xml>{}{}</xml>", "<a>".repeat(50), "</a>".repeat(50));
        assert_eq!(Fields::read(&deep, Format::Xml), Err(FieldsError::TooDeep));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(NODES_MAX));
        assert_eq!(Fields::read(&wide, Format::Json), Err(FieldsError::TooManyNodes));
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert_eq!(Fields::read(&deep, Format::Json), Err(FieldsError::TooDeep));
        let deeper = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(Fields::read(&deeper, Format::Json), Err(FieldsError::Malformed));
    }

    #[test]
    fn attributes_instructions_and_mixed_text_are_refused() {
        for bad in
            ["<xml a='1'/>", "<xml><a b='1'/></xml>", "<?php x?><xml/>", "<xml>x<a>1</a></xml>", "<root/>", "", "[]"]
        {
            assert!(Fields::read(bad, Format::Xml).is_err(), "{bad}");
        }
        assert!(Fields::read("[]", Format::Json).is_err());
    }
}
