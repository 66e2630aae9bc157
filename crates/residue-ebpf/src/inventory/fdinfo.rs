//! Files of /proc/PID/fdinfo: a key, a colon and a value on each line (Documentation/filesystems/proc.rst).

use std::os::fd::{AsRawFd as _, BorrowedFd};

use residue_fd::objects::{Link, Map, Owner, Point, Program, link_type_number};

/// Bytes that are read of a file; an `io_uring` with many entries tells more.
const BYTES_MAX: u64 = 1 << 20;

/// What the kernel says of one descriptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fdinfo(String);

impl Fdinfo {
    /// Of a descriptor of this process; empty if it can't be read.
    pub(super) fn own(fd: BorrowedFd<'_>) -> Self {
        Self::read(&format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))
    }

    pub(crate) fn read(path: &str) -> Self {
        use std::io::Read as _;
        let mut bytes = vec![0; 4096];
        let Ok(mut file) = std::fs::File::open(path) else { return Self::default() };
        let Ok(read) = file.read(&mut bytes) else { return Self::default() };
        bytes.truncate(read);
        // The kernel gives as much as fits; what is shorter by some lines has been given whole.
        if read > 2048 && file.take(BYTES_MAX).read_to_end(&mut bytes).is_err() {
            return Self::default();
        }
        Self(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The value of the first line with that key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(found, _)| *found == key).map(|(_, value)| value.trim())
    }

    /// As [`Fdinfo::get`], as a number, which the kernel writes in decimal or with `0x`.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// In how many lines a text stands.
    pub(super) fn count(&self, text: &str) -> u64 {
        self.0.lines().filter(|line| line.contains(text)).count() as u64
    }

    fn half(&self, key: &str) -> u32 {
        self.number(key).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    /// As much of a map as is told (`bpf_map_show_fdinfo`, kernel/bpf/syscall.c).
    pub(super) fn map(&self) -> Option<Map> {
        Some(Map {
            id: u32::try_from(self.number("map_id")?).ok()?,
            map_type: self.half("map_type"),
            key_size: self.half("key_size"),
            value_size: self.half("value_size"),
            max_entries: self.half("max_entries"),
            flags: self.half("map_flags"),
            memory: self.number("memlock"),
            frozen: self.number("frozen").map(|frozen| frozen != 0),
            owner: self.owner(),
            ..Map::default()
        })
    }

    /// What programs an array of programs takes.
    pub(super) fn owner(&self) -> Option<Owner> {
        let program_type = u32::try_from(self.number("owner_prog_type")?).ok()?;
        Some(Owner { program_type, jited: self.number("owner_jited") == Some(1) })
    }

    /// As much of a program as is told (`bpf_prog_show_fdinfo`).
    pub(super) fn program(&self) -> Option<Program> {
        Some(Program {
            id: u32::try_from(self.number("prog_id")?).ok()?,
            program_type: self.half("prog_type"),
            tag: self.get("prog_tag").unwrap_or_default().to_owned(),
            memory: self.number("memlock"),
            verified_instructions: Some(self.half("verified_insns")).filter(|count| *count > 0),
            runs: self.number("run_cnt").unwrap_or(0),
            run_time_ns: self.number("run_time_ns").unwrap_or(0),
            ..Program::default()
        })
    }

    /// As much of a link as is told (`bpf_link_show_fdinfo`).
    pub(super) fn link(&self) -> Option<Link> {
        let mut point = Point::default();
        for (key, place) in [("tp_name", "tracepoint"), ("ifindex", "ifindex"), ("cgroup_id", "cgroup_id")] {
            if let Some(value) = self.get(key) {
                point.add(place, value);
            }
        }
        Some(Link {
            id: u32::try_from(self.number("link_id")?).ok()?,
            link_type: self.get("link_type").and_then(link_type_number).unwrap_or(0),
            program: self.half("prog_id"),
            point,
            ..Link::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let map = "pos:\t0\nflags:\t02000002\nmap_type:\t2\nkey_size:\t4\nvalue_size:\t8\nmax_entries:\t16\n\
                   map_flags:\t0x400\nmap_extra:\t0x0\nmemlock:\t4096\nmap_id:\t77\nfrozen:\t0\n";
        let map = Fdinfo(map.to_owned()).map().expect("a map");
        assert_eq!((map.id, map.flags, map.memory, map.frozen), (77, 0x400, Some(4096), Some(false)));
        let array = Fdinfo("map_type:\t3\nmap_id:\t5\nowner_prog_type:\t1\nowner_jited:\t1\n".to_owned());
        assert_eq!(array.map().and_then(|map| map.owner), Some(Owner { program_type: 1, jited: true }));
        let link = "link_type:\ttcx\nlink_id:\t4\nprog_tag:\tc0ffee\nprog_id:\t9\nifindex:\tlo (1)\n";
        let link = Fdinfo(link.to_owned()).link().expect("a link");
        assert_eq!((link.id, link.link_type, link.program), (4, 11, 9));
        for odd in ["", "map_id", "map_id:\tx", "map_id:\t99999999999", ":\n::\n\0"] {
            assert_eq!(Fdinfo(odd.to_owned()).map(), None, "{odd:?}");
        }
    }
}
