//! The table of functions that every Go program carries, also when stripped: `.gopclntab`.
//!
//! Layout: `runtime/symtab.go` (`pcHeader`, `functab`), `runtime/runtime2.go` (`_func`) and `cmd/link/internal/ld/pcln.go`. Since
//! the header has offsets to its parts there are three shapes, told apart by the magic number: functions by address, by
//! offset from the start of the text, and the latter with the line a function starts on. The field for the start of the
//! text in the header is not used: position-independent programs leave it to the dynamic linker, and newer ones leave it
//! out. The module data says where the text starts.

use std::borrow::Cow;

use crate::{Arch, bytes};

/// Functions in a table, at most.
const FUNCTIONS_MAX: usize = 1 << 26;

/// `PCDATA_InlTreeIndex`.
const INLINE_INDEX: u32 = 2;
/// `PCDATA_StackMapIndex`.
const STACK_MAP_INDEX: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Functions and auxiliary data by address.
    Addresses,
    /// By offsets of 32 bits.
    Offsets,
    /// So, and functions have a start line.
    StartLines,
}

/// The magic numbers of the shapes.
pub(crate) const MAGICS: [(u32, Shape); 3] =
    [(0xffff_fff1, Shape::StartLines), (0xffff_fff0, Shape::Offsets), (0xffff_fffa, Shape::Addresses)];

/// The table of functions.
#[derive(Clone, Copy)]
pub struct PcLnTab<'a> {
    shape: Shape,
    quantum: u8,
    count: usize,
    /// The address of the table.
    pub(crate) address: u64,
    /// Where names begin, counted from the start of the table.
    pub(crate) names_offset: u64,
    /// The address that offsets of functions count from.
    pub(crate) text: u64,
    names: &'a [u8],
    units: &'a [u8],
    files: &'a [u8],
    values: &'a [u8],
    functions: &'a [u8],
    functions_address: u64,
}

impl<'a> PcLnTab<'a> {
    /// Whether a table of current releases can begin with these eight bytes.
    pub fn begins_with(start: &[u8], arch: Arch) -> bool {
        let known = |magic| MAGICS.iter().any(|(known, shape)| *known == magic && *shape == Shape::StartLines);
        bytes::u32(start, 0).is_some_and(known) && start.get(4..8) == Some(&[0, 0, arch.quantum(), 8])
    }

    /// Reads the header at the start of `table`, which may go on behind the table's end.
    pub(crate) fn parse(table: &'a [u8], address: u64, arch: Arch) -> Option<Self> {
        let magic = bytes::u32(table, 0)?;
        let shape = MAGICS.iter().find(|(known, _)| *known == magic)?.1;
        if table.get(4..8)? != [0, 0, arch.quantum(), 8] {
            return None;
        }
        let number = |at| usize::try_from(bytes::u64(table, at)?).ok();
        let count = number(8).filter(|count| (1..FUNCTIONS_MAX).contains(count))?;
        // Number of functions, of files, perhaps the start of the text, then five offsets.
        let first = if shape == Shape::Addresses { 24 } else { 32 };
        let part = |index: usize| -> Option<(usize, &'a [u8])> {
            let offset = number(first + 8 * index)?;
            Some((offset, table.get(offset..)?))
        };
        let ((names_offset, names), (_, units), (_, files), (_, values)) = (part(0)?, part(1)?, part(2)?, part(3)?);
        let (functions_offset, functions) = part(4)?;
        let parsed = Self {
            shape,
            quantum: arch.quantum(),
            count,
            address,
            names_offset: names_offset as u64,
            text: 0,
            names,
            units,
            files,
            values,
            functions,
            functions_address: address.checked_add(functions_offset as u64)?,
        };
        // The row behind the last has the end of the last function.
        (functions.len() >= count.checked_mul(parsed.row_size())?.checked_add(parsed.row_size() / 2)?).then_some(parsed)
    }

    fn row_size(&self) -> usize {
        if self.shape == Shape::Addresses { 16 } else { 8 }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// How many functions there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// There is always one.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The address of a row: where a function begins.
    pub(crate) fn row(&self, index: usize) -> Option<u64> {
        let at = index.checked_mul(self.row_size())?;
        match self.shape {
            Shape::Addresses => bytes::u64(self.functions, at),
            _ => self.text.checked_add(u64::from(bytes::u32(self.functions, at)?)),
        }
    }

    /// A function by its number, in the order of addresses.
    pub fn function(&self, index: usize) -> Option<Function<'a>> {
        if index >= self.count {
            return None;
        }
        let entry = self.row(index)?;
        let end = self.row(index + 1)?;
        let at = index.checked_mul(self.row_size())?;
        let offset = match self.shape {
            Shape::Addresses => usize::try_from(bytes::u64(self.functions, at + 8)?).ok()?,
            _ => bytes::u32(self.functions, at + 4)? as usize,
        };
        let record = self.functions.get(offset..)?;
        (entry < end).then_some(Function { table: *self, entry, end, record, offset })
    }

    /// The function that an address lies in.
    pub fn find(&self, pc: u64) -> Option<Function<'a>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.row(middle)? <= pc {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.function(low.checked_sub(1)?).filter(|function| pc < function.end)
    }

    /// All functions, in the order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = Function<'a>> + '_ {
        (0..self.count).filter_map(|index| self.function(index))
    }

    /// Whether a function has this name; what is inlined has one here too.
    pub fn has_name(&self, name: &str) -> bool {
        // The names are one after the other, each with a zero behind it, and the units come behind them.
        let names = &self.names[..self.names.len().saturating_sub(self.units.len())];
        memchr::memmem::find_iter(names, name).any(|at| {
            at.checked_sub(1).is_none_or(|before| names[before] == 0) && names.get(at + name.len()) == Some(&0)
        })
    }

    pub(crate) fn name(&self, offset: u32) -> Option<Cow<'a, str>> {
        bytes::until_nul(self.names, offset as usize).map(String::from_utf8_lossy)
    }
}

