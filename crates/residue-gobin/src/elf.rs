//! ELF files: segments, sections, relocations, notes.
//!
//! Only what a 64-bit little-endian Linux program needs; the `object` crate reads the headers.

use std::borrow::Cow;

use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, Rela as _, SectionHeader as _, Sym as _};
use object::{LittleEndian, SymbolIndex};

use crate::{Error, bytes};

/// Relocations beyond are not looked at: Kubernetes has 400,000.
const RELOCATIONS_MAX: usize = 16 << 20;
/// Compressed sections may not grow beyond: the DWARF of the largest programs.
const SECTION_BYTES_MAX: u64 = 2 << 30;

/// Notes beyond are not looked at: a core has some five for each thread.
const NOTES_MAX: usize = 1 << 20;

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Arch {
    /// As Go names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The least distance of two instructions.
    pub(crate) fn quantum(self) -> u8 {
        match self {
            Self::Amd64 => 1,
            Self::Arm64 => 4,
        }
    }
}

/// A part of the file that is mapped into memory.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Its first address.
    pub address: u64,
    /// Bytes in memory; what the file doesn't have is zero.
    pub size: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes in the file; fewer than `file_size` when that is cut off.
    pub data: &'a [u8],
    /// How many the file should have.
    pub file_size: u64,
    /// It may be written to.
    pub writable: bool,
    /// It may be executed.
    pub executable: bool,
}

/// A named part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its address, 0 when it isn't mapped.
    pub address: u64,
    /// As in the file, perhaps compressed.
    data: &'a [u8],
    compressed: bool,
}

impl<'a> Section<'a> {
    /// The bytes of the section, with `SHF_COMPRESSED` undone. Empty when that fails.
    pub fn data(&self) -> Cow<'a, [u8]> {
        if !self.compressed {
            return Cow::Borrowed(self.data);
        }
        // Elf64_Chdr: type, reserved, size, alignment.
        let inflated = || {
            let size = bytes::u64(self.data, 8).filter(|size| *size <= SECTION_BYTES_MAX)?;
            if bytes::u32(self.data, 0)? != elf::ELFCOMPRESS_ZLIB.0 {
                return None;
            }
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(self.data.get(24..)?, size as usize).ok()
        };
        Cow::Owned(inflated().unwrap_or_default())
    }
}

/// A note: name without its NUL, type, content.
pub type Note<'a> = (&'a [u8], u32, &'a [u8]);

type Header = FileHeader64<LittleEndian>;

