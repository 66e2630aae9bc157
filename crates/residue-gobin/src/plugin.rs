//! Further modules of a process: plugins (`-buildmode=plugin`), which the program has loaded while it ran.
//!
//! The runtime keeps the module data of all in a list (`moduledata.next`), that of the program first. What a plugin's module
//! data says is read from memory, and its functions, symbols and DWARF from its file. Its addresses here are such that
//! adding the program's slide makes them those in memory, as it does with the program's own.

use std::fmt;

use crate::moduledata::Data;
use crate::pclntab::Shape;
use crate::{Elf, Layouts, Module, PcLnTab, bytes};

/// Bytes of code that a module may have.
const TEXT_BYTES_MAX: u64 = 4 << 30;

/// Module data as memory has it.
pub struct ModuleData {
    bytes: Vec<u8>,
    module: Module,
    /// The table of functions.
    table: u64,
    /// Where the module data of the next module is; 0 when there is none.
    pub next: u64,
}

impl ModuleData {
    /// Reads the module data at `address` from what memory has there. All addresses are those in memory.
    pub fn read(bytes: Vec<u8>, address: u64, layouts: &Layouts) -> Option<Self> {
        let layout = layouts.get("runtime.moduledata")?;
        let data = Data { word: &|at| bytes::u64(&bytes, usize::try_from(at).ok()?), layout };
        let module = data.module(address, Shape::StartLines)?;
        let (table, next) = ((data.word)(0)?, data.field("next")?);
        let (start, end) = module.text;
        let within = |pc: &u64| (start..=end).contains(pc);
        let fits = start < end
            && end - start <= TEXT_BYTES_MAX
            && data.field("minpc").as_ref().is_some_and(within)
            && data.field("maxpc").as_ref().is_some_and(within);
        fits.then_some(Self { bytes, module, table, next })
    }

    /// Where its table of functions begins.
    pub fn table(&self) -> u64 {
        self.table
    }

    /// The first and behind the last instruction of its Go code.
    pub fn text(&self) -> (u64, u64) {
        self.module.text
    }
}

/// A plugin.
pub struct Plugin<'a> {
    /// The path of its file, as the process has it; empty when that isn't known.
    pub path: String,
    /// Where its parts are.
    pub module: Module,
    /// Its file, or what memory has of that, with its functions.
    pub(crate) image: Option<(Elf<'a>, PcLnTab<'a>)>,
}

impl<'a> Plugin<'a> {
    /// A plugin with its file, where that can be had, and what is added to addresses of the file to have those in memory.
    /// `program_slide` is the same for the program. A file that doesn't fit the module data is left out.
    pub fn new(
        path: String,
        data: &ModuleData,
        file: Option<(&'a [u8], u64)>,
        layouts: &Layouts,
        program_slide: u64,
    ) -> Self {
        let moved = |address: u64| address.wrapping_sub(program_slide);
        let both = |(start, end): (u64, u64)| (moved(start), moved(end));
        let known = &data.module;
        let module = Module {
            address: moved(known.address),
            text: both(known.text),
            gofunc: moved(known.gofunc),
            types: both(known.types),
            rodata: moved(known.rodata),
            pointer_data: known.pointer_data.map(both),
            plain_data: known.plain_data.map(both),
        };
        let image = file.and_then(|(bytes, slide)| {
            let elf = Elf::parse(bytes).ok()?.moved_by(moved(slide));
            let table = moved(data.table);
            let mut table = PcLnTab::parse(elf.bytes_from(table)?, table, elf.arch)?;
            let layout = layouts.get("runtime.moduledata")?;
            let word = |at| bytes::u64(&data.bytes, usize::try_from(at).ok()?);
            // Its rows are compared with what memory says, so they are those in memory.
            table.text = known.text.0;
            let fits = Data { word: &word, layout }.fits(&table)?;
            table.text = module.text.0;
            (fits && table.shape() == Shape::StartLines).then_some((elf, table))
        });
        Self { path, module, image }
    }

    /// Its file, or what memory has of that.
    pub fn elf(&self) -> Option<&Elf<'a>> {
        self.image.as_ref().map(|(elf, _)| elf)
    }

    /// The name of its file.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Debug for Plugin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("path", &self.path).field("module", &self.module).finish_non_exhaustive()
    }
}
