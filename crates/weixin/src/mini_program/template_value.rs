//! What the values of a subscribe message may be, by the type that their key begins with (`thing1`, `date02`).
//!
//! Where the page leaves a doubt the check is lenient: WeChat's refusal (47003) costs nothing, a message that we hold back
//! is lost. Types that the page does not list are checked for length and control characters only.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage.html>.

use crate::FieldError;

/// More than any value has, in characters.
const CHARACTERS_MAX: usize = 256;

/// Signs of currencies in front of an amount.
const CURRENCIES: &str = "¥￥$＄€£₩₹฿₽₫";

/// Checks a value of a subscribe message.
///
/// # Errors
/// Names the type and its rule. WeChat answers 47003.
pub fn check_value(key: &str, value: &str) -> Result<(), FieldError> {
    let (kind, rule, is_good) = rule_of(key);
    let is_line = !value.is_empty() && !value.chars().any(char::is_control);
    if is_line && is_good(value) { Ok(()) } else { Err(FieldError::new(kind, rule)) }
}

type Rule = (&'static str, &'static str, fn(&str) -> bool);

fn rule_of(key: &str) -> Rule {
    let kind = key.trim_end_matches(|character: char| character.is_ascii_digit());
    match kind {
        "thing" => ("thing", "must be 1 to 20 characters on one line", |value| within(value, 20)),
        "number" => ("number", "must be at most 32 digits, with a decimal point if need be", is_number),
        "letter" => ("letter", "must be 1 to 32 letters", |value| {
            within(value, 32) && value.bytes().all(|byte| byte.is_ascii_alphabetic())
        }),
        "symbol" => ("symbol", "must be 1 to 5 symbols", |value| within(value, 5) && value.chars().all(is_symbol)),
        "character_string" => ("character_string", "must be 1 to 32 digits, letters or symbols", |value| {
            within(value, 32) && value.chars().all(|character| is_latin(character) || character == ' ')
        }),
        "time" => ("time", "must be a time such as 15:01 or 2019年10月1日 15:01, or two with ~ between", |value| {
            is_range(value, is_time)
        }),
        "date" => {
            ("date", "must be a date such as 2019年10月1日 or 2019-10-01 15:01, or two with ~ between", |value| {
                is_range(value, is_date)
            })
        }
        "amount" => ("amount", "must be a sign of a currency, at most 10 digits, decimals and 元", is_amount),
        "phone_number" => ("phone_number", "must be 1 to 17 digits or symbols", |value| {
            within(value, 17)
                && value.chars().all(|character| character.is_ascii_digit() || is_symbol(character) || character == ' ')
        }),
        "car_number" => {
            ("car_number", "must be at most 8 letters or digits; the first and last may be Chinese", is_car_number)
        }
        "name" => ("name", "must be at most 10 Chinese characters, or 20 letters or symbols", is_name),
        "phrase" => {
            ("phrase", "must be 1 to 5 Chinese characters", |value| within(value, 5) && value.chars().all(is_han))
        }
        "enum" | "enum_string" => {
            ("enum", "must be one of the template's values", |value| within(value, CHARACTERS_MAX))
        }
        _ => ("value", "must be at most 256 characters on one line", |value| within(value, CHARACTERS_MAX)),
    }
}

fn within(value: &str, characters_max: usize) -> bool {
    value.chars().count() <= characters_max
}

/// A Chinese character.
fn is_han(character: char) -> bool {
    matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '〇' | '\u{20000}'..='\u{323af}')
}

/// Neither letter nor digit of any script, nor white space.
fn is_symbol(character: char) -> bool {
    !character.is_alphanumeric() && !character.is_whitespace()
}

fn is_latin(character: char) -> bool {
    character.is_ascii_alphanumeric() || is_symbol(character)
}

