//! The module data: `runtime.firstmoduledata`, found by what it points to, without symbols.

use memchr::memmem;

use crate::pclntab::{MAGICS, Shape};
use crate::{Elf, Layouts, PcLnTab, StructLayout, bytes};

/// Places that could be a table of functions or module data, at most: a program has one.
const CANDIDATES_MAX: usize = 64;

/// Where the parts of a program are. Addresses are those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// `runtime.firstmoduledata`.
    pub address: u64,
    /// The first and behind the last instruction of Go code.
    pub text: (u64, u64),
    /// What offsets of auxiliary data of functions count from.
    pub gofunc: u64,
    /// Descriptions of types.
    pub types: (u64, u64),
    /// What offsets of masks of variables on stacks count from; 0 in programs that are too old to have any.
    pub rodata: u64,
    /// Variables with pointers, initialised and not.
    pub pointer_data: [(u64, u64); 2],
    /// Variables without pointers, initialised and not.
    pub plain_data: [(u64, u64); 2],
}

/// Finds the table of functions and the module data that belongs to it.
pub(crate) fn find<'a>(elf: &Elf<'a>, layouts: &Layouts) -> Option<(PcLnTab<'a>, Module)> {
    let named = [".gopclntab", ".data.rel.ro.gopclntab"].into_iter().filter_map(|name| elf.section(name));
    let named = named.map(|section| section.address);
    named.chain(scan(elf)).find_map(|address| {
        let table = PcLnTab::parse(elf.bytes_from(address)?, address, elf.arch)?;
        let layout = match table.shape() {
            Shape::StartLines => layouts.get("runtime.moduledata").cloned()?,
            Shape::Addresses | Shape::Offsets => Layouts::older_module(),
        };
        places(elf, &table).find_map(|place| check(elf, &layout, table, place))
    })
}

/// Addresses where the header of a table of functions could be.
fn scan<'e>(elf: &'e Elf<'_>) -> impl Iterator<Item = u64> + 'e {
    let found = elf.segments().iter().flat_map(move |segment| {
        MAGICS.iter().flat_map(move |(magic, _)| {
            let mut header = magic.to_le_bytes().to_vec();
            header.extend([0, 0, elf.arch.quantum(), 8]);
            let places: Vec<usize> = memmem::find_iter(segment.data, &header).take(CANDIDATES_MAX).collect();
            places.into_iter().map(|at| segment.address.wrapping_add(at as u64))
        })
    });
    found.filter(|address| address % 8 == 0).take(CANDIDATES_MAX)
}

/// Addresses where a pointer to the table is followed by one to its names: the first two fields of `moduledata`.
fn places<'e>(elf: &'e Elf<'_>, table: &PcLnTab<'_>) -> impl Iterator<Item = u64> + 'e {
    let (table, names) = (table.address, table.address.wrapping_add(table.names_offset));
    let both = [table.to_le_bytes(), names.to_le_bytes()].concat();
    let plain = elf.segments().iter().flat_map(move |segment| {
        let places: Vec<usize> = memmem::find_iter(segment.data, &both).take(CANDIDATES_MAX).collect();
        places.into_iter().map(|at| segment.address.wrapping_add(at as u64))
    });
    let relocated = elf
        .relative()
        .iter()
        .filter(move |(at, value)| *value == table && at.checked_add(8).and_then(|at| elf.word(at)) == Some(names));
    relocated.map(|(at, _)| *at).chain(plain).take(CANDIDATES_MAX)
}

/// Reads module data, and says whether it and the table are of a piece.
fn check<'a>(
    elf: &Elf<'a>,
    layout: &StructLayout,
    mut table: PcLnTab<'a>,
    address: u64,
) -> Option<(PcLnTab<'a>, Module)> {
    let data = Data { word: &|at| elf.word(address.checked_add(at)?), layout };
    let module = data.module(address, table.shape())?;
    table.text = module.text.0;
    let whole = data.fits(&table)?
        && elf.is_mapped(module.text.0)
        && elf.is_mapped(module.gofunc)
        && elf.is_mapped(module.types.0)
        && elf.bytes_from(module.types.0).and_then(|types| bytes::u64(types, 0)).is_some();
    whole.then_some((table, module))
}

/// Module data, wherever it is read from.
pub(crate) struct Data<'d> {
    /// A word of it, counted from its start.
    pub(crate) word: &'d dyn Fn(u64) -> Option<u64>,
    pub(crate) layout: &'d StructLayout,
}

impl Data<'_> {
    pub(crate) fn field(&self, name: &str) -> Option<u64> {
        (self.word)(u64::from(self.layout.offset(name)?))
    }

    fn range(&self, start: &str, end: &str) -> Option<(u64, u64)> {
        Some((self.field(start)?, self.field(end)?)).filter(|(start, end)| start <= end)
    }

    /// What it says, if it can be said of any module.
    pub(crate) fn module(&self, address: u64, shape: Shape) -> Option<Module> {
        let text = self.range("text", "etext")?;
        Some(Module {
            address,
            text,
            gofunc: if shape == Shape::Addresses { text.0 } else { self.field("gofunc")? },
            types: self.range("types", "etypes")?,
            rodata: self.field("rodata").unwrap_or(0),
            pointer_data: [self.range("data", "edata")?, self.range("bss", "ebss")?],
            plain_data: [self.range("noptrdata", "enoptrdata")?, self.range("noptrbss", "enoptrbss")?],
        })
    }

    /// Whether a table of functions is the one that belongs to it: what `moduledataverify1` of the runtime asserts.
    pub(crate) fn fits(&self, table: &PcLnTab<'_>) -> Option<bool> {
        let rows = (self.word)(u64::from(self.layout.offset("ftab")?).checked_add(8)?)?;
        Some(
            rows == table.len() as u64 + 1
                && self.field("minpc")? == table.row(0)?
                && self.field("maxpc")? == table.row(table.len())?,
        )
    }
}
