//! Makes characters visible that would let source code talk to the terminal.
//!
//! File names, identifiers and string literals come from code that nobody here
//! has vouched for. An escape sequence could hide a finding, and a bidirectional
//! control could reorder a line, so both are shown as what they are: `\x1b`,
//! `\u{202e}`. Bytes that aren't UTF-8 are shown as `\xff`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is shown as an escape. Tabs and line feeds are not:
/// callers decide what a line is.
fn is_hidden(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\u{ad}'                     // soft hyphen
        | '\u{61c}'                  // Arabic letter mark
        | '\u{115f}' | '\u{1160}'    // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'    // zero width, direction marks
        | '\u{2028}'..='\u{202e}'    // line separators, embeddings, overrides
        | '\u{2060}'..='\u{206f}'    // isolates, invisible operators
        | '\u{3164}' | '\u{ffa0}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'    // interlinear annotation
        | '\u{e0000}'..='\u{e0fff}'  // tags, variation selectors supplement
        => true,
        _ => c.is_control(),
    }
}

/// `text` with hidden characters written out. Line feeds and tabs stay.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut out, c);
    }
    Cow::Owned(out)
}

/// `text` on a single line: line feeds and tabs are written out as well.
pub(crate) fn line(text_: &str) -> Cow<'_, str> {
    match text(text_) {
        text if !text.contains(['\n', '\t']) => text,
        text => Cow::Owned(text.replace('\n', "\\n").replace('\t', "\\t")),
    }
}

/// Appends one character, written out if it is hidden.
pub(crate) fn push(out: &mut String, c: char) {
    if !is_hidden(c) {
        out.push(c);
        return;
    }
    // Writing to a string cannot fail.
    let _ = if c == '\r' {
        out.write_str("\\r")
    } else if u32::from(c) < 0x100 {
        write!(out, "\\x{:02x}", u32::from(c))
    } else {
        write!(out, "\\u{{{:x}}}", u32::from(c))
    };
}

/// Appends a byte that isn't part of valid UTF-8.
pub(crate) fn push_byte(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for plain in ["", "a b\tc\n", "größe 例 🦀", "\u{fe0f}"] {
            assert!(matches!(text(plain), Cow::Borrowed(_)), "{plain:?}");
        }
    }

    #[test]
    fn escapes_and_direction_controls_are_written_out() {
        assert_eq!(text("\x1b[2J"), "\\x1b[2J");
        assert_eq!(text("a\u{9b}31m"), "a\\x9b31m");
        assert_eq!(text("x\u{202e}y\u{2066}z"), "x\\u{202e}y\\u{2066}z");
        assert_eq!(text("pass\u{200b}word\u{feff}"), "pass\\u{200b}word\\u{feff}");
        assert_eq!(text("a\rb\0c\x7f"), "a\\rb\\x00c\\x7f");
        assert_eq!(text("\u{e0041}"), "\\u{e0041}");
        assert_eq!(line("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn nothing_hidden_survives() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let mut out = String::new();
            push(&mut out, c);
            assert!(!out.contains(is_hidden), "{c:?}");
        }
    }
}