/// An ELF file.
pub struct Elf<'a> {
    /// What it runs on.
    pub arch: Arch,
    /// It is position-independent: its addresses in memory are these plus a slide.
    pub pie: bool,
    /// It is the core of a process, not a program.
    pub core: bool,
    /// The address of its first instruction.
    pub entry: u64,
    data: &'a [u8],
    header: &'a Header,
    segments: Vec<Segment<'a>>,
    notes: Vec<&'a [u8]>,
    /// What is added to the file's addresses.
    moved: u64,
    /// What the dynamic linker writes into words: address, value. Sorted.
    relative: Vec<(u64, u64)>,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// It isn't an ELF program for a supported machine.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        if data.get(..4) != Some(b"\x7fELF") {
            return Err(Error::NotElf("it doesn't begin as one"));
        }
        match data.get(4..6) {
            Some([2, 1]) => {}
            Some([1, _]) => return Err(Error::Machine("32-bit machines")),
            _ => return Err(Error::Machine("big-endian machines")),
        }
        let header = Header::parse(data).map_err(|_| Error::NotElf("its header is cut off"))?;
        let little = LittleEndian;
        let arch = match header.e_machine(little) {
            elf::EM_X86_64 => Arch::Amd64,
            elf::EM_AARCH64 => Arch::Arm64,
            _ => return Err(Error::Machine("this machine")),
        };
        let mut segments = Vec::new();
        let mut dynamic: &[u8] = &[];
        let mut notes = Vec::new();
        for segment in header.program_headers(little, data).map_err(|_| Error::NotElf("no program headers"))? {
            let offset = segment.p_offset(little);
            let wanted = segment.p_filesz(little);
            let from = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
            let bytes = &from[..from.len().min(wanted as usize)];
            let flags = segment.p_flags(little);
            match segment.p_type(little) {
                elf::PT_LOAD => segments.push(Segment {
                    address: segment.p_vaddr(little),
                    size: segment.p_memsz(little),
                    offset,
                    data: bytes,
                    file_size: wanted,
                    writable: flags & elf::PF_W != elf::ProgramFlags(0),
                    executable: flags & elf::PF_X != elf::ProgramFlags(0),
                }),
                elf::PT_DYNAMIC => dynamic = bytes,
                elf::PT_NOTE => notes.push(bytes),
                _ => {}
            }
        }
        segments.sort_by_key(|segment| segment.address);
        let mut parsed = Self {
            arch,
            pie: header.e_type(little) == elf::ET_DYN,
            core: header.e_type(little) == elf::ET_CORE,
            entry: header.e_entry(little),
            data,
            header,
            segments,
            notes,
            moved: 0,
            relative: Vec::new(),
        };
        parsed.relative = parsed.relocations(dynamic);
        Ok(parsed)
    }

    /// Adds to all of its addresses, but to those that DWARF has.
    pub(crate) fn moved_by(mut self, distance: u64) -> Self {
        self.moved = self.moved.wrapping_add(distance);
        self.entry = self.entry.wrapping_add(distance);
        for segment in &mut self.segments {
            segment.address = segment.address.wrapping_add(distance);
        }
        for (at, value) in &mut self.relative {
            (*at, *value) = (at.wrapping_add(distance), value.wrapping_add(distance));
        }
        // Some may have passed the end of all addresses.
        self.segments.sort_by_key(|segment| segment.address);
        self.relative.sort_unstable();
        self
    }

    /// What was added to its addresses: DWARF has them without.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// What is mapped, by address.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// Words that the dynamic linker sets to addresses of the program itself: where they are, and to what.
    pub(crate) fn relative(&self) -> &[(u64, u64)] {
        &self.relative
    }

    fn relocations(&self, dynamic: &'a [u8]) -> Vec<(u64, u64)> {
        let Ok((entries, _)) = object::pod::slice_from_bytes::<elf::Dyn64<LittleEndian>>(
            dynamic,
            dynamic.len() / size_of::<elf::Dyn64<LittleEndian>>(),
        ) else {
            return Vec::new();
        };
        let tag = |tag: elf::DynamicTag| {
            entries.iter().find(|entry| entry.tag(LittleEndian) == tag).map(|entry| entry.d_val(LittleEndian))
        };
        let (Some(table), Some(size)) = (tag(elf::DT_RELA), tag(elf::DT_RELASZ)) else { return Vec::new() };
        let bytes = self.bytes_from(table).unwrap_or_default();
        let count = (bytes.len().min(size as usize) / size_of::<elf::Rela64<LittleEndian>>()).min(RELOCATIONS_MAX);
        let Ok((relocations, _)) = object::pod::slice_from_bytes::<elf::Rela64<LittleEndian>>(bytes, count) else {
            return Vec::new();
        };
        let relative = match self.arch {
            Arch::Amd64 => elf::R_X86_64_RELATIVE,
            Arch::Arm64 => elf::R_AARCH64_RELATIVE,
        };
        let mut found: Vec<_> = relocations
            .iter()
            .filter(|entry| entry.r_type(LittleEndian, false) == relative)
            .map(|entry| (entry.r_offset(LittleEndian), entry.r_addend(LittleEndian).cast_unsigned()))
            .collect();
        found.sort_unstable();
        found
    }

    /// A section by name.
    pub fn section(&self, name: &str) -> Option<Section<'a>> {
        let sections = self.header.sections(LittleEndian, self.data).ok()?;
        let (_, section) = sections.section_by_name(LittleEndian, name.as_bytes())?;
        Some(Section {
            address: match section.sh_addr(LittleEndian) {
                0 => 0,
                address => address.wrapping_add(self.moved),
            },
            data: section.data(LittleEndian, self.data).ok()?,
            compressed: section.sh_flags(LittleEndian) & elf::SHF_COMPRESSED != elf::SectionFlags(0),
        })
    }

    /// Address and size of a symbol, when the file still has symbols.
    pub fn symbol(&self, name: &str) -> Option<(u64, u64)> {
        let sections = self.header.sections(LittleEndian, self.data).ok()?;
        let symbols = sections.symbols(LittleEndian, self.data, elf::SHT_SYMTAB).ok()?;
        let found = symbols.iter().enumerate().find(|(index, symbol)| {
            symbol.st_name(LittleEndian) != 0
                && symbols.symbol_name(LittleEndian, symbol).is_ok_and(|found| found == name.as_bytes())
                && *index != SymbolIndex(0).0
        });
        found.map(|(_, symbol)| (self.moved.wrapping_add(symbol.st_value(LittleEndian)), symbol.st_size(LittleEndian)))
    }

    /// Address, size and name of the variables, by address, when the file still has symbols.
    pub fn variables(&self) -> Vec<(u64, u64, String)> {
        let little = LittleEndian;
        let Ok(sections) = self.header.sections(little, self.data) else { return Vec::new() };
        let Ok(symbols) = sections.symbols(little, self.data, elf::SHT_SYMTAB) else { return Vec::new() };
        let all = symbols.iter().filter(|symbol| symbol.st_type() == elf::STT_OBJECT && symbol.st_size(little) > 0);
        let named = all.filter_map(|symbol| {
            let name = symbols.symbol_name(little, symbol).ok()?;
            let address = symbol.st_value(little).wrapping_add(self.moved);
            Some((address, symbol.st_size(little), String::from_utf8_lossy(name).into_owned()))
        });
        let mut found: Vec<_> = named.collect();
        found.sort_unstable();
        found
    }

    /// The identity that the linker gave the file (`NT_GNU_BUILD_ID`).
    pub fn build_id(&self) -> Option<&'a [u8]> {
        let section = self.section(".note.gnu.build-id")?.data;
        let (name, size) = (bytes::u32(section, 0)? as usize, bytes::u32(section, 4)? as usize);
        let start = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        section.get(start..start.checked_add(size)?)
    }

    /// The identity that Go's linker gave the file (`ELF_NOTE_GOBUILDID_TAG` of `cmd/link/internal/ld/elf.go`).
    pub fn go_build_id(&self) -> Option<&'a [u8]> {
        go_build_id(self.notes.iter().flat_map(|segment| notes(segment)).take(NOTES_MAX))
    }

    /// The notes of segments, which may overlap; so many at most.
    pub fn notes(&self) -> Vec<Note<'a>> {
        self.notes.iter().flat_map(|segment| notes(segment)).take(NOTES_MAX).collect()
    }

    /// The segment that holds an address.
    fn segment(&self, address: u64) -> Option<&Segment<'a>> {
        let after = self.segments.partition_point(|segment| segment.address <= address);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (address - segment.address < segment.size).then_some(segment)
    }

    /// The bytes from an address to the end of what the file has of its segment, relocations not applied.
    pub fn bytes_from(&self, address: u64) -> Option<&'a [u8]> {
        let segment = self.segment(address)?;
        segment.data.get(usize::try_from(address - segment.address).ok()?..)
    }

    /// A word of memory as the program sees it when it starts.
    pub fn word(&self, address: u64) -> Option<u64> {
        if let Ok(found) = self.relative.binary_search_by_key(&address, |(at, _)| *at) {
            return Some(self.relative[found].1);
        }
        let segment = self.segment(address)?;
        let at = usize::try_from(address - segment.address).ok()?;
        // Behind what the file has, memory is zero.
        bytes::u64(segment.data, at).or_else(|| (at >= segment.data.len()).then_some(0))
    }

    /// Whether an address is mapped by the program itself.
    pub fn is_mapped(&self, address: u64) -> bool {
        self.segment(address).is_some()
    }
}

