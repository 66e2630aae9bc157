//! Many objects that are to be cleaned up when they die are kept by a package variable.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: 64 objects or more with the same finalizer or cleanup, that a package variable
//! leads to, where P301 says nothing of that variable.
//!
//! ## Why it leaks
//!
//! The function is called when nothing leads to the object any more. What a package variable leads to lives as long as the
//! process, unless the program takes it out.
//!
//! ## Example
//!
//! ```go
//! var handlers []*handler // grows, and nothing is ever taken out
//!
//! func register(h *handler) {
//! 	runtime.SetFinalizer(h, (*handler).release)
//! 	handlers = append(handlers, h)
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func register(h *handler) (unregister func()) {
//! 	runtime.SetFinalizer(h, (*handler).release)
//! 	element := handlers.PushBack(h)
//! 	return func() { handlers.Remove(element) }
//! }
//! ```
//!
//! ## Limits
//!
//! It is a note: objects in use have finalizers too, and are kept by whoever uses them.

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_runtime::heap::{Finalizers, NoteKind};

use super::{finding, help, holder};
use crate::commands::inspect::Shown;
use crate::figures::grouped;

/// Objects with finalizers that package variables keep, before that is worth a word.
const KEPT_MIN: u64 = 64;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P304"),
    name: "finalizers-kept-by-variable",
    summary: "many objects with finalizers or cleanups are kept by a package variable",
    family: Family::Process,
    cwe: &[772],
    severity: Severity::Note,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p304.rs")),
};

pub(super) fn find(shown: &Shown<'_>, finalizers: &Finalizers, covered: &[String], findings: &mut Vec<Finding>) {
    for group in finalizers.groups.iter().filter(|group| group.kind != NoteKind::Weak) {
        let Some((root, count)) = group.kept_by.first() else { continue };
        if *count < KEPT_MIN || !root.starts_with("package variable") || covered.contains(root) {
            continue;
        }
        let kind = group.object_type.as_deref().unwrap_or("unknown type");
        let (what, count) = (group.kind.name(), grouped(*count as usize));
        let mut found = finding(&META, format!("{count} objects with a {what} ({kind}) are kept by {root}"), root);
        found.resource = kind.to_owned();
        found.notes.push(format!("their {what} waits for the objects to become unreachable"));
        found.help = Some(help(format!("residue inspect TARGET why {kind}")));
        found.holder = Some(holder(shown, root, Some(kind)));
        findings.push(found);
    }
}
