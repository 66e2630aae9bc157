//! Files that a target has mapped beside its program: shared libraries, of which plugins are.
//!
//! The file is that of a live process, whatever has become of its name, or the one that a core names; it has to have the same
//! identity as what is mapped. Where there is none, what memory has of it does, put together as the file would be.

use std::path::Path;

use residue_gobin::Elf;

use crate::program::{self, Identity, PROGRAM_BYTES_MAX};
use crate::{Mapping, Memory, Target};

/// Bytes of a library that are put together from memory, at most.
const IMAGE_BYTES_MAX: u64 = 1 << 30;
/// Segments of a library.
const SEGMENTS_MAX: usize = 64;
/// `Elf64_Ehdr` and `Elf64_Phdr`.
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
/// Where the header has the place of program headers, their number, and what it says of sections.
const HEADERS_AT: usize = 32;
const HEADER_COUNT_AT: usize = 56;
const SECTIONS_AT: [std::ops::Range<usize>; 2] = [40..48, 58..64];
const PAGE_BYTES: u64 = 4096;

/// A file that is mapped into a target.
#[derive(Debug)]
pub struct Library {
    /// Its path, as the target has it.
    pub path: String,
    /// What is added to addresses of the file to have those in memory.
    pub slide: u64,
    /// The file; of one that can't be had, what of it is in memory. Empty when that isn't known either.
    pub bytes: Vec<u8>,
    /// It is put together from memory.
    pub from_memory: bool,
    /// What can't be written to: address in memory, place in the file, length. None of what memory has anyway.
    fixed: Vec<(u64, usize, usize)>,
    /// What is mapped of it, by its own headers.
    pub(crate) mappings: Vec<Mapping>,
}

impl Library {
    /// The files that are mapped at addresses; none where nothing is.
    pub(crate) fn all(target: &Target, addresses: &[u64]) -> Vec<(u64, Option<Self>)> {
        let named = target.named_ranges();
        let mut left = PROGRAM_BYTES_MAX;
        let one = |address: &u64| {
            let library = Self::at(target, &named, *address, left);
            // A file may grow while it is read.
            left = left.saturating_sub(library.as_ref().map_or(0, |library| library.bytes.len() as u64));
            (*address, library)
        };
        addresses.iter().map(one).collect()
    }

    /// The file that is mapped at an address, of so many bytes at most.
    fn at(target: &Target, named: &[(u64, u64, String)], address: u64, bytes_max: u64) -> Option<Self> {
        let after = named.partition_point(|(start, ..)| *start <= address);
        let index = after.checked_sub(1).filter(|index| address < named[*index].1)?;
        let name = &named[index].2;
        // One after the other; the first has the headers.
        let first = named[..=index].iter().rposition(|(.., other)| other != name).map_or(0, |before| before + 1);
        let base = named[first].0;
        let header = target.read_up_to(base, HEADER_BYTES);
        let headers = (header.starts_with(b"\x7fELF") && header.len() == HEADER_BYTES).then(|| {
            let count = u16::from_le_bytes([header[HEADER_COUNT_AT], header[HEADER_COUNT_AT + 1]]);
            (word(&header, HEADERS_AT), u64::from(count))
        });
        let identity = headers.map_or_else(Identity::default, |(at, count)| {
            let bytes = |address: u64, len: u64| {
                let len = usize::try_from(len).ok()?;
                Some(target.read_up_to(address, len)).filter(|bytes| bytes.len() == len)
            };
            Identity::in_memory(&bytes, base.wrapping_add(at), count, Some(base))
        });
        let path = name.strip_suffix(" (deleted)").unwrap_or(name).to_owned();
        let places = target.places_of(named[index].0, named[index].1, Path::new(&path));
        let file = places.iter().find_map(|place| {
            let bytes = program::read(place, bytes_max).ok()?;
            (identity.matches(&program::of_file(&bytes)) != Some(false)).then_some(bytes)
        });
        let from_memory = file.is_none();
        let bytes = file.or_else(|| {
            let (at, count) = headers?;
            image(target, base, header, at, count, bytes_max.min(IMAGE_BYTES_MAX))
        });
        let mut library = Self {
            path,
            slide: base,
            bytes: bytes.unwrap_or_default(),
            from_memory,
            fixed: Vec::new(),
            mappings: Vec::new(),
        };
        library.describe();
        Some(library)
    }

    /// Says where its parts are.
    fn describe(&mut self) {
        let Ok(elf) = Elf::parse(&self.bytes) else { return };
        let first = elf.segments().first().map_or(0, |segment| segment.address / PAGE_BYTES * PAGE_BYTES);
        self.slide = self.slide.wrapping_sub(first);
        for segment in elf.segments().iter().take(SEGMENTS_MAX) {
            let start = segment.address.wrapping_add(self.slide);
            let place = usize::try_from(segment.offset).unwrap_or(usize::MAX);
            if !segment.writable && !self.from_memory {
                self.fixed.push((start, place, segment.data.len()));
            }
            self.mappings.push(Mapping::of(segment, self.slide, &self.path));
        }
    }

