//! Objects whose finalizers are never called.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: objects with finalizers that lead to themselves by way of others, and objects that
//! the function to be called holds itself.
//!
//! ## Why it leaks
//!
//! What an object with a finalizer leads to lives until the finalizer has run. If the object is among that, it never dies, and
//! the finalizer never runs; so it is when the function is a closure that captures the object. A pointer straight to itself
//! does no harm.
//!
//! ## Example
//!
//! ```go
//! s := &spool{fd: fd}
//! s.writer = &writer{spool: s}
//! runtime.SetFinalizer(s, func(s *spool) { unix.Close(s.fd) })
//! ```
//!
//! ## Fix
//!
//! ```go
//! s := &spool{fd: fd}
//! s.writer = &writer{spool: s}
//! runtime.AddCleanup(s, func(fd int) { unix.Close(fd) }, s.fd)
//! ```
//!
//! ## Limits
//!
//! Cycles by way of C memory, or of words whose pointers aren't known, are not seen.

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_report::plural;
use residue_runtime::heap::{Finalizers, NoteKind, State};

use super::{finding, help, holder};
use crate::commands::inspect::Shown;
use crate::figures::grouped;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P303"),
    name: "finalizer-never-runs",
    summary: "objects lead to themselves, so their finalizers are never called",
    family: Family::Process,
    cwe: &[772],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p303.rs")),
};

pub(super) fn find(shown: &Shown<'_>, finalizers: &Finalizers, findings: &mut Vec<Finding>) {
    for group in &finalizers.groups {
        let of = |state| group.states.get(&state).copied().unwrap_or(0);
        let (cycle, own) = (of(State::Cycle), of(State::OwnFunction));
        if cycle + own == 0 || group.kind == NoteKind::Weak {
            continue;
        }
        let kind = group.object_type.as_deref().unwrap_or("unknown type");
        let function = group.function.as_deref().unwrap_or("unknown function");
        let count = plural((cycle + own) as usize, group.kind.name());
        let verb = if cycle + own == 1 { "is" } else { "are" };
        let mut found = finding(&META, format!("{count} of {kind} {verb} never called"), function);
        found.resource = kind.to_owned();
        if cycle > 0 {
            found.notes.push(format!("{} lead to themselves by way of other objects", grouped(cycle as usize)));
        }
        if own > 0 {
            found.notes.push(format!("{} are held by the function itself, {function}", grouped(own as usize)));
        }
        found.notes.push(format!("look at one: residue inspect TARGET object {:#x}", group.example));
        found.help = Some(help(if cycle > 0 {
            "set it on an object of its own that nothing in the cycle contains, or use runtime.AddCleanup"
        } else {
            "let the function capture what it needs, not the object"
        }));
        found.holder = Some(holder(shown, "itself", Some(kind)));
        findings.push(found);
    }
}