fn is_digits(text: &str, digits_max: usize) -> bool {
    (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(value: &str) -> bool {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    is_digits(whole, 32) && is_digits(decimals, 32) && within(value, 33)
}

fn is_amount(value: &str) -> bool {
    let value = value.strip_prefix(|sign| CURRENCIES.contains(sign)).unwrap_or(value);
    let value = value.strip_suffix('元').unwrap_or(value);
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    is_digits(whole, 10) && is_digits(decimals, 10)
}

fn is_car_number(value: &str) -> bool {
    let characters: Vec<char> = value.chars().collect();
    let last = characters.len().saturating_sub(1);
    let is_good = |(at, character): (usize, &char)| {
        character.is_ascii_alphanumeric() || ((at == 0 || at == last) && is_han(*character))
    };
    characters.len() <= 8 && characters.iter().enumerate().all(is_good)
}

/// With one Chinese character the whole counts as Chinese.
fn is_name(value: &str) -> bool {
    let is_good = |character: char| character.is_alphabetic() || is_symbol(character) || character == ' ';
    let limit = if value.chars().any(is_han) { 10 } else { 20 };
    within(value, limit) && value.chars().all(is_good)
}

/// One, or two with `~` between.
fn is_range(value: &str, is_one: fn(&str) -> bool) -> bool {
    match value.split_once('~') {
        Some((from, to)) => is_one(from.trim()) && is_one(to.trim()),
        None => is_one(value),
    }
}

/// A time of the day, with a date in front if need be.
fn is_time(value: &str) -> bool {
    match value.rsplit_once(' ') {
        Some((day, clock)) => is_day(day.trim_end()) && is_clock(clock),
        None => is_clock(value),
    }
}

/// A day, with a time behind if need be.
fn is_date(value: &str) -> bool {
    match value.split_once(' ') {
        Some((day, clock)) => is_day(day) && is_clock(clock.trim_start()),
        None => is_day(value),
    }
}

/// `HH:MM` or `HH:MM:SS`.
fn is_clock(value: &str) -> bool {
    let parts: Vec<&str> = value.split(':').collect();
    let is_good = |(at, part): (usize, &&str)| number_within(part, 0, if at == 0 { 23 } else { 59 });
    matches!(parts.len(), 2 | 3) && parts.iter().enumerate().all(is_good)
}

/// `y年m月d日`, `y年m月`, `m月d日`, or the same with `-`, `/` or `.`.
fn is_day(value: &str) -> bool {
    let chinese = value.replace(['年', '月'], "-");
    let chinese = chinese.strip_suffix('日').or(chinese.strip_suffix('-'));
    let plain = if value.contains('月') { chinese.unwrap_or_default() } else { value };
    let separator = ['-', '/', '.'].into_iter().find(|separator| plain.contains(*separator)).unwrap_or('-');
    let parts: Vec<&str> = plain.split(separator).collect();
    let is_year = |part: &str| part.len() == 4 && is_digits(part, 4);
    let is_month = |part: &str| number_within(part, 1, 12);
    let is_month_day = |part: &str| number_within(part, 1, 31);
    match parts[..] {
        [year, month, day] => is_year(year) && is_month(month) && is_month_day(day),
        [first, second] => (is_year(first) && is_month(second)) || (is_month(first) && is_month_day(second)),
        _ => false,
    }
}

fn number_within(text: &str, from: u32, to: u32) -> bool {
    is_digits(text, 2) && text.parse().is_ok_and(|number: u32| (from..=to).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, what the page allows, what it does not.
    type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

    const CASES: &[Case] = &[
        (
            "thing1",
            &["广州至北京", "一二三四五六七八九十一二三四五六七八九十", "Blue cup*1 😀"],
            &["一二三四五六七八九十一二三四五六七八九十一", "", "a\nb", "a\tb"],
        ),
        (
            "number01",
            &["339208499", "0.5", "12345678901234567890123456789012"],
            &["1,000", "-1", ".5", "1.", "1.2.3", "123456789012345678901234567890123", "一"],
        ),
        ("letter1", &["abcDEF"], &["a1", "a b", "é", "abcdefghijklmnopqrstuvwxyzabcdefg"]),
        ("symbol1", &["+-*/%", "￥"], &["+-*/%+", "a", "1", "中", " "]),
        (
            "character_string2",
            &["4200002000202601010000000001", "A-1_2/3"],
            &["订单1", "123456789012345678901234567890123"],
        ),
        (
            "time3",
            &["15:01", "00:00:59", "2019年10月1日 15:01", "15:01~16:00", "2019-10-01 15:01 ~ 2019-10-02 16:00"],
            &["24:00", "15:60", "15", "3pm", "15:01~", "2019年13月1日 15:01"],
        ),
        (
            "date04",
            &[
                "2019年10月1日",
                "2019年10月",
                "10月1日",
                "2018-01-01",
                "2018/01/01",
                "2018.01.01",
                "2018-01",
                "01-01",
                "2019-12-25 09:42",
                "2019年10月1日~2019年10月2日",
            ],
            &[
                "2019年",
                "19-10-01",
                "2019-13-01",
                "2019-10-32",
                "2019-10/01",
                "20191001",
                "2019-10-01T09:42",
                "2019年10月1日~",
            ],
        ),
        (
            "amount5",
            &["￥100", "¥12.50", "100元", "$1234567890", "19.9"],
            &["￥12345678901", "￥￥1", "1元2", "一百元", "-1", "￥", "1."],
        ),
        ("phone_number6", &["+86-0766-66888866", "13580006666"], &["135800066661358000", "电话1", "abc"]),
        ("car_number7", &["粤A8Z888挂", "粤A8Z88"], &["粤A8Z8888挂", "A粤88", "粤A-8"]),
        (
            "name8",
            &["张三", "一二三四五六七八九十", "Alexander Hamilton", "阿凡提·买买提"],
            &["一二三四五六七八九十一", "张三1", "Alexander Hamilton Jr Jr", "一 Alexander"],
        ),
        ("phrase9", &["配送中", "审核通过了"], &["审核通过了吗", "ok", "配送 "]),
        ("enum10", &["已发货"], &["", "a\u{0}"]),
        ("site01", &["TIT创意园"], &["", "a\nb"]),
    ];

    #[test]
    fn each_type_has_the_rule_of_the_page() {
        for (key, good, bad) in CASES {
            for value in *good {
                assert_eq!(check_value(key, value), Ok(()), "{key} {value:?}");
            }
            for value in *bad {
                assert!(check_value(key, value).is_err(), "{key} {value:?}");
            }
        }
    }

    #[test]
    fn an_error_names_the_type_and_its_rule() {
        let error = check_value("phrase3", "ok").unwrap_err();
        assert_eq!(error.to_string(), "phrase must be 1 to 5 Chinese characters");
    }
}
