//! Arguments and local variables of a function at an instruction, from DWARF as the Go compiler writes it.
//!
//! `cmd/internal/dwarf/dwarf.go` and `cmd/compile/internal/ssa/debug.go`: a variable lies at an offset from the frame's
//! end (`DW_OP_fbreg`, `DW_OP_call_frame_cfa`), in registers, or in pieces of both, which can change from one instruction
//! to the next. One that escapes is named with `&` in front and is the address of its place on the heap. What a closure
//! has captured has an offset in it (`DW_AT_go_closure_offset`, since Go 1.23).

use std::borrow::Cow;

use gimli::{AttributeValue, DebuggingInformationEntry, DwAt, EndianSlice, EvaluationResult, LittleEndian, UnitOffset};

use crate::Elf;

const GO_KIND: DwAt = DwAt(0x2900);
const GO_CLOSURE_OFFSET: DwAt = DwAt(0x2907);
/// Variables of one function, pieces of a variable, and types that name each other, at most.
const VARIABLES_MAX: usize = 10_000;
const PIECES_MAX: usize = 64;
const TYPEDEFS_MAX: usize = 16;

type Slice<'s> = EndianSlice<'s, LittleEndian>;
type Unit<'s> = gimli::Unit<Slice<'s>>;
type Entry<'s> = DebuggingInformationEntry<Slice<'s>>;

/// A part of a variable, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes from the frame's end: where the stack pointer stood before the call was made.
    Frame {
        /// Counted from the frame's end.
        offset: i64,
        /// Bytes.
        len: u64,
    },
    /// In a register, whose value only the innermost frame still has.
    Register {
        /// Bytes.
        len: u64,
    },
    /// Nowhere: it isn't needed any more, or is a constant.
    Gone {
        /// Bytes.
        len: u64,
    },
}

/// What a variable is to its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableRole {
    /// It is passed in.
    Argument,
    /// It is passed back.
    Result,
    /// It is declared inside.
    Local,
    /// A closure has captured it: it lies there, or its address does.
    Captured,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its name; with `&` in front when it lives on the heap.
    pub name: String,
    /// The name of its type.
    pub type_name: String,
    /// Bytes that it takes.
    pub size: u64,
    /// What kind of type that is, as `reflect.Kind` counts.
    pub kind: u8,
    /// What it is to its function.
    pub role: VariableRole,
    /// The line that declares it; 0 when that isn't known.
    pub line: u32,
    /// Where it is in the closure that has captured it, or where its address is.
    pub closure_offset: Option<u64>,
    /// It belongs to a call that is inlined.
    pub inlined: bool,
    /// Where it is. Empty when that isn't known at this instruction.
    pub pieces: Vec<Piece>,
}

/// The debug information of a program.
pub struct DebugInfo<'a>(gimli::DwarfSections<Cow<'a, [u8]>>);

impl<'a> DebugInfo<'a> {
    /// That of a program; none when it has none.
    pub fn load(elf: &Elf<'a>) -> Option<Self> {
        elf.section(".debug_info")?;
        let load = |id: gimli::SectionId| {
            let section = elf.section(id.name());
            Ok::<_, gimli::Error>(section.map_or(Cow::Borrowed(&[] as &[u8]), |section| section.data()))
        };
        gimli::DwarfSections::load(load).ok().map(Self)
    }

    /// The variables of the function that an instruction lies in, those of inlined calls there too, outermost first.
    pub fn variables(&self, pc: u64) -> Vec<Local> {
        let dwarf = self.0.borrow(|section| EndianSlice::new(section, LittleEndian));
        let mut found = Vec::new();
        // What was read before something malformed still holds.
        let _ = read(&dwarf, pc, &mut found);
        found
    }
}

type Dwarf<'s> = gimli::Dwarf<Slice<'s>>;

