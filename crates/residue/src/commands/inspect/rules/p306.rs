//! Recovered panics pile up: goroutines have recovered from a panic and don't get any further.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: several goroutines have called `recover` after a panic raised at the same place, and
//! wait in the deferred function that did so.
//!
//! ## Why it leaks
//!
//! A recovered panic lives until the deferred function that recovered it returns; so does its value, which often wraps a
//! request, a configuration or an error with a data source's name in it, and the whole stack below. A handler that reports the panic
//! and waits keeps all of that for each panic, and hides that the program fails.
//!
//! ## Example
//!
//! ```go
//! defer func() {
//! 	if caught := recover(); caught != nil {
//! 		crashes <- fmt.Sprint(caught) // nobody receives
//! 	}
//! }()
//! ```
//!
//! ## Fix
//!
//! ```go
//! defer func() {
//! 	if caught := recover(); caught != nil {
//! 		select {
//! 		case crashes <- fmt.Sprint(caught):
//! 		default:
//! 			lost.Add(1)
//! 		}
//! 	}
//! }()
//! ```
//!
//! ## Limits
//!
//! Panics whose deferred function has returned have left nothing that could be counted.

use std::collections::BTreeMap;

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_report::plural;
use residue_runtime::{Frame, Goroutine, PanicState, Phase};

use super::{finding, help, holder};
use crate::commands::inspect::text::place;
use crate::commands::inspect::{Shown, raised_at};

/// Goroutines with a recovered panic of one place, before that is worth a word.
const GOROUTINES_MIN: usize = 8;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P306"),
    name: "recovered-panics-pile-up",
    summary: "many goroutines have recovered from a panic and wait in the function that did so",
    family: Family::Process,
    cwe: &[833, 772],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p306.rs")),
};

pub(super) fn find(shown: &Shown<'_>, findings: &mut Vec<Finding>) {
    let mut groups: BTreeMap<Option<&Frame>, Vec<&Goroutine>> = BTreeMap::new();
    for goroutine in shown.report.goroutines.iter().filter(|goroutine| goroutine.phase == Phase::Recovered) {
        let recovered = goroutine.panics.iter().position(|panic| panic.state == PanicState::Recovered);
        if let Some(index) = recovered {
            groups.entry(raised_at(shown.report, goroutine, index)).or_default().push(goroutine);
        }
    }
    for (raised, group) in groups.into_iter().filter(|(_, group)| group.len() >= GOROUTINES_MIN) {
        let first = group[0];
        let function = raised.map_or("an unknown function", |frame| &frame.function);
        let count = plural(group.len(), "goroutine");
        let message = format!("{count} have recovered from a panic of {function} and get no further");
        let mut found = finding(&META, message, function);
        found.resource = "panic".to_owned();
        if let Some(frame) = raised {
            found.notes.push(format!("raised at {}", place(frame)));
        }
        if let Some(kind) = first.panics.iter().find_map(|panic| panic.value_type.as_deref()) {
            found.notes.push(format!("the values, {kind} among them, live as long"));
        }
        if let Some(reason) = &first.wait_reason {
            found.notes.push(format!("goroutine {} waits: {reason}", first.id));
        }
        found.notes.push("see them: residue inspect TARGET panics --group".to_owned());
        found.help = Some(help("let the function that recovers return: never wait in it"));
        found.holder = Some(holder(shown, &format!("goroutine {}", first.id), None));
        findings.push(found);
    }
}
