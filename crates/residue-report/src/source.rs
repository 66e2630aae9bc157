//! Source text as it may be shown: masked, with hidden characters written out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use residue_finding::{Site, Span};

use crate::mask::{self, Region};
use crate::visible;

/// Where reports get source text from. They never open files themselves: what
/// they show is the text that was analysed.
pub trait Sources {
    /// The bytes of the file that sites call `path`; `None` when it isn't known.
    fn source(&self, path: &str) -> Option<Arc<[u8]>>;
}

impl<F: Fn(&str) -> Option<Arc<[u8]>>> Sources for F {
    fn source(&self, path: &str) -> Option<Arc<[u8]>> {
        self(path)
    }
}

/// Longer lines are not shown: they are data, and no reader gets through them.
const LINE_BYTES_MAX: usize = 16 << 10;

/// Excerpts show this many columns of a line whose spans start in the first half.
const LINE_COLUMNS_MAX: usize = 88;

/// A literal is searched for credentials this far around the line shown.
const REGION_AROUND_MAX: usize = 64 << 10;

/// Sources, each read and indexed once.
pub(crate) struct SourceCache<'a> {
    sources: &'a dyn Sources,
    files: RefCell<HashMap<String, Option<Rc<SourceText>>>>,
}

impl<'a> SourceCache<'a> {
    pub(crate) fn new(sources: &'a dyn Sources) -> Self {
        Self { sources, files: RefCell::default() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Rc<SourceText>> {
        self.files
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert_with(|| self.sources.source(path).map(|s| Rc::new(SourceText::new(s))))
            .clone()
    }

    /// The line a site starts on, without its indentation.
    pub(crate) fn excerpt(&self, site: &Site) -> Option<String> {
        let text = self.get(&site.path)?;
        let line = text.line_of(site.span.start as usize);
        Some(text.show(line).text.trim().to_owned())
    }
}

/// A file with its lines and literals found.
pub(crate) struct SourceText {
    bytes: Arc<[u8]>,
    line_starts: Vec<usize>,
    regions: Vec<Region>,
}

/// A line as it may be shown.
pub(crate) struct ShownLine {
    pub(crate) text: String,
    /// For each byte of the line, and one past it, where it went in `text`.
    offsets: Vec<usize>,
}

/// A stretch of a file for the renderer: lines that are not near a span are
/// left empty, since they are folded away.
pub(crate) struct Window {
    pub(crate) first_line: usize,
    pub(crate) text: String,
    /// Where each span went in `text`, in the order given.
    pub(crate) spans: Vec<Range<usize>>,
}

impl SourceText {
    fn new(bytes: Arc<[u8]>) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(memchr::memchr_iter(b'\n', &bytes).map(|at| at + 1));
        let regions = mask::regions(&bytes);
        Self { bytes, line_starts, regions }
    }

    /// The line that holds a byte offset, from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1) - 1
    }

    /// The column of a byte on a line (from 1), from 1 and in UTF-16 code units. None on lines that are no text to read.
    pub(crate) fn column_utf16(&self, line: u32, offset: usize) -> Option<usize> {
        let range = self.line_range((line as usize).checked_sub(1)?);
        if range.len() > LINE_BYTES_MAX || !(range.start..=range.end + 1).contains(&offset) {
            return None;
        }
        let before = String::from_utf8_lossy(&self.bytes[range.start..offset.min(range.end)]);
        Some(before.encode_utf16().count() + 1)
    }

    /// The bytes of a line, from 0, without its line end.
    fn line_range(&self, line: usize) -> Range<usize> {
        let Some(&start) = self.line_starts.get(line) else {
            return self.bytes.len()..self.bytes.len();
        };
        let next = self.line_starts.get(line + 1).copied();
        let mut end = next.map_or(self.bytes.len(), |next| next - 1);
        if end > start && self.bytes[end - 1] == b'\r' {
            end -= 1;
        }
        start..end
    }

