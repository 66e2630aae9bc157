//! An open buffer, and what the editor does to it.

use std::sync::Arc;

use serde::Deserialize;

use super::text::{Encoding, Lines, Range};

/// A buffer that an editor has open.
#[derive(Debug)]
pub(super) struct Document {
    /// As the editor names it.
    pub(super) uri: String,
    pub(super) version: i64,
    pub(super) text: Arc<[u8]>,
}

/// A change of a buffer: of a stretch of it, or of all.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    range: Option<Range>,
    text: String,
}

impl Document {
    /// Makes the changes, one after the other.
    pub(super) fn change(&mut self, version: i64, changes: &[Change], encoding: Encoding) {
        for change in changes {
            self.text = match change.range {
                None => change.text.as_bytes().into(),
                Some(range) => {
                    let lines = Lines::new(&self.text, encoding);
                    let start = lines.offset(range.start);
                    let end = lines.offset(range.end).max(start);
                    [&self.text[..start], change.text.as_bytes(), &self.text[end..]].concat().into()
                }
            };
        }
        self.version = version;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::text::Position;

    #[test]
    fn changes_build_on_each_other() {
        let mut document = Document { uri: String::new(), version: 1, text: Arc::from("αβ\nγ\n".as_bytes()) };
        let at = |line, character| Position { line, character };
        let change = |start, end, text: &str| Change { range: Some(Range { start, end }), text: text.to_owned() };
        let changes = [
            change(at(0, 1), at(0, 1), "x\ny"),
            change(at(1, 1), at(2, 0), ""),
            change(at(9, 9), at(9, 9), "end"),
            // The wrong way round: nothing is taken away.
            change(at(0, 1), at(0, 0), "!"),
        ];
        document.change(7, &changes, Encoding::Utf16);
        assert_eq!(String::from_utf8_lossy(&document.text), "α!x\nyγ\nend");
        document.change(8, &[Change { range: None, text: "new".to_owned() }], Encoding::Utf16);
        assert_eq!((&*document.text, document.version), (&b"new"[..], 8));
    }
}
