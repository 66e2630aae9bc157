//! Goroutines are stuck in the same deferred call.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: several goroutines wait in a deferred call of the same function, or one is known to
//! have waited there for a minute.
//!
//! ## Why it leaks
//!
//! What a function has deferred runs when it is left, by a return or by a panic. While one deferred call waits, those deferred
//! before it wait too: what they would close stays open, what they would unlock stays locked, and the goroutine with all it
//! leads to stays in memory. None of it shows as an error anywhere.
//!
//! ## Example
//!
//! ```go
//! func (w *worker) run() {
//! 	defer w.conn.Close()
//! 	defer func() { w.done <- w.id }() // nobody receives any more
//! 	w.work()
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func (w *worker) run() {
//! 	defer w.conn.Close()
//! 	defer func() {
//! 		select {
//! 		case w.done <- w.id:
//! 		case <-w.stopped:
//! 		}
//! 	}()
//! 	w.work()
//! }
//! ```
//!
//! ## Limits
//!
//! A deferred call may wait for good reason, for others to end (`defer group.Wait()`). How long it has waited is known from the
//! first collection that saw it wait.

use std::collections::BTreeMap;
use std::time::Duration;

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_report::plural;
use residue_runtime::{Goroutine, Phase, Role, Status};

use super::{finding, help, holder};
use crate::commands::inspect::Shown;
use crate::commands::inspect::text::{frame_of, place};
use crate::figures::time;

/// Goroutines in the same deferred call, before that is worth a word.
const GOROUTINES_MIN: usize = 8;
/// How long one may wait there.
const WAIT_MIN: Duration = Duration::from_mins(1);

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P305"),
    name: "goroutines-stuck-in-deferred-call",
    summary: "goroutines wait in a deferred call, and others behind it",
    family: Family::Process,
    cwe: &[833, 772],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p305.rs")),
};

pub(super) fn find(shown: &Shown<'_>, findings: &mut Vec<Finding>) {
    let mut groups: BTreeMap<&str, Vec<&Goroutine>> = BTreeMap::new();
    let waits = |goroutine: &&Goroutine| {
        goroutine.role == Role::User && goroutine.status == Status::Waiting && goroutine.phase != Phase::Recovered
    };
    for goroutine in shown.report.goroutines.iter().filter(waits) {
        if let Some(frame) = goroutine.in_deferred.and_then(|index| frame_of(shown, goroutine, index)) {
            groups.entry(&frame.function).or_default().push(goroutine);
        }
    }
    for (function, group) in groups {
        let longest = group.iter().filter_map(|goroutine| goroutine.waiting).max();
        if group.len() < GOROUTINES_MIN && longest.is_none_or(|longest| longest < WAIT_MIN) {
            continue;
        }
        let since = longest.map(|longest| format!(", up to {}", time(longest))).unwrap_or_default();
        let count = plural(group.len(), "goroutine");
        let verb = if group.len() == 1 { "waits" } else { "wait" };
        let mut found = finding(&META, format!("{count} {verb} in the deferred call {function}{since}"), function);
        found.resource = "goroutine".to_owned();
        let first = group[0];
        if let Some(reason) = &first.wait_reason {
            let frame = first.in_deferred.and_then(|index| frame_of(shown, first, index));
            let at = frame.map(|frame| format!(" at {}", place(frame))).unwrap_or_default();
            found.notes.push(format!("they wait: {reason}{at}"));
        }
        let behind: usize = group.iter().map(|goroutine| goroutine.deferred.len()).sum();
        if behind > 0 {
            found.notes.push(format!("{} behind it can't run", plural(behind, "deferred call")));
        }
        found.notes.push(format!("look at one: residue inspect TARGET stack {}", first.id));
        found.help = Some(help(
            "let the deferred call give up: a buffered channel, select with a default, a context with a deadline",
        ));
        found.holder = Some(holder(shown, &format!("goroutine {}", first.id), None));
        findings.push(found);
    }
}
