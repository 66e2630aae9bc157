//! A link is attached to something that is gone.
//!
//! ## What it finds
//!
//! A link whose network device, cgroup, network namespace or map is there no more: the kernel has detached it, and somebody
//! still holds it.
//!
//! ## Why it leaks
//!
//! The program will never run again, but the link keeps it, and the program its maps, for as long as the descriptor or pin
//! lives. An agent that attaches to each container's device, and closes its links only when it ends itself, gathers one for
//! each container that ever was.
//!
//! ## Example
//!
//! ```go
//! func watch(p *ebpf.Program, devices []int) (links []link.Link, err error) {
//! 	for _, device := range devices {
//! 		l, err := link.AttachTCX(link.TCXOptions{Program: p, Interface: device, Attach: ebpf.AttachTCXIngress})
//! 		if err != nil {
//! 			return links, err
//! 		}
//! 		links = append(links, l)
//! 	}
//! 	return links, nil
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func forget(links map[int]link.Link, device int) error {
//! 	l, ok := links[device]
//! 	if !ok {
//! 		return nil
//! 	}
//! 	delete(links, device)
//! 	return l.Close()
//! }
//! ```
//!
//! ## Limits
//!
//! Tracing links don't tell: a module that is unloaded, or a program's file that is deleted, is not seen.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, module_docs};

use crate::objects::{Inventory, ObjectId, link_type_name};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K203"),
    name: "link-attached-to-nothing",
    summary: "what an eBPF link was attached to is gone, and the link is kept",
    family: Family::Kernel,
    cwe: &[772, 459],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("k203.rs")),
};

pub(super) fn find(inventory: &Inventory, findings: &mut Vec<Finding>) {
    for link in inventory.links.values().filter(|link| link.point.gone) {
        let object = ObjectId::link(link.id);
        let message =
            format!("{object} ({}) is kept, and what it was attached to is gone", link_type_name(link.link_type));
        let mut finding = super::object_finding(&META, inventory, object, message, &object.to_string());
        if link.program != 0 {
            finding.notes.push(format!("keeps {}", super::shown(inventory, ObjectId::program(link.program))));
        }
        for hold in inventory.holds.iter().filter(|hold| hold.object == object) {
            if let Some(pid) = hold.by.pid() {
                let comm = inventory.processes.get(&pid).map(|process| process.comm.as_str()).unwrap_or_default();
                finding.notes.push(format!("held by process {pid} ({comm})"));
            }
        }
        finding.help =
            Some(Help { message: "close or unpin it when the device or cgroup goes".to_owned(), edits: Vec::new() });
        findings.push(finding);
    }
}