/// The number alone doesn't tell: GNU's note of the same is the version of a linker.
fn go_build_id<'a>(mut notes: impl Iterator<Item = Note<'a>>) -> Option<&'a [u8]> {
    notes.find(|(name, kind, _)| name.starts_with(b"Go\0") && *kind == 4).map(|(.., id)| id)
}

/// The notes of a segment.
pub fn notes(segment: &[u8]) -> impl Iterator<Item = Note<'_>> {
    let mut rest = segment;
    std::iter::from_fn(move || {
        let (note, behind) = note(rest)?;
        rest = behind;
        Some(note)
    })
}

/// The first note: name, type, content; and what is behind it.
fn note(data: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let (name_size, size, kind) = (bytes::u32(data, 0)? as usize, bytes::u32(data, 4)? as usize, bytes::u32(data, 8)?);
    let start = 12_usize.checked_add(name_size.checked_next_multiple_of(4)?)?;
    let name = data.get(12..12_usize.checked_add(name_size)?)?;
    let content = data.get(start..start.checked_add(size)?)?;
    let behind = data.get(start.checked_add(size.checked_next_multiple_of(4)?)?..).unwrap_or_default();
    Some(((name.strip_suffix(b"\0").unwrap_or(name), kind, content), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_not_the_version_of_a_linker() {
        let note = |name: &[u8; 4], content: &[u8]| {
            let sizes = [4, u32::try_from(content.len()).expect("short"), 4];
            let mut note = [&sizes.map(u32::to_le_bytes).concat()[..], name, content].concat();
            note.resize(note.len().next_multiple_of(4), 0);
            note
        };
        let both = [note(b"GNU\0", b"gold 1.16\0"), note(b"Go\0\0", b"own/identity")].concat();
        assert_eq!(notes(&both).count(), 2);
        assert_eq!(go_build_id(notes(&both)), Some(&b"own/identity"[..]));
        assert_eq!(go_build_id(notes(&note(b"GNU\0", b"gold 1.16\0"))), None);
    }
}
