//! Maps whose values are other objects: maps of maps, arrays of programs for tail calls, devices and processors with a program
//! each, and interfaces of the kernel that programs implement. A look-up from user space gives the id of what an entry has
//! (`bpf_map_fd_sys_lookup_elem` of `kernel/bpf/map_in_map.c`, and its like).

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};

use residue_fd::objects::{
    Hold, Holder, Inventory, LINK_TYPE_STRUCT_OPS, MAP_TYPE_ARRAY_OF_MAPS, MAP_TYPE_HASH_OF_MAPS, MAP_TYPE_PROG_ARRAY,
    MAP_TYPE_STRUCT_OPS, MAP_TYPES_REDIRECT, ObjectId, StructOps, StructOpsState,
};

use super::btf::{Interface, Types};
use super::info::{self, Info, WORDS};
use super::record::text;

use crate::sys::{self, ById};

/// Entries of one map that are looked at.
const ENTRIES_MAX: u32 = 1 << 16;
/// Bytes of a key: `BPF_MAP_TYPE_HASH` takes as many as fit an allocation.
const KEY_MAX: u32 = 1 << 16;

/// Bytes of the value of a `struct_ops` map that are read.
const INTERFACE_MAX: u32 = 1 << 16;

/// Adds what maps have as values.
pub(super) fn read(inventory: &mut Inventory) {
    let of: fn(u32) -> ObjectId = ObjectId::map;
    let outer: Vec<_> = inventory
        .maps
        .values()
        .filter_map(|map| match map.map_type {
            MAP_TYPE_ARRAY_OF_MAPS | MAP_TYPE_HASH_OF_MAPS => Some((map.clone(), of)),
            MAP_TYPE_PROG_ARRAY => Some((map.clone(), ObjectId::program as fn(u32) -> ObjectId)),
            // A device's number or a queue's size, and the program.
            kind if MAP_TYPES_REDIRECT.contains(&kind) && map.value_size == 8 => {
                Some((map.clone(), ObjectId::program as fn(u32) -> ObjectId))
            }
            _ => None,
        })
        .collect();
    let mut refused = 0;
    for (map, object) in outer {
        if map.key_size > KEY_MAX || !matches!(map.value_size, 4 | 8) {
            continue;
        }
        let Ok(fd) = sys::fd_by_id(ById::Map, map.id) else {
            refused += 1;
            continue;
        };
        if map.max_entries > ENTRIES_MAX {
            inventory.hidden.push(format!("entries of map {} after the first {ENTRIES_MAX}", map.id));
        }
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for id in ids(fd.as_fd(), map.key_size as usize, map.value_size as usize) {
            *counts.entry(id).or_default() += 1;
        }
        for (id, entries) in counts {
            inventory.holds.push(Hold { object: object(id), by: Holder::Map { id: map.id, entries } });
        }
    }
    if refused > 0 {
        inventory.hidden.push(format!("what {refused} maps of maps or programs have as values"));
    }
    struct_ops(inventory);
}

/// Adds what `struct_ops` maps implement, and the programs that they do it by.
fn struct_ops(inventory: &mut Inventory) {
    let maps = inventory.maps.values().filter(|map| map.map_type == MAP_TYPE_STRUCT_OPS);
    let maps: Vec<(u32, u32)> = maps.map(|map| (map.id, map.value_size)).collect();
    if maps.is_empty() {
        return;
    }
    let types = Types::of_kernel();
    for (id, size) in maps {
        let mut value = vec![0; size.min(INTERFACE_MAX) as usize];
        let mut read = || {
            let fd = sys::fd_by_id(ById::Map, id).ok()?;
            let (words, _) = sys::object_info::<WORDS>(fd.as_fd()).ok()?;
            let (object, value_type) = info::struct_ops_type(&Info::new(&words));
            let of_kernel = inventory.btfs.get(&object).is_none_or(|btf| btf.name == "vmlinux");
            let interface = types.as_ref().filter(|_| of_kernel)?.interface(value_type)?;
            (size <= INTERFACE_MAX && sys::lookup(fd.as_fd(), &[0; 4], &mut value).ok()?).then_some(interface)
        };
        let Some(interface) = read() else {
            inventory.hidden.push(format!("what map {id} (struct_ops) implements, and its programs"));
            continue;
        };
        let (known, programs) = implemented(&interface, &value);
        let map = ObjectId::map(id);
        if known.state == StructOpsState::Registered {
            inventory.holds.push(Hold { object: map, by: Holder::Registration });
        }
        for (program, entries) in programs {
            inventory.holds.push(Hold { object: ObjectId::program(program), by: Holder::Map { id, entries } });
        }
        for link in inventory.links.values_mut().filter(|link| link.map == id && link.link_type == LINK_TYPE_STRUCT_OPS)
        {
            link.point.add("implements", known.interface.clone());
            link.point.place.extend(known.name.clone().map(|name| ("name", name)));
        }
        if let Some(map) = inventory.maps.get_mut(&id) {
            map.struct_ops = Some(known);
        }
    }
}

/// What the value of a `struct_ops` map says: it begins with a count and the state, and where the kernel has functions it has
/// ids of programs (`bpf_struct_ops_map_sys_lookup_elem`, `kernel/bpf/bpf_struct_ops.c`).
fn implemented(interface: &Interface, value: &[u8]) -> (StructOps, BTreeMap<u32, u32>) {
    let word = |at: usize| value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let state = match word(4) {
        0 => StructOpsState::Empty,
        1 => StructOpsState::Registered,
        2 => StructOpsState::Leaving,
        3 => StructOpsState::Ready,
        other => StructOpsState::Other(other),
    };
    let name = interface.own_name.and_then(|(at, len)| value.get(at..at.checked_add(len)?)).map(text);
    let mut programs = BTreeMap::new();
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    for at in &interface.functions {
        // Functions that are left out, or that the kernel has itself, have none.
        let id = word(at + low);
        if id != 0 {
            *programs.entry(id).or_default() += 1;
        }
    }
    let name = name.filter(|name| !name.is_empty());
    (StructOps { interface: interface.name.clone(), name, state }, programs)
}

/// What the entries of a map have; no more than were looked at.
fn ids(map: BorrowedFd<'_>, key_size: usize, value_size: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    let (mut key, mut next, mut value) = (vec![0; key_size], vec![0; key_size], vec![0; value_size]);
    let mut first = true;
    for _ in 0..ENTRIES_MAX {
        let from = (!first).then_some(&key[..]);
        if !sys::next_key(map, from, &mut next).unwrap_or(false) {
            break;
        }
        first = false;
        key.copy_from_slice(&next);
        // An entry without anything, or that went meanwhile, has no id.
        if sys::lookup(map, &key, &mut value).unwrap_or(false) {
            ids.extend(value.last_chunk().map(|id| u32::from_ne_bytes(*id)).filter(|id| *id != 0));
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_from_values() {
        let interface = Interface { name: "ops".to_owned(), own_name: Some((24, 8)), functions: vec![8, 16, 4096] };
        let mut value = vec![0; 32];
        value[4] = 1;
        value[8..16].copy_from_slice(&77_u64.to_ne_bytes());
        value[24..28].copy_from_slice(b"nv\x1b\0");
        let (known, programs) = implemented(&interface, &value);
        assert_eq!(
            (&*known.interface, known.name.as_deref(), known.state),
            ("ops", Some("nv\u{1b}"), StructOpsState::Registered)
        );
        assert_eq!(programs, BTreeMap::from([(77, 1)]));
        for len in 0..value.len() {
            let _ = implemented(&interface, &value[..len]);
        }
    }
}
