//! `struct bpf_map_info` and its like as bytes, made into the model. Offsets are those of include/uapi/linux/bpf.h; fields
//! were only ever added at the end, so what an older kernel doesn't fill in is 0.

use residue_fd::objects::{Btf, Link, Map, Point, Program};

use super::fdinfo::Fdinfo;
use super::record::text;

/// Words that hold the largest of these structures.
pub(super) const WORDS: usize = 32;

/// A structure as the kernel filled it in.
pub(super) struct Info(Vec<u8>);

impl Info {
    pub(super) fn new(words: &[u64; WORDS]) -> Self {
        Self(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
    }

    fn text(&self, at: usize, len: usize) -> String {
        self.0.get(at..at + len).map(text).unwrap_or_default()
    }
}

/// `struct bpf_map_info`.
pub(super) fn map(info: &Info) -> Map {
    Map {
        id: info.u32(4),
        name: info.text(24, 16),
        map_type: info.u32(0),
        key_size: info.u32(8),
        value_size: info.u32(12),
        max_entries: info.u32(16),
        flags: info.u32(20),
        btf_id: info.u32(64),
        ifindex: info.u32(40),
        memory: None,
        frozen: None,
        counts: None,
        owner: None,
        struct_ops: None,
    }
}

/// Of a `struct_ops` map: the BTF object and the type of its value, 0 for none.
pub(super) fn struct_ops_type(info: &Info) -> (u32, u32) {
    (info.u32(76), info.u32(44))
}

/// Where `struct bpf_prog_info` has the pointer to ids of maps (in words) and their number (in halves of words).
pub(super) const PROGRAM_MAP_IDS: (usize, usize) = (7, 13);

/// `struct bpf_prog_info`; `maps` is the buffer that it points to.
pub(super) fn program(info: &Info, maps: &[u32], fdinfo: &Fdinfo) -> Program {
    let tag = info.0.get(8..16).and_then(|tag| tag.try_into().ok()).map_or(0, u64::from_be_bytes);
    let some = |number: u32| (number != 0).then_some(number);
    Program {
        id: info.u32(4),
        name: info.text(64, 16),
        tag: format!("{tag:016x}"),
        program_type: info.u32(0),
        loaded_ns: Some(info.u64(40)),
        uid: Some(info.u32(48)),
        translated_bytes: some(info.u32(20)),
        jited_bytes: some(info.u32(16)),
        memory: fdinfo.number("memlock"),
        maps: maps.iter().take(info.u32(52) as usize).copied().collect(),
        btf_id: info.u32(128),
        verified_instructions: some(info.u32(216)),
        runs: info.u64(200),
        run_time_ns: info.u64(192),
        target_btf: (info.u32(220), info.u32(224)),
        target_program: 0,
        target: None,
        refs: None,
    }
}

/// Where `struct bpf_btf_info` has the pointer to its name and the number of its bytes.
pub(super) const BTF_NAME: (usize, usize) = (2, 6);

/// `struct bpf_btf_info`; `name` is the buffer that it points to.
pub(super) fn btf(info: &Info, name: &[u8]) -> Btf {
    Btf { id: info.u32(12), name: text(name), size: info.u32(8), kernel: info.u32(28) != 0 }
}

/// Types of links: `enum bpf_link_type`.
const RAW_TRACEPOINT: u32 = 1;
const TRACING: u32 = 2;
const CGROUP: u32 = 3;
const ITER: u32 = 4;
const NETNS: u32 = 5;
const XDP: u32 = 6;
const PERF_EVENT: u32 = 7;
const KPROBE_MULTI: u32 = 8;
const STRUCT_OPS: u32 = 9;
const NETFILTER: u32 = 10;
const TCX: u32 = 11;
const UPROBE_MULTI: u32 = 12;
const NETKIT: u32 = 13;
const SOCKMAP: u32 = 14;

/// Types of perf events with a link: `enum bpf_perf_event_type`.
const PERF_UPROBE: u32 = 1;
const PERF_URETPROBE: u32 = 2;
const PERF_KPROBE: u32 = 3;
const PERF_KRETPROBE: u32 = 4;
const PERF_TRACEPOINT: u32 = 5;
const PERF_EVENT_EVENT: u32 = 6;

/// Where `struct bpf_link_info` has the pointer to a text (in words) and its length (in halves of words), by what the
/// structure says without one.
pub(super) fn link_text(info: &Info) -> Option<(usize, usize)> {
    match info.u32(0) {
        RAW_TRACEPOINT | ITER => Some((2, 6)),
        UPROBE_MULTI => Some((2, 12)),
        PERF_EVENT if matches!(info.u32(16), PERF_UPROBE..=PERF_TRACEPOINT) => Some((3, 8)),
        _ => None,
    }
}

/// `struct bpf_link_info`; `name` is the text it points to, if any.
pub(super) fn link(info: &Info, name: &[u8]) -> Link {
    let link_type = info.u32(0);
    let name = text(name);
    let mut point = Point::default();
    let mut map = 0;
    let device = |point: &mut Point, attach_type: Option<u32>| {
        point.attach_type = attach_type;
        // The index is set to 0 when the device goes.
        point.gone = info.u32(16) == 0;
        point.add("ifindex", info.u32(16).to_string());
    };
    match link_type {
        RAW_TRACEPOINT => point.add("tracepoint", name),
        TRACING => {
            point.attach_type = Some(info.u32(16));
            point.add("target_object", info.u32(20).to_string());
            point.add("target_type", info.u32(24).to_string());
        }
        CGROUP => {
            point.attach_type = Some(info.u32(24));
            point.gone = info.u64(16) == 0;
            point.add("cgroup_id", info.u64(16).to_string());
        }
        ITER => {
            point.add("iterates", name.clone());
            match &*name {
                "bpf_map_elem" | "bpf_sk_storage_map" | "sockmap" => map = info.u32(28),
                "cgroup" if info.u64(32) != 0 => point.add("cgroup_id", info.u64(32).to_string()),
                "task" | "task_file" | "task_vma" if info.u32(36) != 0 => point.add("pid", info.u32(36).to_string()),
                "task" | "task_file" | "task_vma" if info.u32(32) != 0 => point.add("tid", info.u32(32).to_string()),
                _ => {}
            }
        }
        NETNS => {
            point.attach_type = Some(info.u32(20));
            point.gone = info.u32(16) == 0;
            point.add("netns", info.u32(16).to_string());
        }
        XDP => device(&mut point, None),
        TCX | NETKIT => device(&mut point, Some(info.u32(20))),
        STRUCT_OPS => map = info.u32(16),
        SOCKMAP => {
            point.attach_type = Some(info.u32(20));
            map = info.u32(16);
            point.gone = map == 0;
        }
        NETFILTER => {
            point.add("family", netfilter_family(info.u32(16)));
            point.add("hook", info.u32(20).to_string());
            point.add("priority", info.u32(24).cast_signed().to_string());
        }
        KPROBE_MULTI => {
            point.add("functions", info.u32(24).to_string());
            point.add("returns", if info.u32(28) & 1 == 0 { "no" } else { "yes" });
        }
        UPROBE_MULTI => {
            point.add("file", name);
            point.add("places", info.u32(52).to_string());
            point.add("returns", if info.u32(56) & 1 == 0 { "no" } else { "yes" });
            if info.u32(60) != 0 {
                point.add("pid", info.u32(60).to_string());
            }
        }
        PERF_EVENT => perf_event(info, name, &mut point),
        _ => {}
    }
    Link { id: info.u32(4), link_type, program: info.u32(8), map, point, ..Link::default() }
}

fn perf_event(info: &Info, name: String, point: &mut Point) {
    match info.u32(16) {
        probe @ (PERF_UPROBE | PERF_URETPROBE) => {
            point.add("event", if probe == PERF_UPROBE { "uprobe" } else { "uretprobe" });
            point.add("file", name);
            point.add("offset", format!("{:#x}", info.u32(36)));
        }
        probe @ (PERF_KPROBE | PERF_KRETPROBE) => {
            point.add("event", if probe == PERF_KPROBE { "kprobe" } else { "kretprobe" });
            point.add("function", name);
            point.add("offset", format!("{:#x}", info.u32(36)));
        }
        PERF_TRACEPOINT => {
            point.add("event", "tracepoint");
            point.add("tracepoint", name);
        }
        PERF_EVENT_EVENT => {
            point.add("event", "perf");
            point.add("perf_type", info.u32(32).to_string());
            point.add("perf_config", format!("{:#x}", info.u64(24)));
        }
        // Before Linux 6.6 nothing is told.
        _ => {}
    }
}

/// `NFPROTO_…`, include/uapi/linux/netfilter.h.
fn netfilter_family(number: u32) -> String {
    match number {
        2 => "ipv4".to_owned(),
        10 => "ipv6".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(fields: &[(usize, u32)]) -> Info {
        let mut bytes = vec![0; WORDS * 8];
        for (at, value) in fields {
            bytes[*at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        Info(bytes)
    }

    #[test]
    fn places_of_links_are_told() {
        let tcx = link(&info(&[(0, TCX), (4, 9), (8, 44), (16, 3), (20, 46)]), b"");
        assert_eq!((tcx.id, tcx.program, tcx.point.attach_type, tcx.point.gone), (9, 44, Some(46), false));
        assert_eq!(tcx.point.place, [("ifindex", "3".to_owned())]);
        assert!(link(&info(&[(0, TCX)]), b"").point.gone);
        let uprobe = info(&[(0, PERF_EVENT), (16, PERF_UPROBE), (36, 0x40)]);
        assert_eq!(link_text(&uprobe), Some((3, 8)));
        let place = link(&uprobe, b"/bin/x\0rest").point.place;
        assert_eq!(place[1..], [("file", "/bin/x".to_owned()), ("offset", "0x40".to_owned())]);
        // A type of the future.
        assert_eq!(link(&info(&[(0, 99)]), b"").point, Point::default());
    }
}
