//! The goroutine that calls finalizers, or one that calls cleanups, is blocked in one of them.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: such a goroutine waits in a function of the program, and either others wait behind
//! it in the queue or it has waited for ten seconds.
//!
//! ## Why it leaks
//!
//! One goroutine calls all finalizers of the program, one after the other (`runtime/mfinal.go`). While it waits, no finalizer
//! runs: descriptors that were left to them stay open, and the objects with all they lead to stay in memory.
//!
//! ## Example
//!
//! ```go
//! runtime.SetFinalizer(lease, func(lease *Lease) {
//! 	lost <- lease.fd // nobody receives
//! 	unix.Close(lease.fd)
//! })
//! ```
//!
//! ## Fix
//!
//! ```go
//! runtime.SetFinalizer(lease, func(lease *Lease) {
//! 	unix.Close(lease.fd)
//! 	select {
//! 	case lost <- lease.fd:
//! 	default:
//! 	}
//! })
//! ```
//!
//! ## Limits
//!
//! How long it has waited is known from the first collection that saw it wait. One that computes for ever is busy, not blocked,
//! and not told.

use std::time::Duration;

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_report::plural;
use residue_runtime::heap::Finalizers;

use super::{finding, help, holder};
use crate::commands::inspect::Shown;
use crate::figures::time;

/// A function that is called when objects die may take as long.
const BLOCKED_MIN: Duration = Duration::from_secs(10);

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P302"),
    name: "finalizer-goroutine-blocked",
    summary: "the goroutine that calls finalizers or cleanups is blocked in one of them",
    family: Family::Process,
    cwe: &[833, 772],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p302.rs")),
};

pub(super) fn find(shown: &Shown<'_>, finalizers: &Finalizers, findings: &mut Vec<Finding>) {
    let queued: u64 = finalizers.queued.values().sum();
    let queued_cleanups: u64 = finalizers.queued_cleanups.values().sum();
    for runner in finalizers.runners.iter().filter(|runner| runner.blocked) {
        let waits = if runner.finalizers { queued } else { queued_cleanups };
        // A wait that just began is no fault, unless others pile up behind it.
        if waits <= 1 && runner.waiting.is_none_or(|waiting| waiting < BLOCKED_MIN) {
            continue;
        }
        let calls = runner.calls.as_deref().unwrap_or("a function");
        let what = if runner.finalizers { "finalizer" } else { "cleanup" };
        let behind = plural(waits.saturating_sub(1) as usize, what);
        let since = runner.waiting.map(|waiting| format!(" for {}", time(waiting))).unwrap_or_default();
        let message = format!("the {what} goroutine is blocked{since} in {calls}; {behind} behind it can't run");
        let mut found = finding(&META, message, calls);
        found.resource = format!("{what} goroutine");
        let reason = runner.wait_reason.as_deref().unwrap_or("a system call");
        let place = runner.place.as_ref().map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
        found.notes.push(format!("goroutine {} waits: {reason}{place}", runner.goroutine));
        if runner.finalizers {
            found.notes.push("one goroutine calls all finalizers, one after the other".to_owned());
        }
        found.help = Some(help("start a goroutine in the function, or do there nothing that can block"));
        found.holder = Some(holder(shown, &format!("goroutine {}", runner.goroutine), None));
        findings.push(found);
    }
}
