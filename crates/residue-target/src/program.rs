//! Finding the program of a core: by name, by the identity that its linker gave it, among running programs.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use residue_gobin::{Elf, Note};

use crate::Error;

/// A program's file may not be larger.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 4 << 30;
/// Notes that name a program: `NT_GNU_BUILD_ID`, and `ELF_NOTE_GOBUILDID_TAG` of `cmd/link/internal/ld/elf.go`.
const NAMES: [(&[u8], u32); 2] = [(b"GNU", 3), (b"Go\0", 4)];
/// Where distributions keep links to programs by identity.
const BY_IDENTITY: [&str; 2] = ["/usr/lib/debug/.build-id", "/usr/lib/.build-id"];
/// `Elf64_Phdr`; headers that are looked at, and bytes of a segment of notes.
const PROGRAM_HEADER_BYTES: usize = 56;
const PROGRAM_HEADERS_MAX: u64 = 1024;
const NOTE_BYTES_MAX: u64 = 64 << 10;
const PT_LOAD: u32 = 1;
pub(crate) const PT_NOTE: u32 = 4;
const PT_PHDR: u32 = 6;
/// Processes that are asked for their program.
const PROCESSES_MAX: usize = 100_000;

/// What tells a program from others: the identities that its linkers gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity(Vec<(u32, Vec<u8>)>);

impl Identity {
    pub(crate) fn of_notes(notes: &[Note<'_>]) -> Self {
        let known = |(name, kind, _): &&Note<'_>| {
            // The name of Go's note is padded by a byte that counts as part of it.
            NAMES.iter().any(|(known, number)| trimmed(name) == trimmed(known) && number == kind)
        };
        Self(notes.iter().filter(known).map(|(_, kind, content)| (*kind, content.to_vec())).collect())
    }

    /// What the notes say of the file whose program headers are at an address in memory. Where its first segment is: at
    /// `base`, or where its headers say that they are themselves.
    pub(crate) fn in_memory(
        bytes: &dyn Fn(u64, u64) -> Option<Vec<u8>>,
        at: u64,
        count: u64,
        base: Option<u64>,
    ) -> Self {
        let headers = bytes(at, count.min(PROGRAM_HEADERS_MAX) * PROGRAM_HEADER_BYTES as u64).unwrap_or_default();
        let word = |header: &[u8], at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
        // Type, address and size in memory.
        let headers: Vec<(u32, u64, u64)> = headers
            .chunks_exact(PROGRAM_HEADER_BYTES)
            .filter_map(|header| {
                let kind = u32::from_le_bytes(header.get(..4)?.try_into().ok()?);
                Some((kind, word(header, 16)?, word(header, 40)?))
            })
            .collect();
        let first =
            |kind: u32| headers.iter().filter(|(other, ..)| *other == kind).map(|(_, address, _)| *address).min();
        let slide = match base {
            Some(base) => first(PT_LOAD).map(|address| base.wrapping_sub(address / 4096 * 4096)),
            None => first(PT_PHDR).map(|address| at.wrapping_sub(address)),
        };
        let Some(slide) = slide else { return Self::default() };
        let segments = headers.iter().filter(|(kind, _, size)| *kind == PT_NOTE && *size <= NOTE_BYTES_MAX);
        let segments: Vec<Vec<u8>> =
            segments.filter_map(|(_, address, size)| bytes(address.wrapping_add(slide), *size)).collect();
        Self::of_notes(&segments.iter().flat_map(|segment| residue_gobin::notes(segment)).collect::<Vec<_>>())
    }

    /// Whether both can be of the same program: what both tell is the same. None when they tell nothing in common.
    pub(crate) fn matches(&self, other: &Self) -> Option<bool> {
        let mut common = None;
        for (kind, id) in &self.0 {
            if let Some((_, theirs)) = other.0.iter().find(|(other, _)| other == kind) {
                common = Some(common.unwrap_or(true) && id == theirs);
            }
        }
        common
    }

