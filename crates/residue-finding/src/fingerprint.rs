//! What makes a finding the same finding after the source was edited.
//!
//! A fingerprint is made of the rule, the import path, the outermost
//! declaration, the acquire expression with its layout removed, and the ordinal
//! among equals. No line, column or file name enters it: inserting lines above
//! or renaming the file keeps it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::Finding;
use crate::rule::ParseNameError;

/// Tells findings apart across edits. Sixteen bytes, shown as hex.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Hashes the parts. Each goes in with its length, so that no two lists of
    /// parts read the same.
    pub fn of(parts: &[&str], ordinal: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"residue/v1");
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(ordinal.to_le_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = ParseNameError("32 hexadecimal digits");
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(expected);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| expected)?;
        }
        Ok(Self(bytes))
    }
}

/// Fingerprints findings that are in their final order; see
/// [`crate::Outcome::finish`].
pub(crate) fn assign<'a>(findings: impl Iterator<Item = &'a mut Finding>) {
    let mut seen = std::collections::BTreeMap::<[String; 4], u32>::new();
    for finding in findings {
        let parts = [
            finding.rule.to_string(),
            finding.site.import_path.clone(),
            finding.site.declaration.clone(),
            finding.subject.clone(),
        ];
        let hashed = parts.each_ref().map(String::as_str);
        let next = seen.get(&parts).copied().unwrap_or(0);
        finding.fingerprint = Fingerprint::of(&hashed, next);
        seen.insert(parts, next + 1);
    }
}

/// A Go expression without its layout: comments and blanks outside literals
/// are removed, except for one space between two words, and so are commas before
/// a closing bracket.
pub fn normalise_expression(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut gap = false;
    while let Some(c) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            gap = true;
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            gap = true;
            comment.find("*/").map_or(rest.len(), |at| at + 4)
        } else if c.is_whitespace() {
            gap = true;
            c.len_utf8()
        } else {
            if gap && is_word(c) && out.ends_with(is_word) {
                out.push(' ');
            }
            gap = false;
            // `f(a,)` is `f(a)` written on several lines.
            if matches!(c, ')' | ']' | '}') && out.ends_with(',') {
                out.pop();
            }
            let len = if matches!(c, '"' | '\'' | '`') { literal_len(rest, c) } else { c.len_utf8() };
            out.push_str(&rest[..len]);
            len
        };
        rest = &rest[taken..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the literal that opens `text`; all of it when unterminated.
fn literal_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_does_not_matter() {
        let a = normalise_expression("client.\n\t\tDo( req , // why\n\t /* x */ nil)");
        assert_eq!(a, "client.Do(req,nil)");
        assert_eq!(normalise_expression("func (a int)  chan  int"), "func(a int)chan int");
        assert_eq!(normalise_expression("a/b//c"), "a/b");
        assert_eq!(normalise_expression("f(\n\ta,\n\t[]int{1, 2,}, \",\",\n)"), "f(a,[]int{1,2},\",\")");
    }

    #[test]
    fn literals_are_kept_as_written() {
        assert_eq!(normalise_expression(r#"f( "a  //  b\"  c" )"#), r#"f("a  //  b\"  c")"#);
        assert_eq!(normalise_expression("f(`a \\` , ' ')"), "f(`a \\`,' ')");
        assert_eq!(normalise_expression("f( \"open  "), "f(\"open  ");
    }

    #[test]
    fn text_that_is_not_go_is_total() {
        for text in ["", "/*", "//", "\\", "'", "`", "\"\\", "é\u{2028}é", "/* é", "\u{0}"] {
            let once = normalise_expression(text);
            assert_eq!(normalise_expression(&once), once, "{text:?}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(Fingerprint::of(&["ab", "c"], 0), Fingerprint::of(&["a", "bc"], 0));
        assert_ne!(Fingerprint::of(&["a"], 0), Fingerprint::of(&["a"], 1));
        // The value is a promise to every baseline ever written.
        assert_eq!(
            Fingerprint::of(&["R201", "example.com/p", "Open", "os.Open(name)"], 0).to_string(),
            "12036e870be5acb2e5b8915800ee371b"
        );
    }

    #[test]
    fn what_is_shown_can_be_read() {
        let print = Fingerprint::of(&["a"], 1);
        assert_eq!(print.to_string().parse(), Ok(print));
        for text in
            ["", "0", &print.to_string().to_uppercase(), &format!("{print}0"), "+2036e870be5acb2e5b8915800ee371b"]
        {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