fn read(dwarf: &Dwarf<'_>, pc: u64, found: &mut Vec<Local>) -> Result<(), gimli::Error> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut ranges = dwarf.unit_ranges(&unit)?;
        let mut inside = false;
        while let Some(range) = ranges.next()? {
            inside |= (range.begin..range.end).contains(&pc);
        }
        if inside && of_unit(dwarf, &unit, pc, found)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether an entry's code has the instruction.
fn covers<'s>(dwarf: &Dwarf<'s>, unit: &Unit<'s>, entry: &Entry<'s>, pc: u64) -> Result<bool, gimli::Error> {
    let mut ranges = dwarf.die_ranges(unit, entry)?;
    while let Some(range) = ranges.next()? {
        if (range.begin..range.end).contains(&pc) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for the function in a unit, and reads its variables; whether it is there.
fn of_unit<'s>(dwarf: &Dwarf<'s>, unit: &Unit<'s>, pc: u64, found: &mut Vec<Local>) -> Result<bool, gimli::Error> {
    let mut entries = unit.entries();
    // The depth of the function, and of a block that is left out.
    let mut function: Option<isize> = None;
    let mut left_out: Option<isize> = None;
    let mut inlined: Option<isize> = None;
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        if function.is_some_and(|function| depth <= function) || found.len() >= VARIABLES_MAX {
            return Ok(true);
        }
        if left_out.is_some_and(|left_out| depth > left_out) {
            continue;
        }
        left_out = None;
        if inlined.is_some_and(|inlined| depth <= inlined) {
            inlined = None;
        }
        match entry.tag() {
            gimli::DW_TAG_subprogram => {
                if covers(dwarf, unit, entry, pc)? {
                    function = Some(depth);
                } else {
                    left_out = Some(depth);
                }
            }
            gimli::DW_TAG_lexical_block | gimli::DW_TAG_inlined_subroutine if function.is_some() => {
                if !covers(dwarf, unit, entry, pc)? {
                    left_out = Some(depth);
                } else if entry.tag() == gimli::DW_TAG_inlined_subroutine && inlined.is_none() {
                    inlined = Some(depth);
                }
            }
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable if function.is_some() => {
                found.extend(variable(dwarf, unit, entry, pc, inlined.is_some()));
            }
            _ => {}
        }
    }
    Ok(function.is_some())
}

fn variable<'s>(dwarf: &Dwarf<'s>, unit: &Unit<'s>, entry: &Entry<'s>, pc: u64, inlined: bool) -> Option<Local> {
    // Where a function is inlined, its variables are described once and referred to.
    let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
    let described = match origin {
        Some(AttributeValue::UnitRef(offset)) => Some((None, unit.entry(offset).ok()?)),
        Some(AttributeValue::DebugInfoRef(offset)) => {
            let (other, offset) = unit_of(dwarf, offset)?;
            let entry = other.entry(offset).ok()?;
            Some((Some(other), entry))
        }
        _ => None,
    };
    let attribute = |name: DwAt| {
        entry.attr_value(name).map(|value| (unit, value)).or_else(|| {
            let (other, described) = described.as_ref()?;
            Some((other.as_ref().unwrap_or(unit), described.attr_value(name)?))
        })
    };
    let (of, name) = attribute(gimli::DW_AT_name)?;
    let name = text(dwarf, of, name)?;
    let (type_name, size, kind) = attribute(gimli::DW_AT_type)
        .and_then(|(unit, value)| describe(dwarf, unit, value))
        .unwrap_or_else(|| (String::new(), 0, 0));
    let number = |name| attribute(name).and_then(|(_, value)| value.udata_value());
    let result = attribute(gimli::DW_AT_variable_parameter)
        .is_some_and(|(_, value)| matches!(value, AttributeValue::Flag(true)));
    let closure_offset = number(GO_CLOSURE_OFFSET);
    let role = match entry.tag() {
        _ if closure_offset.is_some() => VariableRole::Captured,
        gimli::DW_TAG_formal_parameter if result => VariableRole::Result,
        gimli::DW_TAG_formal_parameter => VariableRole::Argument,
        _ => VariableRole::Local,
    };
    let line = number(gimli::DW_AT_decl_line).and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
    let pieces = entry.attr_value(gimli::DW_AT_location).and_then(|value| location(dwarf, unit, value, pc, size));
    let pieces = pieces.unwrap_or_default();
    Some(Local { name, type_name, size, kind, role, line, closure_offset, inlined, pieces })
}

