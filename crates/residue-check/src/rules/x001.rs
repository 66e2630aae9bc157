//! A suppression that suppresses nothing.
//!
//! ## What it finds
//!
//! A `//residue:ignore CODE -- why` comment with a code for which there is no finding where the comment speaks. It is
//! not reported for a rule that did not run.
//!
//! ## Why it leaks
//!
//! The code was mended, moved, or the comment never stood at the right line. It stays as a licence for the next leak at
//! that place.
//!
//! ## Example
//!
//! ```go
//! func length(text string) int {
//! 	return len(text) //residue:ignore R201 -- closed by the caller
//! }
//! ```
//!
//! ## Fix
//!
//! Remove the comment, or the code of the rule:
//!
//! ```go
//! func length(text string) int {
//! 	return len(text)
//! }
//! ```
//!
//! ## Limits
//!
//! A finding may depend on the build set: with other tags, another operating system or without `--tests` the comment
//! may be needed. Such a comment is reported in the build set that does not need it.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, module_docs};
use residue_syntax::ast::Span;

use crate::rules::fix;
use crate::source::SourceCx;
use crate::suppress::Directive;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("X001"),
    name: "suppression-unused",
    summary: "a suppression comment suppresses nothing",
    family: Family::Directives,
    cwe: &[],
    severity: Severity::Note,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("x001.rs")),
};

/// The findings about codes of a directive that held nothing back; `ran` says which rules looked.
pub(crate) fn unused(cx: SourceCx<'_>, directive: &Directive, ran: impl Fn(RuleCode) -> bool, out: &mut Vec<Finding>) {
    let useless = directive.ignores.iter().flatten().all(|ignored| !ignored.used && ran(ignored.code));
    let help = if useless { "remove the comment" } else { "remove the code from the comment" };
    for ignored in directive.ignores.iter().flatten().filter(|ignored| !ignored.used && ran(ignored.code)) {
        let span = Span::new(directive.span.start, directive.span.end);
        let message = format!("there is no {} finding here to suppress", ignored.code);
        let mut finding = Finding::new(&META, message, cx.site(span));
        finding.label = "suppresses nothing".to_owned();
        finding.subject = ignored.code.to_string();
        // One that holds something else back stays.
        let edits = if useless { vec![fix::without_comment(cx, directive.span)] } else { Vec::new() };
        finding.help = Some(Help { message: help.to_owned(), edits });
        out.push(finding);
    }
}
