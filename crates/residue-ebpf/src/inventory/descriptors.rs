//! Who holds what, from /proc alone: for kernels that take no iterators, or users who may not load them.

use std::collections::BTreeMap;

use residue_fd::objects::{At, Hold, Holder, Inventory, Kind, Method, ObjectId, Process};

use super::fdinfo::Fdinfo;
use super::processes;

/// Descriptors that are looked at in all.
const DESCRIPTORS_MAX: usize = 4 << 20;

/// Walks through all descriptors of all processes. Objects that are not known by id yet are taken from what is told here.
pub(super) fn read(inventory: &mut Inventory) {
    let mut refused = 0;
    let mut left = DESCRIPTORS_MAX;
    let mut hidden: BTreeMap<&str, u64> = BTreeMap::new();
    for pid in processes::pids() {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            // It may have ended.
            refused += usize::from(std::fs::metadata(format!("/proc/{pid}/fd")).is_ok());
            continue;
        };
        for entry in entries.flatten() {
            let Some(next) = left.checked_sub(1) else {
                inventory
                    .hidden
                    .push(format!("there are more than {DESCRIPTORS_MAX} descriptors; the rest is left out"));
                return;
            };
            left = next;
            let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(link) = std::fs::read_link(entry.path()) else { continue };
            let Some(name) = link.to_str() else { continue };
            let fdinfo = || Fdinfo::read(&format!("/proc/{pid}/fdinfo/{fd}"));
            if name.starts_with("socket:") {
                *hidden.entry("files in flight between sockets").or_default() +=
                    fdinfo().number("scm_fds").unwrap_or(0);
            } else if name == "anon_inode:[io_uring]" {
                let bpf = fdinfo().count("bpf-map") + fdinfo().count("bpf-prog") + fdinfo().count("bpf_link");
                *hidden.entry("eBPF objects registered with io_uring").or_default() += bpf;
            } else if let Some(kind) = kind(name) {
                hold(inventory, kind, At { pid, tid: pid, fd }, &fdinfo());
            }
        }
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        let mapped = maps.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b"anon_inode:bpf-map")).count();
        *hidden.entry("mappings of maps into memory").or_default() += mapped as u64;
    }
    for (what, count) in hidden {
        if count > 0 {
            inventory.hidden.push(format!("{count} {what}: without iterators it can't be told of what"));
        }
    }
    if refused > 0 {
        inventory.hidden.push(format!(
            "descriptors of {refused} processes: it takes CAP_SYS_PTRACE, or the same user, to look at them"
        ));
    }
    inventory.hidden.push(match inventory.method {
        Method::Fdinfo => {
            "objects that no process has a descriptor of, names of objects, and what counts their references".to_owned()
        }
        _ => "counts of references, and which descriptors share an open file".to_owned(),
    });
}

/// What a link of /proc/PID/fd leads to, if it is an object.
fn kind(name: &str) -> Option<Kind> {
    // Since Linux 6.13 the names stand in brackets for some kinds.
    match name.strip_prefix("anon_inode:")?.trim_matches(['[', ']']) {
        "bpf-map" => Some(Kind::Map),
        "bpf-prog" => Some(Kind::Program),
        "bpf_link" | "bpf-link" => Some(Kind::Link),
        "btf" => Some(Kind::Btf),
        _ => None,
    }
}

fn hold(inventory: &mut Inventory, kind: Kind, at: At, fdinfo: &Fdinfo) {
    let unknown = inventory.method == Method::Fdinfo;
    let id = match kind {
        Kind::Map => fdinfo.map().map(|map| {
            if unknown {
                inventory.maps.insert(map.id, map.clone());
            }
            map.id
        }),
        Kind::Program => fdinfo.program().map(|program| {
            if unknown {
                inventory.programs.insert(program.id, program.clone());
            }
            program.id
        }),
        Kind::Link => fdinfo.link().map(|link| {
            if unknown {
                inventory.links.insert(link.id, link.clone());
            }
            link.id
        }),
        Kind::Btf => fdinfo.number("btf_id").and_then(|id| u32::try_from(id).ok()),
    };
    let Some(id) = id else { return };
    inventory
        .processes
        .entry(at.pid)
        .or_insert_with(|| Process { comm: processes::comm(at.pid), ..Process::default() });
    inventory.holds.push(Hold { object: ObjectId { kind, id }, by: Holder::Descriptor { at, file: None } });
}
