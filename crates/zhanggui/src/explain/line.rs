//! Texts of lines, as API v3 signs them, and the ways in which they are put together wrongly.

use super::cause::{Cause, Code};

/// How lines become a text.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// What is wrong with it.
    pub(super) cause: Option<Cause>,
    /// Which line comes first, second, and so on.
    order: Vec<usize>,
    end: &'static [u8],
    last: Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Ended,
    Open,
}

impl Frame {
    /// All ways for this number of lines, the right one first. `swapped` are the places of time and nonce.
    pub(super) fn all(lines: usize, swapped: (usize, usize)) -> Vec<Self> {
        let straight: Vec<usize> = (0..lines).collect();
        let found = |code| Some(Cause::found(code));
        let frame = |cause, end, last| Self { cause, order: straight.clone(), end, last };
        let mut frames = vec![
            frame(None, b"\n", Last::Ended),
            frame(found(Code::LastLineFeedMissing), b"\n", Last::Open),
            frame(found(Code::LineEndings), b"\r\n", Last::Ended),
            frame(found(Code::LineEndings), b"\\n", Last::Ended),
            frame(found(Code::LineEndings), b"", Last::Ended),
        ];
        let mut swap = straight.clone();
        swap.swap(swapped.0, swapped.1);
        for order in permutations(lines) {
            if order == straight {
                continue;
            }
            let code = if order == swap { Code::NonceAndTimeSwapped } else { Code::LineOrder };
            frames.push(Self { cause: found(code), order, end: b"\n", last: Last::Ended });
        }
        // The likeliest of the orders comes first.
        frames[5..].sort_by_key(|frame| frame.order != swap);
        frames
    }

    /// Puts the lines together.
    pub(super) fn join(&self, lines: &[&[u8]]) -> Vec<u8> {
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum());
        for (place, index) in self.order.iter().enumerate() {
            text.extend_from_slice(lines[*index]);
            if place + 1 < lines.len() || self.last == Last::Ended {
                text.extend_from_slice(self.end);
            }
        }
        text
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for item in 0..count {
        all = all
            .into_iter()
            .flat_map(|shorter: Vec<usize>| {
                (0..=shorter.len()).map(move |place| {
                    let mut longer = shorter.clone();
                    longer.insert(place, item);
                    longer
                })
            })
            .collect();
    }
    all
}

/// Other spellings of a signature in base64; the first is the one that is right.
pub(super) fn spellings(signature: &str) -> Vec<(Option<Cause>, String)> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut all = vec![(None, signature.to_owned())];
    let mut plain: String = signature
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    plain.truncate(plain.trim_end_matches('=').len());
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    if let Ok(bytes) = hex::decode(signature) {
        plain = STANDARD.encode(bytes);
    }
    if plain != signature {
        all.push((Some(Cause::found(Code::SignatureEncoding)), plain));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_tried_once() {
        assert_eq!(permutations(4).len(), 24);
        assert_eq!(Frame::all(3, (0, 1)).len(), 5 + 5);
    }

    #[test]
    fn the_right_frame_ends_every_line() {
        let frames = Frame::all(3, (0, 1));
        assert_eq!(frames[0].join(&[b"1", b"2", b""]), b"1\n2\n\n");
        assert_eq!(frames[1].join(&[b"1", b"2", b""]), b"1\n2\n");
        assert_eq!(frames[5].join(&[b"1", b"2", b"3"]), b"2\n1\n3\n");
    }
}
