//! Package variables with their types, from DWARF as the Go tool chain writes it.
//!
//! A type's entry tells where the running program describes it (`DW_AT_go_runtime_type` of `cmd/internal/dwarf`): by its
//! address, or, since Go 1.27, counted from the start of the types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gimli::{
    AttributeValue, DebugAbbrev, DebugInfo, DebugInfoOffset, DebugStr, DwAt, EndianSlice, LittleEndian, Reader as _,
    SectionId, UnitHeader,
};

use crate::{Elf, Module};

/// `DW_AT_go_runtime_type`.
const RUNTIME_TYPE: DwAt = DwAt(0x2904);
/// Variables beyond are left out.
const VARIABLES_MAX: usize = 1 << 20;
/// Names of types that only stand for others.
const ALIASES_MAX: usize = 4;

/// A package variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// With its package: `net/http.DefaultClient`.
    pub name: String,
    /// Its address in the file.
    pub address: u64,
    /// Where its type is described, in the file.
    pub kind: u64,
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'u, 'a> = gimli::DebuggingInformationEntry<Slice<'a>>;

/// The package variables that DWARF tells of, by address. Empty when there is none.
pub fn variables(elf: &Elf<'_>, module: &Module) -> Vec<Variable> {
    let load = |id: SectionId| elf.section(id.name()).map_or(Cow::Borrowed(&[] as &[u8]), |section| section.data());
    let (info, abbreviations, strings) =
        (load(SectionId::DebugInfo), load(SectionId::DebugAbbrev), load(SectionId::DebugStr));
    let reader = Reader {
        info: DebugInfo::new(&info, LittleEndian),
        abbreviations: DebugAbbrev::new(&abbreviations, LittleEndian),
        strings: DebugStr::new(&strings, LittleEndian),
    };
    let moved = elf.moved();
    let types = module.types.0.wrapping_sub(moved);
    let mut found = BTreeMap::new();
    // What was read before something malformed still holds.
    let units = reader.units().unwrap_or_default();
    for unit in &units {
        let _ = reader.unit(unit, module, moved, &mut found);
    }
    let mut kinds: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    let mut variables = Vec::new();
    for (address, (name, entry)) in found {
        let kind = *kinds.entry(entry).or_insert_with(|| reader.runtime_type(&units, entry, ALIASES_MAX));
        if let Some(kind) = kind {
            let kind = if kind < types { types.saturating_add(kind) } else { kind }.wrapping_add(moved);
            variables.push(Variable { name, address, kind });
        }
    }
    variables
}

struct Reader<'a> {
    info: DebugInfo<Slice<'a>>,
    abbreviations: DebugAbbrev<Slice<'a>>,
    strings: DebugStr<Slice<'a>>,
}

impl<'a> Reader<'a> {
    fn units(&self) -> Result<Vec<UnitHeader<Slice<'a>>>, gimli::Error> {
        let (mut found, mut units) = (Vec::new(), self.info.units());
        while let Some(unit) = units.next()? {
            found.push(unit);
        }
        Ok(found)
    }

    /// Name and entry of the type of each variable, by address.
    fn unit(
        &self,
        unit: &UnitHeader<Slice<'a>>,
        module: &Module,
        moved: u64,
        found: &mut BTreeMap<u64, (String, usize)>,
    ) -> Result<(), gimli::Error> {
        let abbreviations = unit.abbreviations(&self.abbreviations)?;
        let mut entries = unit.entries(&abbreviations);
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != gimli::DW_TAG_variable || entry.depth() != 1 || found.len() >= VARIABLES_MAX {
                continue;
            }
            let (Some(address), Some(kind)) = (address(entry), reference(unit, entry)) else { continue };
            let address = address.wrapping_add(moved);
            if module.pointer_data.iter().any(|(start, end)| (start..end).contains(&&address))
                && let Some(name) = self.name(entry)
            {
                found.insert(address, (name, kind));
            }
        }
        Ok(())
    }

    /// Where the type with this entry is described.
    fn runtime_type(&self, units: &[UnitHeader<Slice<'a>>], at: usize, aliases: usize) -> Option<u64> {
        let after = units.partition_point(|unit| unit.offset().0 <= at);
        let unit = units.get(after.checked_sub(1)?)?;
        let abbreviations = unit.abbreviations(&self.abbreviations).ok()?;
        let offset = DebugInfoOffset(at).to_unit_offset(unit)?;
        let entry = unit.entry(&abbreviations, offset).ok()?;
        match entry.attr_value(RUNTIME_TYPE) {
            Some(AttributeValue::Addr(address)) => Some(address),
            Some(value) => value.udata_value(),
            None if entry.tag() == gimli::DW_TAG_typedef && aliases > 0 => {
                self.runtime_type(units, reference(unit, &entry)?, aliases - 1)
            }
            None => None,
        }
    }

    fn name(&self, entry: &Entry<'_, 'a>) -> Option<String> {
        let name = match entry.attr_value(gimli::DW_AT_name)? {
            AttributeValue::String(text) => text,
            AttributeValue::DebugStrRef(offset) => self.strings.get_str(offset).ok()?,
            _ => return None,
        };
        Some(String::from_utf8_lossy(name.slice()).into_owned())
    }
}

/// The address of a variable that has a fixed one: `DW_OP_addr`.
fn address(entry: &Entry<'_, '_>) -> Option<u64> {
    let expression = match entry.attr_value(gimli::DW_AT_location)? {
        AttributeValue::Exprloc(expression) => expression.0,
        AttributeValue::Block(block) => block,
        _ => return None,
    };
    let mut reader = expression;
    (reader.read_u8().ok()? == gimli::DW_OP_addr.0).then_some(())?;
    reader.read_u64().ok()
}

/// The entry of a type, counted from the start of the section.
fn reference(unit: &UnitHeader<Slice<'_>>, entry: &Entry<'_, '_>) -> Option<usize> {
    match entry.attr_value(gimli::DW_AT_type)? {
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(unit).map(|offset| offset.0),
        _ => None,
    }
}
