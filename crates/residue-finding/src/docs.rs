//! A rule's documentation: the `//!` comment that opens its source file.
//!
//! One text serves the reader of the code, the generated page and `residue
//! explain`, so the three can't disagree.

use crate::rule::RuleMeta;

/// The headings of a rule's documentation, in their order.
pub const DOC_HEADINGS: [&str; 5] = ["What it finds", "Why it leaks", "Example", "Fix", "Limits"];

/// A heading of a rule's documentation with the Markdown below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocSection {
    /// The heading, without its `##`.
    pub heading: String,
    /// The text up to the next heading, trimmed.
    pub body: String,
}

/// Cuts the leading `//!` lines off a source file, at compile time.
///
/// A rule file says `docs: module_docs(include_str!("r201.rs"))`, and only the
/// comment ends up in the binary.
pub const fn module_docs(source: &'static str) -> &'static str {
    let bytes = source.as_bytes();
    let mut end = 0;
    while end + 2 < bytes.len() && bytes[end] == b'/' && bytes[end + 1] == b'/' && bytes[end + 2] == b'!' {
        while end < bytes.len() && bytes[end] != b'\n' {
            end += 1;
        }
        if end < bytes.len() {
            end += 1;
        }
    }
    source.split_at(end).0
}

impl RuleMeta {
    /// The documentation as Markdown, without the comment markers.
    pub fn page(&self) -> String {
        let mut page = String::with_capacity(self.docs.len());
        for line in self.docs.lines() {
            let line = line.strip_prefix("//!").unwrap_or(line);
            page.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            page.push('\n');
        }
        page
    }

    /// The text before the first `##` heading, then every section in order.
    pub fn sections(&self) -> (String, Vec<DocSection>) {
        let mut intro = String::new();
        let mut sections: Vec<DocSection> = Vec::new();
        let mut in_code = false;
        for line in self.page().lines() {
            in_code ^= line.starts_with("```");
            if let Some(heading) = line.strip_prefix("## ").filter(|_| !in_code) {
                sections.push(DocSection { heading: heading.trim().to_owned(), body: String::new() });
                continue;
            }
            let body = match sections.last_mut() {
                Some(section) => &mut section.body,
                None => &mut intro,
            };
            body.push_str(line);
            body.push('\n');
        }
        for section in &mut sections {
            section.body = section.body.trim().to_owned();
        }
        (intro.trim().to_owned(), sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Confidence, Family, RuleCode, Severity};

    const SOURCE: &str = "//! A title\n//!\n//! ## What it finds\n//!\n//! ```go\n//! ## not a heading\n//!   indented\n//! ```\n//! ## Fix\n//! Do.\n\nuse x;\n//! not docs\n";

    static RULE: RuleMeta = RuleMeta {
        code: RuleCode::new("R999"),
        name: "test",
        summary: "test",
        family: Family::Resources,
        cwe: &[],
        severity: Severity::Warning,
        confidence: Confidence::High,
        default_on: true,
        joins: &[],
        docs: module_docs(SOURCE),
    };

    #[test]
    fn only_the_leading_comment_is_documentation() {
        assert!(RULE.docs.ends_with("//! Do.\n"));
        assert_eq!(module_docs("use x;\n"), "");
        assert_eq!(module_docs("//! to the end"), "//! to the end");
        assert_eq!(module_docs("//"), "");
    }

    #[test]
    fn sections_are_cut_at_headings_outside_code() {
        let (intro, sections) = RULE.sections();
        assert_eq!(intro, "A title");
        let headings: Vec<_> = sections.iter().map(|s| s.heading.as_str()).collect();
        assert_eq!(headings, ["What it finds", "Fix"]);
        assert_eq!(sections[0].body, "```go\n## not a heading\n  indented\n```", "the code keeps its indentation");
        assert_eq!(sections[1].body, "Do.");
    }
}
