//! ELF cores, as the kernel and gdb's `gcore` write them.
//!
//! Notes: `include/uapi/linux/elf.h` and `fs/binfmt_elf.c` of the kernel (`NT_PRSTATUS`, `NT_AUXV`, `NT_FILE`).

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use residue_gobin::{Arch, Elf};

use crate::packed;
use crate::program::Identity;
use crate::{Error, Mapping, Missing, Registers, Thread};

const NT_PRSTATUS: u32 = 1;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;
const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const AT_ENTRY: u64 = 9;
/// Threads and mapped files that are looked at, at most.
const ENTRIES_MAX: usize = 1 << 20;

/// Bytes of a file's name, as the kernel has it (`PATH_MAX`).
const NAME_BYTES_MAX: usize = 4096;
/// Bytes of all names that mappings are given, with one more for each: what is named a second time counts twice.
const NAMES_BYTES_MAX: usize = 16 << 20;

/// Bytes of memory, and where they are kept.
#[derive(Clone, Copy, Debug)]
struct Extent {
    address: u64,
    len: u64,
    /// In the core, else in the program's file.
    in_core: bool,
    offset: u64,
}

/// A core.
pub(crate) struct Core {
    data: Mmap,
    /// Sorted by address; they don't overlap.
    extents: Vec<Extent>,
    pub(crate) mappings: Vec<Mapping>,
    /// Where files were mapped, and which.
    pub(crate) files: Vec<(u64, u64, String)>,
    /// Where it lies.
    pub(crate) folder: PathBuf,
    pub(crate) threads: Vec<Thread>,
    pub(crate) missing: Missing,
    auxiliary: Auxiliary,
}

/// What the kernel told the program when it started (`AT_*`).
#[derive(Default)]
struct Auxiliary {
    entry: Option<u64>,
    headers: Option<u64>,
    header_count: u64,
}

impl Core {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::File(path.display().to_string(), error.to_string());
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::NotACore("it is no file".to_owned()));
        }
        let mut data = map(&file).map_err(failed)?;
        let mut damage = None;
        if let Some(packing) = packed::packing(&data) {
            let (unpacked, why) = packed::unpack(path, packing).map_err(Error::NotACore)?;
            data = map(&unpacked).map_err(failed)?;
            damage = why;
        }
        let Parts { extents, mappings, files, threads, mut missing, auxiliary } = Parts::read(&data)?;
        missing.damage = damage;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { data, extents, mappings, files, folder, threads, missing, auxiliary })
    }

    /// The address of the program's first instruction in memory.
    pub(crate) fn entry(&self) -> Option<u64> {
        self.auxiliary.entry
    }

    /// What the program's own notes in memory say it is.
    pub(crate) fn identity(&self) -> Identity {
        let bytes = |address: u64, len: u64| {
            let mut bytes = vec![0; usize::try_from(len).ok()?];
            (self.read(address, &mut bytes, &[]) == bytes.len()).then_some(bytes)
        };
        let Some(at) = self.auxiliary.headers else { return Identity::default() };
        Identity::in_memory(&bytes, at, self.auxiliary.header_count, None)
    }

    /// The file that is mapped where the program starts.
    pub(crate) fn program_path(&self) -> Option<PathBuf> {
        let entry = self.entry()?;
        let (_, _, name) = self.files.iter().find(|(start, end, _)| (*start..*end).contains(&entry))?;
        // So the kernel names a file that has been replaced.
        Some(PathBuf::from(OsString::from(name.strip_suffix(" (deleted)").unwrap_or(name))))
    }

    /// Lets what the core doesn't have, because the program's file does, be read from there. What can be written to has
    /// changed since: where that is missing, it is missing.
    pub(crate) fn add_program(&mut self, elf: &Elf<'_>, slide: u64, name: &str) {
        let mut added = Vec::new();
        for segment in elf.segments().iter().filter(|segment| !segment.writable) {
            let (start, end) = (
                segment.address.wrapping_add(slide),
                segment.address.wrapping_add(slide).saturating_add(segment.data.len() as u64),
            );
            // The gaps that the core leaves.
            let mut at = start;
            let first = self.extents.partition_point(|extent| extent.address.saturating_add(extent.len) <= start);
            for extent in self.extents[first..].iter().take_while(|extent| extent.address < end) {
                if at < extent.address {
                    let offset = segment.offset + (at - start);
                    added.push(Extent { address: at, len: extent.address - at, in_core: false, offset });
                }
                at = extent.address.saturating_add(extent.len);
            }
            if at < end {
                added.push(Extent {
                    address: at,
                    len: end - at,
                    in_core: false,
                    offset: segment.offset + (at - start),
                });
            }
        }
        // What the core doesn't even mention.
        for segment in elf.segments() {
            let start = segment.address.wrapping_add(slide);
            let known = self.mappings.iter().any(|mapping| (mapping.start..mapping.end).contains(&start));
            if !known {
                self.mappings.push(Mapping::of(segment, slide, name));
            }
        }
        self.mappings.sort_by_key(|mapping| mapping.start);
        self.extents.extend(added);
        self.extents.sort_by_key(|extent| extent.address);
    }

    pub(crate) fn read(&self, address: u64, buffer: &mut [u8], program: &[u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let Some(at) = address.checked_add(done as u64) else { break };
            let after = self.extents.partition_point(|extent| extent.address <= at);
            let Some(extent) = after.checked_sub(1).and_then(|index| self.extents.get(index)) else { break };
            let within = at - extent.address;
            if within >= extent.len {
                break;
            }
            let source = if extent.in_core { &self.data[..] } else { program };
            let wanted = (buffer.len() - done).min(usize::try_from(extent.len - within).unwrap_or(usize::MAX));
            let start = extent.offset.checked_add(within).and_then(|start| usize::try_from(start).ok());
            let Some(bytes) = start.and_then(|start| source.get(start..start.checked_add(wanted)?)) else { break };
            buffer[done..done + wanted].copy_from_slice(bytes);
            done += wanted;
        }
        done
    }
}

fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private and only read. Should the file be cut off by somebody else meanwhile, reading it ends
    // this process by SIGBUS, as for every reader of mapped files; no other harm is done.
    #[allow(unsafe_code, reason = "a core may be larger than memory")]
    unsafe {
        Mmap::map(file)
    }
}

/// What there is to know of a core.
#[derive(Default)]
struct Parts {
    extents: Vec<Extent>,
    mappings: Vec<Mapping>,
    files: Vec<(u64, u64, String)>,
    threads: Vec<Thread>,
    missing: Missing,
    auxiliary: Auxiliary,
}

impl Parts {
    fn read(data: &[u8]) -> Result<Self, Error> {
        let elf = Elf::parse(data).map_err(|error| Error::NotACore(error.to_string()))?;
        if !elf.core {
            return Err(Error::NotACore("it is a program".to_owned()));
        }
        let mut parts = Self::default();
        let mut end = 0;
        // Variables and the heap lie in memory that may be written to; a core without any was made by a filter.
        let mut written = false;
        let mut names_left = NAMES_BYTES_MAX;
        for segment in elf.segments().iter().take(ENTRIES_MAX) {
            parts.mappings.push(Mapping {
                start: segment.address,
                end: segment.address.saturating_add(segment.size),
                readable: true,
                writable: segment.writable,
                executable: segment.executable,
                name: String::new(),
            });
            let (missing, cut) = (&mut parts.missing, segment.file_size.saturating_sub(segment.data.len() as u64));
            missing.stored_bytes = missing.stored_bytes.saturating_add(segment.file_size);
            missing.cut_bytes = missing.cut_bytes.saturating_add(cut);
            written |= segment.writable && segment.file_size > 0;
            // What overlaps is not of a kernel's making.
            if segment.address >= end && !segment.data.is_empty() {
                let len = segment.data.len() as u64;
                parts.extents.push(Extent { address: segment.address, len, in_core: true, offset: segment.offset });
                end = segment.address.saturating_add(len);
            }
        }
        parts.missing.filtered = !written;
        for (name, kind, content) in elf.notes().into_iter().take(ENTRIES_MAX) {
            if name != b"CORE" {
                continue;
            }
            match kind {
                NT_PRSTATUS => parts.threads.extend(thread(content, elf.arch)),
                NT_AUXV => {
                    for pair in content.chunks_exact(16) {
                        let (key, value) = (word(pair, 0), word(pair, 8).unwrap_or(0));
                        match key {
                            Some(AT_ENTRY) => parts.auxiliary.entry = Some(value),
                            Some(AT_PHDR) => parts.auxiliary.headers = Some(value),
                            Some(AT_PHNUM) => parts.auxiliary.header_count = value,
                            _ => {}
                        }
                    }
                }
                NT_FILE => name_files(content, &mut parts.mappings, &mut parts.files, &mut names_left),
                _ => {}
            }
        }
        Ok(parts)
    }
}

