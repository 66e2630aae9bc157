//! Names of functions that programs are bound to, from the kernel's type information.

use residue_fd::objects::Inventory;

/// Bytes of type information that are read.
const BYTES_MAX: u64 = 64 << 20;

/// Gives programs and links of type `tracing` the names of their targets.
pub(super) fn name_targets(inventory: &mut Inventory) {
    let mut files: std::collections::BTreeMap<u32, Option<Vec<u8>>> = std::collections::BTreeMap::new();
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
        let file = files.entry(object).or_insert_with(|| read(&format!("/sys/kernel/btf/{module}")));
        type_name(file.as_ref()?, id)
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

/// The name of a type: Documentation/bpf/btf.rst. Types are of different lengths, so that they have to be gone through.
fn type_name(bytes: &[u8], id: u32) -> Option<String> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    // The magic number is 0xeB9F; then come version, flags, the header's length, and offsets behind it.
    if bytes.get(..2)? != 0xeb9f_u16.to_ne_bytes() {
        return None;
    }
    let (header, types, texts) = (word(4)? as usize, word(8)? as usize, word(16)? as usize);
    let mut at = header.checked_add(types)?;
    for number in 1..=id {
        let (name, info) = (word(at)?, word(at + 4)?);
        if number == id {
            let start = header.checked_add(texts)?.checked_add(name as usize)?;
            return Some(super::record::text(bytes.get(start..bytes.len().min(start.checked_add(512)?))?));
        }
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
            _ => return None,
        };
        at = at.checked_add(12)?.checked_add(behind)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named() {
        let mut bytes = Vec::new();
        bytes.extend(0xeb9f_u16.to_ne_bytes());
        bytes.extend([1, 0]);
        // Header length; types: offset, length; texts: offset, length.
        for word in [24_u32, 0, 28, 28, 12] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [1_u32, 1 << 24, 4, 32, 5, 12 << 24, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(*b"\0int\0fn\0");
        assert_eq!(type_name(&bytes, 1).as_deref(), Some("int"));
        assert_eq!(type_name(&bytes, 2).as_deref(), Some("fn"));
        assert_eq!(type_name(&bytes, 3), None);
        for len in 0..bytes.len() {
            let _ = type_name(&bytes[..len], 2);
        }
    }
}
