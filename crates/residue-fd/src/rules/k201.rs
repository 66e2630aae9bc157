//! Nothing but a pin keeps an eBPF object.
//!
//! ## What it finds
//!
//! A map, program or link that is pinned in a bpf file system, and that no process has a descriptor of, directly or by way of
//! others; a program or map that runs at an event in another way is not meant. What hangs on it, such as the maps of a
//! program, is told with it.
//!
//! ## Why it leaks
//!
//! A pin is a reference of its own: when every descriptor is closed and the process that made the object is gone, the
//! object and its memory stay until somebody removes the file or the machine is restarted. No limit of a process and no
//! collection helps. A link that is pinned goes on running its program.
//!
//! ## Example
//!
//! ```go
//! func handOver(m *ebpf.Map, job string) error {
//! 	defer m.Close()
//! 	path := filepath.Join("/sys/fs/bpf", job)
//! 	if err := m.Pin(path); err != nil {
//! 		return err
//! 	}
//! 	return notify(path)
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func handOver(m *ebpf.Map, job string) error {
//! 	defer m.Close()
//! 	path := filepath.Join("/sys/fs/bpf", job)
//! 	if err := m.Pin(path); err != nil {
//! 		return err
//! 	}
//! 	defer m.Unpin()
//! 	return notify(path)
//! }
//! ```
//!
//! ## Limits
//!
//! To outlive its maker is what a pin is for: an agent that is being updated leaves its maps just so. Only who runs the
//! machine knows whether somebody will come back for it, so this is a note. Processes in other pid namespaces than those
//! that can be seen from here may hold it.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, module_docs};

use crate::objects::{Inventory, Keeper, Keeping, Kind};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K201"),
    name: "object-kept-only-by-pin",
    summary: "no process has an eBPF object any more; only a pin keeps it",
    family: Family::Kernel,
    cwe: &[772, 459],
    severity: Severity::Note,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("k201.rs")),
};

pub(super) fn find(inventory: &Inventory, findings: &mut Vec<Finding>) {
    let roots = Keeping::of(inventory).orphans(inventory);
    for root in roots.iter().filter(|root| root.keeper == Keeper::Pin) {
        let Some(pin) = root.pins.first() else { continue };
        let below = if root.below.is_empty() { String::new() } else { format!(" and {} more", root.below.len()) };
        let message = match root.object.kind {
            Kind::Link => format!("only a pin keeps {} attached{below}: {} bytes", root.object, root.memory),
            _ => format!("only a pin keeps {}{below}: {} bytes", root.object, root.memory),
        };
        let mut finding = super::object_finding(&META, inventory, root.object, message, pin);
        finding.notes.extend(root.pins.iter().skip(1).map(|pin| format!("pinned as {pin} too")));
        finding
            .notes
            .extend(root.below.iter().map(|object| super::shown(inventory, *object)).map(|it| format!("keeps {it}")));
        let message = "remove the file, if nobody comes back for it; make whoever pins unpin on every path".to_owned();
        finding.help = Some(Help { message, edits: Vec::new() });
        findings.push(finding);
    }
}