    /// What to hide of a stretch of the file, relative to its start.
    fn hidden(&self, shown: &Range<usize>) -> Vec<Range<usize>> {
        let tokens = mask::find_tokens(&self.bytes[shown.clone()]);
        let mut hidden: Vec<_> = tokens.into_iter().map(|r| shown.start + r.start..shown.start + r.end).collect();
        let first = self.regions.partition_point(|r| r.range.end <= shown.start);
        for region in &self.regions[first..] {
            if region.range.start >= shown.end {
                break;
            }
            if region.secret {
                hidden.push(region.range.clone());
                continue;
            }
            let start = region.range.start.max(shown.start.saturating_sub(REGION_AROUND_MAX));
            let end = region.range.end.min(shown.end.saturating_add(REGION_AROUND_MAX));
            let found = mask::find(&self.bytes[start..end]);
            hidden.extend(found.into_iter().map(|r| start + r.start..start + r.end));
        }
        for range in &mut hidden {
            range.start = range.start.clamp(shown.start, shown.end) - shown.start;
            range.end = range.end.clamp(shown.start, shown.end) - shown.start;
        }
        mask::merge(hidden)
    }

    /// A line, from 0, as it may be shown.
    pub(crate) fn show(&self, line: usize) -> ShownLine {
        let range = self.line_range(line);
        if range.len() > LINE_BYTES_MAX {
            let text = format!("… (a line of {} bytes is not shown)", range.len());
            return ShownLine { text, offsets: vec![0] };
        }
        let bytes = &self.bytes[range.clone()];
        let hidden = self.hidden(&range);
        let mut shown =
            ShownLine { text: String::with_capacity(bytes.len()), offsets: Vec::with_capacity(bytes.len() + 1) };
        let mut hidden = hidden.into_iter().peekable();
        let mut at = 0;
        while at < bytes.len() {
            if let Some(mask) = hidden.next_if(|range| range.start <= at) {
                // A shape may start inside a character; that character is shown.
                let len = mask.end.saturating_sub(at);
                shown.push(len, |text| text.push_str(mask::MASK));
                at += len;
                continue;
            }
            let valid = first_char(&bytes[at..]);
            let len = valid.map_or(1, char::len_utf8);
            shown.push(len, |text| match valid {
                Some(c) => visible::push(text, c),
                None => visible::push_byte(text, bytes[at]),
            });
            at += len;
        }
        shown.offsets.push(shown.text.len());
        shown
    }

    /// The lines around the spans, each span cut to its first line.
    pub(crate) fn window(&self, spans: &[Span]) -> Window {
        /// The renderer shows a gap of up to this many lines.
        const NEAR: usize = 2;
        let lines: Vec<usize> =
            spans.iter().map(|span| self.line_of((span.start as usize).min(self.bytes.len()))).collect();
        let first = lines.iter().copied().min().unwrap_or(0);
        let last = lines.iter().copied().max().unwrap_or(0);
        let mut window = Window { first_line: first + 1, text: String::new(), spans: vec![0..0; spans.len()] };
        for line in first..=last {
            if lines.iter().any(|shown| shown.abs_diff(line) <= NEAR) {
                let mut shown = self.show(line);
                let range = self.line_range(line);
                let starts =
                    spans.iter().zip(&lines).filter(|(_, on)| **on == line).map(|(span, _)| span.start as usize);
                if starts.clone().all(|start| shown.place(start.saturating_sub(range.start)) <= LINE_COLUMNS_MAX / 2) {
                    shown.cut(LINE_COLUMNS_MAX);
                }
                for (at, span) in spans.iter().enumerate().filter(|(at, _)| lines[*at] == line) {
                    let place = |offset: u32| {
                        let offset = (offset as usize).clamp(range.start, range.end) - range.start;
                        window.text.len() + shown.place(offset)
                    };
                    window.spans[at] = place(span.start)..place(span.end).max(place(span.start));
                }
                window.text.push_str(&shown.text);
            }
            if line < last {
                window.text.push('\n');
            }
        }
        window
    }
}