    /// For people: the GNU build id in hexadecimal digits, else Go's.
    fn shown(&self) -> String {
        match self.0.iter().min_by_key(|(kind, _)| *kind) {
            Some((3, id)) => hex(id),
            Some((_, id)) => String::from_utf8_lossy(id).into_owned(),
            None => String::new(),
        }
    }
}

fn trimmed(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The program of a core: `given`, else the file that the core names, one of that name beside the core, one that is kept
/// by its identity, or that of a process which runs it now: services that crash are started again.
///
/// # Errors
/// None can be read, or only others than that of the core.
pub(crate) fn find(
    given: Option<&Path>,
    named: Option<&Path>,
    core: &Path,
    identity: &Identity,
) -> Result<(PathBuf, Vec<u8>), Error> {
    if let Some(given) = given {
        let bytes =
            read(given, PROGRAM_BYTES_MAX).map_err(|why| Error::NoProgram(format!("{}: {why}", given.display())))?;
        let other = identity.matches(&of_file(&bytes)) == Some(false);
        return if other { Err(Error::OtherProgram(identity.shown())) } else { Ok((given.to_owned(), bytes)) };
    }
    let name = named.and_then(Path::file_name);
    let mut missing =
        named.map_or("the core doesn't name it".to_owned(), |named| format!("{} is missing", named.display()));
    let beside = name.and_then(|name| Some(core.parent()?.join(name)));
    for path in named.map(Path::to_owned).into_iter().chain(beside) {
        let Ok(bytes) = read(&path, PROGRAM_BYTES_MAX) else { continue };
        match identity.matches(&of_file(&bytes)) {
            Some(false) => missing = format!("{} is another one", path.display()),
            // Who tells no identity is believed where the core says so itself.
            Some(true) | None => return Ok((path, bytes)),
        }
    }
    for path in by_identity(identity).into_iter().chain(running(name)) {
        if let Ok(bytes) = read(&path, PROGRAM_BYTES_MAX)
            && identity.matches(&of_file(&bytes)) == Some(true)
        {
            return Ok((path, bytes));
        }
    }
    let id = identity.shown();
    let id = if id.is_empty() { String::new() } else { format!(" (build id {id})") };
    Err(Error::NoProgram(missing + &id))
}

pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > bytes_max {
        return Err("it is no file, or too large for a program".to_owned());
    }
    std::fs::read(path).map_err(failed)
}

pub(crate) fn of_file(bytes: &[u8]) -> Identity {
    Elf::parse(bytes).map(|elf| Identity::of_notes(&elf.notes())).unwrap_or_default()
}

fn by_identity(identity: &Identity) -> Vec<PathBuf> {
    let Some((_, id)) = identity.0.iter().find(|(kind, id)| *kind == 3 && id.len() > 1) else { return Vec::new() };
    let id = hex(id);
    let (first, rest) = id.split_at(2);
    BY_IDENTITY.iter().map(|folder| Path::new(folder).join(first).join(rest)).collect()
}

/// Programs of that name which run now, wherever they see themselves.
fn running(name: Option<&OsStr>) -> Vec<PathBuf> {
    let (Some(name), Ok(entries)) = (name, std::fs::read_dir("/proc")) else { return Vec::new() };
    let programs = entries.flatten().take(PROCESSES_MAX).map(|entry| entry.path().join("exe"));
    let same = |exe: &PathBuf| {
        let path = std::fs::read_link(exe).ok();
        path.as_deref().and_then(Path::file_name).is_some_and(|found| {
            // Of a file that has been replaced the link says so.
            found.as_encoded_bytes().strip_suffix(b" (deleted)").unwrap_or(found.as_encoded_bytes())
                == name.as_encoded_bytes()
        })
    };
    let mut found: Vec<PathBuf> = programs.filter(same).collect();
    found.sort();
    found
}
