//! A strict reader of JSON: duplicate names are refused, and numbers stay what they were, whole or not.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012081606> (rules of messages).

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number.
    Number(Number),
    Text(String),
    List(Vec<Json>),
    /// In the order of the message.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a body. The error says what is wrong, for people.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    /// A member of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A text somewhere inside.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match path.iter().try_fold(self, |json, name| json.get(name))? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number somewhere inside.
    pub(super) fn int(&self, path: &[&str]) -> Option<i64> {
        match path.iter().try_fold(self, |json, name| json.get(name))? {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// As it is shown in the detail of a refusal.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.to_value())).collect(),
        }
    }

    /// Every value under its path, `amount/total`, as one text each. Equal maps mean equal messages, whatever the
    /// order and the blanks of the JSON.
    pub(super) fn flat(&self) -> BTreeMap<String, String> {
        let mut flat = BTreeMap::new();
        self.flatten("", &mut flat);
        flat
    }

    fn flatten(&self, path: &str, flat: &mut BTreeMap<String, String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match self {
            Self::Object(members) => members.iter().for_each(|(name, value)| value.flatten(&below(name), flat)),
            Self::List(items) => {
                items.iter().enumerate().for_each(|(index, value)| value.flatten(&below(&index.to_string()), flat));
            }
            Self::Text(text) => drop(flat.insert(path.to_owned(), text.clone())),
            other => drop(flat.insert(path.to_owned(), other.to_value().to_string())),
        }
    }

    /// Where a character of four bytes stands, as a JSON pointer.
    pub(super) fn wide_character(&self) -> Option<String> {
        let wide = |text: &str| text.chars().any(|character| character.len_utf8() > 3);
        match self {
            Self::Text(text) => wide(text).then(String::new),
            Self::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, value)| value.wide_character().map(|rest| format!("/{index}{rest}"))),
            Self::Object(members) => members.iter().find_map(|(name, value)| {
                if wide(name) {
                    return Some(String::new());
                }
                value.wide_character().map(|rest| format!("/{name}{rest}"))
            }),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Number(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or_else(|_| Json::Number(value.into()), Json::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format_args!("the name {name} stands twice in one object")));
            }
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        assert!(Json::parse(br#"{"a":1,"b":{"a":1}}"#).is_ok());
        let error = Json::parse(br#"{"b":[{"a":1,"a":1}]}"#).expect_err("twice");
        assert!(error.starts_with("the name a stands twice"), "{error}");
    }

    #[test]
    fn a_number_is_whole_or_not() {
        assert_eq!(Json::parse(b"1"), Ok(Json::Int(1)));
        for other in ["1.0", "1e2", "0.01", "18446744073709551615", "99999999999999999999"] {
            assert!(matches!(Json::parse(other.as_bytes()), Ok(Json::Number(_))), "{other}");
        }
        assert!(Json::parse(b"1 1").is_err() && Json::parse(b"").is_err() && Json::parse(b"{'a':1}").is_err());
    }

    #[test]
    fn equal_messages_are_equal_whatever_their_order() {
        let one = Json::parse(br#"{"a":"x","b":{"c":1,"d":[true]}}"#).expect("JSON");
        let two = Json::parse(br#"{ "b": {"d":[true], "c":1}, "a":"x" }"#).expect("JSON");
        assert_eq!(one.flat(), two.flat());
        assert_eq!(one.flat().get("b/d/0").map(String::as_str), Some("true"));
    }

    #[test]
    fn a_character_of_four_bytes_is_found() {
        let json = Json::parse(r#"{"a":{"b":["x","茶😀"]}}"#.as_bytes()).expect("JSON");
        assert_eq!(json.wide_character().as_deref(), Some("/a/b/1"));
        assert_eq!(Json::parse("\"茶\"".as_bytes()).expect("JSON").wide_character(), None);
    }
}
