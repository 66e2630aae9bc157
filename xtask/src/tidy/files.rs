//! What every file keeps to.

use std::path::Path;

/// A Rust file that is longer should have been two.
const LINES_MAX: usize = 1000;

/// Text that doesn't belong into any file, with the reason. In pieces, so that this file has none of it.
const BANNED: &[(&[&str], &str)] = &[
    (&["/wo", "rk/"], "a path of one machine"),
    (&["/ro", "ot/"], "a path of one machine"),
    (&["/ho", "me/"], "a path of one machine"),
    (&["// FIX", "ME"], "do it, or say in Limits why not"),
    (&["// TO", "DO"], "do it, or say in Limits why not"),
    (&["#[ign", "ore"], "a test that doesn't run tests nothing"),
    (&["<<<<", "<<<"], "left from a merge"),
];

/// Go code of others, whose text is theirs; lock files and generated lists.
const EXCUSED: &[&str] = &["Cargo.lock", "lab/go.sum", "LICENSE-APACHE", "LICENSE-MIT"];

pub(super) fn problems(root: &Path, files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        if EXCUSED.contains(&file.as_str()) {
            continue;
        }
        match std::fs::read(root.join(file)) {
            // What isn't text is data.
            Ok(bytes) => {
                if let Ok(text) = String::from_utf8(bytes) {
                    problems.extend(of_file(file, &text));
                    problems.extend(dead_links(root, file, &text));
                }
            }
            Err(error) => problems.push(format!("{file}: {error}")),
        }
    }
    problems
}

fn of_file(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (pieces, reason) in BANNED {
        let banned = pieces.concat();
        let line = text.lines().position(|line| line.contains(&banned));
        problems.extend(line.map(|line| format!("{file}:{}: `{banned}`: {reason}", line + 1)));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push(format!("{file}: no line end at the end"));
    }
    if Path::new(file).extension().is_none_or(|extension| extension != "rs") {
        return problems;
    }
    let opening = text.strip_prefix("//! ").and_then(|text| text.lines().next());
    if opening.is_none_or(|line| line.trim().is_empty()) {
        problems.push(format!("{file}: does not open with a `//!` comment that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{file}: {lines} lines, more than {LINES_MAX}; cut it where its subject changes"));
    }
    problems
}

/// Links of a Markdown file to files that are not there.
fn dead_links(root: &Path, file: &str, text: &str) -> Vec<String> {
    if Path::new(file).extension().is_none_or(|extension| extension != "md") {
        return Vec::new();
    }
    let folder = root.join(file);
    let folder = folder.parent().unwrap_or(root);
    let text = without_code(text);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let paths = targets.map(|target| target.split('#').next().unwrap_or_default());
    let dead = paths.filter(|path| !path.is_empty() && !path.contains("://") && !folder.join(path).exists());
    dead.map(|path| format!("{file}: links to {path}, which is not there")).collect()
}

/// Markdown without its code blocks and code spans: brackets in code are no links.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            out.extend(line.split('`').step_by(2));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        let root = crate::root();
        let check = |text: &str| dead_links(&root, "docs/x.md", text);
        assert_eq!(check("[a](../README.md#try-it), [b](https://example.com/x), [c](#here), [d](rules)"), [""; 0]);
        assert_eq!(check("[a](README.md)"), ["docs/x.md: links to README.md, which is not there"]);
        assert_eq!(check("`f[T](p)`\n```go\ng[T](p)\n```\n"), [""; 0]);
    }

    #[test]
    fn each_mistake_is_found() {
        assert_eq!(of_file("a.rs", "//! What it is.\nfn f() {}\n"), [""; 0]);
        assert_eq!(of_file("a.md", "text\n"), [""; 0]);
        assert_eq!(of_file("a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(of_file("a.rs", "//!\n").len(), 1);
        assert_eq!(of_file("a.md", "text").len(), 1);
        assert_eq!(of_file("a.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX))).len(), 1);
        for (pieces, _) in BANNED {
            assert_eq!(of_file("a.md", &format!("x\n{}\n", pieces.concat())).len(), 1);
        }
    }
}
