//! What keeps what, as a graph for Graphviz.

use std::collections::BTreeSet;
use std::io::{self, Write};

use residue_fd::objects::{Holder, Kind, ObjectId};
use residue_report::shown_name;

use super::Shown;
use crate::figures;
use crate::graphviz::quoted;

/// Writes the graph: arrows lead from what keeps to what is kept. The kernel's own BTF is left out.
pub(super) fn write(shown: &Shown<'_>, orphans: bool, out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let mut wanted: BTreeSet<ObjectId> = if orphans {
        let roots = shown.orphans();
        roots.iter().flat_map(|root| root.below.iter().copied().chain([root.object])).collect()
    } else {
        shown.objects().collect()
    };
    wanted.retain(|object| object.kind != Kind::Btf || !inventory.btfs.get(&object.id).is_some_and(|btf| btf.kernel));
    writeln!(out, "digraph bpf {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=10];")?;
    // What keeps an object of the view stands in the graph too, and what keeps that.
    let mut next: Vec<ObjectId> = wanted.iter().copied().collect();
    let mut edges = BTreeSet::new();
    let mut outside = BTreeSet::new();
    while let Some(object) = next.pop() {
        for holder in shown.holders(object) {
            let from = match holder {
                Holder::Program(id) => node(ObjectId::program(*id)),
                Holder::Map { id, .. } => node(ObjectId::map(*id)),
                Holder::Link(id) => node(ObjectId::link(*id)),
                _ => {
                    let (name, label, shape) = outsider(shown, holder);
                    outside.insert((name.clone(), label, shape));
                    name
                }
            };
            let by = match holder {
                Holder::Program(id) => Some(ObjectId::program(*id)),
                Holder::Map { id, .. } => Some(ObjectId::map(*id)),
                Holder::Link(id) => Some(ObjectId::link(*id)),
                _ => None,
            };
            if let Some(by) = by.filter(|by| inventory.has(*by))
                && wanted.insert(by)
            {
                next.push(by);
            }
            edges.insert((from, node(object), edge(holder)));
        }
    }
    for object in &wanted {
        let name = inventory.name(*object).map(shown_name).unwrap_or_default();
        let memory = inventory.memory(*object).map(figures::bytes).unwrap_or_default();
        let label = [object.to_string(), inventory.type_name(*object), name, memory];
        let label: Vec<String> = label.into_iter().filter(|part| !part.is_empty()).collect();
        let shape = match object.kind {
            Kind::Map => "cylinder",
            Kind::Program => "box",
            Kind::Link => "cds",
            Kind::Btf => "note",
        };
        let colour = if orphans { ", color=red" } else { "" };
        writeln!(out, "  {} [shape={shape}, label={}{colour}];", node(*object), quoted(&label.join("\n")))?;
    }
    for (name, label, shape) in outside {
        writeln!(out, "  {name} [shape={shape}, label={}];", quoted(&label))?;
    }
    for (from, to, label) in edges {
        writeln!(out, "  {from} -> {to} [label={}];", quoted(label))?;
    }
    writeln!(out, "}}")
}

fn node(object: ObjectId) -> String {
    format!("{}_{}", object.kind.name(), object.id)
}

/// A holder that is no object: its node, label and shape.
fn outsider(shown: &Shown<'_>, holder: &Holder) -> (String, String, &'static str) {
    if let Some(pid) = holder.pid() {
        let process = shown.inventory.processes.get(&pid);
        let name = process.map(|process| shown_name(&process.comm)).unwrap_or_default();
        let go = process.and_then(|process| process.go.as_deref()).map(shown_name);
        let go = go.map(|go| format!("\n{go}")).unwrap_or_default();
        let container = process.and_then(|process| process.place.as_ref()?.container.as_ref());
        let container = container.map(|container| shown_name(&format!("{container}")));
        let container = container.map(|container| format!("\n{container}")).unwrap_or_default();
        return (format!("pid_{pid}"), format!("{name}\npid {pid}{go}{container}"), "ellipse");
    }
    match holder {
        Holder::Pin { path, inode, .. } => (format!("pin_{:x}_{:x}", inode.0, inode.1), shown_name(path), "folder"),
        Holder::Attachment(index) => {
            let attachment = &shown.inventory.attachments[*index];
            let place: Vec<String> = attachment.point.place.iter().map(|(_, value)| shown_name(value)).collect();
            (format!("attachment_{index}"), format!("{} {}", attachment.how, place.join(" ")), "octagon")
        }
        Holder::Registration => ("kernel".to_owned(), "the kernel".to_owned(), "octagon"),
        _ => ("unknown".to_owned(), "unknown".to_owned(), "plaintext"),
    }
}

fn edge(holder: &Holder) -> &'static str {
    match holder {
        Holder::Mapping { .. } => "mmap",
        Holder::InFlight { .. } => "in flight",
        Holder::Ring { .. } => "io_uring",
        Holder::Iterator { .. } => "iterator",
        Holder::PerfEvent { .. } => "perf event",
        Holder::Socket { .. } => "socket",
        _ => "",
    }
}
