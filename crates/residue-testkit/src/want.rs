//! Expectations as comments in the file they are about.
//!
//! ```go
//! f, err := os.Open(name) // want R201 "never closed"
//! use(f) // want-miss R201 "the callee is not looked into"
//! ```
//!
//! A `want` comment demands a finding of the rule on its line whose text matches the regular expression. A line may
//! have several, one after the other. Where the line already ends in a comment, `/* want … */` stands before it. `want-miss` says that a finding would be right there and is not made, and why;
//! one that comes all the same fails, so that the comment is updated. Any finding without a comment fails.

use std::fmt::Write as _;

use regex::Regex;

/// A finding or one of its places, as a fixture sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The file, as expectations name it.
    pub path: String,
    /// 1-based line.
    pub line: u32,
    /// The rule's code.
    pub code: String,
    /// What is said there.
    pub text: String,
}

/// An expectation.
#[derive(Clone, Debug)]
pub struct Want {
    /// The file.
    pub path: String,
    /// 1-based line.
    pub line: u32,
    /// The rule's code.
    pub code: String,
    /// What the text has to match; for a miss, why it is missed.
    pub pattern: String,
    /// Whether the finding is known to be missed.
    pub miss: bool,
}

/// Reads the expectations of a file. The error says which comment is malformed.
pub fn read(path: &str, source: &str) -> Result<Vec<Want>, String> {
    let mut wants = Vec::new();
    for (i, text) in source.lines().enumerate() {
        let line = i as u32 + 1;
        let bad = |what: &str| format!("{path}:{line}: {what}");
        let Some((miss, mut rest)) = comment(text) else { continue };
        while !rest.is_empty() {
            let (code, after) = rest.split_once(' ').ok_or_else(|| bad("a want is a rule's code and a quoted text"))?;
            let (pattern, after) = quoted(after.trim_start()).ok_or_else(|| bad("the text of a want is quoted"))?;
            wants.push(Want { path: path.to_owned(), line, code: code.to_owned(), pattern, miss });
            rest = after.trim();
        }
    }
    Ok(wants)
}

fn comment(line: &str) -> Option<(bool, &str)> {
    let markers = [("// want-miss ", true, None), ("// want ", false, None), ("/* want ", false, Some("*/"))];
    markers.into_iter().find_map(|(marker, miss, end)| {
        let rest = &line[line.find(marker)? + marker.len()..];
        let rest = end.and_then(|end| rest.split_once(end)).map_or(rest, |(inside, _)| inside);
        Some((miss, rest.trim()))
    })
}

/// `"…"` with `\"` and `\\`, or `` `…` ``, and what comes after.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (inside, after) = raw.split_once('`')?;
        return Some((inside.to_owned(), after));
    }
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut out = String::new();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[i + 2..])),
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\') => out.push(escaped),
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

/// What does not agree, one line each; empty where all does.
pub fn disagreements(wants: &[Want], found: &[Found]) -> String {
    let mut out = String::new();
    let mut left: Vec<&Found> = found.iter().collect();
    for want in wants {
        let pattern = match Regex::new(&want.pattern) {
            Ok(pattern) => pattern,
            Err(_) if want.miss => continue,
            Err(error) => {
                let _ = writeln!(out, "{}:{}: {error}", want.path, want.line);
                continue;
            }
        };
        let on_line = |f: &&Found| f.path == want.path && f.line == want.line && f.code == want.code;
        let hit = left.iter().position(|f| on_line(f) && (want.miss || pattern.is_match(&f.text)));
        match hit {
            Some(i) if want.miss => {
                let found = left.remove(i);
                let _ = writeln!(
                    out,
                    "{}:{}: {} is no longer missed here ({}): make it a want",
                    want.path, want.line, want.code, found.text
                );
            }
            Some(i) => {
                left.remove(i);
            }
            None if want.miss => {}
            None => {
                let _ = writeln!(out, "{}:{}: no {} matches `{}`", want.path, want.line, want.code, want.pattern);
            }
        }
    }
    for found in left {
        let _ = writeln!(out, "{}:{}: unexpected {}: {}", found.path, found.line, found.code, found.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: u32, code: &str, text: &str) -> Found {
        Found { path: "a.go".into(), line, code: code.into(), text: text.into() }
    }

    #[test]
    fn comments_are_read_with_their_quotes() {
        let source = "x // want R201 \"a \\\"b\\\" \\\\d\" R203 `c`\n// nothing\ny // want-miss R201 \"why\"\n\
                      z /* want X001 \"w\" */ //residue:ignore R201\n";
        let wants = read("a.go", source).expect("well formed");
        let short: Vec<_> = wants.iter().map(|w| (w.line, w.code.as_str(), w.pattern.as_str(), w.miss)).collect();
        assert_eq!(
            short,
            [
                (1, "R201", "a \"b\" \\d", false),
                (1, "R203", "c", false),
                (3, "R201", "why", true),
                (4, "X001", "w", false)
            ]
        );
        assert_eq!(
            read("a.go", "\n// want R201").expect_err("no text"),
            "a.go:2: a want is a rule's code and a quoted text"
        );
        assert!(read("a.go", "// want R201 \"open").is_err());
    }

    #[test]
    fn disagreements_go_both_ways() {
        let wants = read("a.go", "// want R201 \"^never\"\n// want-miss R201 \"why\"\n// want R203 \"x\"\n")
            .expect("well formed");
        let agree = [found(1, "R201", "never closed"), found(3, "R203", "xyz")];
        assert_eq!(disagreements(&wants, &agree), "");
        let differ = [found(1, "R201", "is never closed"), found(2, "R201", "now seen"), found(9, "R203", "extra")];
        assert_eq!(
            disagreements(&wants, &differ),
            "a.go:1: no R201 matches `^never`\n\
             a.go:2: R201 is no longer missed here (now seen): make it a want\n\
             a.go:3: no R203 matches `x`\n\
             a.go:1: unexpected R201: is never closed\n\
             a.go:9: unexpected R203: extra\n"
        );
    }

    #[test]
    fn a_finding_answers_one_want_only() {
        let wants = read("a.go", "// want R201 \"a\" R201 \"a\"\n").expect("well formed");
        assert_eq!(disagreements(&wants, &[found(1, "R201", "a")]), "a.go:1: no R201 matches `a`\n");
    }
}
