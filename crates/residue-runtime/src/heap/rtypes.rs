//! Types as the running program describes them (`internal/abi/type.go`): size, pointers, fields, names.
//!
//! Descriptions are in stripped programs too. They are read from the target's memory, where the linker's relocations are
//! done, and checked by the little that can be: kinds, sizes, and that they lie among the program's types.

use std::cell::RefCell;
use std::rc::Rc;

use residue_gobin::{Binary, Layouts};
use residue_target::{Memory as _, MemoryExt as _, Target};
use rustc_hash::FxHashMap;

use crate::Error;
use crate::offsets::{Offsets, word};
use crate::types;

/// Bytes of a type whose pointers are told.
const POINTER_BYTES_MAX: u64 = 1 << 30;
/// Fields of a struct.
const FIELDS_MAX: u64 = 10_000;
/// Pointers of a type that are told apart by what they lead to.
const TARGETS_MAX: usize = 4096;
/// Structs in structs.
const DEPTH_MAX: usize = 32;
const NAME_BYTES_MAX: u64 = 1024;
/// `GCData` leads to the mask by way of another pointer (`TFlagGCMaskOnDemand`).
const MASK_ON_DEMAND: u8 = 1 << 4;
/// `KindGCProg`, where the flag above isn't used yet.
const MASK_IS_PROGRAM: u8 = 1 << 6;
/// A value of the type is kept in an interface as it is (`KindDirectIface`, `TFlagDirectIface`).
const DIRECT: u8 = 1 << 5;

pub(crate) const ARRAY: u8 = 17;
pub(crate) const CHAN: u8 = 18;
pub(crate) const FUNC: u8 = 19;
pub(crate) const INTERFACE: u8 = 20;
pub(crate) const MAP: u8 = 21;
pub(crate) const POINTER: u8 = 22;
pub(crate) const SLICE: u8 = 23;
pub(crate) const STRING: u8 = 24;
pub(crate) const STRUCT: u8 = 25;
const UNSAFE_POINTER: u8 = 26;

/// A type.
#[derive(Debug)]
pub(crate) struct Type {
    /// Where its description is; 0 for what isn't known.
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// Bytes up to the end of the last pointer.
    pub(crate) pointer_bytes: u64,
    pub(crate) kind: u8,
    /// An interface holds the value itself, not its address.
    pub(crate) direct: bool,
    mask: u64,
    mask_flags: (bool, bool),
}

/// What a pointer in a value leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leads {
    /// A value of this type.
    One(u64),
    /// Values of this type, side by side: what a slice leads to.
    Many(u64),
    /// A map of this type.
    Map(u64),
    /// A channel of this type.
    Chan(u64),
    /// Bytes of a string.
    Bytes,
    /// A closure.
    Closure,
    /// What the word before says.
    Interface,
    /// Tables of a map.
    Tables,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) offset: u64,
}

struct At {
    size: usize,
    pointer_bytes: usize,
    flags: usize,
    kind: usize,
    mask: usize,
    element: u64,
    array_len: u64,
    fields: u64,
    field_size: u64,
    field_name: usize,
    field_type: usize,
    field_offset: usize,
    itab_type: u64,
    chan_buffer: u64,
    map_size: u64,
    pub(crate) map: Map,
}

/// How maps are laid out.
pub(crate) enum Map {
    /// In buckets: offsets of `buckets`, `oldbuckets`, and of the bucket's type in that of the map.
    Buckets { buckets: u64, old: u64, kind: u64 },
    /// In groups: offsets of `dirPtr` and `dirLen`, of `groups.data` in a table, the size of a table, the offset of the
    /// group's type in that of the map.
    Groups { directory: u64, directory_len: u64, groups: u64, table: u64, kind: u64 },
}

/// Where types are described.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    target: &'a Target,
    binary: &'a Binary<'a>,
    itab_type: u64,
}

