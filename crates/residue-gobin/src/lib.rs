//! Go binaries, read from bytes.
//!
//! [`Elf`] finds segments, sections and relocations; [`Binary`] adds what Go puts into every program, stripped or not: the
//! [build information](BuildInfo), the [table of functions](PcLnTab) with lines and inlined calls, and the [module
//! data](Module) that ties them together. [`Layouts`] says where the fields of the runtime's own structs are: from the
//! program's DWARF when it has some, else from a table made from the DWARF of every release that could be had.
//!
//! Nothing here does I/O, and reading is total: any bytes give a value or an [`Error`], with work and memory bounded by
//! their length. Addresses are those of the file; whoever looks at a process adds its slide.

mod buildinfo;
mod bytes;
mod dwarf;
mod elf;
mod inline;
mod layout;
mod locals;
mod moduledata;
mod pclntab;
mod references;
mod tls;
mod variables;
mod version;
mod wanted;

use std::fmt;

pub use buildinfo::BuildInfo;
pub use dwarf::{StructLayout, structs};
pub use elf::{Arch, Elf, Note, Section, Segment, notes};
pub use inline::SourceFrame;
pub use layout::{Basis, Layouts, table_versions, wait_reasons};
pub use locals::{DebugInfo, Local, Piece, VariableRole};
pub use moduledata::Module;
pub use pclntab::{Function, PcLnTab};
pub use references::References;
pub use variables::{Variable, variables};
pub use version::GoVersion;
pub use wanted::{SOMETIMES, WANTED};

/// Why a file can't be read as a Go program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It isn't an ELF file, or one that is cut off.
    NotElf(&'static str),
    /// A machine whose Go runtime isn't known here.
    Machine(&'static str),
    /// An ELF file without the marks that Go leaves.
    NotGo,
    /// Go's marks are there, what they lead to is malformed.
    Malformed(&'static str),
    /// The release is unknown and its structs don't look like those of its neighbour.
    UnknownVersion(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(why) => write!(f, "not an ELF file: {why}"),
            Self::Machine(which) => write!(f, "programs for {which} are not supported, only 64-bit x86 and Arm"),
            Self::NotGo => write!(f, "not a Go program: it has no Go build information and no table of functions"),
            Self::Malformed(what) => write!(f, "the Go program is malformed: {what}"),
            Self::UnknownVersion(version) => {
                write!(f, "{version} is not a known release, and its runtime doesn't look like that of its neighbour")
            }
        }
    }
}

impl std::error::Error for Error {}

/// A Go program.
pub struct Binary<'a> {
    /// The file.
    pub elf: Elf<'a>,
    /// Which Go built it, from what.
    pub build: BuildInfo,
    /// Functions, files, lines.
    pub functions: PcLnTab<'a>,
    /// Where its parts are.
    pub module: Module,
    /// Where fields of runtime structs are.
    pub layouts: Layouts,
}

impl<'a> Binary<'a> {
    /// Reads a program.
    ///
    /// # Errors
    /// What is missing or malformed; see [`Error`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let elf = Elf::parse(data)?;
        let build = BuildInfo::find(&elf).ok_or(Error::NotGo)?;
        let layouts = Layouts::of(&elf, &build.version);
        let (functions, module) = moduledata::find(&elf, &layouts).ok_or_else(|| match layouts.basis() {
            Basis::Neighbour(_) => Error::UnknownVersion(build.version.to_string()),
            _ => Error::Malformed("no module data that fits its table of functions"),
        })?;
        Ok(Self { elf, build, functions, module, layouts })
    }

    /// Whether it has neither symbols nor DWARF.
    pub fn is_stripped(&self) -> bool {
        self.elf.section(".symtab").is_none() && self.elf.section(".debug_info").is_none()
    }

    /// Where a thread keeps its `runtime.g`, counted from the thread pointer; none where the code doesn't tell. On arm64 it is
    /// in a register.
    pub fn g_in_thread(&self) -> Option<i64> {
        let (start, end) = self.module.text;
        let code = self.elf.bytes_from(start).filter(|_| self.elf.arch == Arch::Amd64)?;
        tls::offset_of_g(code.get(..usize::try_from(end.checked_sub(start)?).ok()?).unwrap_or(code))
    }

    /// The calls that an instruction is part of, innermost first: inlined ones, then the function itself.
    ///
    /// `pc` lies within the instruction; for a return address that is the address minus one.
    pub fn frames(&self, pc: u64) -> Vec<SourceFrame<'a>> {
        inline::frames(&self.elf, &self.functions, &self.module, pc)
    }

    /// Bytes of a function's auxiliary data, as far as the segment that holds it reaches.
    ///
    /// The indices are those of `internal/abi/symtab.go` (`FUNCDATA_*`), the same in all releases.
    pub fn funcdata(&self, function: &Function<'a>, index: u8) -> Option<&'a [u8]> {
        let address = function.funcdata(index, self.module.gofunc)?;
        self.elf.bytes_from(address)
    }
}

impl fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binary").field("build", &self.build).field("module", &self.module).finish_non_exhaustive()
    }
}
