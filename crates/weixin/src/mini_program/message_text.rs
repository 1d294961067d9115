//! The text of a customer-service message: how long it may be, how a longer one is split, and how somebody else's words
//! are kept from becoming a link.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_sendcustommessage.html>.

use crate::{FieldError, id::checked_text};

/// The longest text, in bytes. WeChat publishes no number; developers of public accounts measured this one, and longer
/// texts are refused with 45002.
pub const TEXT_BYTES_MAX: usize = 2048;

checked_text! {
    /// A text for a customer. Line breaks and tabs are allowed; other control characters would be written as `\uXXXX`,
    /// which customers have been shown as it is.
    MessageText, "content", "must be 1 to 2048 bytes of UTF-8 without control characters other than line breaks and tabs",
    |text| {
        let is_allowed = |character: char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
        (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.chars().all(is_allowed)
    }
}

/// Splits a text of any length into texts that can be sent, in order; nothing is lost.
///
/// A piece ends, if possible, after a line break, a sentence or a word of its second half, never within a character and
/// not within a link.
///
/// # Errors
/// The text is empty, or has a character that cannot be sent.
pub fn split_text(text: &str) -> Result<Vec<MessageText>, FieldError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > TEXT_BYTES_MAX {
        let (piece, next) = rest.split_at(cut(rest));
        pieces.push(MessageText::parse(piece)?);
        rest = next;
    }
    pieces.push(MessageText::parse(rest)?);
    Ok(pieces)
}

/// Where to cut a text that is too long: more than nothing, and at most the limit.
fn cut(text: &str) -> usize {
    let window = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let start = window.rfind("<a ").filter(|start| *start > 0 && !window[*start..].contains("</a>"));
    let window = start.map_or(window, |start| &window[..start]);
    let ends: [fn(char) -> bool; 3] =
        [|end| end == '\n', |end| matches!(end, '。' | '！' | '？' | '；'), char::is_whitespace];
    let second_half = |end: &usize| *end > window.len() / 2;
    let cuts = ends.into_iter().map(|is_end| window.char_indices().rfind(|(_, character)| is_end(*character)));
    let mut cuts = cuts.flatten().map(|(at, character)| at + character.len_utf8());
    cuts.find(second_half).unwrap_or(window.len())
}

/// Somebody's words without a way to become a link: WeChat makes `<a href=…>` in a text clickable and documents no
/// escape, so `<` before a letter, `/` or `!` becomes its wide sister `＜`.
pub fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let opens = |next: &char| next.is_ascii_alphabetic() || matches!(next, '/' | '!') || next.is_whitespace();
        let is_tag = character == '<' && characters.peek().is_some_and(opens);
        plain.push(if is_tag { '＜' } else { character });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let pieces = split_text(text).unwrap();
        assert_eq!(pieces.iter().map(MessageText::as_str).collect::<String>(), text, "nothing is lost");
        pieces.into_iter().map(String::from).collect()
    }

    #[test]
    fn a_text_of_the_greatest_length_stays_whole() {
        assert_eq!(split(&"a".repeat(TEXT_BYTES_MAX)).len(), 1);
        assert_eq!(split(&"a".repeat(TEXT_BYTES_MAX + 1)).len(), 2);
    }

    #[test]
    fn a_character_is_never_cut() {
        for unit in ["字", "😀", "aé字😀"] {
            let pieces = split(&unit.repeat(2000));
            assert!(
                pieces
                    .iter()
                    .all(|piece| piece.len() > TEXT_BYTES_MAX - unit.len() * 2 || *piece == pieces[pieces.len() - 1])
            );
        }
    }

    #[test]
    fn a_piece_ends_after_a_line_a_sentence_or_a_word_if_it_can() {
        for (end, filler) in [("\n", "一。 "), ("。", "一 "), (" ", "一")] {
            let text = format!("{}{end}{}", filler.repeat(1500 / filler.len()), "二".repeat(600));
            let pieces = split(&text);
            assert!(pieces[0].ends_with(end), "{end:?}");
            assert!(pieces[1].starts_with('二'), "{end:?}");
        }
    }

    #[test]
    fn a_line_break_at_the_very_beginning_does_not_make_a_short_piece() {
        assert!(split(&format!("\n{}", "a".repeat(5000)))[0].len() > TEXT_BYTES_MAX / 2);
    }

    #[test]
    fn a_link_is_not_cut() {
        let link = r#"<a href="http://www.qq.com" data-miniprogram-path="pages/index/index">打开</a>"#;
        let pieces = split(&format!("{}{link}{}", "一".repeat(670), "二".repeat(100)));
        assert!(pieces[1].starts_with(link), "{pieces:?}");
        // One that does not end is cut like any other text.
        assert!(split(&format!("<a {}", "b".repeat(5000))).len() > 2);
    }

    #[test]
    fn nothing_and_control_characters_cannot_be_sent() {
        assert!(split_text("").is_err());
        assert!(split_text(&format!("{}\u{1b}[2J", "a".repeat(3000))).is_err());
        assert!(MessageText::parse("a\r\n\tb").is_ok());
        assert!(MessageText::parse("a\0b").is_err());
    }

    #[test]
    fn the_words_of_a_customer_make_no_link() {
        for (text, plain) in [
            (r#"<a href="http://evil.example">奖</a>"#, r#"＜a href="http://evil.example">奖＜/a>"#),
            ("< A href=x>", "＜ A href=x>"),
            ("<<a>", "<＜a>"),
            ("1 <2, 3 > 2, <3", "1 <2, 3 > 2, <3"),
            ("a<", "a<"),
        ] {
            assert_eq!(without_links(text), plain);
        }
    }
}
