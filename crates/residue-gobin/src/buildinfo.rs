//! What the linker records about a build: Go's version, modules, settings.
//!
//! The format is that of `debug/buildinfo` in Go's standard library: a magic number on a 16-byte boundary, then either two
//! pointers to strings (before Go 1.18) or the strings themselves. Module information lies between two marks of 16 bytes
//! (`runtime/debug.Module`, written by `cmd/go`).

use crate::{Elf, GoVersion, bytes};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Strings beyond are cut: the module list of the largest programs has some 100 KB.
const STRING_BYTES_MAX: usize = 16 << 20;

/// What the linker records about a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The Go that built the program.
    pub version: GoVersion,
    /// The package that is `main`, its module, dependencies, settings: lines of words between tabs.
    pub modules: String,
}

impl BuildInfo {
    /// Looks for the record in its section, else in every segment.
    pub(crate) fn find(elf: &Elf<'_>) -> Option<Self> {
        if let Some(section) = elf.section(".go.buildinfo")
            && let Some(found) = Self::read(elf, section.address)
        {
            return Some(found);
        }
        for segment in elf.segments() {
            for at in memchr::memmem::find_iter(segment.data, MAGIC) {
                let address = segment.address.wrapping_add(at as u64);
                if address % 16 == 0
                    && let Some(found) = Self::read(elf, address)
                {
                    return Some(found);
                }
            }
        }
        None
    }

    fn read(elf: &Elf<'_>, address: u64) -> Option<Self> {
        let record = elf.bytes_from(address)?;
        if !record.starts_with(MAGIC) {
            return None;
        }
        let flags = *record.get(15)?;
        let (version, modules) = if flags & 2 != 0 {
            let mut at = 32;
            let version = inline_string(record, &mut at)?;
            (version, inline_string(record, &mut at).unwrap_or_default())
        } else {
            // Pointers to string headers, in the byte order that bit 0 tells; ours is the little one.
            if *record.get(14)? != 8 || flags & 1 != 0 {
                return None;
            }
            let version = pointed_string(elf, address.checked_add(16)?)?;
            (version, pointed_string(elf, address.checked_add(24)?).unwrap_or_default())
        };
        let version = String::from_utf8_lossy(version);
        if !version.contains("go1") && !version.starts_with("devel") {
            return None;
        }
        let marked = modules.len() >= 33 && modules[modules.len() - 17] == b'\n';
        let modules = if marked { &modules[16..modules.len() - 16] } else { &[] };
        Some(Self { version: GoVersion::parse(&version), modules: String::from_utf8_lossy(modules).into_owned() })
    }

    /// The import path of the package that is `main`.
    pub fn main_path(&self) -> Option<&str> {
        self.modules.lines().find_map(|line| line.strip_prefix("path\t"))
    }

    /// A setting of the build, as `go version -m` prints it: `CGO_ENABLED`, `-ldflags`, `vcs.revision`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let settings = self.modules.lines().filter_map(|line| line.strip_prefix("build\t")?.split_once('='));
        settings.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

fn inline_string<'a>(record: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = usize::try_from(bytes::uvarint(record, at)?).ok()?.min(STRING_BYTES_MAX);
    let text = record.get(*at..at.checked_add(len)?)?;
    *at += len;
    Some(text)
}

fn pointed_string<'a>(elf: &Elf<'a>, pointer: u64) -> Option<&'a [u8]> {
    let header = elf.word(pointer)?;
    let len = usize::try_from(elf.word(header.checked_add(8)?)?).ok()?.min(STRING_BYTES_MAX);
    elf.bytes_from(elf.word(header)?)?.get(..len)
}
