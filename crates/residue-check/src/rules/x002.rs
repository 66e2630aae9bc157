//! A suppression that is not understood.
//!
//! ## What it finds
//!
//! A comment that starts with `//residue:` and is not of the form `//residue:ignore CODE[,CODE] -- why`, or names a rule
//! that does not exist. `-- why` may be left out; JSON has it with the finding held back.
//!
//! ## Why it leaks
//!
//! It looks as if somebody had decided about a finding, and has no effect.
//!
//! ## Example
//!
//! ```go
//! func length(text string) int {
//! 	return len(text) //residue:ignore -- closed by the caller
//! }
//! ```
//!
//! ## Fix
//!
//! Name the rule, or remove the comment:
//!
//! ```go
//! func length(text string) int {
//! 	return len(text)
//! }
//! ```
//!
//! ## Limits
//!
//! A comment with a blank after `//` is text, as for the directives of the Go tool chain, and is not looked at.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, module_docs};
use residue_syntax::ast::Span;

use crate::source::SourceCx;
use crate::suppress::Directive;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("X002"),
    name: "suppression-malformed",
    summary: "a suppression comment is not understood",
    family: Family::Directives,
    cwe: &[],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("x002.rs")),
};

/// The finding about a directive that says nothing understandable.
pub(crate) fn malformed(cx: SourceCx<'_>, directive: &Directive, out: &mut Vec<Finding>) {
    let Err(message) = &directive.ignores else { return };
    let span = Span::new(directive.span.start, directive.span.end);
    let mut finding = Finding::new(&META, message.clone(), cx.site(span));
    finding.label = "has no effect".to_owned();
    finding.subject = cx.tree().text(span).into_owned();
    finding.help = Some(Help {
        message: "write `//residue:ignore CODE -- why`, or remove the comment".to_owned(),
        edits: Vec::new(),
    });
    out.push(finding);
}
