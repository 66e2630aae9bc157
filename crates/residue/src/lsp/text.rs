//! Places in a text as the protocol counts them: lines from 0, characters in the units that both sides agreed on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a character of a [`Position`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Encoding {
    Utf8,
    /// What every client knows.
    #[default]
    Utf16,
    Utf32,
}

impl Encoding {
    /// The best of what a client offers: bytes need no conversion.
    pub(super) fn negotiate(offered: Option<&Value>) -> Self {
        let offers = |name: &str| offered.and_then(Value::as_array).is_some_and(|all| all.iter().any(|it| it == name));
        let known = [Self::Utf8, Self::Utf16, Self::Utf32];
        known.into_iter().find(|encoding| offers(encoding.as_str())).unwrap_or_default()
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
            Self::Utf32 => "utf-32",
        }
    }

    fn len(self, c: char) -> usize {
        match self {
            Self::Utf8 => c.len_utf8(),
            Self::Utf16 => c.len_utf16(),
            Self::Utf32 => 1,
        }
    }

    /// The length of text; what is no UTF-8 counts as the replacement characters that an editor shows for it.
    fn len_of(self, bytes: &[u8]) -> usize {
        String::from_utf8_lossy(bytes).chars().map(|c| self.len(c)).sum()
    }
}

/// A place between two characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) character: u32,
}

/// A stretch of text; the end is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) start: Position,
    pub(super) end: Position,
}

impl Range {
    /// Whether two ranges have a place in common, also where they only touch.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Where the lines of a text start.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t [u8],
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t [u8], encoding: Encoding) -> Self {
        let mut starts = vec![0];
        for (i, &byte) in text.iter().enumerate() {
            // A carriage return ends a line by itself, too.
            if byte == b'\n' || byte == b'\r' && text.get(i + 1) != Some(&b'\n') {
                starts.push(i + 1);
            }
        }
        Self { text, starts, encoding }
    }

    /// The bytes of a line without its end; empty where there is no such line.
    pub(super) fn line(&self, line: usize) -> &'t [u8] {
        let Some(&start) = self.starts.get(line) else { return &[] };
        let end = self.starts.get(line + 1).map_or(self.text.len(), |&next| next);
        let mut line = &self.text[start..end];
        while let [rest @ .., b'\n' | b'\r'] = line {
            line = rest;
        }
        line
    }

    /// The place of a byte; of the end where it lies beyond.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset) - 1;
        let before = &self.text[self.starts[line]..offset];
        Position { line: line as u32, character: self.encoding.len_of(before) as u32 }
    }

    /// The byte at a place. What lies beyond the end of a line is its end; what lies inside a character, its start.
    pub(super) fn offset(&self, at: Position) -> usize {
        let line = at.line as usize;
        let Some(&start) = self.starts.get(line) else { return self.text.len() };
        let mut left = at.character as usize;
        let mut offset = start;
        for chunk in self.line(line).utf8_chunks() {
            for c in chunk.valid().chars() {
                if left < self.encoding.len(c) {
                    return offset;
                }
                left -= self.encoding.len(c);
                offset += c.len_utf8();
            }
            if !chunk.invalid().is_empty() {
                let len = self.encoding.len(char::REPLACEMENT_CHARACTER);
                if left < len {
                    return offset;
                }
                left -= len;
                offset += chunk.invalid().len();
            }
        }
        offset
    }

    pub(super) fn range(&self, span: residue_finding::Span) -> Range {
        Range { start: self.position(span.start as usize), end: self.position(span.end as usize) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "aä𝒳b\r\nc\rd\n";

    #[test]
    fn places_are_counted_as_agreed() {
        // Bytes: a 0, ä 1, 𝒳 3, b 7, line ends at 8.
        for (encoding, want) in [(Encoding::Utf8, 7), (Encoding::Utf16, 4), (Encoding::Utf32, 3)] {
            let lines = Lines::new(TEXT.as_bytes(), encoding);
            assert_eq!(lines.position(7), Position { line: 0, character: want });
            for (offset, _) in TEXT.char_indices().filter(|&(i, _)| i != 9) {
                assert_eq!(lines.offset(lines.position(offset)), offset, "{offset} in {}", encoding.as_str());
            }
            assert_eq!(lines.position(99), Position { line: 3, character: 0 });
            assert_eq!(lines.offset(Position { line: 0, character: 99 }), 8, "before the end of the line");
            assert_eq!(lines.offset(Position { line: 9, character: 0 }), TEXT.len());
        }
        let inside = Lines::new(TEXT.as_bytes(), Encoding::Utf16).offset(Position { line: 0, character: 3 });
        assert_eq!(inside, 3, "between the halves of a pair");
    }

    #[test]
    fn what_is_no_utf_8_counts_as_it_is_shown() {
        let text = b"a\xff\xfeb";
        let lines = Lines::new(text, Encoding::Utf16);
        assert_eq!(lines.position(3).character, 3);
        for offset in 0..=4 {
            assert_eq!(lines.offset(lines.position(offset)), offset);
        }
    }

    #[test]
    fn the_encoding_is_one_that_is_offered() {
        let negotiate = |offered: Value| Encoding::negotiate(Some(&offered));
        assert_eq!(negotiate(serde_json::json!(["utf-16", "utf-8"])), Encoding::Utf8);
        assert_eq!(negotiate(serde_json::json!(["utf-32", "utf-16"])), Encoding::Utf16);
        assert_eq!(negotiate(serde_json::json!(["utf-7"])), Encoding::Utf16);
        assert_eq!(Encoding::negotiate(None), Encoding::Utf16);
    }
}
