//! What a message says: the texts of the configuration with the facts of the order filled in. Pure.

use std::collections::BTreeMap;

use weixin::beijing_time;

use crate::{id, order::Order};

/// The longest `thing`, in characters; longer facts are cut, because a description may be longer than WeChat takes.
///
/// Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage.html>.
const THING_CHARS_MAX: usize = 20;

/// Fills the texts of one message.
pub(super) struct Facts<'a> {
    pub(super) order: &'a Order,
    pub(super) values: &'a BTreeMap<String, String>,
}

impl Facts<'_> {
    /// The content for a key of the template.
    ///
    /// # Errors
    /// The name of a fact that nobody gave.
    pub(super) fn fill(&self, key: &str, text: &str) -> Result<String, String> {
        let filled = self.fill_in(text)?;
        let cut = key.starts_with("thing") && filled.chars().count() > THING_CHARS_MAX;
        Ok(if cut { filled.chars().take(THING_CHARS_MAX - 1).chain(['…']).collect() } else { filled })
    }

    /// Replaces every `{name}`.
    pub(super) fn fill_in(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or_else(|| "a brace that is not closed".to_owned())?;
            filled.push_str(before);
            filled.push_str(&self.fact(name).ok_or_else(|| name.to_owned())?);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn fact(&self, name: &str) -> Option<String> {
        let order = self.order;
        match name {
            "order" => Some(order.id.clone()),
            // 32 characters, which is what a `character_string` takes.
            "order_number" => id::suffix(id::Kind::Order, &order.id).map(str::to_owned),
            "description" => Some(order.description.to_string()),
            "amount_yuan" => Some(yuan(order.amount.fen().get())),
            "reference" => order.reference.clone(),
            "paid_at" => order.paid.map(minute),
            "created_at" => Some(minute(order.created)),
            _ => self.values.get(name).cloned(),
        }
    }
}

/// Fen as yuan, by digits.
fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

/// As WeChat's fields for dates and times take it: `2026-01-22 14:30`.
fn minute(time: jiff::Timestamp) -> String {
    let compact = beijing_time::compact(time);
    let digits = |from: usize, to: usize| compact.get(from..to).unwrap_or_default();
    format!("{}-{}-{} {}:{}", digits(0, 4), digits(4, 6), digits(6, 8), digits(8, 10), digits(10, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_by_digits() {
        assert_eq!(yuan(1990), "19.90");
        assert_eq!(yuan(5), "0.05");
        assert_eq!(yuan(100_000_000), "1000000.00");
    }

    #[test]
    fn times_are_those_of_beijing() {
        assert_eq!(minute("2026-01-22T17:30:59Z".parse().unwrap()), "2026-01-23 01:30");
    }
}
