//! Layouts of runtime structs from DWARF, as the Go linker writes it (versions 4 and 5).

use std::borrow::Cow;
use std::collections::BTreeMap;

use gimli::{AttributeValue, DebugAbbrev, DebugInfo, DebugStr, EndianSlice, LittleEndian, Reader as _, SectionId};

use crate::Elf;

/// Where the fields of a struct are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StructLayout {
    /// Its size in bytes.
    pub size: u32,
    /// Offsets by name.
    pub fields: BTreeMap<String, u32>,
}

impl StructLayout {
    /// The offset of a field.
    pub fn offset(&self, field: &str) -> Option<u32> {
        self.fields.get(field).copied()
    }
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Found = BTreeMap<String, StructLayout>;

/// The layouts of structs, as far as `wanted` lists them with their fields. Empty when there is no DWARF, or none that can
/// be read.
pub fn structs(elf: &Elf<'_>, wanted: &[(&str, &[&str])]) -> BTreeMap<String, StructLayout> {
    let load = |id: SectionId| elf.section(id.name()).map_or(Cow::Borrowed(&[] as &[u8]), |section| section.data());
    let (info, abbreviations, strings) =
        (load(SectionId::DebugInfo), load(SectionId::DebugAbbrev), load(SectionId::DebugStr));
    let sections = Sections {
        info: DebugInfo::new(&info, LittleEndian),
        abbreviations: DebugAbbrev::new(&abbreviations, LittleEndian),
        strings: DebugStr::new(&strings, LittleEndian),
    };
    let mut found = Found::new();
    // What was read before something malformed still holds.
    let _ = sections.read(wanted, &mut found);
    found
}

struct Sections<'a> {
    info: DebugInfo<Slice<'a>>,
    abbreviations: DebugAbbrev<Slice<'a>>,
    strings: DebugStr<Slice<'a>>,
}

impl<'a> Sections<'a> {
    /// The linker puts all types into one unit: that of the runtime, or, older ones, one of its own.
    fn read(&self, wanted: &[(&str, &[&str])], found: &mut Found) -> Result<(), gimli::Error> {
        let mut units = self.info.units();
        while let Some(unit) = units.next()? {
            let abbreviations = unit.abbreviations(&self.abbreviations)?;
            let mut entries = unit.entries(&abbreviations);
            // The struct whose members follow, and how deep it lies.
            let mut open: Option<(&str, &[&str], StructLayout, isize)> = None;
            while let Some(entry) = entries.next_dfs()? {
                if let Some((name, fields, layout, depth)) = &mut open {
                    if entry.depth() > *depth {
                        if entry.tag() == gimli::DW_TAG_member && entry.depth() == *depth + 1 {
                            let name = self.name(entry.attr_value(gimli::DW_AT_name));
                            let field = fields.iter().find(|field| name == Some(field.as_bytes()));
                            let offset = entry.attr_value(gimli::DW_AT_data_member_location).and_then(number);
                            layout.fields.extend(field.map(|field| (*field).to_owned()).zip(offset));
                        }
                        continue;
                    }
                    found.entry((*name).to_owned()).or_insert_with(|| std::mem::take(layout));
                    open = None;
                }
                if entry.tag() == gimli::DW_TAG_constant {
                    let name = self.name(entry.attr_value(gimli::DW_AT_name)).unwrap_or_default();
                    constant(name, entry.attr_value(gimli::DW_AT_const_value), wanted, found);
                }
                if entry.tag() != gimli::DW_TAG_structure_type {
                    continue;
                }
                let name = self.name(entry.attr_value(gimli::DW_AT_name));
                if let Some((name, fields)) = wanted.iter().find(|(wanted, _)| name == Some(wanted.as_bytes())) {
                    let size = entry.attr_value(gimli::DW_AT_byte_size).and_then(number).unwrap_or(0);
                    open = Some((name, fields, StructLayout { size, fields: BTreeMap::new() }, entry.depth()));
                }
            }
            if let Some((name, _, layout, _)) = open {
                found.entry(name.to_owned()).or_insert(layout);
            }
            // What follows is the program's own, which may be large.
            if found.contains_key("runtime.g") && found.contains_key("runtime._KindSpecial*") {
                return Ok(());
            }
        }
        Ok(())
    }

    fn name(&self, value: Option<AttributeValue<Slice<'a>>>) -> Option<&'a [u8]> {
        match value? {
            AttributeValue::String(text) => Some(text.slice()),
            AttributeValue::DebugStrRef(offset) => self.strings.get_str(offset).ok().map(|text| text.slice()),
            _ => None,
        }
    }
}

/// Takes a constant if it is one of those that a name with `*` stands for.
fn constant(name: &[u8], value: Option<AttributeValue<Slice<'_>>>, wanted: &[(&str, &[&str])], found: &mut Found) {
    let group = |(wanted, _): &&(&str, &[&str])| {
        wanted.strip_suffix('*').is_some_and(|start| name.starts_with(start.as_bytes()))
    };
    let Some((group, fields)) = wanted.iter().find(group) else { return };
    let field = fields.iter().find(|field| name[group.len() - 1..] == *field.as_bytes());
    if let Some((field, value)) = field.zip(value.and_then(number)) {
        found.entry((*group).to_owned()).or_default().fields.insert((*field).to_owned(), value);
    }
}

/// A constant, in any of the forms that have one.
fn number(value: AttributeValue<Slice<'_>>) -> Option<u32> {
    match value {
        AttributeValue::Exprloc(expression) => {
            // `DW_OP_plus_uconst`, from old linkers.
            let mut reader = expression.0;
            (reader.read_u8().ok()? == gimli::DW_OP_plus_uconst.0).then_some(())?;
            reader.read_uleb128().ok().and_then(|value| u32::try_from(value).ok())
        }
        value => value.udata_value().and_then(|value| u32::try_from(value).ok()),
    }
}