impl Tables<'_> {
    /// Whether an address lies among the descriptions of types of the program or a plugin.
    pub(crate) fn is_description(self, address: u64) -> bool {
        self.binary.types_at(address.wrapping_sub(self.target.slide)).is_some()
    }

    /// Whether an address is that of a table of methods: its second word is a type.
    pub(crate) fn is_table(self, address: u64) -> bool {
        let kind = address.checked_add(self.itab_type).and_then(|at| self.target.word(at));
        kind.is_some_and(|kind| self.is_description(kind))
    }
}

/// All types that were met.
pub(crate) struct Types<'a> {
    target: &'a Target,
    binary: &'a Binary<'a>,
    names: &'a Offsets,
    at: At,
    known: FxHashMap<u64, Option<Rc<Type>>>,
    masks: FxHashMap<u64, Option<Rc<[u64]>>>,
    targets: FxHashMap<u64, Rc<[(u64, Leads)]>>,
    fields: FxHashMap<u64, Rc<[Field]>>,
    /// Whether types are those of a map's cells.
    cells: RefCell<FxHashMap<u64, bool>>,
}

impl<'a> Types<'a> {
    pub(crate) fn new(target: &'a Target, binary: &'a Binary<'a>, names: &'a Offsets) -> Result<Self, Error> {
        let at = At::of(&binary.layouts)?;
        Ok(Self {
            target,
            binary,
            names,
            at,
            known: FxHashMap::default(),
            masks: FxHashMap::default(),
            targets: FxHashMap::default(),
            fields: FxHashMap::default(),
            cells: RefCell::default(),
        })
    }

