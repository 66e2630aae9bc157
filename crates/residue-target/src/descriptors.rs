//! Open descriptors of a live process: /proc/PID/fd and /proc/PID/fdinfo.
//!
//! Lines of `fdinfo`: `fs/proc/fd.c` (`flags`), `kernel/bpf/syscall.c` (`map_id`, `prog_id`, `link_id`) of the kernel.

use std::path::Path;

/// Descriptors that are looked at, at most: the kernel's own limit (`fs.nr_open`) is a million by default.
const DESCRIPTORS_MAX: usize = 1 << 20;
/// What an eBPF object is called in `fdinfo`. Links first: they tell their program, and some their map, too.
const IDS: [&str; 4] = ["link_id", "map_id", "prog_id", "btf_id"];

/// How it may be used (`O_ACCMODE` and its values), the same on all machines.
const ACCESS: u32 = 3;
/// Flags by their numbers (`include/uapi/asm-generic/fcntl.h` of the kernel); `O_SYNC` contains `O_DSYNC`, `O_TMPFILE`
/// `O_DIRECTORY`, so that the larger ones come first.
const FLAGS: [(u32, &str); 9] = [
    (0o4_010_000, "O_SYNC"),
    (0o20_000_000 | DIRECTORY, "O_TMPFILE"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "O_ASYNC"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];
/// Those that have numbers of their own on some machines (`arch/arm64/include/uapi/asm/fcntl.h`): here those of the machine
/// that this runs on, which is the one that the process runs on.
const DIRECTORY: u32 = if cfg!(target_arch = "aarch64") { 0o40_000 } else { 0o200_000 };
const OWN_FLAGS: [(u32, &str); 4] = if cfg!(target_arch = "aarch64") {
    [(DIRECTORY, "O_DIRECTORY"), (0o100_000, "O_NOFOLLOW"), (0o200_000, "O_DIRECT"), (0o400_000, "O_LARGEFILE")]
} else {
    [(DIRECTORY, "O_DIRECTORY"), (0o400_000, "O_NOFOLLOW"), (0o40_000, "O_DIRECT"), (0o100_000, "O_LARGEFILE")]
};

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
    /// The mount and the inode of what it leads to; none before Linux 5.14.
    pub inode: Option<(u64, u64)>,
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

    /// Whether it leads to what another of its number has led to before: to the same file, though that may have been moved or
    /// removed since.
    pub fn is_still(&self, before: &Self) -> bool {
        let is_path = self.link.starts_with('/') && before.link.starts_with('/');
        let same = match (self.inode, before.inode) {
            (Some(inode), Some(before_inode)) if is_path => inode == before_inode,
            // What has no path shares one inode with others of its kind, or is named by it.
            (inode, before_inode) => self.is_linked_as(before) && inode == before_inode,
        };
        same && self.id == before.id
    }

    fn is_linked_as(&self, other: &Self) -> bool {
        let path = |link: &str| link.strip_suffix(" (deleted)").unwrap_or(link).to_owned();
        path(&self.link) == path(&other.link)
    }

    /// The names of its flags, the way it may be used first; none when they aren't known. What has no name here is left out.
    pub fn flag_names(&self) -> Vec<&'static str> {
        let Some(flags) = self.flags else { return Vec::new() };
        let mut rest = flags & !ACCESS;
        let mut names = vec![match flags & ACCESS {
            0 => "O_RDONLY",
            1 => "O_WRONLY",
            2 => "O_RDWR",
            _ => "O_NOACCESS",
        }];
        for (bits, name) in FLAGS.into_iter().chain(OWN_FLAGS) {
            if rest & bits == bits {
                rest &= !bits;
                names.push(name);
            }
        }
        names
    }
}

/// Reads all descriptors, by number. Those that were closed meanwhile are left out.
pub(crate) fn read(pid: u32) -> std::io::Result<Vec<Descriptor>> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(process.join("fd"))?.flatten().take(DESCRIPTORS_MAX) {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(number.and_then(|number| one(&process, number)));
    }
    found.sort();
    Ok(found)
}

/// Reads one of the process with this directory in `/proc`; none when it isn't open.
pub(crate) fn one(process: &Path, number: u32) -> Option<Descriptor> {
    let name = number.to_string();
    let link = std::fs::read_link(process.join("fd").join(&name)).ok()?;
    let info = std::fs::read_to_string(process.join("fdinfo").join(&name)).unwrap_or_default();
    let value = |wanted: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':'));
        line.map(str::trim)
    };
    let inode = || Some((value("mnt_id")?.parse().ok()?, value("ino")?.parse().ok()?));
    Some(Descriptor {
        number,
        link: link.to_string_lossy().into_owned(),
        flags: value("flags").and_then(|flags| u32::from_str_radix(flags, 8).ok()),
        id: IDS.iter().find_map(|name| Some((*name, value(name)?.parse().ok()?))),
        inode: inode(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names() {
        let named = |flags: u32| {
            let descriptor = Descriptor { number: 3, link: String::new(), flags: Some(flags), id: None, inode: None };
            descriptor.flag_names().join("|")
        };
        assert_eq!(named(0), "O_RDONLY");
        assert_eq!(named(0o2_000_002), "O_RDWR|O_CLOEXEC");
        assert_eq!(named(0o6001), "O_WRONLY|O_APPEND|O_NONBLOCK");
        assert_eq!(named(0o4_010_000), "O_RDONLY|O_SYNC");
        assert_eq!(named(0o20_000_002 | DIRECTORY), "O_RDWR|O_TMPFILE");
        assert_eq!(named(DIRECTORY), "O_RDONLY|O_DIRECTORY");
        assert_eq!(named(1 << 31), "O_RDONLY");
    }

    #[test]
    fn a_file_that_is_moved_stays_the_same() {
        let of = |link: &str, inode, id: Option<u64>| Descriptor {
            number: 3,
            link: link.to_owned(),
            flags: None,
            id: id.map(|id| ("map_id", id)),
            inode,
        };
        let log = of("/var/log/a", Some((24, 7)), None);
        assert!(of("/var/log/a.1", Some((24, 7)), None).is_still(&log));
        assert!(of("/var/log/a (deleted)", Some((24, 7)), None).is_still(&log));
        assert!(!of("/var/log/a", Some((24, 8)), None).is_still(&log), "another one has its name");
        assert!(!of("/var/log/a", Some((25, 7)), None).is_still(&log), "it is on another mount");
        assert!(!of("socket:[7]", Some((9, 7)), None).is_still(&log));
        // Where the kernel doesn't tell inodes.
        let log = of("/var/log/a", None, None);
        assert!(of("/var/log/a (deleted)", None, None).is_still(&log));
        assert!(!of("/var/log/b", None, None).is_still(&log));
        // Maps share an inode.
        let map = of("anon_inode:bpf-map", Some((15, 2)), Some(4));
        assert!(map.is_still(&map) && !of("anon_inode:bpf-map", Some((15, 2)), Some(5)).is_still(&map));
        assert!(!of("anon_inode:bpf-prog", Some((15, 2)), Some(4)).is_still(&map));
    }
}