/// A function as compiled: what is inlined into it has no entry of its own.
#[derive(Clone, Copy)]
pub struct Function<'a> {
    table: PcLnTab<'a>,
    /// The address of its first instruction.
    pub entry: u64,
    /// The address behind its last one.
    pub end: u64,
    record: &'a [u8],
    /// Where the record begins.
    offset: usize,
}

impl<'a> Function<'a> {
    /// A field of `_func`, counted from the one behind the entry.
    fn field(&self, index: usize) -> Option<u32> {
        let entry = if self.table.shape == Shape::Addresses { 8 } else { 4 };
        bytes::u32(self.record, entry + 4 * index)
    }

    /// Where the bytes `funcID`, `flag`, padding and `nfuncdata` are.
    fn tail(&self) -> usize {
        match self.table.shape {
            Shape::Offsets => 36,
            Shape::Addresses | Shape::StartLines => 40,
        }
    }

    /// Its name as the linker has it: `net/http.(*conn).serve.func1`, `main.gen[...]`.
    pub fn name(&self) -> Cow<'a, str> {
        self.field(0).and_then(|offset| self.table.name(offset)).unwrap_or_default()
    }

    /// Where, counted from the entry, deferred functions are called on the way out; 0 when it defers nothing.
    pub fn deferreturn(&self) -> u32 {
        self.field(2).unwrap_or(0)
    }

    /// Traces of stacks end here.
    pub fn is_top_frame(&self) -> bool {
        self.flags() & 1 != 0
    }

    /// It moves the stack pointer in ways that the tables don't tell.
    pub fn writes_sp(&self) -> bool {
        self.flags() & 2 != 0
    }

    fn flags(&self) -> u8 {
        self.record.get(self.tail() + 1).copied().unwrap_or(0)
    }

    /// Bytes between the stack pointer at `pc` and the one at the entry.
    pub fn sp_delta(&self, pc: u64) -> Option<u64> {
        self.value(self.field(3)?, pc).and_then(|delta| u64::try_from(delta).ok())
    }

    /// File and line of an instruction; of the inlined call's body, if it belongs to one.
    pub fn file_line(&self, pc: u64) -> Option<(Cow<'a, str>, u32)> {
        let line = u32::try_from(self.value(self.field(5)?, pc)?).ok()?;
        let file = u32::try_from(self.value(self.field(4)?, pc)?).ok()?;
        let unit = self.field(7)?.checked_add(file)?;
        let offset = bytes::u32(self.table.units, (unit as usize).checked_mul(4)?)?;
        let name = bytes::until_nul(self.table.files, offset as usize)?;
        Some((String::from_utf8_lossy(name), line))
    }

    /// Which row of the inline tree an instruction belongs to.
    pub(crate) fn inline_index(&self, pc: u64) -> Option<u32> {
        self.pcdata(INLINE_INDEX, pc).and_then(|index| u32::try_from(index).ok())
    }

    /// Bytes of its arguments and results on the stack; none when that isn't known.
    pub fn argument_bytes(&self) -> Option<u32> {
        self.field(1).filter(|bytes| bytes.cast_signed() >= 0)
    }

    /// Which of its stack maps holds at an instruction; -1 is the one at its entry.
    pub fn stack_map_index(&self, pc: u64) -> Option<i32> {
        self.pcdata(STACK_MAP_INDEX, pc)
    }

    /// A value of the tables numbered by `PCDATA_*`.
    fn pcdata(&self, index: u32, pc: u64) -> Option<i32> {
        if index >= self.field(6)? {
            return None;
        }
        let offset = bytes::u32(self.record, (self.tail() + 4).checked_add(4 * index as usize)?)?;
        self.value(offset, pc)
    }

    /// The address of auxiliary data; `gofunc` is the module's field.
    pub(crate) fn funcdata(&self, index: u8, gofunc: u64) -> Option<u64> {
        let count = *self.record.get(self.tail() + 3)?;
        if index >= count {
            return None;
        }
        let start = (self.tail() + 4).checked_add((self.field(6)? as usize).checked_mul(4)?)?;
        let index = usize::from(index);
        if self.table.shape == Shape::Addresses {
            let address = self.table.functions_address.wrapping_add((self.offset + start) as u64);
            let padding = usize::from(address & 4 != 0) * 4;
            return bytes::u64(self.record, start + padding + 8 * index).filter(|address| *address != 0);
        }
        let offset = bytes::u32(self.record, start + 4 * index)?;
        (offset != u32::MAX).then(|| gofunc.wrapping_add(u64::from(offset)))
    }

    /// A value of the table at `offset` for an instruction: pairs of differences, of the value (zig-zag) and of the address.
    /// Addresses must grow, so the work is bounded by the length of the function.
    fn value(&self, offset: u32, pc: u64) -> Option<i32> {
        if offset == 0 {
            return None;
        }
        let (mut at, mut value, mut address) = (offset as usize, -1_i32, self.entry);
        let mut first = true;
        loop {
            let delta = bytes::uvarint(self.table.values, &mut at)? as u32;
            if delta == 0 && !first {
                return None;
            }
            first = false;
            value = value.wrapping_add((delta >> 1) as i32 ^ -((delta & 1) as i32));
            let distance = bytes::uvarint(self.table.values, &mut at)?;
            if distance == 0 {
                return None;
            }
            address = address.checked_add(distance.checked_mul(u64::from(self.table.quantum))?)?;
            if pc < address {
                return Some(value);
            }
        }
    }
}
