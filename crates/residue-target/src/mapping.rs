//! What a process has mapped.

use residue_gobin::Segment;

/// Mappings that are looked at, at most; the kernel's own default limit is 65,530.
const MAPPINGS_MAX: usize = 1 << 20;

/// A range of a process's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    /// It may be read.
    pub readable: bool,
    /// It may be written to.
    pub writable: bool,
    /// It may be executed.
    pub executable: bool,
    /// The file, or the kernel's name for it (`[heap]`, `[stack]`); empty for anonymous memory.
    pub name: String,
}

impl Mapping {
    /// Where a segment of a file lies.
    pub(crate) fn of(segment: &Segment<'_>, slide: u64, name: &str) -> Self {
        let start = segment.address.wrapping_add(slide);
        Self {
            start,
            end: start.saturating_add(segment.size),
            readable: true,
            writable: segment.writable,
            executable: segment.executable,
            name: name.to_owned(),
        }
    }
}

/// Reads `/proc/PID/maps`, sorted as it is. Lines that can't be read are left out.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has it"))]
pub(crate) fn parse(text: &str) -> Vec<Mapping> {
    let line = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let flags = words.next()?.as_bytes();
        // Offset, device, inode; then blanks and the name.
        let name = words.nth(3).unwrap_or_default().trim();
        Some(Mapping {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            readable: flags.first() == Some(&b'r'),
            writable: flags.get(1) == Some(&b'w'),
            executable: flags.get(2) == Some(&b'x'),
            name: name.to_owned(),
        })
    };
    text.lines().take(MAPPINGS_MAX).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        let text =
            "00400000-00512000 r-xp 00000000 fd:01 42   /opt/a b\n7ffc0-7ffd0 rw-p 00000000 00:00 0 \nnonsense\n";
        let mappings = parse(text);
        assert_eq!(mappings.len(), 2);
        assert_eq!((mappings[0].start, mappings[0].end), (0x40_0000, 0x51_2000));
        assert_eq!((mappings[0].readable, mappings[0].writable, mappings[0].executable), (true, false, true));
        assert_eq!(mappings[0].name, "/opt/a b");
        assert_eq!(mappings[1].name, "");
    }
}