impl ShownLine {
    /// Records that the next `len` bytes of the line are shown as one piece.
    fn push(&mut self, len: usize, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        self.offsets.extend(std::iter::repeat_n(start, len));
        write(&mut self.text);
    }

    fn place(&self, offset: usize) -> usize {
        // A place that was cut off is on the mark that says so.
        self.text.ceil_char_boundary(self.offsets.get(offset).copied().unwrap_or(self.text.len()))
    }

    /// Cuts the end off what is wider. Tabs are shown as four columns.
    fn cut(&mut self, columns_max: usize) {
        let mut columns = 0;
        for (at, c) in self.text.char_indices() {
            columns += if c == '\t' { 4 } else { 1 };
            if columns > columns_max {
                self.text.truncate(at);
                self.text.push('…');
                return;
            }
        }
    }
}

/// The first character of `bytes`, if it is valid UTF-8.
fn first_char(bytes: &[u8]) -> Option<char> {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &[u8]) -> SourceText {
        SourceText::new(source.into())
    }

    #[test]
    fn spans_follow_the_text_they_are_on() {
        let source = b"x\r\n\tpassword := \"h\xc3\xa4nter2\"; Open(\xff\x1b)\n";
        let at = source.windows(4).position(|w| w == b"Open").expect("it is there") as u32;
        let window = text(source).window(&[Span::from(at..at + 8)]);
        assert_eq!(window.first_line, 2);
        assert_eq!(window.text, "\tpassword := \"***\"; Open(\\xff\\x1b)");
        assert_eq!(&window.text[window.spans[0].clone()], r"Open(\xff\x1b)");
    }

    #[test]
    fn secrets_that_span_lines_are_hidden_on_every_line() {
        let body = "MIIEpAIBAAKCAQEA\nabcdefgh\nijkl";
        let source = format!("var k = `-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----`\n");
        let text = text(source.as_bytes());
        let shown: Vec<String> = (0..5).map(|line| text.show(line).text).collect();
        assert_eq!(shown[0], "var k = `-----BEGIN PRIVATE KEY-----");
        assert_eq!(shown[1..4], ["***", "***", "***"]);
        assert_eq!(shown[4], "-----END PRIVATE KEY-----`");
    }

    #[test]
    fn a_line_of_megabytes_is_not_shown() {
        let mut source = b"package p\nvar x = \"".to_vec();
        source.extend(std::iter::repeat_n(b'a', 5 << 20));
        source.extend(b"\"\n");
        let text = text(&source);
        let window = text.window(&[Span::from(40..80)]);
        assert!(window.text.len() < 100);
        assert!(window.text.contains("5242890 bytes"));
    }

    #[test]
    fn columns_are_counted_as_editors_do() {
        let text = text("x\n\tä🦀z\r\n".as_bytes());
        let columns: Vec<_> = [2, 3, 5, 9, 10, 11, 12].map(|offset| text.column_utf16(2, offset)).into();
        assert_eq!(columns, [Some(1), Some(2), Some(3), Some(5), Some(6), Some(6), None]);
        assert_eq!((text.column_utf16(0, 0), text.column_utf16(1, 1), text.column_utf16(9, 99)), (None, Some(2), None));
    }

    #[test]
    fn spans_outside_the_file_are_brought_inside() {
        for source in [&b""[..], b"\n", b"a", b"\r\n", "é".as_bytes(), b"\xff\xfe"] {
            let text = text(source);
            for (start, end) in [(0, 0), (0, 9), (1, 1), (7, 9), (u32::MAX, u32::MAX)] {
                let window = text.window(&[Span { start, end }, Span { start: 0, end: 1 }]);
                for span in window.spans {
                    assert!(window.text.get(span).is_some(), "{source:?} {start} {end}");
                }
            }
        }
    }
}
