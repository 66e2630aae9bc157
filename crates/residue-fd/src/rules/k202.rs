//! One process has opened the same eBPF object many times.
//!
//! ## What it finds
//!
//! A process that has 64 or more open files of one map, program or link: from as many calls that open it, by its id or its
//! pin. Descriptors made by dup or fork share an open file and count once.
//!
//! ## Why it leaks
//!
//! One open file does everything that many do. Code that gets an object by id or by path on every request or poll, and
//! doesn't close it, grows by one descriptor each time, until `RLIMIT_NOFILE` is reached; the object can't go before the
//! last of them is closed.
//!
//! ## Example
//!
//! ```go
//! func entries(id ebpf.MapID) (n int, err error) {
//! 	m, err := ebpf.NewMapFromID(id)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	var key, value uint32
//! 	it := m.Iterate()
//! 	for it.Next(&key, &value) {
//! 		n++
//! 	}
//! 	return n, it.Err()
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func entries(id ebpf.MapID) (n int, err error) {
//! 	m, err := ebpf.NewMapFromID(id)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer m.Close()
//! 	var key, value uint32
//! 	it := m.Iterate()
//! 	for it.Next(&key, &value) {
//! 		n++
//! 	}
//! 	return n, it.Err()
//! }
//! ```
//!
//! ## Limits
//!
//! It is a picture of one moment: `residue trace` tells whether it grows, and who opens. Without iterators
//! (`--method by-id`) dup can't be told from open, and nothing is said.

use std::collections::{BTreeMap, BTreeSet};

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, module_docs};

use crate::objects::{Holder, Inventory, ObjectId};

/// Open files of one object in one process from which on it is said.
const FILES_MIN: usize = 64;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K202"),
    name: "object-opened-many-times",
    summary: "one process has 64 or more open files of the same eBPF object",
    family: Family::Kernel,
    cwe: &[772, 775],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("k202.rs")),
};

pub(super) fn find(inventory: &Inventory, findings: &mut Vec<Finding>) {
    let mut files: BTreeMap<(ObjectId, u32), BTreeSet<u64>> = BTreeMap::new();
    for hold in &inventory.holds {
        if let Holder::Descriptor { at, file: Some(file) } = &hold.by {
            files.entry((hold.object, at.pid)).or_default().insert(*file);
        }
    }
    for ((object, pid), files) in files.into_iter().filter(|(_, files)| files.len() >= FILES_MIN) {
        let process = inventory.processes.get(&pid);
        let comm = process.map(|process| process.comm.as_str()).unwrap_or_default();
        let message = format!("process {pid} ({comm}) has {} open files of {object}", files.len());
        let mut finding = super::object_finding(&META, inventory, object, message, &format!("/proc/{pid}/fd"));
        if let Some(go) = process.and_then(|process| process.go.as_ref()) {
            finding.notes.push(format!("built by {go}"));
        }
        let message = format!("`residue trace -p {pid}` tells who opens it; close it there, or keep one");
        finding.help = Some(Help { message, edits: Vec::new() });
        findings.push(finding);
    }
}