fn word(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

/// `struct elf_prstatus`: the thread's id at 32, its general registers from 112 on.
fn thread(content: &[u8], arch: Arch) -> Option<Thread> {
    let tid = u64::from(u32::from_le_bytes(content.get(32..36)?.try_into().ok()?));
    let words: Vec<u64> = (0..33).map_while(|index| word(content, 112 + 8 * index)).collect();
    Some(Thread { tid, registers: Registers::of(&words, arch)? })
}

/// `NT_FILE`: count, page size, ranges with offsets, then names.
fn name_files(content: &[u8], mappings: &mut [Mapping], files: &mut Vec<(u64, u64, String)>, names_left: &mut usize) {
    let count = word(content, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(ENTRIES_MAX);
    let Some(names) = count.checked_mul(24).and_then(|size| content.get(16 + size..)) else { return };
    for (index, name) in names.split(|byte| *byte == 0).take(count).enumerate() {
        let (Some(start), Some(end)) = (word(content, 16 + 24 * index), word(content, 24 + 24 * index)) else { return };
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        let first = mappings.partition_point(|mapping| mapping.end <= start);
        for mapping in mappings[first..].iter_mut().take_while(|mapping| mapping.start < end) {
            let Some(left) = names_left.checked_sub(name.len() + 1) else { return };
            *names_left = left;
            mapping.name = String::from_utf8_lossy(name).into_owned();
        }
        // Debuggers may leave out of the core what the file has, mapping and all.
        let Some(left) = names_left.checked_sub(name.len() + 1) else { return };
        *names_left = left;
        files.push((start, end, String::from_utf8_lossy(name).into_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::PT_NOTE;

    /// A core for x86-64, ELF64 and little-endian, of segments (kind, address, bytes in the file, all at the same place) and what
    /// is there.
    fn core_of(segments: &[(u32, u64, u64)], content: &[u8]) -> Vec<u8> {
        let count = u16::try_from(segments.len()).expect("few enough");
        let start = 64 + 56 * u64::from(count);
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(16, 0);
        core.extend([4, 0, 62, 0, 1, 0, 0, 0]);
        core.extend([[0_u8; 8], 64_u64.to_le_bytes(), [0; 8]].concat());
        core.extend(
            [[0, 0, 0, 0, 64, 0, 56, 0], [count.to_le_bytes()[0], count.to_le_bytes()[1], 0, 0, 0, 0, 0, 0]].concat(),
        );
        for (kind, address, len) in segments {
            core.extend(kind.to_le_bytes().into_iter().chain(6_u32.to_le_bytes()));
            core.extend([start, *address, 0, *len, *len, 1].map(u64::to_le_bytes).concat());
        }
        core.extend(content);
        core
    }

    fn file_note(files: usize, name: &[u8]) -> Vec<u8> {
        let mut content = [(files as u64).to_le_bytes(), 4096_u64.to_le_bytes()].concat();
        for _ in 0..files {
            content.extend([0, 1 << 62, 0_u64].map(u64::to_le_bytes).concat());
        }
        for _ in 0..files {
            content.extend(name.iter().chain(&[0]));
        }
        let sizes = [5, u32::try_from(content.len()).expect("short enough"), NT_FILE];
        let mut note = [&sizes.map(u32::to_le_bytes).concat()[..], b"CORE\0\0\0\0", &content].concat();
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    #[test]
    fn a_small_core_cannot_ask_for_much() {
        let mapped = (0..60_000).map(|page| (1, 0x1000 * (page + 1), 8));
        // Names for all mappings, a long one and many.
        for (files, name) in [(1, vec![b'n'; 100_000]), (100_000, vec![b'n'])] {
            let note = file_note(files, &name);
            let segments: Vec<_> = mapped.clone().chain([(PT_NOTE, 0, note.len() as u64)]).collect();
            let parts = Parts::read(&core_of(&segments, &note)).expect("a core");
            let named: usize = parts.mappings.iter().map(|mapping| mapping.name.len()).sum();
            assert!(named > 0 && named <= NAMES_BYTES_MAX, "{named}");
            assert!(parts.mappings.iter().all(|mapping| mapping.name.len() <= NAME_BYTES_MAX));
        }
        // The same notes, again and again.
        let sizes = [5, 400, NT_PRSTATUS].map(u32::to_le_bytes).concat();
        let threads = [&sizes[..], b"CORE\0\0\0\0", &[0; 400]].concat().repeat(1000);
        let segments = vec![(PT_NOTE, 0, threads.len() as u64); 60_000];
        let parts = Parts::read(&core_of(&segments, &threads)).expect("a core");
        assert_eq!(parts.threads.len(), ENTRIES_MAX);
    }

    #[test]
    fn sizes_that_lie_are_only_numbers() {
        // ELF64, little-endian; a core for x86-64, whose two segments say that they fill all there is.
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(16, 0);
        core.extend([4, 0, 62, 0, 1, 0, 0, 0]);
        core.extend([[0_u8; 8], 64_u64.to_le_bytes(), [0; 8]].concat());
        core.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        for address in [0x1000_u64, u64::MAX - 10] {
            core.extend([1, 0, 0, 0, 6, 0, 0, 0]);
            core.extend([0_u64, address, 0, u64::MAX, u64::MAX, 1].map(u64::to_le_bytes).concat());
        }
        let parts = Parts::read(&core).expect("a core");
        assert_eq!(parts.missing.stored_bytes, u64::MAX);
        assert_eq!(parts.extents.len(), 2);
        assert!(!parts.missing.filtered);
    }
}