    /// Reads what a core may lack because the file has it.
    pub(crate) fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let found = self.fixed.iter().find_map(|(start, place, len)| {
            let within = usize::try_from(address.checked_sub(*start)?).ok().filter(|within| within < len)?;
            self.bytes.get(*place..)?.get(within..*len)
        });
        let Some(bytes) = found else { return 0 };
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        len
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// A file as its segments in memory make it: without sections, and with zeros for what can't be read.
fn image(memory: &dyn Memory, base: u64, mut header: Vec<u8>, at: u64, count: u64, bytes_max: u64) -> Option<Vec<u8>> {
    for range in SECTIONS_AT {
        header[range].fill(0);
    }
    let table = memory.read_up_to(base.checked_add(at)?, usize::try_from(count).ok()? * PROGRAM_HEADER_BYTES);
    let headers = table.chunks_exact(PROGRAM_HEADER_BYTES);
    // Place in the file, address, bytes in the file, of segments that are loaded (`PT_LOAD`).
    let loaded = headers.filter(|header| header[..4] == 1_u32.to_le_bytes());
    let loaded: Vec<_> = loaded.map(|header| (word(header, 8), word(header, 16), word(header, 32))).collect();
    let first = loaded.iter().map(|(_, address, _)| address / PAGE_BYTES * PAGE_BYTES).min()?;
    let ends = loaded.iter().map(|(offset, _, len)| offset.checked_add(*len));
    let len = ends.collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let all: u64 = loaded.iter().fold(0, |all, (.., len)| all.saturating_add(*len));
    if len > bytes_max || all > bytes_max {
        return None;
    }
    let mut image = vec![0; usize::try_from(len).ok()?];
    for (offset, address, len) in loaded {
        let place = usize::try_from(offset).ok()?;
        let part = image.get_mut(place..place.checked_add(usize::try_from(len).ok()?)?)?;
        let start = address.wrapping_sub(first).wrapping_add(base);
        // Pages that are missing don't end it.
        let mut done = memory.read(start, part);
        while done < part.len() {
            let page = start.wrapping_add(done as u64) % PAGE_BYTES;
            done = part.len().min(done + (PAGE_BYTES - page) as usize);
            done += memory.read(start.wrapping_add(done as u64), &mut part[done..]);
        }
    }
    image.get_mut(..HEADER_BYTES)?.copy_from_slice(&header);
    Some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x7f00_0000_0000;

    /// This program as it would be mapped, but for one page.
    struct Mapped {
        file: Vec<u8>,
        hole: u64,
    }

    impl Memory for Mapped {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let elf = Elf::parse(&self.file).expect("this program");
            let (mut done, at) = (0, address.wrapping_sub(BASE));
            while done < buffer.len() {
                let at = at + done as u64;
                if at / PAGE_BYTES == self.hole {
                    break;
                }
                let Some(bytes) = elf.bytes_from(at) else { break };
                let len = bytes.len().min(buffer.len() - done).min((PAGE_BYTES - at % PAGE_BYTES) as usize);
                if len == 0 {
                    break;
                }
                buffer[done..done + len].copy_from_slice(&bytes[..len]);
                done += len;
            }
            done
        }
    }

    #[test]
    fn a_file_is_put_together_from_memory() {
        let file = std::fs::read(std::env::current_exe().expect("this program")).expect("this program");
        let elf = Elf::parse(&file).expect("this program");
        assert!(elf.pie && elf.segments()[0].address == 0);
        let hole = elf.segments()[1].address / PAGE_BYTES + 1;
        let memory = Mapped { file: file.clone(), hole };
        let header = file[..HEADER_BYTES].to_vec();
        let (at, count) = (word(&header, HEADERS_AT), u64::from(header[HEADER_COUNT_AT]));
        let made = image(&memory, BASE, header.clone(), at, count, u64::MAX).expect("an image");
        let again = Elf::parse(&made).expect("a program");
        assert!(again.section(".text").is_none(), "sections aren't in memory");
        for (one, other) in elf.segments().iter().zip(again.segments()) {
            let differ = one.data.iter().zip(other.data).enumerate().filter(|(_, (one, other))| one != other);
            let mut differ = differ.map(|(at, _)| one.address + at as u64);
            // What the header says of sections is gone.
            assert!(differ.all(|at| at / PAGE_BYTES == hole || at < HEADER_BYTES as u64), "{:#x}", one.address);
            assert_eq!(one.data.len(), other.data.len());
        }
        assert!(image(&memory, BASE, header, at, count, 1000).is_none(), "it is too large");
    }
}
