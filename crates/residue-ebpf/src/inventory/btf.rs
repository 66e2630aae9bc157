//! Names of functions that programs are bound to, and interfaces that they implement, from the kernel's type information.

use residue_fd::objects::Inventory;

/// Bytes of type information that are read.
const BYTES_MAX: u64 = 64 << 20;

/// Gives programs and links of type `tracing` the names of their targets.
pub(super) fn name_targets(inventory: &mut Inventory) {
    let mut kernel: Option<Option<Types>> = None;
    let names: std::collections::BTreeMap<u32, String> = inventory
        .btfs
        .values()
        .filter(|btf| btf.kernel && !btf.name.contains(['/', '\0']) && btf.name != "..")
        .map(|btf| (btf.id, btf.name.clone()))
        .collect();
    let mut name = |(object, id): (u32, u32)| {
        let module = names.get(&object)?;
        // A module's types continue the numbers of the kernel's own, which are long; its targets stay numbers.
        if module != "vmlinux" || id == 0 {
            return None;
        }
        kernel.get_or_insert_with(Types::of_kernel).as_ref()?.name(id)
    };
    for program in inventory.programs.values_mut() {
        program.target = name(program.target_btf);
    }
    for link in inventory.links.values_mut() {
        let number = |key: &str| {
            let (_, value) = link.point.place.iter().find(|(found, _)| *found == key)?;
            value.parse().ok()
        };
        if let Some(target) = number("target_object").zip(number("target_type")).and_then(&mut name) {
            link.point.place = vec![("function", target)];
        }
    }
}

fn read(path: &str) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// An interface that programs implement, as the value of a `struct_ops` map has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// `tcp_congestion_ops`.
    pub(super) name: String,
    /// Where its name for itself is, and how long.
    pub(super) own_name: Option<(usize, usize)>,
    /// Where it has functions.
    pub(super) functions: Vec<usize>,
}

/// Members of one structure that are looked at, and names of types that stand for one another.
const MEMBERS_MAX: usize = 1 << 10;
const MODIFIERS_MAX: usize = 16;

/// `BTF_KIND_…` of include/uapi/linux/btf.h.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const FUNC_PROTO: u32 = 13;
}

/// Types of a file: Documentation/bpf/btf.rst. They are of different lengths, so that they have to be gone through.
pub(super) struct Types {
    bytes: Vec<u8>,
    /// Where each begins; the first has number 1.
    starts: Vec<usize>,
    texts: usize,
}

impl Types {
    /// The kernel's own.
    pub(super) fn of_kernel() -> Option<Self> {
        read("/sys/kernel/btf/vmlinux").and_then(Self::new)
    }

    fn new(bytes: Vec<u8>) -> Option<Self> {
        let word = |at| word(&bytes, at);
        // The magic number is 0xeB9F; then come version, flags, the header's length, and offsets behind it.
        if bytes.get(..2)? != 0xeb9f_u16.to_ne_bytes() {
            return None;
        }
        let (header, types, len, texts) = (word(4)? as usize, word(8)?, word(12)?, word(16)?);
        let mut at = header.checked_add(types as usize)?;
        let end = at.checked_add(len as usize)?;
        let texts = header.checked_add(texts as usize)?;
        let mut starts = Vec::new();
        while at < end {
            let Some(info) = word(at + 4) else { break };
            let members = (info & 0xffff) as usize;
            let behind = match info >> 24 & 0x1f {
                // INT, VAR, DECL_TAG
                1 | 14 | 17 => 4,
                // ARRAY
                3 => 12,
                // STRUCT, UNION, DATASEC, ENUM64
                4 | 5 | 15 | 19 => members * 12,
                // ENUM, FUNC_PROTO
                6 | 13 => members * 8,
                // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
                2 | 7..=12 | 16 | 18 => 0,
                _ => break,
            };
            starts.push(at);
            at = at.checked_add(12)?.checked_add(behind)?;
        }
        Some(Self { bytes, starts, texts })
    }

    fn start(&self, id: u32) -> Option<usize> {
        self.starts.get((id as usize).checked_sub(1)?).copied()
    }

    fn text(&self, offset: u32) -> Option<String> {
        let start = self.texts.checked_add(offset as usize)?;
        Some(super::record::text(self.bytes.get(start..self.bytes.len().min(start.checked_add(512)?))?))
    }

    /// The name of a type.
    pub(super) fn name(&self, id: u32) -> Option<String> {
        self.text(word(&self.bytes, self.start(id)?)?)
    }

    /// What kind a type is, and where; names for it and `const` are seen through.
    fn kind(&self, mut id: u32) -> Option<(u32, usize)> {
        for _ in 0..MODIFIERS_MAX {
            let at = self.start(id)?;
            match word(&self.bytes, at + 4)? >> 24 & 0x1f {
                // TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG
                8..=11 | 18 => id = word(&self.bytes, at + 8)?,
                kind => return Some((kind, at)),
            }
        }
        None
    }