/// The unit that an offset lies in, and the offset within it.
fn unit_of<'s>(dwarf: &Dwarf<'s>, offset: gimli::DebugInfoOffset) -> Option<(Unit<'s>, UnitOffset)> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().ok()? {
        if let Some(within) = offset.to_unit_offset(&header) {
            return Some((dwarf.unit(header).ok()?, within));
        }
    }
    None
}

fn text<'s>(dwarf: &Dwarf<'s>, unit: &Unit<'s>, value: AttributeValue<Slice<'s>>) -> Option<String> {
    dwarf.attr_string(unit, value).ok().map(|text| String::from_utf8_lossy(text.slice()).into_owned())
}

/// The name of a type, its size, and what kind it is.
fn describe<'s>(dwarf: &Dwarf<'s>, unit: &Unit<'s>, value: AttributeValue<Slice<'s>>) -> Option<(String, u64, u8)> {
    let mut found: Option<(String, u8)> = None;
    let mut reference = value;
    let mut other: Option<Unit<'s>> = None;
    for _ in 0..TYPEDEFS_MAX {
        let (next, offset) = match reference {
            AttributeValue::UnitRef(offset) => (None, offset),
            AttributeValue::DebugInfoRef(offset) => {
                let (unit, offset) = unit_of(dwarf, offset)?;
                (Some(unit), offset)
            }
            _ => break,
        };
        if next.is_some() {
            other = next;
        }
        let unit = other.as_ref().unwrap_or(unit);
        let entry = unit.entry(offset).ok()?;
        let kind = entry.attr_value(GO_KIND).and_then(|kind| kind.udata_value()).unwrap_or(0) as u8;
        let name = entry.attr_value(gimli::DW_AT_name).and_then(|name| text(dwarf, unit, name)).unwrap_or_default();
        let (name, known) = found.take().unwrap_or((name, kind));
        let kind = if known == 0 { kind } else { known };
        if let Some(size) = entry.attr_value(gimli::DW_AT_byte_size).and_then(|size| size.udata_value()) {
            return Some((name, size, kind));
        }
        if entry.tag() == gimli::DW_TAG_pointer_type || entry.tag() == gimli::DW_TAG_subroutine_type {
            return Some((name, 8, kind));
        }
        found = Some((name, kind));
        match entry.attr_value(gimli::DW_AT_type) {
            Some(next) => reference = next,
            None => break,
        }
    }
    found.map(|(name, kind)| (name, 0, kind))
}

/// Where a variable is at an instruction.
fn location<'s>(
    dwarf: &Dwarf<'s>,
    unit: &Unit<'s>,
    value: AttributeValue<Slice<'s>>,
    pc: u64,
    size: u64,
) -> Option<Vec<Piece>> {
    if let AttributeValue::Exprloc(expression) = value {
        return pieces(unit, expression, size);
    }
    let mut locations = dwarf.attr_locations(unit, value).ok()??;
    while let Some(entry) = locations.next().ok()? {
        if (entry.range.begin..entry.range.end).contains(&pc) {
            return pieces(unit, entry.data, size);
        }
    }
    None
}

/// Evaluates an expression. The end of the frame counts as address `CFA`, so that what comes out is an offset.
fn pieces<'s>(unit: &Unit<'s>, expression: gimli::Expression<Slice<'s>>, size: u64) -> Option<Vec<Piece>> {
    const CFA: u64 = 1 << 62;
    let mut evaluation = expression.evaluation(unit.encoding());
    evaluation.set_max_iterations(1000);
    let mut result = evaluation.evaluate().ok()?;
    loop {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresFrameBase => evaluation.resume_with_frame_base(CFA).ok()?,
            EvaluationResult::RequiresCallFrameCfa => evaluation.resume_with_call_frame_cfa(CFA).ok()?,
            _ => return None,
        };
    }
    let found = evaluation.result();
    let piece = |piece: &gimli::Piece<Slice<'s>>| {
        let len = piece.size_in_bits.map_or(size, |bits| bits / 8);
        match piece.location {
            gimli::Location::Address { address } => {
                Piece::Frame { offset: address.wrapping_sub(CFA).cast_signed(), len }
            }
            gimli::Location::Register { .. } => Piece::Register { len },
            _ => Piece::Gone { len },
        }
    };
    Some(found.iter().take(PIECES_MAX).map(piece).collect())
}
