//! Who holds something: the name, the user, the container, and whether Go built the program.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use residue_fd::objects::Inventory;

use crate::containers::Containers;

/// Processes that are asked for their program.
const PROGRAMS_MAX: usize = 4096;
/// Bytes of a table of sections, and sections in it.
const SECTIONS_MAX: u64 = 1 << 10;

/// Fills in what is known of each process that holds something.
pub(super) fn read(inventory: &mut Inventory) {
    for pid in inventory.holds.iter().filter_map(|hold| hold.by.pid()) {
        inventory.processes.entry(pid).or_default();
    }
    let mut containers = Containers::default();
    for (index, (pid, process)) in inventory.processes.iter_mut().enumerate() {
        if process.comm.is_empty() {
            process.comm = comm(*pid);
        }
        process.uid = std::fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid());
        process.place = containers.of(*pid).map(|place| (*place).clone());
        if index < PROGRAMS_MAX {
            process.go = File::open(format!("/proc/{pid}/exe")).ok().and_then(|program| go_version(&program));
        }
    }
}

/// The name of a process; empty when it has gone.
pub(super) fn comm(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned()
}

/// Processes that there are.
pub(super) fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The release of Go that built a program: `go1.26.8`, or just `go` where it doesn't tell. Reads the headers of the file and
/// the start of a section, not the file.
///
/// The header is that of debug/buildinfo, src/debug/buildinfo/buildinfo.go of Go 1.18: 14 bytes of magic, the size of a
/// pointer, flags; with flag 2 a length and the version itself from byte 32 on.
fn go_version(program: &File) -> Option<String> {
    let mut header = [0; 64];
    program.read_exact_at(&mut header, 0).ok()?;
    // 64-bit, least byte first.
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size) = (long(&header, 0x28)?, u64::from(short(&header, 0x3a)?));
    let (count, names) = (u64::from(short(&header, 0x3c)?), u64::from(short(&header, 0x3e)?));
    if size < 64 || count > SECTIONS_MAX || names >= count {
        return None;
    }
    let section = |index: u64| {
        let mut bytes = [0; 64];
        program.read_exact_at(&mut bytes, table.checked_add(index * size)?).ok()?;
        Some(bytes)
    };
    let texts = long(&section(names)?, 0x18)?;
    for index in 0..count {
        let bytes = section(index)?;
        let mut name = [0; 15];
        let at = texts.checked_add(u64::from(word(&bytes, 0)?))?;
        if program.read_at(&mut name, at).is_err()
            || &name != b".go.buildinfo\0\0" && !name.starts_with(b".go.buildinfo\0")
        {
            continue;
        }
        let mut start = [0; 160];
        let read = program.read_at(&mut start, long(&bytes, 0x18)?).ok()?;
        let start = &start[..read];
        let inline = start.starts_with(b"\xff Go buildinf:") && start.get(15).is_some_and(|flags| flags & 2 != 0);
        // A length below 128 is one byte; a version is shorter.
        let len = usize::from(*start.get(32)?);
        let version = start.get(33..33 + len).filter(|_| inline && len < 128);
        return Some(version.map_or_else(|| "go".to_owned(), |text| String::from_utf8_lossy(text).into_owned()));
    }
    None
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
