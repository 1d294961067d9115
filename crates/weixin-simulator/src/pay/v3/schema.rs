//! Checks a body against the table of its endpoint: unknown names, missing fields, types, lengths, ranges.
//!
//! The sentences were seen live; see [`super::refusal`].

use super::{
    json::Json,
    refusal::{Place, Refusal, internal},
};

/// A field of a body.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// WeChat's Chinese name of the field.
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) need: Need,
}

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// What a field holds.
pub(super) enum Kind {
    /// Bytes of UTF-8. The pages do not say whether they count bytes or characters; bytes are the stricter reading.
    Text {
        bytes_min: usize,
        bytes_max: usize,
    },
    Int {
        min: i64,
        max: i64,
    },
    Bool,
    Object(&'static [Field]),
    List {
        of: &'static Kind,
        items_min: usize,
    },
}

/// A required text.
pub(super) const fn text(name: &'static str, label: &'static str, bytes_min: usize, bytes_max: usize) -> Field {
    Field { name, label, kind: Kind::Text { bytes_min, bytes_max }, need: Need::Required }
}

/// A required number.
pub(super) const fn int(name: &'static str, label: &'static str, min: i64, max: i64) -> Field {
    Field { name, label, kind: Kind::Int { min, max }, need: Need::Required }
}

/// A required object.
pub(super) const fn object(name: &'static str, label: &'static str, fields: &'static [Field]) -> Field {
    Field { name, label, kind: Kind::Object(fields), need: Need::Required }
}

/// A required list.
pub(super) const fn list(name: &'static str, label: &'static str, of: &'static Kind, items_min: usize) -> Field {
    Field { name, label, kind: Kind::List { of, items_min }, need: Need::Required }
}

/// A required truth value.
pub(super) const fn boolean(name: &'static str, label: &'static str) -> Field {
    Field { name, label, kind: Kind::Bool, need: Need::Required }
}

/// The same field, which may be absent.
pub(super) const fn optional(field: Field) -> Field {
    Field { name: field.name, label: field.label, kind: field.kind, need: Need::Optional }
}

/// Checks a whole body.
pub(super) fn check(fields: &[Field], body: &Json) -> Result<(), Refusal> {
    let Json::Object(_) = body else {
        return Err(Refusal::parameters_wrong("the body must be a JSON object"));
    };
    if let Some(pointer) = body.wide_character() {
        return Err(Refusal::parameters_wrong(&format!("a character of four bytes in {pointer}")));
    }
    check_object(fields, body, "")
}

fn check_object(fields: &[Field], object: &Json, pointer: &str) -> Result<(), Refusal> {
    let Json::Object(members) = object else { return Ok(()) };
    let known = |name: &str| fields.iter().any(|field| field.name == name);
    if let Some((name, value)) = members.iter().find(|(name, _)| !known(name)) {
        // Known is only the internal code.
        let message = format!("输入源“/body{pointer}/{name}”是非法的额外参数");
        let field = format!("{pointer}/{name}");
        return Err(Refusal::parameter(message, Place::Body, &field, value.to_value(), internal::EXTRA_PARAMETER));
    }
    for field in fields {
        let pointer = format!("{pointer}/{}", field.name);
        match object.get(field.name) {
            Some(value) => check_value(&field.kind, field.label, value, &pointer)?,
            None if field.need == Need::Required => return Err(missing(Place::Body, &pointer, field.label)),
            None => {}
        }
    }
    Ok(())
}

fn check_value(kind: &Kind, label: &str, value: &Json, pointer: &str) -> Result<(), Refusal> {
    let wrong_type = |wanted: &str| {
        let message =
            format!("无法将 JSON 输入源“/body{pointer}”映射到目标字段“{label}”中，此字段需要一个合法的{wanted}");
        Err(Refusal::parameter(message, Place::Body, pointer, value.to_value(), internal::ILLEGAL_PARAMETER))
    };
    let out_of_range = |kind: &str, rule: String| {
        let message = format!("输入源“/body{pointer}”映射到{kind}字段“{label}”{rule}");
        Err(Refusal::parameter(message, Place::Body, pointer, value.to_value(), internal::OUT_OF_RANGE))
    };
    match (kind, value) {
        (Kind::Text { bytes_max, .. }, Json::Text(text)) if text.len() > *bytes_max => {
            out_of_range("值", format!("字符串规则校验失败，字节数 {}，大于最大值 {bytes_max}", text.len()))
        }
        (Kind::Text { bytes_min, .. }, Json::Text(text)) if text.len() < *bytes_min => {
            out_of_range("值", format!("字符串规则校验失败，字节数 {}，小于最小值 {bytes_min}", text.len()))
        }
        (Kind::Int { min, .. }, Json::Int(number)) if number < min => {
            out_of_range("数值", format!("规则校验失败，值低于最小值 {min}"))
        }
        (Kind::Int { max, .. }, Json::Int(number)) if number > max => {
            out_of_range("数值", format!("规则校验失败，值高于最大值 {max}"))
        }
        (Kind::List { items_min, .. }, Json::List(items)) if items.len() < *items_min => {
            out_of_range("列表", format!("规则校验失败，元素个数低于最小值 {items_min}"))
        }
        (Kind::List { of, .. }, Json::List(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_value(of, label, item, &format!("{pointer}/{index}"))),
        (Kind::Object(fields), Json::Object(_)) => check_object(fields, value, pointer),
        (Kind::Text { .. }, Json::Text(_)) | (Kind::Int { .. }, Json::Int(_)) | (Kind::Bool, Json::Bool(_)) => Ok(()),
        (Kind::Text { .. }, _) => wrong_type("字符串"),
        (Kind::Int { .. }, _) => wrong_type(" 64 位有符号整数"),
        (Kind::Bool, _) => wrong_type("布尔值"),
        (Kind::Object(_), _) => wrong_type(" Json 对象"),
        (Kind::List { .. }, _) => wrong_type(" Json 数组"),
    }
}

/// A field that must be there is not.
pub(super) fn missing(place: Place, pointer: &str, label: &str) -> Refusal {
    let message = format!("输入源“{pointer}”映射到字段“{label}”必填性规则校验失败，此字段为必填项");
    let internal = if pointer == "/payer/openid" { internal::NEEDS_OPENID } else { internal::ILLEGAL_PARAMETER };
    Refusal::parameter(message, place, pointer, serde_json::Value::Null, internal)
}

/// A text has not the form that its field wants. The sentence is ours.
pub(super) fn malformed(place: Place, pointer: &str, label: &str, value: &str) -> Refusal {
    let message = format!("输入源“/{}{pointer}”映射到值字段“{label}”字符串规则校验失败，格式不正确", place.word());
    Refusal::parameter(message, place, pointer, value.into(), internal::ILLEGAL_PARAMETER)
}
