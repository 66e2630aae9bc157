//! Open descriptors of a live process: /proc/PID/fd and /proc/PID/fdinfo.
//!
//! Lines of `fdinfo`: `fs/proc/fd.c` (`flags`), `kernel/bpf/syscall.c` (`map_id`, `prog_id`, `link_id`) of the kernel.

use std::path::Path;

/// Descriptors that are looked at, at most: the kernel's own limit (`fs.nr_open`) is a million by default.
const DESCRIPTORS_MAX: usize = 1 << 20;
/// What an eBPF object is called in `fdinfo`.
const IDS: [&str; 4] = ["map_id", "prog_id", "link_id", "btf_id"];

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// What it leads to, as the kernel shows it: a path, `socket:[1234]`, `anon_inode:bpf-map`.
    pub link: String,
    /// The flags it was opened with (`O_CLOEXEC` and so on), in octal as the kernel has them.
    pub flags: Option<u32>,
    /// The kernel's number of the eBPF object, with what kind of number that is: `map_id`, `prog_id`, `link_id`.
    pub id: Option<(&'static str, u64)>,
}

impl Descriptor {
    /// What kind of thing it is, in a word.
    pub fn kind(&self) -> &str {
        if self.link.starts_with('/') {
            return if self.link.starts_with("/dev/") { "device" } else { "file" };
        }
        match self.link.split_once(':') {
            Some(("anon_inode", name)) => name.trim_start_matches('[').trim_end_matches(']'),
            Some((kind, _)) => kind,
            None => "other",
        }
    }
}

/// Reads all descriptors, by number. Those that were closed meanwhile are left out.
pub(crate) fn read(pid: u32) -> std::io::Result<Vec<Descriptor>> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(process.join("fd"))?.flatten().take(DESCRIPTORS_MAX) {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(link) = std::fs::read_link(entry.path()) else { continue };
        let info = std::fs::read_to_string(process.join("fdinfo").join(entry.file_name())).unwrap_or_default();
        let value = |wanted: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':'));
            line.map(str::trim)
        };
        found.push(Descriptor {
            number,
            link: link.to_string_lossy().into_owned(),
            flags: value("flags").and_then(|flags| u32::from_str_radix(flags, 8).ok()),
            id: IDS.iter().find_map(|name| Some((*name, value(name)?.parse().ok()?))),
        });
    }
    found.sort();
    Ok(found)
}
