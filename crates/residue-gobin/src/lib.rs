//! Go binaries, read from bytes.
//!
//! [`Elf`] finds segments, sections and relocations; [`Binary`] adds what Go puts into every program, stripped or not: the
//! [build information](BuildInfo), the [table of functions](PcLnTab) with lines and inlined calls, and the [module
//! data](Module) that ties them together. [`Layouts`] says where the fields of the runtime's own structs are: from the
//! program's DWARF when it has some, else from a table made from the DWARF of every release that could be had.
//!
//! Nothing here does I/O, and reading is total: any bytes give a value or an [`Error`], with work and memory bounded by
//! their length. Addresses are those of the file; whoever looks at a process adds its slide. [`Plugin`]s that a process has
//! loaded are parts of its program.

mod buildinfo;
mod bytes;
mod dwarf;
mod elf;
mod inline;
mod layout;
mod locals;
mod moduledata;
mod pclntab;
mod plugin;
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
pub use plugin::{ModuleData, Plugin};
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
    /// By the addresses of their code; they don't overlap. None where nobody has asked the process for them.
    plugins: Vec<Plugin<'a>>,
    /// Plugins that aren't among them.
    plugins_left_out: bool,
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
        Ok(Self { elf, build, functions, module, layouts, plugins: Vec::new(), plugins_left_out: false })
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

    /// Adds the plugins that a process of the program has loaded, and whether that isn't all of them. Of those whose code
    /// overlaps, one stays.
    pub fn set_plugins(&mut self, mut plugins: Vec<Plugin<'a>>, left_out: bool) {
        let all = plugins.len();
        plugins.sort_by_key(|plugin| plugin.module.text);
        let (mut end, own) = (0, self.module.text);
        plugins.retain(|plugin| {
            let (start, behind) = plugin.module.text;
            let fits = start >= end && start < behind && (behind <= own.0 || start >= own.1);
            end = if fits { behind } else { end };
            fits
        });
        self.plugins_left_out = left_out || plugins.len() < all;
        self.plugins = plugins;
    }

    /// Whether there are plugins that can't be told.
    pub fn lacks_plugins(&self) -> bool {
        self.plugins_left_out
    }

    /// The plugins that were added, by the addresses of their code.
    pub fn plugins(&self) -> &[Plugin<'a>] {
        &self.plugins
    }

    /// Where the parts of the program and of its plugins are.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        std::iter::once(&self.module).chain(self.plugins.iter().map(|plugin| &plugin.module))
    }

    /// The plugin whose code an address lies in.
    pub fn plugin_of(&self, pc: u64) -> Option<&Plugin<'a>> {
        let after = self.plugins.partition_point(|plugin| plugin.module.text.0 <= pc);
        let plugin = self.plugins.get(after.checked_sub(1)?)?;
        (pc < plugin.module.text.1).then_some(plugin)
    }

    /// The function that an address lies in, also one of a plugin.
    pub fn find(&self, pc: u64) -> Option<Function<'a>> {
        match self.plugin_of(pc) {
            Some(plugin) => plugin.image.as_ref()?.1.find(pc),
            None => self.functions.find(pc),
        }
    }

    /// Whether a function begins at an address.
    pub fn is_entry(&self, pc: u64) -> bool {
        self.is_code(pc) && self.find(pc).is_some_and(|function| function.entry == pc)
    }

    /// Whether an address lies in Go code.
    pub fn is_code(&self, pc: u64) -> bool {
        (self.module.text.0..self.module.text.1).contains(&pc) || self.plugin_of(pc).is_some()
    }

    /// Where the types are that an address lies among.
    pub fn types_at(&self, address: u64) -> Option<(u64, u64)> {
        let within = |(start, end): &(u64, u64)| (start..end).contains(&&address);
        let own = Some(self.module.types).filter(within);
        own.or_else(|| self.plugins.iter().map(|plugin| plugin.module.types).find(within))
    }

    /// Whether an address lies among the variables.
    pub fn is_variable(&self, address: u64) -> bool {
        let ranges = self.modules().flat_map(|module| module.pointer_data.into_iter().chain(module.plain_data));
        ranges.into_iter().any(|(start, end)| (start..end).contains(&address))
    }

    /// Whether an address is mapped by the program or a plugin.
    pub fn is_mapped(&self, address: u64) -> bool {
        self.elf.is_mapped(address) || self.of_plugins(|elf| elf.is_mapped(address).then_some(())).is_some()
    }

    /// The bytes from an address to the end of what the file, or that of a plugin, has of its segment.
    pub fn bytes_from(&self, address: u64) -> Option<&'a [u8]> {
        self.elf.bytes_from(address).or_else(|| self.of_plugins(|elf| elf.bytes_from(address)))
    }

    fn of_plugins<T>(&self, f: impl Fn(&Elf<'a>) -> Option<T>) -> Option<T> {
        self.plugins.iter().filter_map(Plugin::elf).find_map(f)
    }

    /// The calls that an instruction is part of, innermost first: inlined ones, then the function itself.
    ///
    /// `pc` lies within the instruction; for a return address that is the address minus one.
    pub fn frames(&self, pc: u64) -> Vec<SourceFrame<'a>> {
        match self.plugin_of(pc) {
            Some(Plugin { module, image: Some((elf, functions)), .. }) => inline::frames(elf, functions, module, pc),
            Some(_) => Vec::new(),
            None => inline::frames(&self.elf, &self.functions, &self.module, pc),
        }
    }

    /// Bytes of a function's auxiliary data, as far as the segment that holds it reaches.
    ///
    /// The indices are those of `internal/abi/symtab.go` (`FUNCDATA_*`), the same in all releases.
    pub fn funcdata(&self, function: &Function<'a>, index: u8) -> Option<&'a [u8]> {
        let (elf, module) = self.module_of(function)?;
        elf.bytes_from(function.funcdata(index, module.gofunc)?)
    }

    fn module_of(&self, function: &Function<'a>) -> Option<(&Elf<'a>, &Module)> {
        match self.plugin_of(function.entry) {
            Some(plugin) => Some((plugin.elf()?, &plugin.module)),
            None => Some((&self.elf, &self.module)),
        }
    }

    /// The mask of a variable on the stack of a function, `at` bytes behind the read-only data of its module.
    pub fn stack_mask(&self, function: &Function<'a>, at: u32) -> Option<&'a [u8]> {
        let (elf, module) = self.module_of(function)?;
        elf.bytes_from(Some(module.rodata).filter(|rodata| *rodata != 0)?.checked_add(u64::from(at))?)
    }
}

impl fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binary").field("build", &self.build).field("module", &self.module).finish_non_exhaustive()
    }
}