    /// Members of a structure: name, type, and offset in bytes.
    fn members(&self, id: u32) -> Option<Vec<(String, u32, usize)>> {
        let (kind, at) = self.kind(id)?;
        if kind != kind::STRUCT {
            return None;
        }
        let count = (word(&self.bytes, at + 4)? & 0xffff) as usize;
        let member = |index: usize| {
            let at = at + 12 + index * 12;
            // With the flag of the type set the uppermost byte is the width of a bit field; pointers have none.
            let bits = word(&self.bytes, at + 8)? & 0x00ff_ffff;
            Some((self.text(word(&self.bytes, at)?)?, word(&self.bytes, at + 4)?, bits as usize / 8))
        };
        Some((0..count.min(MEMBERS_MAX)).filter_map(member).collect())
    }

    /// The interface that a `struct_ops` map implements, by the type of its value: `struct bpf_struct_ops_NAME`, of which
    /// `data` is the structure that the kernel calls.
    pub(super) fn interface(&self, value: u32) -> Option<Interface> {
        let name = self.name(value)?;
        let name = name.strip_prefix("bpf_struct_ops_")?.to_owned();
        let (_, data, base) = self.members(value)?.into_iter().find(|(name, ..)| name == "data")?;
        let mut interface = Interface { name, own_name: None, functions: Vec::new() };
        for (name, id, offset) in self.members(data)? {
            let Some((kind, at)) = self.kind(id) else { continue };
            let points_to = |at: usize| self.kind(word(&self.bytes, at + 8)?).map(|(kind, _)| kind);
            match kind {
                kind::PTR if points_to(at) == Some(kind::FUNC_PROTO) => interface.functions.push(base + offset),
                kind::ARRAY if name == "name" => {
                    // Of what, index, how many.
                    let of = word(&self.bytes, at + 12).and_then(|id| self.kind(id));
                    let is_text =
                        of.is_some_and(|(kind, at)| kind == kind::INT && word(&self.bytes, at + 8) == Some(1));
                    let len = word(&self.bytes, at + 20).filter(|_| is_text);
                    interface.own_name = len.map(|len| (base + offset, len as usize));
                }
                _ => {}
            }
        }
        Some(interface)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these types, as words, and these texts.
    fn file(types: &[u32], texts: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(0xeb9f_u16.to_ne_bytes());
        bytes.extend([1, 0]);
        // Header length; types: offset, length; texts: offset, length.
        let len = types.len() as u32 * 4;
        for word in [24_u32, 0, len, len, texts.len() as u32].iter().chain(types) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(texts.as_bytes());
        bytes
    }

    #[test]
    fn types_are_named() {
        let bytes = file(&[1, 1 << 24, 4, 32, 5, 12 << 24, 1], "\0int\0fn\0");
        let types = Types::new(bytes.clone()).expect("types");
        assert_eq!(types.name(1).as_deref(), Some("int"));
        assert_eq!(types.name(2).as_deref(), Some("fn"));
        assert_eq!((types.name(0), types.name(3)), (None, None));
        for len in 0..bytes.len() {
            let _ = Types::new(bytes[..len].to_vec()).and_then(|types| types.name(2));
        }
    }

    #[test]
    fn interfaces_tell_their_functions() {
        let texts = "\0char\0name\0init\0priv\0ops\0bpf_struct_ops_ops\0data\0common\0";
        let at = |text: &str| texts.find(&format!("\0{text}\0")).map_or(0, |at| at as u32 + 1);
        let structure = |members: u32| kind::STRUCT << 24 | members;
        let types = [
            // 1: char, one byte
            &[at("char"), kind::INT << 24, 1, 8][..],
            // 2: char[16]
            &[0, kind::ARRAY << 24, 0, 1, 1, 16],
            // 3: a function, 4: const of it, 5: a pointer to that, 6: a pointer to a char
            &[0, kind::FUNC_PROTO << 24, 0, 0, 10 << 24, 3, 0, kind::PTR << 24, 4, 0, kind::PTR << 24, 1],
            // 7: struct ops { init; priv; name }
            &[at("ops"), structure(3), 32, at("init"), 5, 0, at("priv"), 6, 64, at("name"), 2, 128],
            // 8: struct bpf_struct_ops_ops { common; data }
            &[at("bpf_struct_ops_ops"), structure(2), 96, at("common"), 1, 0, at("data"), 7, 512],
        ]
        .concat();
        let bytes = file(&types, texts);
        let of = |bytes: &[u8]| Types::new(bytes.to_vec())?.interface(8);
        let expected = Interface { name: "ops".to_owned(), own_name: Some((80, 16)), functions: vec![64] };
        assert_eq!(of(&bytes), Some(expected));
        assert_eq!(Types::new(bytes.clone()).and_then(|types| types.interface(7)), None);
        for len in 0..bytes.len() {
            let _ = of(&bytes[..len]);
        }
        // A name for itself leads nowhere.
        let circle = Types::new(file(&[1, 8 << 24, 1], "\0x\0")).expect("types");
        assert_eq!(circle.kind(1), None);
    }
}
