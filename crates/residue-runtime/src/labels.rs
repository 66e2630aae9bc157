//! Labels of goroutines, as `runtime/pprof.Do` sets them: `g.labels`.
//!
//! `runtime/pprof/runtime.go` and `label.go`: it points to a slice of keys and values, sorted by key; before Go 1.24 to a map
//! of strings, of the kind with buckets (`runtime/map.go`). Which it is shows in what is there.

use std::sync::Arc;

use residue_target::Memory;

use crate::offsets::word;

/// Labels of a goroutine, at most.
const LABELS_MAX: u64 = 256;
/// Bytes of a key or value, at most; longer ones are cut.
const TEXT_BYTES_MAX: u64 = 1024;
/// Lengths beyond are none.
const LENGTH_MAX: u64 = 1 << 30;
/// A label: two strings.
const LABEL_BYTES: usize = 32;

/// `runtime.hmap`: cells, logarithm of the number of buckets, buckets, those of half the size while it grows.
const HMAP_BYTES: usize = 48;
const HMAP_LOG: usize = 9;
const HMAP_BUCKETS: usize = 16;
const HMAP_OLD: usize = 24;
/// A bucket (`runtime.bmap`) has eight cells: a byte of the hash of each, keys, values, the bucket that it overflows into.
const CELLS: usize = 8;
const BUCKET_BYTES: usize = CELLS + CELLS * LABEL_BYTES + 8;
/// Hashes below (`minTopHash`) say that a cell is empty or has moved.
const HASH_MIN: u8 = 5;

/// The labels at an address; none where there are none, or nothing that looks like labels.
pub(crate) fn of(memory: &dyn Memory, address: u64) -> Arc<[(String, String)]> {
    if address == 0 {
        return Arc::default();
    }
    let head = memory.read_up_to(address, 24);
    let (first, len, capacity) = (word(&head, 0), word(&head, 8), word(&head, 16));
    let slice = || (1..=LABELS_MAX).contains(&len) && len <= capacity && capacity <= LENGTH_MAX;
    let found = slice().then(|| of_slice(memory, first, len)).flatten().or_else(|| of_map(memory, first));
    let mut found = found.unwrap_or_default();
    found.sort();
    found.into()
}

fn of_slice(memory: &dyn Memory, address: u64, len: u64) -> Option<Vec<(String, String)>> {
    let bytes = memory.read_up_to(address, len as usize * LABEL_BYTES);
    if bytes.len() < len as usize * LABEL_BYTES {
        return None;
    }
    // All are asked for before one that isn't there ends it.
    let labels: Vec<_> =
        bytes.chunks_exact(LABEL_BYTES).map(|label| (text(memory, label, 0), text(memory, label, 16))).collect();
    labels.into_iter().map(|(key, value)| Some((key?, value?))).collect()
}

fn of_map(memory: &dyn Memory, address: u64) -> Option<Vec<(String, String)>> {
    let map = memory.read_up_to(address, HMAP_BYTES);
    let (count, log) = (word(&map, 0), *map.get(HMAP_LOG)?);
    if !(1..=LABELS_MAX).contains(&count) || 1_u64.checked_shl(u32::from(log))? > LABELS_MAX {
        return None;
    }
    let mut found = Vec::new();
    for (at, buckets) in [(HMAP_BUCKETS, 1_u64 << log), (HMAP_OLD, 1 << log >> 1)] {
        let first = word(&map, at);
        for index in (0..buckets.max(1)).take_while(|_| first != 0) {
            let mut bucket = first.checked_add(index * BUCKET_BYTES as u64)?;
            // As many as there are cells follow each other, at most.
            for _ in 0..=count {
                let bytes = memory.read_up_to(bucket, BUCKET_BYTES);
                if bytes.len() < BUCKET_BYTES {
                    return None;
                }
                let used = (0..CELLS).filter(|cell| bytes[*cell] >= HASH_MIN);
                let label = |cell: usize| {
                    let (key, value) = (CELLS + 16 * cell, CELLS + 16 * (CELLS + cell));
                    (text(memory, &bytes, key), text(memory, &bytes, value))
                };
                let labels: Vec<_> = used.map(label).collect();
                for (key, value) in labels {
                    found.push((key?, value?));
                }
                bucket = word(&bytes, BUCKET_BYTES - 8);
                if bucket == 0 {
                    break;
                }
            }
        }
    }
    (found.len() as u64 == count).then_some(found)
}

/// The text of a string whose header has been read.
fn text(memory: &dyn Memory, bytes: &[u8], at: usize) -> Option<String> {
    let (address, len) = (word(bytes, at), word(bytes, at + 8));
    let wanted = len.min(TEXT_BYTES_MAX) as usize;
    if len > LENGTH_MAX {
        return None;
    }
    if wanted == 0 {
        return Some(String::new());
    }
    let text = memory.read_up_to(address, wanted);
    let cut = (text.len() as u64) < len;
    (text.len() == wanted).then(|| String::from_utf8_lossy(&text).into_owned() + if cut { "…" } else { "" })
}
