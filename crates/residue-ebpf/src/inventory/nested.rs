//! Maps whose values are other objects: maps of maps, and arrays of programs for tail calls. A look-up from user space gives
//! the id of what an entry has (`bpf_map_fd_sys_lookup_elem` of `kernel/bpf/map_in_map.c`).

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};

use residue_fd::objects::{
    Hold, Holder, Inventory, MAP_TYPE_ARRAY_OF_MAPS, MAP_TYPE_HASH_OF_MAPS, MAP_TYPE_PROG_ARRAY, ObjectId,
};

use crate::sys::{self, ById};

/// Entries of one map that are looked at.
const ENTRIES_MAX: u32 = 1 << 16;
/// Bytes of a key: `BPF_MAP_TYPE_HASH` takes as many as fit an allocation.
const KEY_MAX: u32 = 1 << 16;

/// Adds what maps have as values.
pub(super) fn read(inventory: &mut Inventory) {
    let of: fn(u32) -> ObjectId = ObjectId::map;
    let outer: Vec<_> = inventory
        .maps
        .values()
        .filter_map(|map| match map.map_type {
            MAP_TYPE_ARRAY_OF_MAPS | MAP_TYPE_HASH_OF_MAPS => Some((map.clone(), of)),
            MAP_TYPE_PROG_ARRAY => Some((map.clone(), ObjectId::program as fn(u32) -> ObjectId)),
            _ => None,
        })
        .collect();
    let mut refused = 0;
    for (map, object) in outer {
        if map.key_size > KEY_MAX || map.value_size != 4 {
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
        for id in ids(fd.as_fd(), map.key_size as usize) {
            *counts.entry(id).or_default() += 1;
        }
        for (id, entries) in counts {
            inventory.holds.push(Hold { object: object(id), by: Holder::Map { id: map.id, entries } });
        }
    }
    if refused > 0 {
        inventory.hidden.push(format!("what {refused} maps of maps or programs have as values"));
    }
}

/// What the entries of a map have; no more than were looked at.
fn ids(map: BorrowedFd<'_>, key_size: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    let (mut key, mut next, mut value) = (vec![0; key_size], vec![0; key_size], [0; 4]);
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
            ids.push(u32::from_ne_bytes(value));
        }
    }
    ids
}