    /// What tells the first word of an interface from others.
    pub(crate) fn tables(&self) -> Tables<'a> {
        Tables { target: self.target, binary: self.binary, itab_type: self.at.itab_type }
    }

    /// The type that is described at an address.
    pub(crate) fn get(&mut self, address: u64) -> Option<Rc<Type>> {
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        let found = self.read(address).map(Rc::new);
        self.known.insert(address, found.clone());
        found
    }

    fn read(&self, address: u64) -> Option<Type> {
        if address == 0 || !address.is_multiple_of(8) {
            return None;
        }
        let record = self.target.read_up_to(address, 48);
        if record.len() < 48 {
            return None;
        }
        let (size, pointer_bytes) = (word(&record, self.at.size), word(&record, self.at.pointer_bytes));
        let (flags, kind) = (record[self.at.flags], record[self.at.kind]);
        let number = kind & 31;
        let fits =
            size < 1 << 46 && pointer_bytes <= size && pointer_bytes % 8 == 0 && (1..=UNSAFE_POINTER).contains(&number);
        let (on_demand, program) = (flags & MASK_ON_DEMAND != 0, kind & MASK_IS_PROGRAM != 0);
        fits.then_some(Type {
            address,
            size,
            pointer_bytes,
            kind: number,
            direct: matches!(number, POINTER | MAP | CHAN | FUNC | UNSAFE_POINTER) || (kind | flags) & DIRECT != 0,
            mask: word(&record, self.at.mask),
            // What looks like the flag is another one in older releases: `TFlagUnrolledBitmap`, of types that the runtime
            // makes up for single objects. Their mask is right behind the description.
            mask_flags: (on_demand && self.tables().is_description(address) && !self.makes_up(), program),
        })
    }

    /// Whether the flag means a type that was made up: where kinds still have a bit for programs, up to Go 1.23.
    fn makes_up(&self) -> bool {
        matches!(self.at.map, Map::Buckets { .. })
    }

    /// Which words of a value are pointers: a bit each. None when that isn't known.
    pub(crate) fn mask(&mut self, kind: &Type) -> Option<Rc<[u64]>> {
        if let Some(known) = self.masks.get(&kind.address) {
            return known.clone();
        }
        let found = self.read_mask(kind);
        self.masks.insert(kind.address, found.clone());
        found
    }

    fn read_mask(&mut self, kind: &Type) -> Option<Rc<[u64]>> {
        let words = kind.pointer_bytes / 8;
        if kind.pointer_bytes > POINTER_BYTES_MAX {
            return None;
        }
        let (on_demand, program) = kind.mask_flags;
        let at = if on_demand { self.target.word(kind.mask)? } else { kind.mask };
        if program || at == 0 {
            // Not made yet, or a program to make it: the fields tell as well.
            let mut mask = vec![0; words.div_ceil(64) as usize];
            self.mask_of(kind.address, 0, &mut mask, DEPTH_MAX)?;
            return Some(mask.into());
        }
        let bytes = self.target.read_up_to(at, words.div_ceil(8) as usize);
        if (bytes.len() as u64) < words.div_ceil(8) {
            return None;
        }
        let mut mask: Vec<u64> = bytes
            .chunks(8)
            .map(|bytes| bytes.iter().rev().fold(0, |mask, byte| mask << 8 | u64::from(*byte)))
            .collect();
        if !words.is_multiple_of(64)
            && let Some(last) = mask.last_mut()
        {
            *last &= (1 << (words % 64)) - 1;
        }
        Some(mask.into())
    }

    /// Sets the bits of a value at `offset`, from its fields and elements.
    fn mask_of(&mut self, address: u64, offset: u64, mask: &mut [u64], depth: usize) -> Option<()> {
        let kind = self.get(address)?;
        if kind.pointer_bytes == 0 {
            return Some(());
        }
        let depth = depth.checked_sub(1)?;
        let mut set = |at: u64| {
            let word = at / 8;
            mask.get_mut((word / 64) as usize).map(|bits| *bits |= 1 << (word % 64))
        };
        match kind.kind {
            STRUCT => {
                for field in self.fields(address).iter() {
                    self.mask_of(field.kind, offset.checked_add(field.offset)?, mask, depth)?;
                }
                Some(())
            }
            ARRAY => {
                let (element, len) = (self.element(&kind)?, self.array_len(&kind)?);
                let size = self.get(element)?.size;
                for index in 0..len {
                    let at = offset.checked_add(index.checked_mul(size)?)?;
                    self.mask_of(element, at, mask, depth)?;
                }
                Some(())
            }
            INTERFACE => set(offset + 8),
            _ => set(offset),
        }
    }

    /// The type of elements of a pointer, slice, array or channel.
    pub(crate) fn element(&self, kind: &Type) -> Option<u64> {
        self.target.word(kind.address.checked_add(self.at.element)?)
    }

    pub(crate) fn array_len(&self, kind: &Type) -> Option<u64> {
        self.target.word(kind.address.checked_add(self.at.array_len)?)
    }

    /// How the program's maps are laid out, with where in the map's type that of its buckets or groups is.
    pub(crate) fn map(&self) -> &Map {
        &self.at.map
    }

    /// Where a channel has the address of its buffer.
    pub(crate) fn chan_buffer(&self) -> u64 {
        self.at.chan_buffer
    }

    /// Bytes of the head of a map.
    pub(crate) fn map_size(&self) -> u64 {
        self.at.map_size
    }

    /// Whether a type is that of a map's buckets or groups.
    pub(crate) fn is_cells(&self, kind: u64) -> bool {
        if let Some(known) = self.cells.borrow().get(&kind) {
            return *known;
        }
        let found = self.name(kind).is_some_and(|name| cells_of(&name).is_some());
        self.cells.borrow_mut().insert(kind, found);
        found
    }

    /// The type of a map's buckets or groups.
    pub(crate) fn map_cells(&self, map: u64) -> Option<u64> {
        let (Map::Buckets { kind, .. } | Map::Groups { kind, .. }) = self.at.map;
        self.target.word(map.checked_add(kind)?)
    }

    /// The fields of a struct.
    pub(crate) fn fields(&mut self, address: u64) -> Rc<[Field]> {
        if let Some(known) = self.fields.get(&address) {
            return Rc::clone(known);
        }
        let found: Rc<[Field]> = self.read_fields(address).unwrap_or_default().into();
        self.fields.insert(address, Rc::clone(&found));
        found
    }

    fn read_fields(&self, address: u64) -> Option<Vec<Field>> {
        let list = address.checked_add(self.at.fields)?;
        let (pointer, len) = (self.target.word(list)?, self.target.word(list + 8)?);
        let size = self.at.field_size;
        let bytes = self.target.read_up_to(pointer, (len.min(FIELDS_MAX) * size) as usize);
        let fields = bytes.chunks_exact(size as usize).map(|field| Field {
            name: self.name_at(word(field, self.at.field_name)).unwrap_or_default(),
            kind: word(field, self.at.field_type),
            offset: word(field, self.at.field_offset),
        });
        Some(fields.collect())
    }

    /// A name: a byte of flags, its length, its text.
    fn name_at(&self, address: u64) -> Option<String> {
        let bytes = self.target.read_up_to(address, 64);
        let (mut len, mut used) = (0_u64, 1);
        for shift in [0, 7, 14] {
            let byte = *bytes.get(used)?;
            used += 1;
            len |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let len = len.min(NAME_BYTES_MAX) as usize;
        let text = match bytes.get(used..used + len) {
            Some(text) => text.to_vec(),
            None => self.target.read_up_to(address + used as u64, len),
        };
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Where a value has pointers, and what they lead to.
    pub(crate) fn targets(&mut self, address: u64) -> Rc<[(u64, Leads)]> {
        if let Some(known) = self.targets.get(&address) {
            return Rc::clone(known);
        }
        let mut found = Vec::new();
        // What is beyond is missing: less is known then.
        let _ = self.collect_targets(address, 0, &mut found, DEPTH_MAX);
        let found: Rc<[_]> = found.into();
        self.targets.insert(address, Rc::clone(&found));
        found
    }

    fn collect_targets(
        &mut self,
        address: u64,
        offset: u64,
        found: &mut Vec<(u64, Leads)>,
        depth: usize,
    ) -> Option<()> {
        let kind = self.get(address)?;
        if kind.pointer_bytes == 0 {
            return Some(());
        }
        let depth = depth.checked_sub(1)?;
        if found.len() >= TARGETS_MAX {
            return None;
        }
        match kind.kind {
            STRUCT => {
                for field in self.fields(address).iter() {
                    self.collect_targets(field.kind, offset.checked_add(field.offset)?, found, depth)?;
                }
            }
            ARRAY => {
                let (element, len) = (self.element(&kind)?, self.array_len(&kind)?);
                let size = self.get(element)?.size;
                for index in 0..len {
                    self.collect_targets(element, offset.checked_add(index.checked_mul(size)?)?, found, depth)?;
                }
            }
            POINTER => found.push((offset, Leads::One(self.element(&kind)?))),
            SLICE => found.push((offset, Leads::Many(self.element(&kind)?))),
            MAP => found.push((offset, Leads::Map(address))),
            CHAN => found.push((offset, Leads::Chan(address))),
            STRING => found.push((offset, Leads::Bytes)),
            FUNC => found.push((offset, Leads::Closure)),
            INTERFACE => found.push((offset + 8, Leads::Interface)),
            _ => {}
        }
        Some(())
    }

    /// What an interface's data word leads to, by its first word: the type of the value, unless that is no pointer and kept
    /// as it is.
    pub(crate) fn dynamic(&mut self, first: u64) -> Option<Leads> {
        let address = if self.tables().is_description(first) {
            first
        } else {
            self.target
                .word(first.checked_add(self.at.itab_type)?)
                .filter(|address| self.tables().is_description(*address))?
        };
        let kind = self.get(address)?;
        if !kind.direct {
            return Some(Leads::One(address));
        }
        match kind.kind {
            POINTER => Some(Leads::One(self.element(&kind)?)),
            MAP => Some(Leads::Map(address)),
            CHAN => Some(Leads::Chan(address)),
            FUNC => Some(Leads::Closure),
            // A struct or array of one pointer.
            _ => self.targets(address).first().map(|(_, target)| *target),
        }
    }

    /// What a value has at an offset, as one would write it: `.sessions[3].file`. None when the type isn't known.
    pub(crate) fn path(&self, address: u64, offset: u64) -> Option<String> {
        let mut text = String::new();
        let (mut address, mut offset) = (address, offset);
        for _ in 0..DEPTH_MAX {
            let kind = self.read(address)?;
            match kind.kind {
                STRUCT => {
                    let fields = self.read_fields(address)?;
                    // Fields without size stand where the next one does.
                    let after = fields.partition_point(|field| field.offset <= offset);
                    let field = fields.get(after.checked_sub(1)?)?;
                    text.push('.');
                    text += &field.name;
                    (address, offset) = (field.kind, offset - field.offset);
                }
                ARRAY => {
                    let element = self.element(&kind)?;
                    let size = self.read(element)?.size;
                    text += &format!("[{}]", offset.checked_div(size)?);
                    (address, offset) = (element, offset % size);
                }
                _ => break,
            }
        }
        Some(text)
    }

    /// The size of a type.
    pub(crate) fn size(&self, address: u64) -> Option<u64> {
        self.known
            .get(&address)
            .map_or_else(|| self.read(address).map(|kind| kind.size), |kind| kind.as_ref().map(|kind| kind.size))
    }

    /// The name of a type.
    pub(crate) fn name(&self, address: u64) -> Option<String> {
        types::name(self.binary, self.target.slide, self.names, address)
    }
}

/// What is behind the word for a map's cells: `[string]int` of `noalg.map.group[string]int` and `map.bucket[string]int`.
pub(crate) fn cells_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix("noalg.").unwrap_or(name);
    let behind = name.strip_prefix("map.group").or_else(|| name.strip_prefix("map.bucket"));
    behind.filter(|behind| behind.starts_with('['))
}

