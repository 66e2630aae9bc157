//! ELF cores, as the kernel and gdb's `gcore` write them.
//!
//! Notes: `include/uapi/linux/elf.h` and `fs/binfmt_elf.c` of the kernel (`NT_PRSTATUS`, `NT_AUXV`, `NT_FILE`).

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use residue_gobin::{Arch, Elf};

use crate::{Error, Mapping, Registers, Thread};

const NT_PRSTATUS: u32 = 1;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;
const AT_ENTRY: u64 = 9;
/// Threads and mapped files that are looked at, at most.
const ENTRIES_MAX: usize = 1 << 20;

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
    pub(crate) threads: Vec<Thread>,
    entry: Option<u64>,
}

impl Core {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::File(path.display().to_string(), error.to_string());
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::NotACore("it is no file".to_owned()));
        }
        // SAFETY: the mapping is private and only read. Should the file be cut off by somebody else meanwhile, reading it
        // ends this process by SIGBUS, as for every reader of mapped files; no other harm is done.
        #[allow(unsafe_code, reason = "a core may be larger than memory")]
        let data = unsafe { Mmap::map(&file) }.map_err(failed)?;
        let packed = [(&b"\x28\xb5\x2f\xfd"[..], "zstd"), (&b"\x04\x22\x4d\x18"[..], "lz4"), (&b"\xfd7zXZ"[..], "xz")];
        if let Some((_, tool)) = packed.iter().find(|(magic, _)| data.starts_with(magic)) {
            return Err(Error::NotACore(format!("it is compressed; `{tool} -d` unpacks it")));
        }
        let parts = Parts::read(&data)?;
        let Parts { extents, mappings, threads, entry } = parts;
        Ok(Self { data, extents, mappings, threads, entry })
    }

    /// The address of the program's first instruction in memory.
    pub(crate) fn entry(&self) -> Option<u64> {
        self.entry
    }

    /// The file that is mapped where the program starts.
    pub(crate) fn program_path(&self) -> Option<PathBuf> {
        let entry = self.entry?;
        let holds = |mapping: &&Mapping| mapping.start <= entry && entry < mapping.end && !mapping.name.is_empty();
        self.mappings.iter().find(holds).map(|mapping| PathBuf::from(OsString::from(&mapping.name)))
    }

    /// Lets what the core doesn't have, because the program's file does, be read from there.
    pub(crate) fn add_program(&mut self, elf: &Elf<'_>, slide: u64) {
        let mut added = Vec::new();
        for segment in elf.segments() {
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

/// What there is to know of a core.
struct Parts {
    extents: Vec<Extent>,
    mappings: Vec<Mapping>,
    threads: Vec<Thread>,
    entry: Option<u64>,
}

impl Parts {
    fn read(data: &[u8]) -> Result<Self, Error> {
        let elf = Elf::parse(data).map_err(|error| Error::NotACore(error.to_string()))?;
        if !elf.core {
            return Err(Error::NotACore("it is a program".to_owned()));
        }
        let mut parts = Self { extents: Vec::new(), mappings: Vec::new(), threads: Vec::new(), entry: None };
        let mut end = 0;
        for segment in elf.segments().iter().take(ENTRIES_MAX) {
            parts.mappings.push(Mapping {
                start: segment.address,
                end: segment.address.saturating_add(segment.size),
                readable: true,
                writable: segment.writable,
                executable: segment.executable,
                name: String::new(),
            });
            // What overlaps is not of a kernel's making.
            if segment.address >= end && !segment.data.is_empty() {
                let len = segment.data.len() as u64;
                parts.extents.push(Extent { address: segment.address, len, in_core: true, offset: segment.offset });
                end = segment.address.saturating_add(len);
            }
        }
        for (name, kind, content) in elf.notes().into_iter().take(ENTRIES_MAX) {
            if name != b"CORE" {
                continue;
            }
            match kind {
                NT_PRSTATUS => parts.threads.extend(thread(content, elf.arch)),
                NT_AUXV => {
                    let pairs = content.chunks_exact(16);
                    let entry = pairs.filter_map(|pair| Some((word(pair, 0)?, word(pair, 8)?)));
                    parts.entry = entry.into_iter().find(|(key, _)| *key == AT_ENTRY).map(|(_, value)| value);
                }
                NT_FILE => name_files(content, &mut parts.mappings),
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
    let register = |index: usize| word(content, 112 + 8 * index);
    let registers = match arch {
        Arch::Amd64 => Registers { pc: register(16)?, sp: register(19)?, lr: 0 },
        Arch::Arm64 => Registers { pc: register(32)?, sp: register(31)?, lr: register(30)? },
    };
    Some(Thread { tid, registers })
}

/// `NT_FILE`: count, page size, ranges with offsets, then names.
fn name_files(content: &[u8], mappings: &mut [Mapping]) {
    let count = word(content, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(ENTRIES_MAX);
    let Some(names) = count.checked_mul(24).and_then(|size| content.get(16 + size..)) else { return };
    for (index, name) in names.split(|byte| *byte == 0).take(count).enumerate() {
        let (Some(start), Some(end)) = (word(content, 16 + 24 * index), word(content, 24 + 24 * index)) else { return };
        let first = mappings.partition_point(|mapping| mapping.end <= start);
        for mapping in mappings[first..].iter_mut().take_while(|mapping| mapping.start < end) {
            mapping.name = String::from_utf8_lossy(name).into_owned();
        }
    }
}
