//! Many open descriptors are kept by one map, slice or channel.
//!
//! ## What it finds
//!
//! In a process, seen by `residue inspect`: 64 descriptors or more whose objects (`os.File`, connections, eBPF maps and
//! programs) are reached from the same root by the same way, with one object that contains them all.
//!
//! ## Why it leaks
//!
//! What can still be reached is never collected, so neither a finalizer nor a cleanup closes it. If nothing removes entries
//! from the container, each stays open until the process ends, and counts against `RLIMIT_NOFILE`.
//!
//! ## Example
//!
//! ```go
//! var sessions = map[string]*os.File{}
//!
//! func serve(name string) (err error) {
//! 	sessions[name], err = os.Create(name)
//! 	return err
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! var sessions = map[string]*os.File{}
//!
//! func end(name string) error {
//! 	file := sessions[name]
//! 	delete(sessions, name)
//! 	return file.Close()
//! }
//! ```
//!
//! ## Limits
//!
//! A pool or a cache of that size may be wanted: whether entries leave it, one look doesn't tell; `residue trace` does. A
//! holder whose type isn't known to hold a descriptor, and descriptors that C code holds, are not seen.

use std::collections::BTreeMap;

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};
use residue_runtime::heap::Heap;

use super::{finding, help, holder};
use crate::commands::inspect::{Shown, fds, why};
use crate::figures::grouped;

/// Descriptors that one container keeps, before that is worth a word.
const DESCRIPTORS_MIN: u64 = 64;
/// Numbers that a finding lists.
const NUMBERS_MAX: usize = 64;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("P301"),
    name: "descriptors-kept-by-container",
    summary: "many open descriptors are kept by one map, slice or channel",
    family: Family::Process,
    cwe: &[772, 775],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::Holder],
    docs: module_docs(include_str!("p301.rs")),
};

/// Descriptors that one container keeps; the roots that were told.
pub(super) fn find(
    shown: &Shown<'_>,
    heap: &mut Heap<'_>,
    table: &fds::Table,
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    let mut covered = Vec::new();
    let kinds: BTreeMap<u32, String> = table.open().map(|(number, kind)| (number, kind.to_owned())).collect();
    let held: Vec<(u32, u64)> = table.held().filter(|(number, _)| kinds.contains_key(number)).collect();
    let objects = heap.objects_at(held.iter().map(|(_, address)| *address));
    if (objects.len() as u64) < DESCRIPTORS_MIN {
        return covered;
    }
    let why = heap.why(&objects);
    for holding in why.holdings.iter().filter(|holding| holding.objects >= DESCRIPTORS_MIN) {
        let (path, Some(at)) = (&holding.path, holding.container) else { continue };
        let container = path.steps[..=at].iter().rev().find(|step| !step.internal).and_then(|step| step.kind.clone());
        let last = path.steps.last().map(|step| step.address);
        let kind = held.iter().find(|(_, address)| Some(*address) == last).and_then(|(number, _)| kinds.get(number));
        let what = kind.map_or("open", String::as_str);
        let name = container.as_deref().unwrap_or("one container");
        let count = grouped(holding.objects as usize);
        let mut found = finding(&META, format!("{count} {what} descriptors are kept by {name}"), &path.root);
        found.resource = what.to_owned();
        found.notes.push(format!("root  {}", path.root));
        found.notes.push(format!("path  {}", why::one_line(path)));
        found
            .notes
            .push("they are open as long as the container has them: nothing closes what can still be used".to_owned());
        let first = held.iter().find(|(_, address)| Some(*address) == last).map_or(0, |(number, _)| *number);
        found.help =
            Some(help(format!("residue inspect TARGET why fd:{first}    see one of them with all it is held by")));
        let mut holder = holder(shown, &path.root, path.steps.last().and_then(|step| step.kind.as_deref()));
        holder.container = container;
        holder.descriptors = held.iter().map(|(number, _)| *number).take(NUMBERS_MAX).collect();
        found.holder = Some(holder);
        covered.push(path.root.clone());
        findings.push(found);
    }
    covered
}