impl At {
    fn of(layouts: &Layouts) -> Result<Self, Error> {
        let maybe = |name: &str, field: &str| layouts.offset(name, field);
        let at = |name: &'static str, field: &'static str| maybe(name, field).ok_or(Error::Layout(name, field));
        let kind = |field| Ok::<_, Error>(at("internal/abi.Type", field)? as usize);
        let field = |field| Ok::<_, Error>(at("internal/abi.StructField", field)? as usize);
        let groups = |map: &'static str| {
            let (outer, inner) = ("internal/runtime/maps.table", "internal/runtime/maps.groupsReference");
            Some(Map::Groups {
                directory: maybe("internal/runtime/maps.Map", "dirPtr")?,
                directory_len: maybe("internal/runtime/maps.Map", "dirLen")?,
                groups: maybe(outer, "groups")? + maybe(inner, "data")?,
                table: u64::from(layouts.get(outer)?.size),
                kind: maybe(map, "Group")?,
            })
        };
        let map = groups("internal/abi.MapType").or_else(|| groups("internal/abi.SwissMapType"));
        let map = match map {
            Some(map) => map,
            None => Map::Buckets {
                buckets: at("runtime.hmap", "buckets")?,
                old: at("runtime.hmap", "oldbuckets")?,
                kind: at("internal/abi.MapType", "Bucket").or_else(|_| at("internal/abi.OldMapType", "Bucket"))?,
            },
        };
        Ok(Self {
            size: kind("Size_")?,
            pointer_bytes: kind("PtrBytes")?,
            flags: kind("TFlag")?,
            kind: kind("Kind_")?,
            mask: kind("GCData")?,
            element: at("internal/abi.PtrType", "Elem")?,
            array_len: at("internal/abi.ArrayType", "Len")?,
            fields: at("internal/abi.StructType", "Fields")?,
            field_size: layouts.get("internal/abi.StructField").map_or(24, |layout| u64::from(layout.size).max(24)),
            field_name: field("Name")?,
            field_type: field("Typ")?,
            field_offset: field("Offset")?,
            chan_buffer: at("runtime.hchan", "buf")?,
            itab_type: at("internal/abi.ITab", "Type").or_else(|_| at("runtime.itab", "_type"))?,
            map_size: match map {
                Map::Buckets { .. } => layouts.get("runtime.hmap"),
                Map::Groups { .. } => layouts.get("internal/runtime/maps.Map"),
            }
            .map_or(0, |layout| u64::from(layout.size)),
            map,
        })
    }
}
